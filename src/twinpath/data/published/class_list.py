"""Names of classes in the order of a network's outputs, from the forms in which data sets publish them.

abseiling                                one name a line
0 abseiling, 1 air drumming …            numbered, from 0 or from 1: classInd.txt of UCF101
c000 Holding some clothes                Charades_v1_classes.txt
index,name                               CSV with a header
{"abseiling": 0} or {"0": "abseiling"}   JSON; or a list
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from twinpath.errors import InputError, NotAFile
from twinpath.escapes import shown
from twinpath.formats.csv_table import read_csv_table
from twinpath.formats.file_content import read_text
from twinpath.formats.json_nodes import Node, parse_json
from twinpath.formats.text_columns import line_error, lines_of, whole_number_or_none
from twinpath.labels import datasets
from twinpath.labels import labels as built_in
from twinpath.paths import display_path
from twinpath.suggest import did_you_mean

_NUMBERED = re.compile(r"[\"']?c?(?P<number>\d{1,9})[\"']?[\s,;]\s*(?P<name>\S.*)")
_NUMBER_COLUMNS = ("index", "id", "label", "label_id", "class_id")
_NAME_COLUMNS = ("name", "label_name", "class", "class_name")

Entry = tuple[int, int, str]  # line or place from 1, number, name


def read_class_names(source: str | Path) -> tuple[str, ...]:
    """Names of classes.

    Args:
        source: A file in one of the forms above, or the name of a data set of `twinpath.labels`.
    Raises:
        NotAFile: No such file, and no such data set.
        InputError: With file and line: a name is there twice, a number is missing; or there are no names.
    """
    path = Path(source)
    if not path.is_file():
        if str(source) in datasets():
            return built_in(str(source))
        if path.name == str(source) and not path.suffix:
            hint = did_you_mean(str(source), datasets())
            raise NotAFile(
                f"{display_path(path)} is neither a file nor a data set with names of classes{hint}"
            )
    text = read_text(path)
    if text.lstrip()[:1] in ("{", "["):
        return _in_order(path, list(_from_json(parse_json(text, display_path(path)))), unit="entry")
    if path.suffix.lower() in (".csv", ".tsv"):
        entries = list(_from_table(path))
    else:
        entries = list(_from_lines(lines_of(text)))
    return _in_order(path, entries)


def class_index(classes: Sequence[str]) -> Mapping[str, int]:
    """The index of each class."""
    return {name: index for index, name in enumerate(classes)}


def _in_order(path: Path, entries: Sequence[Entry], *, unit: str = "line") -> tuple[str, ...]:
    """Raises: InputError."""

    def error(place: int, what: str) -> InputError:
        if unit == "line":
            return line_error(path, place, what)
        return InputError(f"{display_path(path)}: {unit} {place}: {shown(what)}")

    if not entries:
        raise line_error(path, 1, "there are no names of classes")
    first = min(min(number for _, number, _ in entries), 1)
    names: dict[int, str] = {}
    seen: dict[str, int] = {}
    for line, number, name in entries:
        if not name:
            raise error(line, f"class {number} has no name")
        if number in names:
            raise error(line, f"number {number} is there twice: {names[number]!r} and {name!r}")
        if seen.setdefault(name, line) != line:
            raise error(line, f"the class {name!r} is in {unit} {seen[name]}, too")
        names[number] = name
    missing = next((n for n in range(first, first + len(names)) if n not in names), None)
    if missing is not None:
        raise InputError(f"{display_path(path)}: of {len(names)} classes none has the number {missing}")
    return tuple(names[number] for number in sorted(names))


def _from_lines(lines: Sequence[str]) -> Iterator[Entry]:
    """Numbered lines, where all are; else one name a line."""
    filled = [(line, text.strip()) for line, text in enumerate(lines, 1) if text.strip()]
    numbered = [_NUMBERED.fullmatch(text) for _, text in filled]
    for number, ((line, text), found) in enumerate(zip(filled, numbered, strict=True)):
        if None not in numbered and found is not None:
            yield line, int(found["number"]), found["name"].strip().strip('"')
        else:
            yield line, number, text


def _from_table(path: Path) -> Iterator[Entry]:
    """A table with a header; a file without one is lines, and a name may hold commas."""
    lines = lines_of(read_text(path))
    header = next((line for line in lines if line.strip()), "").lower()
    is_header = any(re.search(rf"(^|[,;\t ])\"?{name}\"?\s*($|[,;\t])", header) for name in _NAME_COLUMNS)
    if not is_header:
        yield from _from_lines(lines)
        return
    table = read_csv_table(path)
    number_column = next((name for name in _NUMBER_COLUMNS if name in table), None)
    name_column = next(name for name in (*_NAME_COLUMNS, table.names[-1]) if name in table)
    for count, row in enumerate(table.rows()):
        number: int | None = count
        if number_column is not None and number_column != name_column:
            number = whole_number_or_none(row.text(number_column), minimum=0)
        if number is None:
            raise row.error(f"{number_column!r} is {row.text(str(number_column))!r}, not a whole number")
        yield row.line, number, row.text(name_column)


def _from_json(root: Node) -> Iterator[Entry]:
    if isinstance(root.value, list):
        for place, node in enumerate(root.each()):
            yield place + 1, place, node.text().strip()
        return
    for place, key in enumerate(root.value):
        node = root[key]
        number = whole_number_or_none(str(key), minimum=0)
        if number is not None and isinstance(node.value, list):  # ImageNet: [synset, name]
            yield place + 1, number, " ".join(entry.text() for entry in node.each()).strip()
        elif number is not None and not isinstance(node.value, int):
            yield place + 1, number, node.text().strip()
        else:
            yield place + 1, json_index(node), key.strip()


def json_index(node: Node) -> int:
    """The index of a class, as a number or as text. Raises: InputError: It is none."""
    number = whole_number_or_none(str(node.value), minimum=0)
    if number is None or isinstance(node.value, bool | float):
        raise node.error(f"{node.value!r} is not the number of a class")
    return number
