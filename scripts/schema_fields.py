"""The fields of a JSON object, for docs/schemas.md: from a result class, or written out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from scripts.write_api_reference import entries_of, parsed, source_of

Row = tuple[str, str, str]  # name of the field, type, meaning


@dataclass(frozen=True)
class Fields:
    """The fields of a dataclass as JSON.

    Attributes:
        module, name: Of the class.
        more: Rows that `to_dict` or the command adds.
        instead: Types or meanings that JSON has in place of the class's.
    """

    module: str
    name: str
    more: tuple[Row, ...] = ()
    instead: dict[str, tuple[str, str]] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        """Every field, in order."""
        (node,) = (n for n in parsed(self.module).body if isinstance(n, ast.ClassDef) and n.name == self.name)
        meanings = _meanings(ast.get_docstring(node) or "")
        fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
        rows = []
        for part in fields:
            name = source_of(part.target)
            row = (_json_type(part.annotation), meanings.get(name, ""))
            rows.append((name, *self.instead.get(name, row)))
        return [*rows, *self.more]


@dataclass(frozen=True)
class Rows:
    """The fields of an object that no dataclass describes."""

    written: tuple[Row, ...]

    def rows(self) -> list[Row]:
        """Every field, in order."""
        return list(self.written)


@dataclass(frozen=True)
class Schema:
    """One object.

    Attributes:
        title: Heading on the page.
        text: What it is and which command prints or writes it.
        fields: Its fields.
        level: Of the heading.
    """

    title: str
    text: str
    fields: Fields | Rows
    level: int = 2


def _meanings(docstring: str) -> dict[str, str]:
    """The text of each attribute in a docstring."""
    lines = docstring.splitlines()
    if "Attributes:" not in lines:
        return {}
    start = lines.index("Attributes:") + 1
    body = [line.removeprefix("    ") for line in _indented(lines[start:])]
    entries = entries_of("\n".join(body)) or []
    return {name: text for names, text in entries for name in names.split(", ")}


def _indented(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.strip() and not line.startswith("    "):
            return
        yield line


_NAMED = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "None": "null",
    "Any": "any",
}


def _json_type(annotation: ast.expr) -> str:
    """What an annotation becomes in JSON."""
    text = source_of(annotation)
    if " | " in text:
        parts = [_json_type(ast.parse(part, mode="eval").body) for part in text.split(" | ")]
        return ", ".join(parts)
    if text == "BoxPx":
        return "array of 4 numbers"
    if match := re.fullmatch(r"(?:tuple|list)\[([\w.]+)(?:, \.\.\.)?\]", text):
        return f"array of {_json_type(ast.parse(match[1], mode='eval').body)}"
    if match := re.fullmatch(r"tuple\[(\w+(?:, \w+)*)\]", text):
        return f"array of {len(match[1].split(', '))} numbers"
    if match := re.fullmatch(r"dict\[str, (\w+)\]", text):
        value = _NAMED.get(match[1], match[1])
        return "object" if value == "any" else f"object of {value}"
    if text in _NAMED:
        return _NAMED[text]
    return f"[{text}](#{text.lower()})"
