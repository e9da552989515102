"""The content of the views of a timeline: a lane for each label, ticks, and lines of text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinpath.results.clock import clock
from twinpath.results.segments import Segment

if TYPE_CHECKING:
    from twinpath.results.timeline import Timeline

TICK_STEPS_S = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600),
    *(900, 1800, 3600, 7200, 14400, 36000, 86400),
)
_MAX_LANES_WITHOUT_SEGMENTS = (
    3  # of the labels with the highest scores, to show their distance to the threshold
)
_SHOWN_S = 0.05  # the first tenth of a second that the clock shows
_HUES = (205, 25, 145, 280, 50, 340, 175, 95, 255, 0, 120, 305)


@dataclass(frozen=True, eq=False)
class TimelineLane:
    """The lane of one label.

    Attributes:
        label: The name of the label.
        hue: Hue of its colour in degrees.
        segments: In order of time; empty if the label never reaches the threshold.
        times_s, scores: (P,) the curve of its score over time.
    """

    label: str
    hue: int
    segments: tuple[Segment, ...]
    times_s: NDArray[np.float64]
    scores: NDArray[np.float64]


def lanes_of(timeline: Timeline, *, max_lanes: int, max_points: int) -> tuple[list[TimelineLane], int]:
    """Choose the labels to show, in the order of their first segments.

    Args:
        timeline: Complete or unfinished.
        max_lanes: Maximum number of lanes; labels with the largest sum of length times mean score are kept.
        max_points: Approximate number of points of a curve; a point is the highest score of several windows.
    Returns:
        The lanes, and the number of labels with segments that have no lane.
    """
    segments_of: dict[int, list[Segment]] = {}
    for segment in timeline.segments:
        segments_of.setdefault(segment.index, []).append(segment)
    if segments_of:
        weight = {i: sum(s.length_s * s.mean_score for s in own) for i, own in segments_of.items()}
        kept = set(sorted(weight, key=lambda i: -weight[i])[:max_lanes])
        chosen = [i for i in segments_of if i in kept]
    else:
        chosen = _labels_with_highest_scores(timeline)
    times_s, firsts = _curve_points(timeline, max_points)
    lanes = []
    for number, index in enumerate(chosen):
        window_scores = timeline.windows.scores[:, index].astype(np.float64)
        scores = np.pad(np.maximum.reduceat(window_scores, firsts), 1, mode="edge")
        segments = tuple(segments_of.get(index, ()))
        hue = _HUES[number % len(_HUES)]
        lanes.append(TimelineLane(timeline.windows.labels[index], hue, segments, times_s, scores))
    return lanes, max(len(segments_of) - len(chosen), 0)


def _labels_with_highest_scores(timeline: Timeline) -> list[int]:
    """Indices of the labels with the highest scores in any window, best first."""
    if not len(timeline.windows):
        return []
    shown = np.asarray(timeline.shown)
    highest = timeline.windows.scores[:, shown].max(axis=0)
    return [int(i) for i in shown[np.argsort(-highest, kind="stable")[:_MAX_LANES_WITHOUT_SEGMENTS]]]


def _curve_points(timeline: Timeline, max_points: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The points of a curve; each represents several consecutive windows.

    Returns:
        (P + 2,) times in seconds, the two ends of the timeline included, and (P,) the first window of each
        point between them.
    """
    windows = timeline.windows
    firsts = np.arange(0, len(windows), max(1, math.ceil(len(windows) / max_points)))
    if not len(firsts):
        return windows.starts_s, firsts
    counts = np.diff(np.append(firsts, len(windows)))
    middles_s = np.add.reduceat((windows.starts_s + windows.ends_s) / 2, firsts) / counts
    return np.concatenate([windows.starts_s[:1], middles_s, windows.ends_s[-1:]]), firsts


def shown_duration_s(timeline: Timeline) -> float:
    """Length of the time axis in seconds, > 0."""
    return max(timeline.windows.duration_s, 1e-3)


def tick_step_s(duration_s: float, *, max_ticks: int) -> float:
    """The smallest round tick distance in seconds with at most `max_ticks` ticks."""
    return next((step for step in TICK_STEPS_S if duration_s / step <= max_ticks), duration_s)


def facts_line(timeline: Timeline) -> str:
    """One line about the video, the windows, the model and the threshold."""
    windows = timeline.windows
    later = ""
    if windows.first_frame_s >= _SHOWN_S:
        later = (
            f" Its first frame is at {clock(windows.first_frame_s)} on a player's clock, as are all times."
        )
    return (
        f"{clock(windows.duration_s)} long, {len(windows)} windows of {windows.span_s:.2f} s, "
        f"one every {windows.every_s:g} s. {windows.provenance.model} on {windows.engine}. "
        f"Segments from a score of {timeline.rules.min_score:g}.{later}"
    )


def note_lines(timeline: Timeline) -> list[str]:
    """Notes: each warning; that the timeline is unfinished; the highest score if there are no segments."""
    windows = timeline.windows
    notes = list(timeline.warnings)
    if not windows.complete:
        end = f"{clock(windows.done_s)} of {clock(windows.duration_s)}"
        notes.insert(0, f"Unfinished: up to {end}.")
    best = timeline.best()
    if not timeline.segments and best is not None:
        time_s, top = best
        notes.append(
            f"No smoothed score reaches {timeline.rules.min_score:g}; the highest is "
            f"{top.label} with {top.score:.2f} at {clock(time_s)}."
        )
    return notes


def title_of(timeline: Timeline) -> str:
    """The name of the video file, without unprintable characters."""
    name = Path(timeline.windows.video).name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else " " for c in name)
