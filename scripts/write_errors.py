"""Write docs/errors.md, every error with its exit code, from the tree of `twinpath.errors`. Run: make docs

When an error happens and what to do are in the docstring of its class. A test fails when the page is not
current (tests/unit/test_docs.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from scripts.write_api_reference import ROOT
from twinpath import errors

PAGE = ROOT / "docs" / "errors.md"

_INTRODUCTION = """# Errors

Made by `make docs` from the docstrings of [`twinpath.errors`](api/errors.md); do not edit.

An error of a command is one line on stderr, `twinpath: …`: what failed, in which file, and what to do. The
exit code says its kind; `--debug` shows where it was raised. In a batch each input that fails has its line,
and with `--json` an [object](schemas.md#errors); the others go on, and the exit code is 4. In Python these
are exceptions, each a subclass of the one above it that is indented less.

| exit code | meaning |
| --- | --- |
| 0 | done; also where nobody reads stdout to its end (`\\| head`) |
| 1 | a bug in Twinpath: please report it, with what `--debug` shows |
| 2 | usage: an argument, a setting, a missing package |
| 3 | input or output: a file that cannot be used, a full disk, stdout that cannot be written |
| 4 | a batch finished, and some of its inputs failed |
| 5 | weights, and their download |
| 6 | a limit, or memory that ran out |
| 129, 130, 143 | stopped by SIGHUP (not under `nohup`), Ctrl-C, SIGTERM; written files are complete |

An `OSError` of the system (no space left, permission denied) has exit code 3, and names the file: the old
file is kept, or none is left. Users, passwords, queries and fragments of addresses are shown as `***`, and
what a terminal would obey as escapes (`\\x1b`, `\\u202e`, `\\n`).
"""


def page() -> str:
    """The text of docs/errors.md."""
    lines = ["| error | exit code | when it happens | what to do |", "| --- | --- | --- | --- |"]
    for level, error in _tree(errors.TwinpathError):
        when, to_do = texts_of(error)
        name = f"{'&nbsp;' * 4 * level}`{error.__name__}`"
        code = "" if error is errors.Stopped else str(error.exit_code)
        lines.append(f"| {name} | {code} | {when} | {to_do} |")
    return f"{_INTRODUCTION}\n" + "\n".join(lines) + "\n"


def _tree(
    error: type[errors.TwinpathError], level: int = 0
) -> Iterator[tuple[int, type[errors.TwinpathError]]]:
    yield level, error
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child, level + 1)


def texts_of(error: type[errors.TwinpathError]) -> tuple[str, str]:
    """When an error happens, and what to do.

    Raises:
        ValueError: Its docstring does not say.
    """
    paragraphs = (inspect.cleandoc(error.__doc__ or "")).split("\n\n")
    to_do = [text.removeprefix("To do: ") for text in paragraphs if text.startswith("To do: ")]
    if len(to_do) != 1 or not paragraphs[0].endswith("."):
        raise ValueError(f"the docstring of {error.__name__} needs a first sentence and one 'To do: '")
    return _on_one_line(paragraphs[0]), _on_one_line(to_do[0])


def _on_one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
