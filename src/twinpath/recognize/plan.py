"""Step 1 of recognition: from a model's input and a video's duration to the clips to read. No torch.

plan_views(Views.parse("3x10"), spec, info=probe("archery.mp4"))    classification: a few clips, evenly spread
plan_windows(spec, every_s=1.0)                                    timelines, features: the whole video
plan_keyframes(spec, every_s=1.0)                                  detection: a clip around each keyframe
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from twinpath.errors import UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.video.clip_plan import ClipSampling, Keyframes, Selections, Windows
from twinpath.video.probe import VideoInfo
from twinpath.video.sampling import TARGET_FPS, view_spans, view_times
from twinpath.video.selection import AtTimes, EvenSpan, Selection

MAX_TIME_VIEWS = 100
MIN_EVERY_S = 0.01  # below the frame period of common videos


@dataclass(frozen=True)
class Views:
    """Spatial crops and temporal clips: "3x10" is 3 crops of each of 10 clips."""

    space: int
    time: int

    @classmethod
    def parse(cls, text: str) -> Views:
        """Parse "1x1", "3x10", …

        Raises:
            UsageError: Another form, a number of crops other than 1 and 3, or no clips.
        """
        match = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", text)
        if not match or int(match[1]) not in (1, 3) or not 1 <= int(match[2]) <= MAX_TIME_VIEWS:
            raise UsageError(
                f"views must be crops in space x clips in time, such as 1x1, 1x10 or 3x10, with 1 or 3 crops "
                f"and at most {MAX_TIME_VIEWS} clips, not {text!r}"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.space}x{self.time}"


def views_need_info(views: Views, spec: InputSpec, *, start_s: float) -> bool:
    """Whether `plan_views` needs the video's duration; a single clip at the start does not."""
    return views.time > 1 or spec.sampling == "segments" or _is_charades(spec) or start_s > 0


def plan_views(
    views: Views,
    spec: InputSpec,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    info: VideoInfo | None = None,
) -> Selections:
    """The clips of a classification, one per temporal view.

    Args:
        views: Number of crops and clips.
        spec: Frames and sampling rate of a clip.
        start_s: Skip this many seconds at the start of the video.
        end_s: What comes after this time is skipped, too; None: nothing is.
        info: Duration and frame rate of the video, see `views_need_info`.
    Returns:
        One clip: the span at `start_s`, as in PyTorchVideo's tutorials. Several: spread uniformly from there
        to the end by PySlowFast's rule. Something-Something models: the middle of each of T segments.
        torchvision models: frames at a fixed stride; with `offset_views` from whole frames on, the last clip
        ending with the video and a single one in its middle (Charades).
    Raises:
        UsageError: `start_s` lies behind the end, or the duration is needed and unknown.
    Source: PySlowFast, `get_start_end_idx` and `get_seq_frames`; PyTorchVideo's tutorials.
    """
    if info and info.duration_s is not None and start_s >= info.duration_s:
        raise UsageError(f"the video lasts {info.duration_s:.2f} s; no clip starts at {start_s:g} s")
    sampling = spec.clip_sampling
    if views.time == 1 and spec.sampling != "segments" and not _is_charades(spec):
        return Selections((_first_clip(sampling, start_s, end_s),))
    if info is None or info.duration_s is None:
        raise UsageError("several views need the duration of the video, which is unknown; use views='1x1'")
    stop_s = info.duration_s if end_s is None else min(end_s, info.duration_s)
    rest_s = max(stop_s - start_s, 0.0)
    if spec.sampling == "segments":
        return Selections((sampling.middles(start_s, rest_s),) * views.time)
    if _is_charades(spec) and info.average_fps:
        starts = _charades_starts(spec, views.time, rest_s, info.average_fps)
        return Selections(tuple(sampling.at(start_s + start) for start in starts))
    if spec.sampling == "strided" or not info.average_fps:
        spans = view_spans(rest_s, span_s=sampling.span_s, num_views=views.time, use_offset=spec.offset_views)
        if spec.sampling == "strided":
            return Selections(tuple(sampling.at(start_s + start) for start, _ in spans))
        return Selections(tuple(EvenSpan(start_s + start, span, spec.num_frames) for start, span in spans))
    times_s = view_times(
        rest_s,
        video_fps=info.average_fps,
        num_frames=spec.num_frames,
        sampling_rate=spec.sampling_rate,
        num_views=views.time,
        use_offset=spec.offset_views,
    )
    return Selections(tuple(AtTimes(tuple((start_s + row).tolist())) for row in times_s))


def _is_charades(spec: InputSpec) -> bool:
    return spec.sampling == "strided" and spec.offset_views


def _charades_starts(spec: InputSpec, num_views: int, rest_s: float, fps: float) -> list[float]:
    """Where the clips start, in seconds; for a single one PySlowFast divides by zero."""
    span = (spec.num_frames - 1) * spec.sampling_rate * fps / TARGET_FPS + 1
    room = max(round(rest_s * fps) - span, 0.0)
    if num_views == 1:
        return [room // 2 / fps]
    return [round(room * view / (num_views - 1)) / fps for view in range(num_views)]


def _first_clip(sampling: ClipSampling, start_s: float, end_s: float | None) -> Selection:
    """The clip that starts at a time; of a span that ends before the clip does, the frames of the span."""
    if end_s is None or sampling.sampling != "clip" or end_s - start_s >= sampling.span_s:
        return sampling.at(start_s)
    return EvenSpan(start_s, end_s - start_s, sampling.num_frames)


def plan_windows(spec: InputSpec, *, every_s: float, start_s: float = 0.0) -> Windows:
    """Sliding windows of a model's clip length over a video.

    Args:
        spec: Frames and sampling rate of a clip.
        every_s: Stride of the windows in seconds.
        start_s: Skip the windows that start before this time.
    Raises:
        UsageError: `every_s` is too small or not finite.
    """
    return Windows(spec.clip_sampling, check_every_s(every_s), start_s)


def plan_keyframes(spec: InputSpec, *, every_s: float, start_s: float = 0.0) -> Keyframes:
    """The clips around the keyframes at 0, `every_s`, 2 * `every_s` … seconds: AVA's rule.

    Args and errors as for `plan_windows`.
    """
    return Keyframes(spec.num_frames, spec.sampling_rate, check_every_s(every_s), start_s)


def check_every_s(every_s: float) -> float:
    """Check the stride of windows or keyframes, and return it.

    Raises:
        UsageError: It is below `MIN_EVERY_S` or not finite.
    """
    if not MIN_EVERY_S <= every_s < math.inf:
        raise UsageError(f"every_s must be at least {MIN_EVERY_S} s, not {every_s:g}")
    return every_s
