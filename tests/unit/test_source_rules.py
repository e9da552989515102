"""Rules of the source that no linter knows, checked by reading it.

`python -m tests.unit.test_source_rules` lists all that breaks them, files that are still worked on included.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "src/twinpath/"
CODE = ("src", "tests", "benchmarks", "scripts")
PAGES = ("README.md", "CONTRIBUTING.md", "docs", "benchmarks")
THIS = str(Path(__file__).relative_to(ROOT))

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60  # in the command line; a guide elsewhere

# Names that gave way to the field's own: of classes, functions, arguments and variables.
OLD_NAMES = frozenset(
    re.findall(
        r"\w+",
        """
        EngineWish wish What say tell Patience patience Retry Keeper keeper asked Origin AnswersFile
        Ahead Looked look _Watch Plate Placer Sighting _Way PersonSeen Readout readout misshapen
        Translated Fit Garbled Sound steady
        """,
    )
)
# The same in sentences. Whole words.
OLD_WORDS = re.compile(
    r"\b(EngineWish|wish(?:es)?|Patience|Keepers?|AnswersFile|Placer|Sightings?|PersonSeen|Readouts?|misshapen"
    r"|Garbled|steady|makes? no sense|he|his|him|himself)\b",
    re.IGNORECASE,
)
NOT_A_PRONOUN = re.compile(r"\bHe (?:et al|for|initial)")  # Kaiming He

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
NOT_OURS = re.compile(r"pip install [^\n;`']*|var\(--\w+\)|--\w+:")  # pip's options, and variables of CSS

# Files that are still worked on, by rule: they may break it. This table becomes empty and goes.
UNFINISHED: dict[str, tuple[str, ...]] = {
    "functions": ("src/twinpath/cli/detect.py",),
}

Violations = Iterator[tuple[str, str]]  # (file, what is there)


@cache
def sources() -> dict[str, ast.Module]:
    """Every Python file by its path in the repository."""
    files = (path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py")))
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8")) for path in files}


def library() -> Iterator[tuple[str, ast.Module]]:
    """What is neither a test nor the command line."""
    for name, tree in sources().items():
        if name.startswith(PACKAGE) and not name.startswith(PACKAGE + "cli/"):
            yield name, tree


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Text in a module: messages, f-strings in parts, docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def flags() -> Violations:
    """The library names its arguments; only the command line knows how a user writes them."""
    for name, tree in library():
        for line, text in strings(tree):
            for found in FLAG.findall(NOT_OURS.sub("", text)):
                yield name, f"{line}: {found}"
        for line, text in enumerate((ROOT / name).read_text("utf-8").splitlines(), start=1):
            if re.search(r'"--[a-z]', text):
                yield name, f"{line}: {text.strip()}"


def commands() -> Violations:
    """Nor does the library send a user to a command."""
    from tests.support.command_list import commands as all_commands

    firsts = "|".join(sorted({command.words[0] for command in all_commands()}))
    command = re.compile(rf"\btwinpath (?:{firsts})\b")
    for name, tree in library():
        for line, text in strings(tree):
            for found in command.findall(text):
                yield name, f"{line}: {found}"


def classes() -> Violations:
    """No two classes of the package share a name."""
    first: dict[str, str] = {}
    for name, tree in sources().items():
        if not name.startswith(PACKAGE):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                other = first.setdefault(node.name, name)
                if other != name:
                    yield name, f"{node.lineno}: {node.name} is in {other} too"


def functions() -> Violations:
    """A command parses and prints."""
    for name, tree in sources().items():
        if not name.startswith(PACKAGE + "cli/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    yield name, f"{node.lineno}: {node.name} has {lines} lines, over {MAX_FUNCTION_LINES}"


def files() -> Violations:
    """A file has one job, and so few lines."""
    for name in sources():
        lines = len((ROOT / name).read_text("utf-8").splitlines())
        if lines > MAX_FILE_LINES:
            yield name, f"{lines} lines, over {MAX_FILE_LINES}"


def names() -> Violations:
    """Names that an engineer of the field would search for."""
    for name, tree in sources().items():
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=found) | ast.arg(arg=found) | ast.keyword(arg=str(found)):
                    pass
                case ast.ClassDef(name=found) | ast.FunctionDef(name=found):
                    pass
                case ast.Attribute(attr=found) if found != "tell":  # a file's position
                    pass
                case _:
                    continue
            if found in OLD_NAMES:
                yield name, f"{getattr(node, 'lineno', 0)}: {found}"


def words() -> Violations:
    """The same in comments, docstrings, messages and on pages; and nobody is "he"."""
    pages = (
        path
        for folder in PAGES
        for path in ([ROOT / folder] if folder.endswith(".md") else sorted((ROOT / folder).rglob("*.md")))
    )
    for name in (*sources(), *(str(path.relative_to(ROOT)) for path in pages)):
        if name == THIS:
            continue
        for line, text in enumerate((ROOT / name).read_text("utf-8").splitlines(), start=1):
            for found in OLD_WORDS.findall(NOT_A_PRONOUN.sub("", text)):
                yield name, f"{line}: {found}"


def prints() -> Violations:
    """What commands print goes through `cli/console.py`, which escapes it and masks secrets."""
    for name, tree in sources().items():
        if not name.startswith(PACKAGE + "cli/") or name.endswith("cli/console.py"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield name, f"{node.lineno}: print"


RULES: dict[str, Callable[[], Violations]] = {
    rule.__name__: rule for rule in (flags, commands, classes, functions, files, names, words, prints)
}


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str) -> None:
    finished = [
        f"{name}:{what}" for name, what in RULES[rule]() if not name.startswith(UNFINISHED.get(rule, ()))
    ]
    assert not finished, "\n".join([RULES[rule].__doc__ or "", *finished])


def test_rules_find_what_breaks_them() -> None:
    assert FLAG.findall("give a file with --weights, or --people-file") == ["--weights", "--people-file"]
    assert FLAG.findall(NOT_OURS.sub("", "pip install --upgrade torch; --hue:3")) == []
    assert not FLAG.findall("twenty--one --- --")
    assert OLD_WORDS.findall("He keeps his; a wish, two wishes; wishbone") == ["He", "his", "wish", "wishes"]
    assert not OLD_WORDS.findall(NOT_A_PRONOUN.sub("", "He et al. 2016; the theory of the hero"))


if __name__ == "__main__":
    for rule_name, rule in RULES.items():
        broken = sorted(rule())
        print(f"{rule_name}: {len(broken)}")
        for name, what in broken:
            print(f"  {name}:{what}")
