"""NumPy's arrays, Python's containers and their names in a pickle, as stand-ins for `pickles.PickleMachine`.

NumPy's own reconstruction code is not called: an array is described by its type, shape and bytes, and read
from these.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.weights.pickles import MAX_INSTRUCTIONS, Known, Malformed, Stateful, UnknownObject, checked_key

_NUMBERS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
_MAX_DIMENSIONS = 32
_FREE_TEXT_BYTES = 1 << 20


class PickledDtype(Stateful):
    """Stands for a numpy.dtype.

    Attributes:
        dtype: None: not of numbers.
    """

    def __init__(self, code: Any, *_: Any) -> None:
        code = code.decode("latin1") if isinstance(code, bytes) else code
        self.dtype = np.dtype(code) if isinstance(code, str) and code in _NUMBERS else None

    def set_state(self, state: Any) -> None:
        """The second item is the byte order; fields of a structure come behind it."""
        if not isinstance(state, tuple) or len(state) < 2:
            raise Malformed("a type of arrays without a state")
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if not isinstance(order, str) or order not in ("<", ">", "|", "="):
            raise Malformed("an unknown byte order")
        if any(part is not None for part in state[2:5]):
            self.dtype = None
        if self.dtype is not None:
            self.dtype = self.dtype.newbyteorder(order)  # type: ignore[arg-type]


class PickledArray(Stateful):
    """Stands for a numpy.ndarray.

    Attributes:
        array: A view of the file's bytes; None: not of numbers, or not described.
    """

    def __init__(self, array: NDArray[Any] | None = None, *, budget: _Budget | None = None) -> None:
        self.array, self._budget = array, budget

    def set_state(self, state: Any) -> None:
        """Version, shape, type, order and bytes."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise Malformed("an array without a state")
        _version, shape, dtype, is_fortran, data = state
        self.array = _array(self._budget, data, dtype, shape, "F" if is_fortran is True else "C")


class _Budget:
    """What may be copied in all: a pickle may name one long thing again and again.

    Args:
        size_bytes: Of the file.
    """

    def __init__(self, size_bytes: int) -> None:
        self._bytes, self._items = size_bytes + _FREE_TEXT_BYTES, MAX_INSTRUCTIONS

    def encode(self, text: Any = b"", encoding: Any = "latin1") -> Any:
        """Bytes, which old protocols keep as text."""
        if isinstance(text, (bytes, memoryview)):
            return text
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise Malformed("bytes in a form that arrays do not use")
        self._bytes -= len(text)
        if self._bytes < 0:
            raise Malformed("text that is repeated")
        return text.encode("latin1")

    def items(self, items: Any = (), *_: Any) -> list[Any]:
        """A list of its own."""
        if not isinstance(items, (list, tuple)):
            return []
        self._items -= len(items)
        if self._items < 0:
            raise Malformed("items that are repeated")
        return list(items)

    def pairs(self, pairs: Any = (), *_: Any) -> dict[Any, Any]:
        """A dict of its own."""
        if isinstance(pairs, dict):
            return dict(self.items(tuple(pairs.items())))
        entries: dict[Any, Any] = {}
        for pair in self.items(pairs):
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise Malformed("a dict of what are no pairs")
            entries[checked_key(pair[0])] = pair[1]
        return entries


def array_names(size_bytes: int) -> dict[str, Known]:
    """The stand-ins by "module.name".

    Args:
        size_bytes: Of the file: bytes that are kept as text are copied, and not more often than that.
    """
    budget = _Budget(size_bytes)
    array_modules = [
        f"numpy.{core}.{part}" for core in ("core", "_core") for part in ("multiarray", "numeric")
    ]
    names: dict[str, Any] = {
        **{f"{module}._reconstruct": lambda *_: PickledArray(budget=budget) for module in array_modules},
        **{f"{module}.scalar": partial(_scalar, budget) for module in array_modules},
        **{f"{module}._frombuffer": partial(_from_buffer, budget) for module in array_modules},
        "numpy.ndarray": _nothing,
        "numpy.dtype": PickledDtype,
        "_codecs.encode": budget.encode,
        "collections.OrderedDict": budget.pairs,
        "collections.Counter": budget.pairs,
        "collections.defaultdict": lambda *_: {},
        "collections.deque": budget.items,
        "copyreg._reconstructor": _instance_of,
        "builtins.dict": budget.pairs,
        "builtins.bytearray": budget.encode,
        "builtins.bytes": budget.encode,
    }
    numbers = ("float16", "float32", "float64", "int32", "int64", "bool_")
    kinds = (
        "int",
        "long",
        "float",
        "str",
        "unicode",
        "bool",
        "complex",
        "object",
        "range",
        "xrange",
        "slice",
    )
    names |= {f"numpy.{kind}": _nothing for kind in numbers}
    names |= {f"builtins.{kind}": _nothing for kind in kinds}
    names |= {f"builtins.{kind}": budget.items for kind in ("list", "tuple", "set", "frozenset")}
    return {name: Known(make) for name, make in names.items()}


def _nothing(*_: Any) -> None:
    """What is beside the weights and not needed."""


def _instance_of(cls: Any, *_: Any) -> UnknownObject | None:
    return UnknownObject(cls.name) if isinstance(cls, UnknownObject) else None


def _array(budget: _Budget | None, data: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any] | None:
    """Raises: Malformed, ValueError: The parts do not go together."""
    if not isinstance(dtype, PickledDtype) or order not in ("C", "F"):
        raise Malformed("an array without a plain type")
    if dtype.dtype is None:
        return None
    if isinstance(data, str):  # bytes of Python 2
        if budget is None:
            raise Malformed("an array without bytes")
        data = budget.encode(data)
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise Malformed("an array without bytes")
    if not isinstance(shape, (tuple, list)) or len(shape) > _MAX_DIMENSIONS or not _are_sizes(shape):
        raise Malformed("an array without a shape")
    return np.frombuffer(data, dtype.dtype).reshape(tuple(shape), order=order)


def _are_sizes(shape: Iterable[Any]) -> bool:
    return all(type(n) is int and 0 <= n < 1 << 62 for n in shape)


def _scalar(budget: _Budget, dtype: Any, data: Any = b"") -> PickledArray:
    return PickledArray(_array(budget, data, dtype, (), "C"))


def _from_buffer(budget: _Budget, data: Any, dtype: Any, shape: Any, order: Any = "C") -> PickledArray:
    return PickledArray(_array(budget, data, dtype, shape, order))
