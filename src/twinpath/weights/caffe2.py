"""Read Caffe2 weight pickles, `{"blobs": {name: array}}`, without running code from them.

A pickle is a program. This reader allows only the few names with which NumPy describes an array, maps each to
a harmless stand-in, and refuses all others. NumPy's own reconstruction code is not called. The unpickler in
pure Python is used on purpose: its memo is a dict, so a forged index cannot fill the memory.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import DamagedWeights, UnknownWeightFormat, UnsafeWeights

_NUMBERS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


def read_blobs(file: BinaryIO, *, where: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a Caffe2 pickle.

    Args:
        file: At the first byte of the pickle.
        where: Name of the file in errors.
    Returns:
        Arrays by blob name; they may be read-only.
    Raises:
        UnsafeWeights: The pickle refers to anything but plain arrays of numbers; names it.
        DamagedWeights: Truncated, or no valid pickle.
        UnknownWeightFormat: A pickle, but not of blobs.
    Source: PySlowFast, utils/checkpoint.py, reads these with a free `pickle.load(…, encoding="latin1")`.
    """
    try:
        content = _ArraysOnly(file, where).load()
    except _MALFORMED as error:
        reason = str(error) or type(error).__name__
        raise DamagedWeights(f"{where} is damaged or cut short (its pickle ends with: {reason})") from error
    blobs = content.get("blobs") if isinstance(content, dict) else None
    if not isinstance(blobs, dict):
        raise UnknownWeightFormat(f"{where} is a pickle, but not Caffe2 weights: it has no 'blobs'")
    arrays = {}
    for name, value in blobs.items():
        if isinstance(value, _Array):
            value = value.array
        if isinstance(name, str) and isinstance(value, np.ndarray):
            arrays[name] = value
        elif not isinstance(value, (int, float, str)):  # the iteration count may be a plain number
            raise UnknownWeightFormat(f"{where}: the blob {name!r} is no array")
    return arrays


_MALFORMED = (
    EOFError,
    pickle.UnpicklingError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    AssertionError,
    OverflowError,
    RecursionError,
    MemoryError,
    struct.error,
)


class _ArraysOnly(pickle._Unpickler):
    def __init__(self, file: BinaryIO, where: str) -> None:
        super().__init__(file, encoding="latin1")
        self._where = where

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise UnsafeWeights(
                f"{self._where} was refused: its pickle refers to {module}.{name}, which arrays do not need; "
                "load it elsewhere only if you trust its author"
            )
        return _ALLOWED[module, name]

    def get_extension(self, code: int) -> None:
        raise UnsafeWeights(f"{self._where} was refused: its pickle refers to the extension {code}")

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafeWeights(f"{self._where} was refused: its pickle refers to objects outside of it")


class _Dtype:
    """Stand-in for numpy.dtype: numbers only."""

    def __init__(self, code: Any, _align: Any = False, _copy: Any = True) -> None:
        if code not in _NUMBERS:
            raise ValueError(f"an array of {code!r} instead of numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        byte_order = state[1]
        if byte_order not in ("<", ">", "|", "="):
            raise ValueError(f"byte order {byte_order!r}")
        self.dtype = self.dtype.newbyteorder(byte_order)


class _Array:
    """Stand-in for numpy.ndarray until its state is set."""

    array: NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, is_fortran, data = state
        self.array = _from_bytes(data, dtype, shape, "F" if is_fortran else "C")


def _from_bytes(data: Any, dtype: Any, shape: Any, order: Any = "C") -> NDArray[Any]:
    if not isinstance(dtype, _Dtype) or order not in ("C", "F"):
        raise ValueError("an array without a plain type")
    if isinstance(data, str):  # bytes of Python 2
        data = data.encode("latin1")
    return np.frombuffer(data, dtype.dtype).reshape(shape, order=order)


def _reconstruct(_cls: Any, _shape: Any, _code: Any) -> _Array:
    return _Array()


def _scalar(dtype: Any, data: Any) -> NDArray[Any]:
    return _from_bytes(data, dtype, ())


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes in a form that arrays do not use")
    return text.encode("latin1")


class _NdarrayName:
    """Stand-in for the name `numpy.ndarray`, an argument of `_reconstruct` that is ignored."""


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_bytes for core in ("core", "_core")},
    ("numpy", "ndarray"): _NdarrayName,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}
