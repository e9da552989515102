"""Copies and cuts of one video are found; other recordings of the same room are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twinpath.data.labelled.look_alikes import ClipSignature, LookAlike, compare_clips, signature_times

SIDE = 16


def room(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(40, 200, (SIDE, SIDE)).astype(np.float32)


def clip(
    scene: int, way: int, *, start_s: float = 0.0, end_s: float = 4.0, noise: float = 0.0
) -> ClipSignature:
    """A light spot that moves through a room."""
    times_s = np.array(signature_times(start_s, end_s))
    rng = np.random.default_rng([way, 1])
    speed, phase = rng.uniform(0.5, 3, 2), rng.uniform(0, 6, 2)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pictures = []
    for time_s in times_s:
        y, x = 8 + 6 * np.sin(speed * time_s + phase)
        spot = 90 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 6)
        pictures.append(room(scene) + spot)
    grey = np.stack(pictures) + np.random.default_rng(way).normal(0, noise, (len(times_s), SIDE, SIDE))
    return ClipSignature(times_s - times_s[0], np.clip(np.rint(grey), 0, 255).astype(np.uint8))


def copies(clips: list[ClipSignature], sources: Sequence[str]) -> tuple[LookAlike, ...]:
    return compare_clips(clips, sources).copies


def test_a_copy_is_found_and_the_same_room_is_not() -> None:
    clips = [clip(0, 1), clip(0, 2), clip(0, 3), clip(0, 1, noise=2.0), clip(5, 1)]
    found = compare_clips(clips, "abcde")
    (pair,) = found.copies
    assert (pair.first, pair.second) == (0, 3)
    assert pair.likeness > 0.95
    assert abs(pair.later_s) < 0.15
    assert sorted(found.scenes) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_overlapping_cuts_are_found_with_their_shift() -> None:
    clips = [clip(0, 1, end_s=5.0), clip(0, 1, start_s=1.7, end_s=7.0, noise=1.0), clip(0, 2, start_s=1.0)]
    (pair,) = copies(clips, "abc")
    assert (pair.first, pair.second) == (0, 1)
    assert abs(pair.later_s - 1.7) < 0.2


def test_clips_of_one_source_are_not_compared() -> None:
    assert copies([clip(0, 1), clip(0, 1)], ["a", "a"]) == ()
    assert len(copies([clip(0, 1), clip(0, 1)], ["a", "b"])) == 1


def test_where_nothing_moves_the_pictures_count() -> None:
    still = [
        ClipSignature(np.arange(8) / 5, np.repeat(room(s)[None], 8, 0).astype(np.uint8)) for s in (0, 0, 1)
    ]
    (pair,) = copies(still, "abc")
    assert (pair.first, pair.second) == (0, 1)


def test_black_clips_and_single_frames_are_not_alike_by_accident() -> None:
    black = [ClipSignature(np.zeros(5), np.zeros((5, SIDE, SIDE), np.uint8)) for _ in range(3)]
    assert copies(black, "abc") == ()
    assert copies([], []) == ()


def test_a_signature_is_of_grey_pictures_since_the_beginning() -> None:
    pixels = np.zeros((2, 32, 48, 3), np.float32)
    pixels[1, :16] = 255
    signature = ClipSignature.of(pixels, np.array([3.0, 3.5]))
    assert signature.times_s.tolist() == [0.0, 0.5]
    assert signature.pictures[0].max() == 0
    assert signature.pictures[1, :8].min() == 255
    assert signature.pictures[1, 8:].max() == 0


def test_times_of_a_signature() -> None:
    assert len(signature_times(0, 0.1)) == 5
    assert len(signature_times(0, 2)) == 10
    assert len(signature_times(0, 1000)) == 40
    assert set(signature_times(3, 3)) == {3.0}
