"""AVA's label map: the actions that an evaluation averages over, with their names.

The official label maps are protocol buffers in text format, in two variants:

    item {                      label {
      name: "sit"                 name: "sit"
      id: 11                      label_id: 11
    }                             label_type: PERSON_MOVEMENT
                                }

A CSV file works, too: rows `id,name`, or a header with the columns `id` and `name`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from twinpath.formats.text_columns import csv_rows, line_error, read_lines, whole_number_or_none
from twinpath.labels import ava_evaluated_ids, class_ids, labels

_ID_NAMES = ("action_id", "label_id", "id")
_COUNTS = "in_the_60_evaluated"  # a column of Twinpath's own table of AVA's actions
_TOKEN = re.compile(
    r"""(?P<field>\w+)\s*:\s*(?P<value>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[-\w.]+)
      | (?P<begin>\w+\s*:?\s*\{) | (?P<end>\}) | (?P<nothing>\s+|[#][^\n]*|[,;])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class LabelMap:
    """Actions by their id.

    Attributes:
        names: The names of the evaluated actions, by id.
        known: All ids that may be in files. 20 of AVA's 80 actions are known and not evaluated.
    """

    names: Mapping[int, str]
    known: frozenset[int]

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the evaluated actions, ascending."""
        return tuple(sorted(self.names))


def built_in_label_map() -> LabelMap:
    """The 60 actions of the official AVA evaluation."""
    evaluated = ava_evaluated_ids()
    ava = dict(zip(class_ids("ava"), labels("ava"), strict=True))
    return LabelMap({i: name for i, name in ava.items() if i in evaluated}, frozenset(ava))


def read_label_map(path: str | os.PathLike[str]) -> LabelMap:
    """Read a label map from a .pbtxt or a .csv file; the format is detected from the content.

    If most of its names are AVA's, all 80 of AVA's ids are known; else only those that it lists.

    Raises:
        NotAFile: No such file.
        InputError: With file and line: not a label map, an invalid or duplicate id, a missing name.
    """
    path, lines = Path(path), read_lines(path)
    text = "\n".join(lines)
    is_table = re.match(r"(\s|#[^\n]*\n)*\w+\s*:?\s*\{", text) is None
    names: dict[int, str] = {}
    for line, number, name in _from_table(path, lines) if is_table else _from_items(path, text):
        if whole_number_or_none(number, minimum=1) is None:
            raise line_error(path, line, f"id is {number!r}, not a whole number from 1")
        if not name:
            raise line_error(path, line, f"the label with id {number} has no name")
        if int(number) in names:
            raise line_error(path, line, f"id {number} is a duplicate: {names[int(number)]!r} and {name!r}")
        names[int(number)] = name
    if not names:
        raise line_error(path, 1, "there are no labels in this label map")
    ava = dict(zip(class_ids("ava"), labels("ava"), strict=True))
    is_avas = 2 * sum(ava.get(i) == name for i, name in names.items()) > len(names)
    return LabelMap(names, frozenset(names) | (frozenset(ava) if is_avas else frozenset()))


def _from_items(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    """(line, id, name) of each message; "" for a missing field."""
    at, item_line = 0, 0
    fields: dict[str, str] | None = None
    while at < len(text):
        token = _TOKEN.match(text, at)
        line = text.count("\n", 0, at) + 1
        if token is None or (token["begin"] and fields is not None) or (token["end"] and fields is None):
            here = text[at:].split("\n", 1)[0].strip()
            raise line_error(path, line, f"{here[:40]!r} is not allowed in a label map")
        if token["begin"]:
            fields, item_line = {}, line
        elif token["field"] and fields is not None:
            value = token["value"]
            fields[token["field"]] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] in "\"'" else value
        elif token["end"] and fields is not None:
            number = next((fields[name] for name in _ID_NAMES if name in fields), None)
            if number is None:
                raise line_error(path, item_line, f"a label has no id ({' or '.join(_ID_NAMES[1:])})")
            yield item_line, number, fields.get("name", "").strip()
            fields = None
        at = token.end()
    if fields is not None:
        raise line_error(path, item_line, "a label that begins here does not end; is the file truncated?")


def _from_table(path: Path, lines: list[str]) -> Iterator[tuple[int, str, str]]:
    """(line, id, name) of each evaluated row."""
    header: list[str] | None = None
    for line, row in csv_rows(path, lines):
        if header is None:
            header = _header(path, row)
            if header == row:
                continue
        if len(row) != len(header):
            raise line_error(path, line, f"{len(row)} columns, not the {len(header)} of {','.join(header)}")
        values = dict(zip(header, (field.strip() for field in row), strict=True))
        if values.get(_COUNTS, "1") == "1":
            number = next(values[name] for name in _ID_NAMES if name in values)
            yield line, number, values["name"]


def _header(path: Path, row: list[str]) -> list[str]:
    """The column names: the first row if it is a header, else `id,name`."""
    if "name" in row and any(name in row for name in _ID_NAMES):
        return row
    if len(row) == 2 and row[0].strip().isdecimal():
        return ["id", "name"]
    raise line_error(path, 1, "not a label map: neither items with name and id, nor rows id,name")
