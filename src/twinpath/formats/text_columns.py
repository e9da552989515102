"""Text files as lines and columns of numbers. Errors name the line."""

from __future__ import annotations

import codecs
import csv
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import InputError, NotAFile
from twinpath.escapes import shown
from twinpath.paths import display_path

Number = TypeVar("Number", np.float64, np.int64)

_BLOCK_ROWS = 1 << 16
_END = 1 << 31  # exclusive maximum of whole numbers
# A formula of a spreadsheet. A hyphen before a plain name is none: AVA has videos such as -5KQ66BBWC4.
_FORMULA = re.compile(r"'*([=+@\t\r]|-(?![\w-]*$))")


def line_error(path: Path, line: int, what: str) -> InputError:
    """An error with file and line."""
    return InputError(f"{display_path(path)}:{line}: {shown(what)}")


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """All lines of a file, without a byte order mark and line ends.

    Raises:
        NotAFile: Missing, or a folder.
        InputError: Not UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise NotAFile(f"{display_path(path)}: no such file; check the name")
    content = path.read_bytes()
    try:
        text = decode_text(content)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = what_is_no_text(content) or "not UTF-8; save the file as plain text"
        raise line_error(path, line, what) from error
    return lines_of(text)


def stream_lines(path: str | os.PathLike[str]) -> Iterator[str]:
    """As `read_lines`, one by one: of a list of millions of lines only one is in memory.

    Raises:
        NotAFile, InputError: As `read_lines`.
    """
    path = Path(path)
    if not path.is_file():
        raise NotAFile(f"{display_path(path)}: no such file; check the name")
    with path.open("rb") as file:
        is_utf_16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        with path.open(encoding="utf-16" if is_utf_16 else "utf-8-sig") as text:
            yield from (line.rstrip("\n") for line in text)
    except UnicodeDecodeError:
        read_lines(path)  # raises with the line
        raise


def decode_text(content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark, as PowerShell and Excel write it.

    Raises:
        UnicodeDecodeError: Another encoding, or no text.
    """
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf_16 else "utf-8-sig")


def what_is_no_text(content: bytes) -> str | None:
    """Describes a workbook that was renamed to .csv, with the next step; None for anything else."""
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "a workbook of a spreadsheet program; save it as CSV (UTF-8)"
    return None


def other_delimiter(line: str) -> str | None:
    """The name of what separates the fields of a line without commas between them; None: commas do.

    A spreadsheet with decimal commas writes semicolons between fields.
    """
    for delimiter, name in ((";", "semicolons"), ("\t", "tabs")):
        if line.count(delimiter) > line.count(","):
            return name
    return None


def lines_of(text: str) -> list[str]:
    """Lines without their ends, which may be those of any platform."""
    return text.replace("\r\n", "\n").split("\n")


def csv_rows(path: Path, lines: Iterable[str], *, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The non-empty rows, each with its last line number: a quoted field may span several lines.

    Raises:
        InputError: Invalid quotes, or a field that is too long.
    """
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter)
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield reader.line_num, fields
    except csv.Error as error:
        raise line_error(path, reader.line_num, str(error)) from error


@dataclass(frozen=True)
class CsvBlock:
    """A block of rows with a flat list of their fields: one list per row is slow for a million rows.

    Attributes:
        lines: (N,) the line number of each row.
        widths: (N,) the number of fields of each row.
        fields: The fields of all rows.
    """

    lines: list[int]
    widths: list[int]
    fields: list[str]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, list[str]]]) -> CsvBlock:
        """A block of rows with their line numbers."""
        fields = list(itertools.chain.from_iterable(row for _, row in rows))
        return cls([line for line, _ in rows], [len(row) for _, row in rows], fields)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row with its line number."""
        end = 0
        for line, width in zip(self.lines, self.widths, strict=True):
            end += width
            yield line, self.fields[end - width : end]


def csv_blocks(path: Path, lines: list[str]) -> Iterator[CsvBlock]:
    """As `csv_rows`, in blocks. A table may have millions of rows."""
    if any('"' in line for line in lines):
        rows = csv_rows(path, lines)
        while chunk := list(itertools.islice(rows, _BLOCK_ROWS)):
            yield CsvBlock.of(chunk)
        return
    for first in range(0, len(lines), _BLOCK_ROWS):
        block = lines[first : first + _BLOCK_ROWS]
        numbers = [n for n, line in enumerate(block, first + 1) if line.strip(", \t")]
        filled = [lines[n - 1] for n in numbers]
        if filled:
            yield CsvBlock(numbers, [line.count(",") + 1 for line in filled], ",".join(filled).split(","))


def escape_cell(text: str) -> str:
    """A text for a cell of a CSV file: an apostrophe precedes what a spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_cell(cell: str) -> str:
    """The text of a cell that `escape_cell` escaped."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def number_or_none(text: str) -> float | None:
    """A finite number, or None; unlike in Python, underscores are not allowed."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") and "_" not in text else None  # NaN compares as False


def whole_number_or_none(text: str, *, minimum: int) -> int | None:
    """A whole number from `minimum` up to 2**31, or None."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if minimum <= number < _END and "_" not in text else None


class Columns:
    """A block of rows, as columns.

    Attributes:
        path: The file, for messages.
        lines: (N,) the line number of each row.
    """

    def __init__(self, path: Path, lines: Sequence[int], columns: Mapping[str, Sequence[str]]) -> None:
        """`columns` maps a name to N strings."""
        self.path, self.lines, self._columns = path, lines, columns

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def text(self, name: str) -> Sequence[str]:
        """The strings of a column."""
        return self._columns[name]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """(N,) finite numbers.

        Raises:
            InputError: Not a number; with the line.
        """
        values = self._parsed(name, float, np.float64)
        if values is None or not np.isfinite(values).all():
            self._reject_first(name, lambda text: number_or_none(text) is None, "a number")
        assert values is not None
        return values

    def whole_numbers(self, name: str, *, minimum: int, empty: int | None = None) -> NDArray[np.int64]:
        """(N,) whole numbers from `minimum` up to 2**31; `empty` is the value of an empty field, if allowed.

        Raises:
            InputError: Not such a number; with the line.
        """

        def read(text: str) -> int:
            return empty if empty is not None and not text.strip() else int(text)

        def is_bad(text: str) -> bool:
            is_empty = empty is not None and text.strip() in ("", str(empty))
            return not is_empty and whole_number_or_none(text, minimum=minimum) is None

        values = self._parsed(name, int if empty is None else read, np.int64)
        if values is None or ((values < minimum) | (values >= _END)).any():
            self._reject_first(name, is_bad, f"a whole number from {minimum}")
        assert values is not None
        return values

    def reject_rows(self, is_bad: NDArray[np.bool_], what: Callable[[int], str]) -> None:
        """Raises: InputError: For the first bad row, with its line."""
        if is_bad.any():
            row = int(is_bad.argmax())
            raise line_error(self.path, self.lines[row], what(row))

    def _parsed(self, name: str, read: Callable[[str], float], kind: type[Number]) -> NDArray[Number] | None:
        """(N,) parsed numbers; None if one is invalid."""
        texts = self.text(name)
        if "_" in "".join(texts):
            return None
        try:
            return np.fromiter(map(read, texts), kind, count=len(texts))
        except (ValueError, OverflowError):
            return None

    def _reject_first(self, name: str, is_bad: Callable[[str], bool], what: str) -> None:
        for line, text in zip(self.lines, self.text(name), strict=True):
            if is_bad(text):
                raise line_error(self.path, line, f"{name} is {text.strip()!r}, not {what}")
