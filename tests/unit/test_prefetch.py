"""Items made in the background: bounded, in order, over when the block is left; and items in batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from twinpath.prefetch import PrefetchEach, Prefetcher, Shares, batches, check_prefetch


class Source:
    """Numbers up to a count; remembers how many were made."""

    def __init__(self, count: int, fail_at: int | None = None) -> None:
        self.made = 0
        self._count, self._fail_at = count, fail_at

    def __iter__(self) -> Iterator[int]:
        for number in range(self._count):
            if number == self._fail_at:
                raise ValueError("no more")
            self.made += 1
            yield number


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.001)


def is_over() -> bool:
    return not any(thread.name == "twinpath-prefetch" for thread in threading.enumerate())


def test_all_items_in_order() -> None:
    with Prefetcher(Source(1000), size_bytes=lambda n: 1, max_bytes=10) as prefetched:
        assert list(prefetched) == list(range(1000))
    assert is_over()


@pytest.mark.parametrize(
    ("size_bytes", "max_items", "waiting"), [(1, 99, 10), (4, 99, 2), (100, 99, 1), (1, 3, 3)]
)
def test_so_many_wait_as_there_is_room(size_bytes: int, max_items: int, waiting: int) -> None:
    source = Source(50)
    with Prefetcher(source, size_bytes=lambda n: size_bytes, max_bytes=10, max_items=max_items) as prefetched:
        wait_until(lambda: source.made == waiting + 1)  # one more is made and finds no room
        time.sleep(0.02)
        assert source.made == waiting + 1
        assert list(prefetched) == list(range(50))


def test_behind_a_large_item_nothing_is_made_before_it_is_asked_for() -> None:
    source = Source(4)

    def items() -> Iterator[str]:
        for number in source:
            yield "large" if number % 2 else "small"

    sizes = {"small": 1, "large": 9}
    with Prefetcher(items(), size_bytes=lambda item: sizes[item], max_bytes=99, lone_bytes=8) as prefetched:
        wait_until(lambda: source.made == 2)
        received = iter(prefetched)
        assert [next(received), next(received)] == ["small", "large"]
        time.sleep(0.02)
        assert source.made == 2  # the caller is still busy with the large one
        assert list(received) == ["small", "large"]
    assert is_over()


def test_leaving_while_a_large_item_is_held_ends_the_thread() -> None:
    with Prefetcher(Source(9), size_bytes=lambda n: 9, max_bytes=99, lone_bytes=8) as prefetched:
        assert next(iter(prefetched)) == 0
    assert is_over()


@pytest.mark.parametrize(
    ("max_bytes", "shares"),
    [(4 << 30, (1 << 28, 1 << 30, 1 << 30)), (400, (100, 100, 100)), (1, (1, 1, 1))],
)
def test_what_clips_outside_the_reader_may_take(max_bytes: int, shares: tuple[int, int, int]) -> None:
    assert Shares.of(max_bytes) == shares


def test_an_error_comes_where_its_item_would_have() -> None:
    with Prefetcher(Source(9, fail_at=3), size_bytes=lambda n: 1, max_bytes=99) as prefetched:
        items = iter(prefetched)
        assert [next(items) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="no more"):
            next(items)
    assert is_over()


def test_leaving_early_ends_the_thread() -> None:
    source = Source(10_000)
    with Prefetcher(source, size_bytes=lambda n: 1, max_bytes=5) as prefetched:
        assert next(iter(prefetched)) == 0
    assert is_over()
    assert source.made < 20


def test_a_generator_is_closed_whatever_ends_the_block() -> None:
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(10_000)
        finally:
            closed.append(threading.current_thread().name)

    source = numbers()

    def leave() -> None:
        with Prefetcher(source, size_bytes=lambda n: 1, max_bytes=5) as prefetched:
            next(iter(prefetched))
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        leave()
    assert closed == ["twinpath-prefetch"]  # where it ran; a file that it had opened is closed now


def test_a_source_that_waits_is_not_waited_for() -> None:
    def numbers() -> Iterator[int]:
        yield 0
        while True:  # as a process that does not answer
            check_prefetch()
            time.sleep(0.01)

    began_s = time.monotonic()
    with Prefetcher(numbers(), size_bytes=lambda n: 1, max_bytes=5) as prefetched:
        assert next(iter(prefetched)) == 0
    assert is_over()
    assert time.monotonic() - began_s < 5
    check_prefetch()  # concerns no other thread


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, [[0], [1], [2], [3]]), (2, [[0, 1], [2, 3]]), (3, [[0, 1, 2], [3]]), (9, [[0, 1, 2, 3]])],
)
def test_batches_are_full_but_for_the_last(size: int, expected: list[list[int]]) -> None:
    assert list(batches(Source(4), size)) == expected


def test_a_batch_is_full_of_bytes_too() -> None:
    found = batches([30, 30, 30, 80, 10, 200, 10], 3, size_bytes=lambda item: item, max_bytes=100)
    assert list(found) == [[30, 30, 30], [80], [10, 200], [10]]


def test_nothing_makes_no_batch() -> None:
    assert list(batches(Source(0), 3)) == []


def test_a_batch_takes_no_more_than_it_needs() -> None:
    source = Source(10_000)
    found = batches(source, 3)
    assert source.made == 0
    assert next(found) == [0, 1, 2]
    assert source.made == 3


def test_an_error_comes_after_the_full_batches_before_it() -> None:
    found = batches(Source(9, fail_at=5), 2)
    assert [next(found), next(found)] == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="no more"):
        next(found)


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one item, not 0"):
        next(batches([1, 2], 0))


def test_a_list_does_not_wait_for_items_that_are_not_there() -> None:
    """As for a GPU that takes many at once: what is there goes on."""
    ready = iter([True, True, False, True, False, False])
    assert list(batches(range(6), 4, is_ready=lambda: next(ready))) == [[0, 1, 2], [3, 4], [5]]


def test_the_end_is_ready() -> None:
    with Prefetcher(iter([1]), size_bytes=lambda item: 1, max_bytes=9) as prefetched:
        assert list(prefetched) == [1]
        assert prefetched.is_ready()


def test_several_sources_are_read_at_once_and_come_in_order() -> None:
    both = threading.Barrier(2, timeout=5)

    def source(name: str) -> Iterator[str]:
        if name in "ab":
            both.wait()  # neither goes on without the other
        yield from (f"{name}{number}" for number in range(3))

    with PrefetchEach(map(source, "abcd"), at_once=2, size_bytes=len, max_bytes=100) as items:
        assert list(items) == [f"{name}{number}" for name in "abcd" for number in range(3)]
        assert items.is_ready()


def test_leaving_ends_the_threads_of_all_sources() -> None:
    closed: list[int] = []

    def endless(number: int) -> Iterator[int]:
        try:
            while True:
                yield number
        finally:
            closed.append(number)

    with PrefetchEach(map(endless, range(9)), at_once=3, size_bytes=lambda _: 1, max_bytes=3) as items:
        assert next(iter(items)) == 0
    assert sorted(closed) == [0, 1, 2]
    assert not [thread for thread in threading.enumerate() if thread.name == "twinpath-prefetch"]


def test_an_error_of_a_source_is_raised_behind_the_sources_before_it() -> None:
    def source(name: str) -> Iterator[str]:
        if name == "b":
            raise OSError("b")
        yield name

    found = []
    with (
        pytest.raises(OSError, match="b"),
        PrefetchEach(map(source, "abc"), at_once=3, size_bytes=len, max_bytes=9) as items,
    ):
        found += items
    assert found == ["a"]
    with PrefetchEach(map(source, "a"), at_once=3, size_bytes=len, max_bytes=9) as items:
        assert list(items) == ["a"]
