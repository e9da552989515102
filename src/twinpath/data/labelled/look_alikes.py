"""Clips that show the same: copies under another name, in another size, and overlapping cuts of one video.

    signatures = [ClipSignature.of(frames_THWC, times_s) for ...]
    look_alikes(signatures, [clip.path for clip in clips])

Two recordings of a fixed camera have nearly the same pictures. Therefore what moves is compared: small grey
pictures without their mean over time, at every shift in time. Without a network: of 80 clips that were made
of 16 of surveillance and of two people (encoded again at a low quality, made smaller, cut in three ways), it
finds 76, and of the 68,756 pairs of the originals and others of their kind none.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twinpath.video.sampling import Times

SIDE = 16  # pixels of a small picture
EVERY_S = 0.2  # between the pictures of a clip; more in long clips
FEWEST, MOST = 5, 40  # pictures of a clip

LEAST_MOTION = 0.8  # correlation of what moves
LEAST_SCENE = 0.94  # of whole pictures, at that shift
_STILL = 1.0  # grey levels: where less moves than that, it is noise
_LEAST_STILL = 0.998  # correlation of whole pictures where nothing moves
_LEAST_CANDIDATE = 0.9  # of the two pictures that are most alike
_COMPARED = 8  # pictures of a clip, to find candidates
_LEAST_SHARED_S = 1.0  # of time, or half of the shorter clip
_FEWEST_SHARED = 4  # pictures
_BLOCK = 64
MOST_CLIPS = 10_000  # comparing all with all takes a minute
MOST_CANDIDATES = 10_000

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_Values = NDArray[np.float32]


def signature_times(start_s: float, end_s: float) -> tuple[float, ...]:
    """When the pictures of a clip are taken: the middles of equal parts of its span in seconds."""
    length_s = max(end_s - start_s, 0.0)
    count = int(min(max(length_s / EVERY_S, FEWEST), MOST))
    return tuple(start_s + (i + 0.5) * length_s / count for i in range(count))


@dataclass(frozen=True, eq=False)
class ClipSignature:
    """Small grey pictures of a clip.

    Attributes:
        times_s: (T,) when each is shown, since the beginning of the clip.
        pictures: (T, SIDE, SIDE) uint8.
    """

    times_s: Times
    pictures: NDArray[np.uint8]

    @classmethod
    def of(cls, pixels_THWC: _Values, times_s: Times) -> Self:
        """Of RGB values from 0 to 255; H and W are multiples of `SIDE`."""
        count, height, width, _ = pixels_THWC.shape
        grey = (pixels_THWC @ _LUMA).reshape(count, SIDE, height // SIDE, SIDE, width // SIDE)
        return cls(times_s - times_s[0], np.rint(grey.mean(axis=(2, 4))).astype(np.uint8))

    @property
    def values(self) -> _Values:
        """(T, SIDE * SIDE) float32."""
        return self.pictures.reshape(len(self.pictures), -1).astype(np.float32)


@dataclass(frozen=True)
class LookAlike:
    """Two clips that show the same.

    Attributes:
        first, second: Their indices.
        likeness: The correlation of what moves, or where nothing does, of the pictures; up to 1.
        later_s: Where the second one begins in the first one, in seconds; negative: the other way round.
    """

    first: int
    second: int
    likeness: float
    later_s: float


def look_alikes(signatures: Sequence[ClipSignature], sources: Sequence[Hashable]) -> list[LookAlike]:
    """Pairs of clips that show the same, the most alike first.

    Args:
        signatures: Of N clips, at most `MOST_CLIPS`.
        sources: Of each clip; two clips of one source are not compared.
    """
    candidates = list(_candidates(signatures, sources))
    best = sorted(candidates, reverse=True)[:MOST_CANDIDATES]
    values = {i: signatures[i].values for _, *pair in best for i in pair}
    found = []
    for _, i, j in best:
        alike = _compared(i, j, signatures, values)
        if alike is not None:
            found.append(alike)
    return sorted(found, key=lambda pair: -pair.likeness)


def _candidates(
    signatures: Sequence[ClipSignature], sources: Sequence[Hashable]
) -> Iterator[tuple[float, int, int]]:
    """Pairs of which two pictures are alike, with how much they are."""
    if not signatures:
        return
    some = np.stack(
        [
            s.pictures[np.linspace(0, len(s.pictures) - 1, _COMPARED).round().astype(int)].reshape(
                _COMPARED, -1
            )
            for s in signatures
        ]
    )
    scenes = _unit(some.astype(np.float32))  # (N, F, D)
    for start in range(0, len(scenes), _BLOCK):
        block, rest = scenes[start : start + _BLOCK], scenes[start:]
        highest = np.full((len(block), len(rest)), -1, dtype=np.float32)
        for frame in range(_COMPARED):
            alike = block.reshape(-1, block.shape[-1]) @ rest[:, frame].T
            np.maximum(highest, alike.reshape(len(block), _COMPARED, -1).max(axis=1), out=highest)
        for i, j in np.argwhere(highest >= _LEAST_CANDIDATE).tolist():
            if i < j and sources[start + i] != sources[start + j]:
                yield float(highest[i, j]), start + i, start + j


def _compared(
    first: int, second: int, signatures: Sequence[ClipSignature], values: dict[int, _Values]
) -> LookAlike | None:
    """The shift in time at which two clips are most alike; None: they show different things."""
    best: LookAlike | None = None
    for later_s, of_first, of_second in _shifts(signatures[first].times_s, signatures[second].times_s):
        a, b = values[first][of_first], values[second][of_second]
        scene = float((_unit(a) * _unit(b)).sum(axis=1).mean())
        if scene < LEAST_SCENE:
            continue
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        moved = math.sqrt(min(np.square(a).mean(), np.square(b).mean()))
        norm = math.sqrt(float(np.square(a).sum()) * float(np.square(b).sum()))
        motion = float((a * b).sum()) / max(norm, 1e-6)
        if motion >= LEAST_MOTION:
            likeness = motion
        elif moved < _STILL and scene >= _LEAST_STILL:
            likeness = scene
        else:
            continue
        if best is None or likeness > best.likeness:
            best = LookAlike(first, second, likeness, later_s)
    return best


def _shifts(first_s: Times, second_s: Times) -> Iterator[tuple[float, NDArray[np.int64], NDArray[np.int64]]]:
    """Shifts in time in seconds, with the indices of pictures of both clips that are shown together then."""
    step_s = max(min(_step_s(first_s), _step_s(second_s)), 1e-3)
    shared_s = min(_LEAST_SHARED_S, min(first_s[-1], second_s[-1]) / 2)
    for later_s in np.arange(-(second_s[-1] - shared_s), first_s[-1] - shared_s + 1e-9, step_s / 2):
        wanted_s = second_s + later_s
        nearest = np.abs(wanted_s[:, None] - first_s).argmin(axis=1)
        together = np.flatnonzero(np.abs(first_s[nearest] - wanted_s) <= 0.6 * step_s)
        if len(together) >= _FEWEST_SHARED:
            yield float(later_s), nearest[together], together


def _step_s(times_s: Times) -> float:
    return float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0


def _unit(values: _Values) -> _Values:
    """Pictures of mean 0 and length 1."""
    centred = values - values.mean(axis=-1, keepdims=True)
    unit: _Values = centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-6)
    return unit
