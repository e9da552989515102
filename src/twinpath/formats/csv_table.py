"""Tables in CSV with a header, as people and spreadsheets write them: any order of columns, any delimiter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinpath.errors import InputError
from twinpath.formats.file_content import read_text
from twinpath.formats.text_columns import csv_rows, line_error, lines_of, number_or_none, unescape_cell

DELIMITERS = (",", ";", "\t")
_DECLARED = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # how Excel is told the delimiter


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        table: Where it stands.
        line: Its line in the file.
        cells: By column, without spaces around them; a missing cell at the end of a row is "".
    """

    table: CsvTable
    line: int
    cells: dict[str, str]

    def error(self, what: str) -> InputError:
        """An error to raise, with file and line."""
        return line_error(self.table.path, self.line, what)

    def text(self, name: str) -> str:
        """The cell of a column; "" where it is empty or there is no such column."""
        return self.cells.get(name, "")

    def seconds(self, name: str) -> float | None:
        """A time of 0 s or more; None where the cell is empty or there is no such column.

        Raises:
            InputError: Not such a number.
        """
        text = self.text(name)
        if not text:
            return None
        # Where commas separate no cells, they are decimal commas.
        number = number_or_none(text if self.table.delimiter == "," else text.replace(",", "."))
        if number is None or number < 0:
            raise self.error(f"{name!r} is {text!r}, not seconds from 0")
        return number


@dataclass(frozen=True)
class CsvTable:
    """A table and its header.

    Attributes:
        path: The file.
        delimiter: One of `DELIMITERS`.
        header_line: The line of the header.
        names: The columns in small letters, in order; "" for one without a name.
    """

    path: Path
    delimiter: str
    header_line: int
    names: tuple[str, ...]
    _rows: tuple[tuple[int, Sequence[str]], ...]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def header_error(self, what: str) -> InputError:
        """An error to raise, with file and the header's line."""
        return line_error(self.path, self.header_line, what)

    def rows(self) -> Iterator[Row]:
        """Each row that is not empty.

        Raises:
            InputError: A row has more cells than the header; names the line.
        """
        for line, fields in self._rows:
            if any(field.strip() for field in fields[len(self.names) :]):
                raise line_error(
                    self.path,
                    line,
                    f"{len(fields)} cells, and the header has {len(self.names)}; put quotes around a cell "
                    "that holds the delimiter",
                )
            cells = (unescape_cell(field.strip()) for field in fields)
            yield Row(self, line, dict(zip(self.names, cells, strict=False)))


def read_csv_table(path: Path) -> CsvTable:
    """Read a table. The delimiter is the one of which the header has most.

    Raises:
        NotAFile, LimitExceeded: See `read_content`.
        InputError: No text, invalid quotes, no header, or two columns of one name; names the line.
    """
    lines = lines_of(read_text(path))
    declared = _DECLARED.fullmatch(lines[0])
    if declared is not None:
        lines[0] = ""
    header = next((line for line in lines if line.strip()), "")
    delimiter = declared[1] if declared else max(DELIMITERS, key=header.count)
    rows = list(csv_rows(path, lines, delimiter=delimiter))
    if not rows:
        raise line_error(path, 1, "the file is empty; its first line is a header such as path,label")
    line, fields = rows[0]
    names = tuple(field.strip().lower() for field in fields)
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise line_error(path, line, f"two columns are called {repeated[0]}")
    return CsvTable(path, delimiter, line, names, tuple(rows[1:]))
