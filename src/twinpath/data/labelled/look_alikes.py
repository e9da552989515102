"""Clips that show the same, by small grey pictures and without a network.

    signatures = [ClipSignature.of(frames_THWC, times_s) for ...]
    found = compare_clips(signatures, [clip.path for clip in clips])
    found.copies      # under another name, in another size, cut at another time
    found.scenes      # of one camera, or one room: no copies, but not independent either

Clips of one scene have two pictures that are alike. Two recordings of a fixed camera have that, too, so for
copies what moves is compared: the pictures without their mean over time, at every shift in time. Of 80 clips
that were made of 16 of surveillance and of two people (encoded again at a low quality, made smaller, cut in
three ways), 76 are found as copies; of the 68,756 pairs of the originals and others of their kind none.
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterator, Mapping, Sequence
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
LEAST_ALIKE = 0.9  # correlation of the two pictures of two clips of one scene that are most alike
_COMPARED = 8  # pictures of a clip, to find candidates
_LEAST_SHARED_S = 1.0  # of time, or half of the shorter clip
_FEWEST_SHARED = 4  # pictures
_BLOCK = 64
MOST_CLIPS = 10_000  # comparing all with all takes a minute
MOST_CANDIDATES = 10_000  # ten seconds

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


@dataclass(frozen=True, eq=False)
class _Products:
    """What a comparison needs of a clip, computed once.

    Attributes:
        times_s: (T,) see `ClipSignature`.
        values: (T, D) the pictures.
        units: (T, D) the same with mean 0 and length 1.
        gram: (T, T) scalar products of `values` with each other.
    """

    times_s: Times
    values: _Values
    units: _Values
    gram: _Values

    @classmethod
    def of(cls, signature: ClipSignature) -> Self:
        pictures = signature.pictures.reshape(len(signature.pictures), -1).astype(np.float64)
        values = (pictures - pictures.mean(axis=0)).astype(np.float32)  # small numbers cancel less
        return cls(signature.times_s, values, _unit(pictures.astype(np.float32)), values @ values.T)


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


@dataclass(frozen=True)
class Comparison:
    """What a comparison of all clips with all others found.

    Attributes:
        copies: Pairs that show the same, the most alike first.
        scenes: Pairs of indices that show one scene, copies included; the most alike first.
    """

    copies: tuple[LookAlike, ...]
    scenes: tuple[tuple[int, int], ...]


def compare_clips(signatures: Sequence[ClipSignature], sources: Sequence[Sequence[Hashable]]) -> Comparison:
    """Find clips that show the same, and clips of one scene.

    Args:
        signatures: Of N clips, at most `MOST_CLIPS`.
        sources: Of each clip, what it belongs to, each as long as the others: clips that share one of them
            are not compared.
    """
    scenes = [(i, j) for _, i, j in sorted(_one_scene(signatures, sources), reverse=True)]
    candidates = scenes[:MOST_CANDIDATES]
    products = {i: _Products.of(signatures[i]) for i in {i for pair in candidates for i in pair}}
    found = (_compared(i, j, products) for i, j in candidates)
    copies = sorted((pair for pair in found if pair is not None), key=lambda pair: -pair.likeness)
    return Comparison(tuple(copies), tuple(scenes))


def _one_scene(
    signatures: Sequence[ClipSignature], sources: Sequence[Sequence[Hashable]]
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
        for i, j in np.argwhere(highest >= LEAST_ALIKE).tolist():
            if i < j and not any(map(operator.eq, sources[start + i], sources[start + j])):
                yield float(highest[i, j]), start + i, start + j


def _compared(first: int, second: int, products: Mapping[int, _Products]) -> LookAlike | None:
    """The shift in time at which two clips are most alike; None: they show different things.

    All shifts at once, S of them, by scalar products of the pictures.
    """
    a, b = products[first], products[second]
    scenes = a.units @ b.units.T  # (Ta, Tb) correlations of whole pictures
    if scenes.max() < LEAST_SCENE:
        return None
    shifts_s, nearest, shown = _shifts(a.times_s, b.times_s)
    count = shown.sum(axis=1)  # (S,) pictures that are shown together
    if not len(count):
        return None
    columns = np.arange(nearest.shape[1])
    scene = (scenes[nearest, columns] * shown).sum(axis=1) / count
    of_a = np.zeros((len(shifts_s), len(a.times_s)), np.float32)  # (S, Ta) how often each picture is used
    np.add.at(of_a, (np.arange(len(shifts_s))[:, None], nearest), shown)
    across = a.values @ b.values.T
    together = (across[nearest, columns] * shown).sum(axis=1) - ((of_a @ across) * shown).sum(axis=1) / count
    moved_a, moved_b = _moved(a.gram, of_a, count), _moved(b.gram, shown, count)
    motion = together / np.maximum(np.sqrt(moved_a * moved_b), 1e-6)
    is_still = np.minimum(moved_a, moved_b) < _STILL**2 * SIDE**2 * count
    likeness = np.where(
        motion >= LEAST_MOTION, motion, np.where(is_still & (scene >= _LEAST_STILL), scene, 0)
    )
    likeness[scene < LEAST_SCENE] = 0
    best = int(likeness.argmax())
    if not likeness[best] > 0:
        return None
    return LookAlike(first, second, min(float(likeness[best]), 1.0), float(shifts_s[best]))


def _moved(gram: _Values, used: _Values, count: _Values) -> _Values:
    """(S,) the squared length of the pictures that are used without their mean."""
    moved: _Values = used @ np.diagonal(gram) - ((used @ gram) * used).sum(axis=1) / count
    return np.maximum(moved, 0)


def _shifts(first_s: Times, second_s: Times) -> tuple[Times, NDArray[np.int64], _Values]:
    """Shifts in time, and which pictures of both clips are shown together then.

    Returns:
        (S,) seconds; (S, Tb) for each picture of the second clip the nearest one of the first; (S, Tb) 1
        where they are near enough, else 0.
    """
    step_s = max(min(_step_s(first_s), _step_s(second_s)), 1e-3)
    shared_s = min(_LEAST_SHARED_S, min(first_s[-1], second_s[-1]) / 2)
    shifts_s = np.arange(-(second_s[-1] - shared_s), first_s[-1] - shared_s + 1e-9, step_s / 2)
    wanted_s = second_s + shifts_s[:, None]
    after = np.clip(np.searchsorted(first_s, wanted_s), 1, max(len(first_s) - 1, 1))
    after = np.minimum(after, len(first_s) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(wanted_s - first_s[before] <= first_s[after] - wanted_s, before, after)
    shown = (np.abs(first_s[nearest] - wanted_s) <= 0.6 * step_s).astype(np.float32)
    enough = shown.sum(axis=1) >= _FEWEST_SHARED
    return shifts_s[enough], nearest[enough], shown[enough]


def _step_s(times_s: Times) -> float:
    return float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0


def _unit(values: _Values) -> _Values:
    """Pictures of mean 0 and length 1."""
    centred = values - values.mean(axis=-1, keepdims=True)
    unit: _Values = centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-6)
    return unit
