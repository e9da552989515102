"""Which clips of a video to read, as plain data: selected clips, sliding windows, clips around keyframes.

sampling = ClipSampling(num_frames=32, sampling_rate=2)
Selections((sampling.at(0.0), sampling.at(4.0)))    # classification: a few views
Windows(sampling, every_s=1.0)                      # timelines and features: the whole video
Keyframes(32, 2, every_s=1.0)                       # detection: around the keyframes

`clips.open_clips` reads the clips of a plan. A plan holds only numbers and strings, so it can be sent to
another process as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import LimitExceeded
from twinpath.video.sampling import (
    TIME_TOLERANCE_S,
    Times,
    clip_span_s,
    keyframe_grid,
    keyframe_times,
)
from twinpath.video.selection import AtTimes, EvenSpan, Selection

Sampling = Literal["clip", "strided", "segments"]

MAX_CLIPS = 1_000_000  # of one video: as many as `Limits.max_frames`; a plan of them takes 0.8 GB


@dataclass(frozen=True)
class ClipSampling:
    """The temporal sampling of a clip: how many frames, and their distance.

    Attributes:
        num_frames: T, frames per clip.
        sampling_rate: tau, in frames of a 30 fps video: a clip spans T * tau / 30 seconds.
        sampling: "clip": evenly from the first to the last frame of the span; "strided": exactly every
            tau / 30 seconds (torchvision); "segments": the middle of each of T equal parts of the span
            (Something-Something).
    """

    num_frames: int
    sampling_rate: float
    sampling: Sampling = "clip"

    def __post_init__(self) -> None:
        if self.num_frames < 1 or not 0 < self.sampling_rate < math.inf:
            raise ValueError(f"a clip needs at least one frame and a sampling rate above 0: {self}")

    @property
    def span_s(self) -> float:
        """Length of a clip in seconds."""
        return clip_span_s(self.num_frames, self.sampling_rate)

    def at(self, start_s: float) -> Selection:
        """The frames of the clip that starts at a time in seconds."""
        if self.sampling == "clip":
            return EvenSpan(start_s, self.span_s, self.num_frames)
        if self.sampling == "strided":
            step_s = clip_span_s(1, self.sampling_rate)
            return AtTimes(tuple(start_s + i * step_s for i in range(self.num_frames)))
        return self.middles(start_s, self.span_s)

    def middles(self, start_s: float, span_s: float) -> AtTimes:
        """The middle of each of T equal parts of a span in seconds."""
        part_s = span_s / self.num_frames
        return AtTimes(tuple(start_s + (i + 0.5) * part_s for i in range(self.num_frames)))


@dataclass(frozen=True)
class Selections:
    """A list of clips, at least one, in any order. Frames are repeated where the video is too short."""

    selections: tuple[Selection, ...]

    def __post_init__(self) -> None:
        if not self.selections:
            raise ValueError("a plan needs at least one selection")


@dataclass(frozen=True)
class Windows:
    """Clips that start every `every_s` seconds, up to the first one that reaches the end of the video.

    Windows without a frame are skipped.

    Attributes:
        sampling: The temporal sampling of each window.
        every_s: The stride: seconds from the start of one window to the start of the next.
        start_s: Skip the windows that start before this time. It does not move the others.
    """

    sampling: ClipSampling
    every_s: float
    start_s: float = 0.0

    def __post_init__(self) -> None:
        _check_grid(self.every_s, self.start_s)

    @property
    def num_frames(self) -> int:
        return self.sampling.num_frames


@dataclass(frozen=True)
class Keyframes:
    """One clip around each keyframe; keyframes are `every_s` seconds apart, see `sampling.keyframe_grid`.

    The keyframe is frame number T // 2 of its clip (AVA's rule). `start_s` and `end_s` of a clip are its
    keyframe and the next one, although its frames reach further to both sides.

    Attributes:
        num_frames: T, frames per clip.
        sampling_rate: tau, in frames of a 30 fps video.
        every_s: Seconds from one keyframe to the next.
        start_s: Skip the keyframes before this time. It does not move the others.
    """

    num_frames: int
    sampling_rate: float
    every_s: float
    start_s: float = 0.0

    def __post_init__(self) -> None:
        if self.num_frames < 1 or not 0 < self.sampling_rate < math.inf:
            raise ValueError(f"a clip needs at least one frame and a sampling rate above 0: {self}")
        _check_grid(self.every_s, self.start_s)

    def at(self, keyframe_s: float) -> AtTimes:
        """The frames around a keyframe at a time in seconds."""
        times_s = keyframe_times(keyframe_s, num_frames=self.num_frames, sampling_rate=self.sampling_rate)
        return AtTimes(tuple(times_s.tolist()))


ClipPlan = Selections | Windows | Keyframes


@dataclass(frozen=True, eq=False, slots=True)
class PlannedClip:
    """A clip of a plan, for one video.

    Attributes:
        number: Index among the clips of the plan, from 0.
        start_s, end_s: The time that the clip stands for, in seconds; `end_s` may lie behind the end of the
            video.
        last_s: The end of its last frame in seconds.
        picks: (T,) integers, indices into the frame times of the video.
    """

    number: int
    start_s: float
    end_s: float
    last_s: float
    picks: NDArray[np.integer]

    @property
    def num_distinct(self) -> int:
        """Number of different frames."""
        return len(np.unique(self.picks))


def plan_selections(
    selections: Sequence[Selection], numbers: Sequence[int], times_s: Times
) -> list[PlannedClip]:
    """The clips of `Selections` in order of their last frame.

    Args:
        selections: The selections of the plan.
        numbers: Indices of the selections to plan.
        times_s: (N,) presentation times of frames in seconds, at least one, increasing.
    """
    clips = [
        PlannedClip(i, selection.start_s, selection.end_s, selection.end_s, selection.pick(times_s))
        for i, selection in ((i, selections[i]) for i in numbers)
    ]
    return sorted(clips, key=lambda clip: (clip.picks.max(), clip.number))


def plan_grid(plan: Windows | Keyframes, times_s: Times, end_s: float) -> list[PlannedClip]:
    """All clips of a plan that covers the whole video, in order of time.

    Args:
        plan: Windows or keyframes.
        times_s: (N,) presentation times of all frames in seconds, at least one, increasing.
        end_s: End of the video in seconds.
    Raises:
        LimitExceeded: There are more than `MAX_CLIPS`.
    """
    at: Callable[[float], Selection]
    if isinstance(plan, Windows):
        length_s, at = plan.sampling.span_s, plan.sampling.at
        starts_s = window_starts(times_s, end_s, span_s=length_s, every_s=plan.every_s)
    else:
        length_s, at = plan.every_s, plan.at
        starts_s = keyframe_grid(times_s, end_s, every_s=plan.every_s)
    if len(starts_s) > MAX_CLIPS:
        raise LimitExceeded(
            f"there are {len(starts_s)} keyframes, more than {MAX_CLIPS}; raise every_s or cut the video"
        )
    clips: list[PlannedClip] = []
    for start_s in starts_s[starts_s >= plan.start_s].tolist():
        selection = at(start_s)
        picks = selection.pick(times_s).astype(np.int32)  # of at most `max_frames`; there may be many clips
        clips.append(PlannedClip(len(clips), start_s, start_s + length_s, selection.end_s, picks))
    return clips


def window_starts(times_s: Times, end_s: float, *, span_s: float, every_s: float) -> Times:
    """Starts of the windows that hold a frame. They follow from the frames: a header may claim any duration.

    Args:
        times_s: (N,) presentation times of frames in seconds, increasing.
        end_s: End of the video in seconds; the last window is the first one that reaches it.
        span_s: Length of a window in seconds.
        every_s: Stride of the windows in seconds.
    Returns:
        (W,) seconds, increasing; [0] if no window holds a frame.
    Raises:
        LimitExceeded: There are more than `MAX_CLIPS`.
    """
    last = max(math.ceil((end_s - TIME_TOLERANCE_S - span_s) / every_s), 0)
    # For each frame, the first and the last window that hold it, without those of the frames before it.
    last_started = np.floor((times_s + TIME_TOLERANCE_S) / every_s)
    first_started = last_started - (math.ceil(span_s / every_s) - 1)
    first_started[1:] = np.maximum(first_started[1:], last_started[:-1] + 1)
    first_started = np.maximum(first_started, 0)
    counts = np.maximum(np.minimum(last_started, last) - first_started + 1, 0)
    if counts.sum() > MAX_CLIPS:
        raise LimitExceeded(
            f"with every_s={every_s:g} there are {counts.sum():.0f} windows, more than {MAX_CLIPS}; "
            "raise every_s or cut the video"
        )
    counts = counts.astype(np.int64)
    behind = np.cumsum(counts)  # numbers of one frame follow each other
    numbers = np.repeat(first_started - (behind - counts), counts) + np.arange(behind[-1])
    starts_s = numbers * every_s
    ends_s = starts_s + span_s
    frames = np.searchsorted(times_s, ends_s - TIME_TOLERANCE_S)
    frames -= np.searchsorted(times_s, starts_s - TIME_TOLERANCE_S)
    covered_s: Times = starts_s[frames > 0]
    return covered_s if len(covered_s) else np.zeros(1)


def _check_grid(every_s: float, start_s: float) -> None:
    """Raises: ValueError."""
    if not 0 < every_s < math.inf:
        raise ValueError(f"every_s must be above 0 s, not {every_s}")
    if not 0 <= start_s < math.inf:
        raise ValueError(f"start_s must be 0 s or later, not {start_s}")
