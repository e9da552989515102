"""Text files as lines and columns of numbers. Errors name the line."""

from __future__ import annotations

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
from twinpath.paths import display_path

Number = TypeVar("Number", np.float64, np.int64)

_BLOCK_ROWS = 1 << 16
_END = 1 << 31  # of whole numbers
# A spreadsheet runs what begins so. A hyphen before a plain name is none: AVA has videos such as -5KQ66BBWC4.
_FORMULA = re.compile(r"'*([=+@\t\r]|-(?![\w-]*$))")


def fault(path: Path, line: int, what: str) -> InputError:
    """The error of one line: `file:line: what`."""
    return InputError(f"{display_path(path)}:{line}: {what}")


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """All lines of a file, line n at n - 1; a byte order mark and Windows' line ends are taken off.

    Raises:
        NotAFile: Missing, or a folder.
        InputError: No UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise NotAFile(f"{display_path(path)}: there is no such file; check the name")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise fault(path, line, "not UTF-8; save the file as plain text") from error
    return lines_of(text)


def lines_of(text: str) -> list[str]:
    """Lines without their ends, which may be those of any system."""
    return text.replace("\r\n", "\n").split("\n")


def csv_rows(path: Path, lines: Iterable[str], *, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, with the line at which each ends: a quoted field may have several lines.

    Raises:
        InputError: Quotes or a field that no reader of CSV takes.
    """
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter)
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield reader.line_num, fields
    except csv.Error as error:
        raise fault(path, reader.line_num, str(error)) from error


@dataclass(frozen=True)
class CsvBlock:
    """Some rows of a file, their fields one after the other: a list for each of a million rows takes long.

    Attributes:
        lines: (N,) the line of each row.
        widths: (N,) how many fields each row has.
        fields: Of all rows.
    """

    lines: list[int]
    widths: list[int]
    fields: list[str]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, list[str]]]) -> CsvBlock:
        """Of rows with their lines."""
        fields = list(itertools.chain.from_iterable(row for _, row in rows))
        return cls([line for line, _ in rows], [len(row) for _, row in rows], fields)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row with its line."""
        end = 0
        for line, width in zip(self.lines, self.widths, strict=True):
            end += width
            yield line, self.fields[end - width : end]


def csv_blocks(path: Path, lines: list[str]) -> Iterator[CsvBlock]:
    """As `csv_rows`, in blocks. A table may have millions of rows."""
    if any('"' in line for line in lines):
        rows = csv_rows(path, lines)
        while some := list(itertools.islice(rows, _BLOCK_ROWS)):
            yield CsvBlock.of(some)
        return
    for first in range(0, len(lines), _BLOCK_ROWS):
        block = lines[first : first + _BLOCK_ROWS]
        numbers = [n for n, line in enumerate(block, first + 1) if line.strip(", \t")]
        kept = [lines[n - 1] for n in numbers]
        if kept:
            yield CsvBlock(numbers, [line.count(",") + 1 for line in kept], ",".join(kept).split(","))


def cell_of(text: str) -> str:
    """A text for a cell of a table: an apostrophe is put before one that a spreadsheet would run."""
    return f"'{text}" if _FORMULA.match(text) else text


def text_of(cell: str) -> str:
    """The text of a cell that `cell_of` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def number_or_none(text: str) -> float | None:
    """A finite number, or None; an underscore, which Python allows, is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") and "_" not in text else None  # NaN compares as False


def whole_number_or_none(text: str, *, least: int) -> int | None:
    """A whole number from `least` up to 2**31, or None."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if least <= number < _END and "_" not in text else None


class Columns:
    """Some rows of a file, column by column.

    Attributes:
        path: The file, for messages.
        lines: (N,) the line of each row.
    """

    def __init__(self, path: Path, lines: Sequence[int], columns: Mapping[str, Sequence[str]]) -> None:
        """`columns` are N texts each, by name."""
        self.path, self.lines, self._columns = path, lines, columns

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def text(self, name: str) -> Sequence[str]:
        """A column as it stands in the file."""
        return self._columns[name]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """(N,) finite numbers.

        Raises:
            InputError: Something else, with its line.
        """
        values = self._parsed(name, float, np.float64)
        if values is None or not np.isfinite(values).all():
            self._refuse_first(name, lambda text: number_or_none(text) is None, "a number")
        assert values is not None
        return values

    def whole_numbers(self, name: str, *, least: int, empty: int | None = None) -> NDArray[np.int64]:
        """(N,) whole numbers from `least` up to 2**31; `empty` stands for an empty field, if that may be.

        Raises:
            InputError: Something else, with its line.
        """

        def read(text: str) -> int:
            return empty if empty is not None and not text.strip() else int(text)

        def is_bad(text: str) -> bool:
            is_empty = empty is not None and text.strip() in ("", str(empty))
            return not is_empty and whole_number_or_none(text, least=least) is None

        values = self._parsed(name, int if empty is None else read, np.int64)
        if values is None or ((values < least) | (values >= _END)).any():
            self._refuse_first(name, is_bad, f"a whole number from {least}")
        assert values is not None
        return values

    def refuse(self, is_bad: NDArray[np.bool_], what: Callable[[int], str]) -> None:
        """Raises: InputError: of the first bad row, if there is one."""
        if is_bad.any():
            row = int(is_bad.argmax())
            raise fault(self.path, self.lines[row], what(row))

    def _parsed(self, name: str, read: Callable[[str], float], kind: type[Number]) -> NDArray[Number] | None:
        """None: something is no number."""
        texts = self.text(name)
        if "_" in "".join(texts):
            return None
        try:
            return np.fromiter(map(read, texts), kind, count=len(texts))
        except (ValueError, OverflowError):
            return None

    def _refuse_first(self, name: str, is_bad: Callable[[str], bool], what: str) -> None:
        for line, text in zip(self.lines, self.text(name), strict=True):
            if is_bad(text):
                raise fault(self.path, line, f"{name} is {text.strip()!r}, not {what}")
