"""Arrays and facts of an earlier run from NumPy's .npz: checked before anything is allocated or believed.

with open_arrays(Path("match.scores.npz")) as arrays:
    scores = arrays.numbers("scores", "float16", ndim=2, most=1.0)
    facts = arrays.facts("facts")
"""

from __future__ import annotations

import contextlib
import json
import math
import tokenize
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.escapes import shown

_MOST_HEADER_BYTES = 1000  # of an array; ours have about 100


@contextlib.contextmanager
def open_arrays(path: Path) -> Iterator[Arrays]:
    """Open a file that `np.savez` wrote.

    Raises:
        ValueError: Something in it is damaged, or of another kind; also while it is read in the block.
        OSError: The file does not exist or cannot be read.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield Arrays(archive, path.stat().st_size)
        except (KeyError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ValueError(shown(str(error)) or type(error).__name__) from error
        except OSError as error:
            if error.filename is None:  # seeking to where a damaged directory points
                raise ValueError("its directory is damaged") from error
            raise


class Arrays:
    """The arrays in an open file. All methods raise ValueError where an array is not as asked for."""

    def __init__(self, archive: zipfile.ZipFile, size_bytes: int) -> None:
        self._archive, self._size_bytes = archive, size_bytes

    def numbers(
        self, name: str, dtype: str, *, ndim: int, least: float = -math.inf, most: float = math.inf
    ) -> NDArray[Any]:
        """An array of this type with finite values between `least` and `most`."""
        array = self._array(name)
        if array.dtype != dtype or array.ndim != ndim:
            raise ValueError(f"{name} is {array.dtype.name} of shape {array.shape}")
        if array.size and not (np.isfinite(array).all() and least <= array.min() and array.max() <= most):
            raise ValueError(f"{name} holds values that cannot be")
        return array

    def floats(self, name: str, *, ndim: int) -> NDArray[Any]:
        """An array of floats, whatever their values."""
        array = self._array(name)
        if array.dtype.kind != "f" or array.ndim != ndim:
            raise ValueError(f"{name} is {array.dtype.name} of shape {array.shape}")
        return array

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        array = self._array(name)
        if array.dtype.kind != "U" or array.ndim != 1:
            raise ValueError(f"{name} is no list of texts")
        return tuple(array.tolist())

    def facts(self, name: str) -> dict[str, Any]:
        """An object in JSON."""
        array = self._array(name)
        if array.dtype.kind != "U" or array.ndim != 0:
            raise ValueError(f"{name} is no text")
        try:
            values = json.loads(str(array))
        except RecursionError as error:
            raise ValueError(f"{name} is nested too deeply") from error
        if not isinstance(values, dict):
            raise ValueError(f"{name} is no object")
        return values

    def _array(self, name: str) -> NDArray[Any]:
        """Stored as it is, so that it takes no more memory than the file has bytes."""
        member = self._archive.getinfo(f"{name}.npy")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > self._size_bytes:
            raise ValueError(f"{name} is not stored as it was written")
        with self._archive.open(member) as file:
            shape, is_fortran, dtype = _header(file, name)
            content = file.read()
        count = math.prod(map(int, shape))
        if dtype.hasobject or not dtype.itemsize or min(shape, default=0) < 0:
            raise ValueError(f"{name} is no plain array")
        if dtype.itemsize * count != len(content):
            raise ValueError(f"{name} has another size than it claims")
        array = np.frombuffer(content, dtype) if content else np.zeros(count, dtype)
        return array.reshape(shape, order="F" if is_fortran else "C").copy()


def _header(file: Any, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{name} has a header of another version")
    try:
        return np.lib.format.read_array_header_1_0(file, max_header_size=_MOST_HEADER_BYTES)
    except (SyntaxError, TypeError, RecursionError, OverflowError, tokenize.TokenError) as error:
        raise ValueError(f"{name} has a damaged header") from error
