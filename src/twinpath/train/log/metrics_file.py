"""`metrics.csv` of a run: a row for every few steps and for each epoch. No torch.

A row is one write to the end of the file, so a killed run leaves whole rows. A run that goes on after a
checkpoint makes some steps again: the rows of these are taken out first, so no step has two.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from twinpath.atomic import atomic_path

METRICS = "metrics.csv"
_OF = ("step", "epoch")


class RowPlace(NamedTuple):
    """Where a row is in the run: rows are in this order.

    Attributes:
        step: Steps of the weights since the beginning.
        is_epoch: Whether it is of a whole epoch, whose last step has a row before it.
    """

    step: int
    is_epoch: bool


class MetricsFile:
    """The rows of a run. Columns are added when they first have a value.

    Args:
        folder: Of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / METRICS
        self._columns: list[str] = []
        self._rows: list[dict[str, str]] = []
        if self._path.exists():
            self._read()

    @property
    def last(self) -> RowPlace | None:
        """Of the last row."""
        return _place(self._rows[-1]) if self._rows else None

    def cut(self, place: RowPlace) -> None:
        """Take out all rows from a place on."""
        kept = [row for row in self._rows if _place(row) < place]
        if len(kept) < len(self._rows) or not kept:
            self._rows = kept
            self._write_all()

    def append(self, place: RowPlace, epoch: float, values: Mapping[str, float]) -> None:
        """Add a row.

        Args:
            place: Behind the last one's.
            epoch: Since the beginning, with a fraction.
            values: By the name of the column.
        """
        row = {"of": _OF[place.is_epoch], "step": str(place.step), "epoch": repr(round(epoch, 6))}
        row |= {name: repr(value) for name, value in values.items()}
        self._rows.append(row)
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            self._write_all()
            return
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(handle, self._text([row]).encode())
        finally:
            os.close(handle)

    def _write_all(self) -> None:
        header = self._text([dict(zip(self._columns, self._columns, strict=True))]) if self._columns else ""
        with atomic_path(self._path) as temporary:
            temporary.write_text(header + self._text(self._rows), "utf-8")

    def _text(self, rows: list[dict[str, str]]) -> str:
        buffer = io.StringIO()
        csv.DictWriter(buffer, self._columns, lineterminator="\n").writerows(rows)
        return buffer.getvalue()

    def _read(self) -> None:
        """What is there, but for a last row that was not written to its end."""
        text = self._path.read_text("utf-8", errors="replace")
        reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
        self._columns = list(reader.fieldnames or ())
        for row in reader:
            values = {name: value for name, value in row.items() if name and value}
            if values.get("of") in _OF and values.get("step", "").isdigit():
                self._rows.append(values)


def _place(row: Mapping[str, str]) -> RowPlace:
    return RowPlace(int(row["step"]), row["of"] == "epoch")
