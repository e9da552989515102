"""Step 1 of recognition: from a model's input and a video's facts to the wanted clips. No torch.

plan_views(Views.parse("3x10"), spec, info=probe("archery.mp4"))    classification: a few clips, spread out
plan_windows(spec, every_s=1.0)                                    timelines, features: all over the video
plan_keyframes(spec, every_s=1.0)                                  detection: a clip around each keyframe
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from twinpath.errors import UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.video.clip_plan import Keyframes, Selections, Windows
from twinpath.video.probe import VideoInfo
from twinpath.video.sampling import view_spans, view_times
from twinpath.video.selection import AtTimes, EvenSpan

MAX_TIME_VIEWS = 100
MIN_EVERY_S = 0.01  # finer than the frames of any video


@dataclass(frozen=True)
class Views:
    """Crops in space and clips in time: "3x10" is 3 crops of each of 10 clips."""

    space: int
    time: int

    @classmethod
    def parse(cls, text: str) -> Views:
        """Read "1x1", "3x10", …

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
    """Whether `plan_views` needs the video's length; one clip at the start does without."""
    return views.time > 1 or spec.sampling == "segments" or start_s > 0


def plan_views(
    views: Views, spec: InputSpec, *, start_s: float = 0.0, info: VideoInfo | None = None
) -> Selections:
    """The clips over which a classification averages, one for each view in time.

    Args:
        views: How many.
        spec: Frames and rate of a clip.
        start_s: Seconds of the video to leave out at its start.
        info: Length and frame rate of the video, see `views_need_info`.
    Returns:
        One clip: the span at `start_s`, as in PyTorchVideo's tutorials. Several: spread uniformly over the
        rest of the video by PySlowFast's rule. Something-Something: the middle of each of T segments.
        torchvision: frames in strides.
    Raises:
        UsageError: `start_s` lies behind the end, or the length is needed and unknown.
    Source: PySlowFast, `get_start_end_idx`; PyTorchVideo's tutorials.
    """
    if info and info.duration_s is not None and start_s >= info.duration_s:
        raise UsageError(f"the video lasts {info.duration_s:.2f} s; no clip starts at {start_s:g} s")
    sampling = spec.clip_sampling
    if views.time == 1 and spec.sampling != "segments":
        return Selections((sampling.at(start_s),))
    if info is None or info.duration_s is None:
        raise UsageError("the length of the video is unknown, which several views need; take views='1x1'")
    rest_s = max(info.duration_s - start_s, 0.0)
    if spec.sampling == "segments":
        return Selections((sampling.middles(start_s, rest_s),) * views.time)
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


def plan_windows(spec: InputSpec, *, every_s: float, start_s: float = 0.0) -> Windows:
    """Windows of a model's clip length all over a video, one every `every_s` seconds.

    Args:
        spec: Frames and rate of a clip.
        every_s: From the start of a window to that of the next, in seconds.
        start_s: Leave out the windows that start before.
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
    """The distance of windows or keyframes as given.

    Raises:
        UsageError: It is below `MIN_EVERY_S` or not finite.
    """
    if not MIN_EVERY_S <= every_s < math.inf:
        raise UsageError(f"every_s must be at least {MIN_EVERY_S} s, not {every_s:g}")
    return every_s
