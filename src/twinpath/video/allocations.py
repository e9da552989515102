"""A bound for what FFmpeg allocates at once, for streams whose servers announce any size.

A packet has the size that its container announces, or grows until its end is found; a hostile or broken
server makes it grow until the memory is full. FFmpeg has no limit for a stream, but one for every single
allocation of the process, `av_max_alloc`, which PyAV does not offer.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator

import av.packet

_UNBOUNDED = 2**31 - 1  # FFmpeg's own limit


class _Bound:
    """The bound of the process: the largest that is asked for at the moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[int] = []

    def add(self, max_bytes: int) -> None:
        with self._lock:
            self._asked.append(max_bytes)
            self._apply()

    def remove(self, max_bytes: int) -> None:
        with self._lock:
            self._asked.remove(max_bytes)
            self._apply()

    def _apply(self) -> None:
        set_max_alloc = _function()
        if set_max_alloc is not None:
            set_max_alloc(ctypes.c_size_t(max(self._asked, default=_UNBOUNDED)))


_bound = _Bound()


@contextlib.contextmanager
def bounded_allocations(max_bytes: int) -> Iterator[None]:
    """Within the block, FFmpeg refuses a single allocation of more than `max_bytes`, in all threads.

    What was refused looks like damage, or like a lack of memory. Nested and concurrent blocks get the largest
    of their bounds. On Windows the function cannot be reached, and nothing is bounded; see `is_bounded`.
    """
    _bound.add(max_bytes)
    try:
        yield
    finally:
        _bound.remove(max_bytes)


def is_bounded() -> bool:
    """Whether allocations can be bounded on this system."""
    return _function() is not None


def _function() -> ctypes._NamedFuncPointer | None:
    """`av_max_alloc` of the FFmpeg that PyAV uses, found through a module of PyAV that is linked to it."""
    try:
        function = ctypes.CDLL(av.packet.__file__).av_max_alloc
    except (AttributeError, OSError):
        return None
    function.restype = None
    return function
