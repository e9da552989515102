"""The whole of a video as clips of one length, in one pass and in memory for a few of them.

with ClipStream("match.mp4", lambda start_s: EvenSpan(start_s, 2.1, 32), span_s=2.1) as clips:
    for clip in clips:
        clip.start_s, clip.end_s, clip.frames    # (32, H, W, 3) uint8
    clips.warnings                               # complete after the last clip
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np

from twinpath.errors import CorruptVideo, NoFrames
from twinpath.paths import display_path
from twinpath.video.color import Rgb, RgbConverter
from twinpath.video.damage import DamageReport
from twinpath.video.decode import Selection
from twinpath.video.decode_pass import DecodePass
from twinpath.video.decode_plan import nearest_frames, plan_pass
from twinpath.video.sampling import TIME_TOLERANCE_S, Indices, Times
from twinpath.video.source import DEFAULT_LIMITS, Budget, Limits, open_video

_NEAR_FRAMES = 0.75  # a frame further than this from where it was looked for stands in for one that is lost


@dataclass(frozen=True, eq=False)
class Clip:
    """Some seconds of a video.

    Attributes:
        start_s, end_s: Where they lie, in seconds since the first picture. The end of a clip that the video
            cuts short is the end of the video.
        frames: (T, H, W, 3) uint8 RGB.
    """

    start_s: float
    end_s: float
    frames: Rgb


class ClipStream:
    """Clips that begin at steady times, up to the first one that reaches the end of the video.

    Each frame is decoded once, however much the clips overlap, and held while a clip needs it. A clip in
    which no frame lies, or none that decodes, is left out. Iterate once.

    Attributes:
        end_s: When the video ends, as far as its packets tell.
        warnings: One line each, filled when the iteration reaches the end.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        select: Callable[[float], Selection],
        *,
        span_s: float,
        every_s: float | None = None,
        starts: Callable[[Times, float], Times] | None = None,
        start_s: float = 0.0,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Open the file and read its times; nothing is decoded yet.

        Args:
            path: A file's name, never a URL.
            select: The frames of the clip that begins at some time.
            span_s: Length of a clip in seconds.
            every_s: From the start of one clip to that of the next; None: `span_s`.
            starts: In place of `every_s`: from the times of all frames and the video's end to where clips
                start, increasing.
            start_s: Leave out the clips that begin before it. The others are those of the whole video;
                decoding begins at the keyframe before the first of them.
            limits: What it may cost; `max_seconds` includes what the caller does between two clips.
        Raises:
            InputError, LimitExceeded: everything that `open_video` raises.
            NoFrames: the file holds no packet of video.
        """
        every_s = span_s if every_s is None else every_s
        if not (0 < span_s < np.inf and 0 < every_s < np.inf):
            raise ValueError(f"clips need a length and a distance above 0, not {span_s} and {every_s}")
        if not 0 <= start_s < np.inf:
            raise ValueError(f"clips start at 0 s or later, not at {start_s}")
        self._source = open_video(path, limits=limits)
        try:
            self._budget = Budget(self._source.path, limits)
            self._plan = plan_pass(self._source, start_s=start_s, end_s=np.inf, budget=self._budget)
            if not len(self._plan.times_s):
                raise NoFrames(f"{display_path(self._source.path)} holds no frames; was the upload complete?")
        except BaseException:
            self.close()
            raise
        steps_s = np.diff(self._plan.times_s)
        self._frame_s = float(np.median(steps_s)) if len(steps_s) else 1 / float(self._source.nominal_fps)
        self._span_s = span_s
        self._is_whole = start_s == 0
        self.end_s = self._plan.end_s
        if self.end_s <= self._plan.times_s[-1]:  # the file does not say how long its frames last
            self.end_s = float(self._plan.times_s[-1]) + self._frame_s
        if starts is None:
            starts = partial(_starts_s, span_s=span_s, every_s=every_s)
        self._starts_s = [s for s in starts(self._plan.times_s, self.end_s).tolist() if s >= start_s]
        self._picks = [select(s).pick(self._plan.times_s) for s in self._starts_s]
        self._decoding = DecodePass(self._source, plan=self._plan, budget=self._budget, strict=False)
        self._convert = RgbConverter()
        self._seen_s: list[float] = []  # times of the frames that came by
        self._reached_s = 0.0  # the last wanted time for which a frame came
        self.warnings: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._source.close()

    def __len__(self) -> int:
        """How many clips there are, if the whole video decodes."""
        return len(self._starts_s)

    def __iter__(self) -> Iterator[Clip]:
        """Yield the clips in order of time.

        Raises:
            CorruptVideo, LimitExceeded: as `read_frames`.
        """
        if not self._picks:
            return
        wanted = np.unique(np.concatenate(self._picks))  # of the planned frames
        target_s = self._plan.times_s[wanted].tolist()
        held: dict[int, tuple[float, Rgb]] = {}  # of each wanted frame that a clip still needs
        last = None
        number = 0
        for index, (time_s, frame) in zip(
            wanted.tolist(), nearest_frames(self._decoding, target_s, seen_s=self._seen_s), strict=False
        ):
            picture = held[max(held)][1] if frame is last and held else self._convert(frame)
            last = frame
            self._reached_s = self._plan.times_s[index]
            held[index] = (time_s, picture)
            while number < len(self._picks) and self._picks[number].max() <= index:
                clip = self._clip(number, held)
                if clip is not None:
                    yield clip
                del clip  # or it would be held while the next one is decoded
                number += 1
                needed_from = self._picks[number].min() if number < len(self._picks) else np.inf
                held = {i: picture for i, picture in held.items() if i >= needed_from}
        if not self._decoding.decoded and self._is_whole:
            raise CorruptVideo(
                f"{display_path(self._source.path)} is damaged: none of its frames decodes; send it again",
                frames_decoded=0,
            )
        self._reached_s = target_s[-1]
        self.warnings = self.warnings_until(self._reached_s)

    def warnings_until(self, time_s: float) -> list[str]:
        """What there is to say of the part before a time, as far as it was read. For use midway."""
        seen_s = np.asarray(self._seen_s)
        report = DamageReport(self._source)
        report.resized, report.recoloured = self._convert.resized, self._convert.recoloured
        last_s = min(time_s, self._reached_s)
        report.add_planned(self._plan, self._decoding, seen_s=seen_s, last_s=last_s)
        return report.warnings()

    def _clip(self, number: int, held: dict[int, tuple[float, Rgb]]) -> Clip | None:
        """One clip of frames that are held; None: they all stand in for others that did not decode."""
        picks: Indices = self._picks[number]
        got_s = np.asarray([held[i][0] for i in picks.tolist()])
        is_there = np.abs(got_s - self._plan.times_s[picks]) <= _NEAR_FRAMES * self._frame_s
        if not is_there.any():
            return None
        start_s = self._starts_s[number]
        end_s = min(start_s + self._span_s, self.end_s)
        if not is_there[-1]:
            end_s = min(end_s, float(got_s[-1]) + self._frame_s)
        return Clip(start_s, end_s, np.stack([held[i][1] for i in picks.tolist()]))


def _starts_s(times_s: Times, end_s: float, *, span_s: float, every_s: float) -> Times:
    """Starts of the clips that hold a frame; counted from the frames, since a file may claim any length."""
    last = max(math.ceil((end_s - TIME_TOLERANCE_S - span_s) / every_s), 0)
    newest = np.floor((times_s + TIME_TOLERANCE_S) / every_s)  # of the clips that begin before a frame
    overlapping = math.ceil(span_s / every_s)
    numbers = np.unique(np.concatenate([newest - i for i in range(overlapping)]))
    starts_s = numbers[(numbers >= 0) & (numbers <= last)] * every_s
    ends_s = starts_s + span_s
    frames = np.searchsorted(times_s, ends_s - TIME_TOLERANCE_S)
    frames -= np.searchsorted(times_s, starts_s - TIME_TOLERANCE_S)
    found: Times = starts_s[frames > 0]
    return found if len(found) else np.zeros(1)
