"""Prefetch items in a background thread, and group them into batches.

with Prefetcher(clips, size_bytes=lambda clip: clip.frames.nbytes, max_bytes=1 << 29) as prefetched:
    for batch in batches(prefetched, 8):
        ...
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

# Default limits of frames in memory; a single clip may need more.
PREFETCH_BYTES = 1 << 28  # in the buffer
BATCH_BYTES = 1 << 30  # in one batch

Item = TypeVar("Item")


class Shares(NamedTuple):
    """How many bytes of frames a pass over videos may hold outside the reader.

    Attributes:
        prefetch_bytes: In the buffer.
        batch_bytes: In a batch.
        lone_bytes: Larger clips are neither prefetched nor batched: one is in memory at a time.
    """

    prefetch_bytes: int
    batch_bytes: int
    lone_bytes: int

    @classmethod
    def of(cls, max_bytes: int) -> Shares:
        """For `Limits.max_bytes`: a quarter of it at most for each, so that the reader has a half."""
        quarter = max(1, max_bytes // 4)
        return cls(min(PREFETCH_BYTES, quarter), min(BATCH_BYTES, quarter), quarter)


_thread_state = threading.local()


class PrefetchStopped(Exception):
    """Ends the thread of a `Prefetcher` whose block was left; never raised in another thread."""


def check_prefetch() -> None:
    """Call this in loops that are slow or block: it ends the thread of a `Prefetcher` whose block was left.

    Raises:
        PrefetchStopped: This is such a thread.
    """
    prefetcher: Prefetcher[Any] | None = getattr(_thread_state, "prefetcher", None)
    if prefetcher is not None and prefetcher.is_stopped:
        raise PrefetchStopped


class Prefetcher(Generic[Item]):
    """Iterates in a background thread and buffers items, up to a number of bytes.

        with Prefetcher(clips, size_bytes=lambda clip: clip.frames.nbytes, max_bytes=1 << 29) as prefetched:
            for clip in prefetched:
                ...

    When the block is left, the thread has ended and a generator of items is closed, so that the source of the
    items can be closed, too. Iterate once. An error in the thread is raised in place of the item.

    Args:
        items: The iterable; nothing else may use it, or its source, within the block.
        size_bytes: Returns the memory of an item in bytes.
        max_bytes: Limit of the buffer in bytes. One item is always buffered, whatever its size.
        max_items: Limit of the buffer in items.
        lone_bytes: Behind an item that is larger, the next one is not made before it is asked for: when the
            caller is done with the large one.
    Attributes:
        is_stopped: Whether the block was left.
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        size_bytes: Callable[[Item], int],
        max_bytes: int,
        max_items: int = 64,
        lone_bytes: float = math.inf,
    ) -> None:
        self._items = items
        self._size_bytes = size_bytes
        self._lone_bytes = lone_bytes
        self._is_asked = False  # the caller waits for an item
        self._max_bytes, self._max_items = max_bytes, max_items
        self._waiting: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._is_over = False
        self.is_stopped = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="twinpath-prefetch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """Let the thread end soon, without waiting for it; what waits is dropped."""
        with self._changed:
            self.is_stopped = True
            self._waiting.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                self._is_asked = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._is_over)
                if not self._waiting:
                    break
                self._is_asked = False
                item, size_bytes = self._waiting.popleft()
                self._bytes -= size_bytes
                self._changed.notify_all()
            yield item
            del item  # free it before waiting for the next one
        if self._error is not None:
            raise self._error

    def is_ready(self) -> bool:
        """Whether the next item, or the end, is available without waiting."""
        with self._changed:
            return bool(self._waiting) or self._is_over

    def has_waiting(self) -> bool:
        """Whether an item is in the buffer."""
        with self._changed:
            return bool(self._waiting)

    def is_over(self) -> bool:
        """Whether the thread has ended."""
        with self._changed:
            return self._is_over

    def _run(self) -> None:
        _thread_state.prefetcher = self
        try:
            self._put_all(iter(self._items))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that iterates
            self._error = error
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _put_all(self, items: Iterator[Item]) -> None:
        try:
            for item in items:
                if not self._put(item):
                    break
                del item
        finally:
            if isinstance(items, Generator):
                items.close()

    def _put(self, item: Item) -> bool:
        """Wait for space in the buffer and add an item; behind a large one, wait until the next is asked for.

        Returns:
            False: the block was left.
        """
        size_bytes = self._size_bytes(item)
        with self._changed:
            self._changed.wait_for(lambda: self.is_stopped or self._has_room(size_bytes))
            if self.is_stopped:
                return False
            self._waiting.append((item, size_bytes))
            self._bytes += size_bytes
            self._changed.notify_all()
            if size_bytes > self._lone_bytes:
                self._changed.wait_for(lambda: self.is_stopped or (self._is_asked and not self._waiting))
            return not self.is_stopped

    def _has_room(self, size_bytes: int) -> bool:
        if not self._waiting:
            return True
        return self._bytes + size_bytes <= self._max_bytes and len(self._waiting) < self._max_items


class PrefetchEach(Generic[Item]):
    """Prefetches from several iterables, a few at once, each in a thread of its own; items come in order.

    Use as a `Prefetcher`. It, and not a thread, takes the iterables from their iterator.

    Args:
        iterables: Each as `items` of a `Prefetcher`.
        at_once: How many are read at once, at least 1.
        size_bytes, lone_bytes: See `Prefetcher`.
        max_bytes: Limit of all buffers in bytes.
    """

    def __init__(
        self,
        iterables: Iterable[Iterable[Item]],
        *,
        at_once: int,
        size_bytes: Callable[[Item], int],
        max_bytes: int,
        lone_bytes: float = math.inf,
    ) -> None:
        self._iterables = iter(iterables)
        self._at_once = at_once
        self._make = partial(
            Prefetcher[Item],
            size_bytes=size_bytes,
            max_bytes=max(1, max_bytes // at_once),
            lone_bytes=lone_bytes,
        )
        self._open: deque[Prefetcher[Item]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for prefetcher in self._open:
            prefetcher.stop()  # all at once; each may take a while
        while self._open:
            self._open.popleft().__exit__(exc_type, exc, trace)

    def __iter__(self) -> Iterator[Item]:
        self._start()
        while self._open:
            yield from self._open[0]
            self._open.popleft().__exit__(None, None, None)
            self._start()

    def is_ready(self) -> bool:
        """Whether the next item, or the end, is available without waiting."""
        return next((p.has_waiting() for p in self._open if p.has_waiting() or not p.is_over()), True)

    def _start(self) -> None:
        """Start as many threads as may read at once."""
        while len(self._open) < self._at_once and (iterable := next(self._iterables, None)) is not None:
            self._open.append(self._make(iterable).__enter__())


def batches(
    items: Iterable[Item],
    size: int,
    *,
    size_bytes: Callable[[Item], int] = lambda item: 0,
    max_bytes: int = 0,
    is_ready: Callable[[], bool] = lambda: True,
) -> Iterator[list[Item]]:
    """Group items into lists; each is yielded as soon as it is full.

    Args:
        items: The items; consumed only as needed.
        size: Number of items in a list, at least 1. The last list has the remaining ones.
        size_bytes: Returns the memory of an item in bytes.
        max_bytes: A list is also full if another item as large as its last one would exceed this; 0: no
            limit.
        is_ready: Whether the next item is available without waiting; if not, the list is yielded.
    Raises:
        ValueError: `size` is less than 1. Raised at the first list.
    """
    if size < 1:
        raise ValueError(f"a batch holds at least one item, not {size}")
    batch: list[Item] = []
    held_bytes = 0
    for item in items:
        batch.append(item)
        held_bytes += size_bytes(item)
        is_full = held_bytes + size_bytes(item) > max_bytes > 0
        del item  # or it would be held while waiting for the next one
        if len(batch) == size or is_full or not is_ready():
            yield batch
            batch, held_bytes = [], 0
    if batch:
        yield batch
