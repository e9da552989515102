"""Ways to change the bytes of a file, for every fuzzer. Each takes and returns all of its bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Bytes = np.ndarray  # (N,) uint8
Change = Callable[[np.random.Generator, Bytes, Bytes], Bytes]  # of a file, with a second one to take from


def flip_bits(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    changed = data.copy()
    where = rng.integers(0, len(data), rng.integers(1, 33))
    changed[where] ^= np.left_shift(1, rng.integers(0, 8, len(where))).astype(np.uint8)
    return changed


def overwrite(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    """A run of zeros, ones or noise."""
    changed = data.copy()
    start, stop = a_range(rng, data, most=256)
    changed[start:stop] = rng.choice([0, 0xFF]) if rng.random() < 0.5 else rng.integers(0, 256, stop - start)
    return changed


def truncate(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    return data[: rng.integers(1, len(data) + 1)]


def remove(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    start, stop = a_range(rng, data, most=len(data) // 2 + 1)
    return np.concatenate([data[:start], data[stop:]])


def repeat(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    start, stop = a_range(rng, data, most=4096)
    return np.concatenate([data[:stop], data[start:]])


def splice(rng: np.random.Generator, data: Bytes, other: Bytes) -> Bytes:
    """A piece of another file, in place of one of this."""
    start, stop = a_range(rng, data, most=4096)
    first, last = a_range(rng, other, most=4096)
    return np.concatenate([data[:start], other[first:last], data[stop:]])


def swap_chunks(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    size = int(rng.choice([4, 8, 16, 188, 512]))
    if len(data) < 2 * size:
        return data
    changed = data.copy()
    first, second = (rng.integers(0, len(data) // size, 2) * size).tolist()
    changed[first : first + size] = data[second : second + size]
    changed[second : second + size] = data[first : first + size]
    return changed


def a_range(rng: np.random.Generator, data: Bytes, *, most: int) -> tuple[int, int]:
    """Start and stop of a run of at most so many bytes."""
    size = int(rng.integers(1, min(most, len(data)) + 1))
    start = int(rng.integers(0, len(data) - size + 1))
    return start, start + size


#: Those that know nothing of the format.
BLIND: tuple[Change, ...] = (flip_bits, overwrite, truncate, remove, repeat, splice, swap_chunks)


def with_changes(
    rng: np.random.Generator, data: Bytes, files: Sequence[Bytes], changes: Sequence[Change], *, most: int = 4
) -> Bytes:
    """The data after one change, or up to so many, each of `changes`."""
    for change in rng.choice(len(changes), rng.integers(1, most + 1)):
        data = changes[change](rng, data, files[rng.integers(len(files))])
        if not len(data):
            break
    return data
