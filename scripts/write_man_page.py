"""Write docs/man/twinpath.1 from the command line itself. Run: make docs

The wheel puts it where `man twinpath` finds it (pyproject.toml). A test fails when it is not current
(tests/unit/test_docs.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from scripts.write_api_reference import ROOT
from scripts.write_errors import page as page_of_errors
from twinpath import __version__
from twinpath.cli.app import make_app
from twinpath.cli.roads import ROADS

PAGE = ROOT / "docs" / "man" / "twinpath.1"

_ENVIRONMENT = {
    "TWINPATH_HOME": "The folder of weights and compiled networks, in place of the platform's cache folder.",
    "TWINPATH_MIRROR": "An address with a copy of the published weights, under their publishers' paths.",
    "TMPDIR": "The folder of temporary files.",
    "https_proxy, http_proxy, all_proxy, no_proxy": "Proxies of downloads.",
    "SSL_CERT_FILE": "Certificates to trust, for a proxy or a mirror with a certificate of its own.",
}


def page() -> str:
    """The text of twinpath.1."""
    _, _, roads = ROADS.partition("\n")
    root = get_command(make_app())
    lines = [f'.TH TWINPATH 1 "" "twinpath {__version__}" "User Commands"']
    lines += [".SH NAME", "twinpath \\- recognise human actions in video"]
    lines += [".SH SYNOPSIS", ".B twinpath", "[\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIARGUMENT\\fR]..."]
    lines += [".SH DESCRIPTION", *_text(root.help or "")]
    lines += [".PP", ".nf", *map(_line, roads.strip().splitlines()), ".fi"]
    lines += [".SH OPTIONS", *_parameters(root)]
    lines += [".SH COMMANDS"]
    for words, command in _commands(root, ()):
        lines += [f'.SS "twinpath {" ".join(words)}"', *_command(words, command)]
    lines += [".SH EXIT STATUS"]
    for code, meaning in re.findall(r"^\| (\d[\d, ]*) \| (.+) \|$", page_of_errors(), re.MULTILINE):
        lines += [".TP", f".B {code}", *_text(meaning.replace("\\|", "|").replace("`", ""))]
    lines += [".SH ENVIRONMENT"]
    for name, meaning in _ENVIRONMENT.items():
        lines += [".TP", f".B {name}", *_text(meaning)]
    return "\n".join(lines) + "\n"


def _commands(node: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, child in node.commands.items():
        if hasattr(child, "commands"):
            yield from _commands(child, (*words, name))
        else:
            yield (*words, name), child


def _command(words: tuple[str, ...], command: Any) -> Iterator[str]:
    arguments = [part for part in command.params if part.param_type_name == "argument"]
    shown = [_shown(part) for part in arguments]
    yield f".B twinpath {' '.join(words)}"
    yield " ".join(["[\\fIOPTION\\fR]...", *shown])
    for paragraph in (command.help or "").strip().split("\n\n"):
        yield ".PP"
        yield from _text(paragraph)
    yield from _parameters(command)


def _shown(argument: Any) -> str:
    name = f"\\fI{_escaped(argument.metavar or argument.name.upper())}\\fR"
    name += "..." if argument.nargs == -1 else ""
    return name if argument.required else f"[{name}]"


def _parameters(command: Any) -> Iterator[str]:
    for part in command.params:
        if part.param_type_name == "argument":
            name, help_text = f"\\fI{_escaped(part.metavar or part.name.upper())}\\fR", part.help or ""
        else:
            name, help_text = _option(command, part)
        yield ".TP"
        yield name
        yield from _text(help_text)


def _option(command: Any, part: Any) -> tuple[str, str]:
    """The line of an option, as its help has it, and its text."""
    flags, help_text = part.get_help_record(command.context_class(command))
    shown = re.sub(r"(?<![\w-])(--?[a-z][a-z-]*)", r"<\1>", flags)
    return _escaped(shown).replace("<", "\\fB").replace(">", "\\fR"), help_text


def _text(text: str) -> list[str]:
    """One sentence a line, as roff likes it."""
    return [_line(sentence) for sentence in re.split(r"(?<=[.:;]) +(?=[A-Z\[])", " ".join(text.split()))]


def _line(text: str) -> str:
    """Not taken for a command of roff."""
    line = _escaped(text)
    return f"\\&{line}" if line.startswith((".", "'")) else line


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("`", "'")


def main() -> None:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
