"""Temporal segments from the scores of sliding windows. Pure NumPy.

    windows   |--0--|
                 |--1--|
                    |--2--|
    cells     |--0--|1 |2 |-    each time belongs to the window whose middle is nearest

1. smooth      the scores of each label over neighbouring windows
2. hysteresis  a segment needs a smoothed score of `min_score` and extends while the score is at least
`leave_score` 3. merge       segments of one label with a short gap between them
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinpath.recognize.smoothing import smooth
from twinpath.results.segments import Segment, SegmentRules

Seconds = NDArray[np.float64]
Scores = NDArray[np.floating]

_TOUCHING_S = 1e-6


def find_segments(
    scores: Scores,
    starts_s: Seconds,
    ends_s: Seconds,
    *,
    labels: Sequence[str],
    rules: SegmentRules,
    every_s: float,
    until_s: float,
) -> tuple[Segment, ...]:
    """Find the segments in the scores of a video's windows.

    Args:
        scores: (N, C) scores, 0 to 1.
        starts_s, ends_s: (N,) starts and ends of the windows in seconds, in order of time.
        labels: The names of the C classes.
        rules: Thresholds, smoothing, merging.
        every_s: Stride of the windows in seconds, without gaps.
        until_s: End of the video, or of the scored part, in seconds.
    Returns:
        Segments in order of their starts, then of descending peaks. Segments of one label neither overlap nor
        touch.
    """
    if not len(scores):
        return ()
    from_s, to_s = window_cells(starts_s, ends_s, every_s=every_s, until_s=until_s)
    middles_s = (starts_s + ends_s) / 2
    indices = range(len(labels)) if rules.labels is None else [labels.index(label) for label in rules.labels]
    highest = scores.max(axis=0)
    found: list[Segment] = []
    for index in indices:
        if highest[index] < rules.min_score:  # smoothing does not lift it
            continue
        own = scores[:, index].astype(np.float64)
        smoothed = smooth(own, middles_s, reach_s=rules.smooth_s)
        runs = hysteresis(
            smoothed, enter=rules.min_score, leave=rules.leave_score, breaks=breaks_between(from_s, to_s)
        )
        for first, last in merge_runs(runs, from_s, to_s, gap_s=rules.merge_s):
            within = own[first : last + 1]
            peak = first + int(within.argmax())
            found.append(
                Segment(
                    start_s=round(float(from_s[first]), 3),
                    end_s=round(float(to_s[last]), 3),
                    label=labels[index],
                    index=index,
                    mean_score=round(float(within.mean()), 4),
                    peak_score=round(float(own[peak]), 4),
                    peak_s=round(float(middles_s[peak]), 3),
                )
            )
    return tuple(sorted(found, key=lambda s: (s.start_s, -s.peak_score, s.index)))


def window_cells(
    starts_s: Seconds, ends_s: Seconds, *, every_s: float, until_s: float
) -> tuple[Seconds, Seconds]:
    """The cell of each window: up to half way to the middles of its neighbours.

    Without a neighbour, the cell is the window itself, or `every_s` around its middle if the stride is larger
    than the window.

    Args:
        starts_s, ends_s: (N,) starts and ends of the windows in seconds, in order of time.
        every_s: Stride of the windows in seconds.
        until_s: End of the video in seconds.
    Returns:
        (N,) starts and (N,) ends in seconds. Cells do not overlap and lie within 0 to `until_s`.
    """
    middles_s = (starts_s + ends_s) / 2
    reach_s = np.maximum(ends_s - starts_s, every_s) / 2
    from_s, to_s = middles_s - reach_s, middles_s + reach_s
    between_s = (middles_s[:-1] + middles_s[1:]) / 2
    from_s[1:] = np.maximum(from_s[1:], between_s)
    to_s[:-1] = np.minimum(to_s[:-1], between_s)
    return np.clip(from_s, 0, until_s), np.clip(to_s, 0, until_s)


def breaks_between(from_s: Seconds, to_s: Seconds) -> NDArray[np.bool_]:
    """(N,) whether there is a gap before each cell; False for the first one."""
    breaks = np.zeros(len(from_s), dtype=np.bool_)
    breaks[1:] = from_s[1:] > to_s[:-1] + _TOUCHING_S
    return breaks


def hysteresis(
    scores: Scores, *, enter: float, leave: float, breaks: NDArray[np.bool_] | None = None
) -> list[tuple[int, int]]:
    """Runs of scores of at least `leave` with at least one score of `enter` or more.

    Args:
        scores: (N,) scores.
        enter, leave: Thresholds, enter >= leave.
        breaks: (N,) whether a run must end before the window.
    Returns:
        First and last index of each run, in order.
    """
    stays = scores >= leave
    continues = stays[1:] & stays[:-1]  # from each window to the next
    if breaks is not None:
        continues &= ~breaks[1:]
    firsts = np.flatnonzero(stays & ~np.concatenate([[False], continues]))
    lasts = np.flatnonzero(stays & ~np.concatenate([continues, [False]]))
    return [
        (int(first), int(last))
        for first, last in zip(firsts, lasts, strict=True)
        if scores[first : last + 1].max() >= enter
    ]


def merge_runs(
    runs: Sequence[tuple[int, int]], from_s: Seconds, to_s: Seconds, *, gap_s: float
) -> list[tuple[int, int]]:
    """Merge runs that are at most `gap_s` apart.

    Args:
        runs: First and last window of each run, in order.
        from_s, to_s: (N,) starts and ends of the cells in seconds.
        gap_s: Maximum gap in seconds; 0: merge only runs that touch.
    """
    merged: list[tuple[int, int]] = []
    for first, last in runs:
        if merged and from_s[first] - to_s[merged[-1][1]] <= gap_s + _TOUCHING_S:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged
