"""Which clips of a video are looked at: "3x10" is 3 crops in space of 10 clips in time."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twinpath.errors import UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.video.probe import VideoInfo
from twinpath.video.sampling import clip_span_s, view_spans, view_times
from twinpath.video.selection import AtTimes, EvenSpan, Selection

MAX_TIME_VIEWS = 100


@dataclass(frozen=True)
class Views:
    """Crops in space and clips in time."""

    space: int
    time: int

    @classmethod
    def parse(cls, text: str) -> Views:
        """Read "1x1", "3x10", …

        Raises:
            UsageError: Not of that form, not 1 or 3 crops, or no clips.
        """
        match = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", text)
        if not match or int(match[1]) not in (1, 3) or not 1 <= int(match[2]) <= MAX_TIME_VIEWS:
            raise UsageError(
                f"--views {text!r}: give crops in space x clips in time: 1x1, 1x10, 3x10; "
                f"1 or 3 crops, at most {MAX_TIME_VIEWS} clips"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.space}x{self.time}"


def selections(views: Views, spec: InputSpec, *, start_s: float, info: VideoInfo | None) -> list[Selection]:
    """What to decode, one selection for each clip in time.

    Args:
        views: How many.
        spec: Frames and rate of a clip.
        start_s: Where the video begins, for us.
        info: Length and frame rate; only one clip at the start does without.
    Returns:
        One clip: the span at the start, as PyTorchVideo's tutorials take it. Several: spread uniformly over
        the rest of the video by PySlowFast's rule. Something-Something: the middle of each of T segments.
        torchvision: frames at steady times.
    Raises:
        UsageError: The length is needed and the file does not tell it.
    """
    span_s = clip_span_s(spec.num_frames, spec.sampling_rate)
    if views.time == 1 and spec.sampling != "segments":
        return [clip_at(spec, start_s)]
    if info is None or info.duration_s is None:
        raise UsageError("the file does not tell its length, which several views need; use --views 1x1")
    rest_s = max(info.duration_s - start_s, 0.0)
    if spec.sampling == "segments":
        return [spec.clip_sampling.middles(start_s, rest_s)] * views.time
    if spec.sampling == "strided" or not info.average_fps:
        spans = view_spans(rest_s, span_s=span_s, num_views=views.time, use_offset=spec.offset_views)
        if spec.sampling == "strided":
            return [clip_at(spec, start_s + start) for start, _ in spans]
        return [EvenSpan(start_s + start, span, spec.num_frames) for start, span in spans]
    times_s = view_times(
        rest_s,
        video_fps=info.average_fps,
        num_frames=spec.num_frames,
        sampling_rate=spec.sampling_rate,
        num_views=views.time,
        use_offset=spec.offset_views,
    )
    return [AtTimes(tuple(start_s + row)) for row in times_s]


def clip_at(spec: InputSpec, start_s: float) -> Selection:
    """The clip of a model's own length that begins at some time.

    A model of Something-Something sees a whole video; here it sees so much as if that were the video.
    """
    return spec.clip_sampling.at(start_s)
