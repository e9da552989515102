"""Which frames of a video one clip has, by presentation time in seconds since the first frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinpath.video.sampling import TIME_TOLERANCE_S, Indices, Times, frame_indices, on_screen_indices


@dataclass(frozen=True)
class EvenSpan:
    """T frames evenly spaced among those with start_s <= time < start_s + span_s: a classifier's clip."""

    start_s: float
    span_s: float
    num_frames: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start_s) and 0 < self.span_s < np.inf and self.num_frames >= 1):
            raise ValueError(f"a span needs a start, a length above 0 and at least one frame: {self}")

    @property
    def end_s(self) -> float:
        return self.start_s + self.span_s

    def pick(self, times_s: Times) -> Indices:
        """(T,) indices into the times of a video's frames, see `sampling.frame_indices`."""
        return frame_indices(times_s, start_s=self.start_s, span_s=self.span_s, num_frames=self.num_frames)


@dataclass(frozen=True)
class AtTimes:
    """The frames on screen at given times in seconds, in any order: keyframes, AVA clips, exact views."""

    times_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.times_s or not np.isfinite(self.times_s).all():
            raise ValueError("AtTimes needs at least one time, and only finite ones")

    @property
    def num_frames(self) -> int:
        return len(self.times_s)

    @property
    def start_s(self) -> float:
        return min(self.times_s)

    @property
    def end_s(self) -> float:
        return max(self.times_s) + 2 * TIME_TOLERANCE_S

    def pick(self, times_s: Times) -> Indices:
        """(T,) indices into the times of a video's frames, see `sampling.on_screen_indices`."""
        return on_screen_indices(times_s, self.times_s)


Selection = EvenSpan | AtTimes
