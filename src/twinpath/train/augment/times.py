"""Which frames a training clip has: drawn at random, by presentation time. No torch.

    rule = TimeRule("span", sampling_rate=2)
    rule.random(times_s, shape, rng)        # one (32,) array of indices for each temporal clip
    rule.centre(times_s, 32)                # (32,) of the clip in the middle

A video's frame rate is the mean one of the frames that there are, and a frame is the one on screen at its
time, so of a video with constant rate the indices are PySlowFast's, and another one is not distorted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from twinpath.train.sample_request import ClipShape
from twinpath.train.sections import ClipSection
from twinpath.video.sampling import TARGET_FPS, Indices, Times, linspace_indices, on_screen_indices

Rule = Literal["span", "segments", "stride"]

_TRIES = 100  # for temporal clips whose gaps are as wanted


@dataclass(frozen=True)
class TimeRule:
    """How clips are placed in time.

    Attributes:
        kind: "span": T frames evenly over T * tau / 30 s (Kinetics); "segments": one frame of each of T parts
            of the video (Something-Something); "stride": every tau-th frame of the file (Charades).
        sampling_rate: tau; of a clip shape with a longest one, drawn from this to that.
        fps_jitter: The 30 fps become up to so many more, drawn for each clip.
        clips: How many clips of a video, at different times.
        gaps_s: From the end of one to the start of the next, least and most; None: any, they may overlap.
    Source: PySlowFast, datasets/decoder.py, ssv2.py and charades.py.
    """

    kind: Rule
    sampling_rate: int
    fps_jitter: float = 0.0
    clips: int = 1
    gaps_s: tuple[float, float] | None = None

    @classmethod
    def of(cls, section: ClipSection, *, sampling_rate: int, kind: Rule = "span") -> TimeRule:
        """Of a recipe; `sampling_rate` is the network's own, for a recipe that says none."""
        return cls(
            kind,
            section.sampling_rate or sampling_rate,
            section.fps_jitter,
            section.temporal_clips,
            section.gaps_s,
        )

    def random(self, times_s: Times, shape: ClipShape, rng: np.random.Generator) -> list[Indices]:
        """The frames of training clips.

        Args:
            times_s: (N,) times of the frames that there are, in seconds, at least one, increasing.
            shape: Of the clips.
            rng: Random numbers.
        Returns:
            (T,) indices into the times for each of `clips`, in random order. A clip that is longer than the
            video ends with its last frame repeated.
        """
        num_frames = shape.frames
        if self.kind == "segments":
            return [segments(len(times_s), num_frames, rng) for _ in range(self.clips)]
        rate = drawn_rate(self.sampling_rate, shape, rng)
        if self.kind == "stride":
            return [stride(len(times_s), num_frames, rate, rng) for _ in range(self.clips)]
        fps = mean_fps(times_s)
        span = span_frames(num_frames, rate, fps=fps, target_fps=TARGET_FPS + self._jitter(rng))
        starts = self._starts(max(len(times_s) - span, 0.0), span, fps, rng)
        return [_on_screen(times_s, start, span, num_frames, fps) for start in starts]

    def centre(self, times_s: Times, num_frames: int) -> Indices:
        """(T,) frames of the clip in the middle; of segments the middle of each. Arguments as `random`."""
        if self.kind == "segments":
            return segments(len(times_s), num_frames, None)
        if self.kind == "stride":
            return stride(len(times_s), num_frames, self.sampling_rate, None)
        fps = mean_fps(times_s)
        span = span_frames(num_frames, self.sampling_rate, fps=fps)
        start = math.floor(max(len(times_s) - span, 0.0) / 2)
        return _on_screen(times_s, start, span, num_frames, fps)

    def _jitter(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(0.0, self.fps_jitter)) if self.fps_jitter else 0.0

    def _starts(self, room: float, span: float, fps: float, rng: np.random.Generator) -> list[float]:
        """Where the clips start, in frames: the first draw whose gaps are as wanted, else the nearest one."""
        best, best_error = [], math.inf
        for _ in range(_TRIES):
            starts = self._draw(room, span, fps, rng)
            error = self._gap_error(np.array(starts), span, fps)
            if error < best_error:
                best, best_error = starts, error
            if not error:
                break
        return [best[i] for i in rng.permutation(len(best))] if len(best) > 1 else best

    def _draw(self, room: float, span: float, fps: float, rng: np.random.Generator) -> list[float]:
        """Starts one after the other, each tried until its gaps to those before it are as wanted."""
        starts: list[float] = []
        for _ in range(self.clips):
            for _ in range(_TRIES):
                start = float(rng.uniform(0.0, room))
                if not self._gap_error(np.array([*starts, start]), span, fps):
                    break
            starts.append(start)
        return starts

    def _gap_error(self, starts: Times, span: float, fps: float) -> float:
        """By how many frames, all together, gaps are too small or too large."""
        if self.gaps_s is None or len(starts) < 2:
            return 0.0
        gaps = np.diff(np.sort(starts)) - (span - 1)
        least, most = (gap_s * fps for gap_s in self.gaps_s)
        return float(np.maximum(least - gaps, 0).sum() + np.maximum(gaps - most, 0).sum())


def drawn_rate(sampling_rate: int, shape: ClipShape, rng: np.random.Generator) -> int:
    """tau of a clip: the recipe's, or of clips with fewer frames in multigrid any up to the longest."""
    if shape.longest_sampling_rate <= sampling_rate:
        return sampling_rate
    return int(rng.integers(sampling_rate, shape.longest_sampling_rate, endpoint=True))


def span_frames(
    num_frames: int, sampling_rate: float, *, fps: float, target_fps: float = TARGET_FPS
) -> float:
    """How many frames of a video a clip spans: at least 1, a fraction.

    Args:
        num_frames, sampling_rate: T and tau of the clip.
        fps: Of the video.
        target_fps: Which tau refers to.
    """
    return max(1.0, sampling_rate * num_frames / target_fps * fps)


def mean_fps(times_s: Times) -> float:
    """Of the frames at these times; of a single one 30."""
    if len(times_s) < 2:
        return TARGET_FPS
    # Nine digits: times are sums of fractions, and 30.000000000000004 fps would move a frame.
    return float(f"{(len(times_s) - 1) / (times_s[-1] - times_s[0]):.9g}")


def segments(num_available: int, num_frames: int, rng: np.random.Generator | None) -> Indices:
    """One frame of each of T equal parts of a video.

    Args:
        num_available: L, frames of the video.
        num_frames: T.
        rng: Draws one of each part, its ends included; None: the middle one.
    Returns:
        (T,) indices.
    Source: PySlowFast, datasets/ssv2.py, `get_seq_frames`.
    """
    bounds = np.round((num_available - 1) / num_frames * np.arange(num_frames + 1)).astype(np.int64)
    if rng is None:
        return (bounds[:-1] + bounds[1:]) // 2
    return rng.integers(bounds[:-1], bounds[1:], endpoint=True)


def stride(
    num_available: int, num_frames: int, sampling_rate: int, rng: np.random.Generator | None
) -> Indices:
    """Every tau-th frame of a video.

    Args:
        num_available: L, frames of the video.
        num_frames, sampling_rate: T and tau.
        rng: Draws the first one; None: the clip is in the middle.
    Returns:
        (T,) indices. A clip that is longer than the video repeats its ends, in random shares.
    Source: PySlowFast, datasets/charades.py, `get_seq_frames`.
    """
    room = num_available - ((num_frames - 1) * sampling_rate + 1)
    first = room // 2 if rng is None else int(rng.integers(min(room, 0), max(room, 0), endpoint=True))
    return np.clip(first + np.arange(num_frames) * sampling_rate, 0, num_available - 1)


def _on_screen(times_s: Times, start: float, span: float, num_frames: int, fps: float) -> Indices:
    """T frames evenly over a span that is given in frames at the mean rate, by the time in the middle of
    each, see `sampling.view_times`."""
    if len(times_s) < 2:
        return np.zeros(num_frames, dtype=np.int64)
    indices = linspace_indices(start, start + span - 1, num_frames)
    return on_screen_indices(times_s, times_s[0] + (indices + 0.5) / fps)
