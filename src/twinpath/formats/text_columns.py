"""Files of text as lines, columns of numbers, and faults that name the line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import InputError, NotAFile
from twinpath.paths import display_path

Number = TypeVar("Number", np.float64, np.int64)


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
        raise fault(path, line, "this is no UTF-8 text; save the file as plain text") from error
    return text.replace("\r\n", "\n").split("\n")


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
        values = self._each(name, float, np.float64, "number")
        self.refuse(
            ~np.isfinite(values), lambda i: f"{name} is {self.text(name)[i].strip()}, no finite number"
        )
        return values

    def whole_numbers(self, name: str, *, least: int, empty: int | None = None) -> NDArray[np.int64]:
        """(N,) whole numbers from `least` up to 2**31; `empty` stands for an empty field, if that may be.

        Raises:
            InputError: Something else, with its line.
        """
        read = int if empty is None else lambda text: int(text) if text.strip() else empty
        values = self._each(name, read, np.int64, "whole number")
        is_bad = (values < least) | (values >= 1 << 31)
        self.refuse(is_bad & (values != empty), lambda i: f"{name} is {values[i]}; it counts from {least}")
        return values

    def refuse(self, is_bad: NDArray[np.bool_], what: Callable[[int], str]) -> None:
        """Raises: InputError: of the first bad row, if there is one."""
        if is_bad.any():
            row = int(is_bad.argmax())
            raise fault(self.path, self.lines[row], what(row))

    def _each(
        self, name: str, read: Callable[[str], float], kind: type[Number], what: str
    ) -> NDArray[Number]:
        texts = self.text(name)
        try:
            return np.fromiter(map(read, texts), kind, count=len(texts))
        except (ValueError, OverflowError):
            for line, text in zip(self.lines, texts, strict=True):
                try:
                    np.fromiter((read(text),), kind)
                except (ValueError, OverflowError) as error:
                    raise fault(self.path, line, f"{name} {text.strip()!r} is no {what}") from error
            raise
