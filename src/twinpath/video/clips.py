"""Iterate over the clips of a plan with a few clips in memory at a time.

with open_clips("match.mp4", Windows(ClipSampling(32, 2), every_s=1.0)) as clips:
    for clip in clips:
        clip.start_s, clip.end_s, clip.frames    # (32, H, W, 3) uint8
    clips.warnings                               # complete after the last clip

With a `resize` the frames are `ResizedFrames`, made small as soon as they are decoded: memory does not depend
on the size of the pictures. Plans are in `clip_plan.py`. Each frame is decoded once, even if clips overlap.
With `isolate` a sandboxed process reads the file, see `twinpath.video.isolated`; the clips are the same.
"""

from __future__ import annotations

import os
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from av.video.frame import VideoFrame

from twinpath.errors import LimitExceeded
from twinpath.paths import display_path
from twinpath.video.clip_assembler import Assembled, ClipAssembler
from twinpath.video.clip_plan import ClipPlan, PlannedClip, Selections, plan_grid, plan_selections
from twinpath.video.closing import ClosesAtExit
from twinpath.video.color import Rgb
from twinpath.video.damage import DamageReport, no_frames, nothing_decodes
from twinpath.video.decode import Allocate, plan_groups
from twinpath.video.decode_plan import Plan, plan_pass
from twinpath.video.frame_converter import FrameConverter, Reduction
from twinpath.video.nearest_frames import NearestFrames
from twinpath.video.resize import Resize, ResizedFrames
from twinpath.video.sampling import TIME_TOLERANCE_S, Times
from twinpath.video.source import DEFAULT_LIMITS, Limits, VideoSource, open_video

Frames = Rgb | ResizedFrames

_NEAR_FRAMES = 0.75  # a frame further than this from its target time replaces one that was lost
_FEW = 4  # warn of a clip at the end of the video that has 1/4 of its frames or fewer


@dataclass(frozen=True, eq=False)
class Clip:
    """The frames of one clip.

    Attributes:
        start_s, end_s: The time that the clip stands for, in seconds since the first frame of the video; at
            most the end of the video.
        frames: (T, H, W, 3) uint8 RGB, or with a `resize` as a network takes them; frames are repeated where
            the video has none.
        times_s: (T,) presentation times of the frames in seconds.
        number: Index among the clips of the plan, from 0.
        middle: (H, W, 3) uint8 RGB, the picture of frame T // 2, where the `resize` keeps it.
    """

    start_s: float
    end_s: float
    frames: Frames
    times_s: Times
    number: int
    middle: Rgb | None = None

    @property
    def nbytes(self) -> int:
        """Size of all pixels in memory."""
        return self.frames.nbytes + (0 if self.middle is None else self.middle.nbytes)


def whole_frames(clip: Clip) -> Rgb:
    """(T, H, W, 3) uint8: the frames of a clip that was read without a resize."""
    assert not isinstance(clip.frames, ResizedFrames)
    return clip.frames


class ClipSource(Protocol):
    """An open video that yields the clips of a plan. Use it in a `with` block and iterate once.

    All clips of `Selections` are yielded, in the order of the plan. Clips of `Windows` and `Keyframes` are
    yielded in order of time; those without a decoded frame are skipped.

    Attributes:
        end_s: End of the video in seconds, by the packets that were read.
        first_frame_s: When a player shows the first frame, in seconds on its clock.
        warnings: One line each, for the user; complete after the last clip.
    """

    end_s: float
    first_frame_s: float
    warnings: list[str]

    def __enter__(self) -> Self: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __len__(self) -> int:
        """Number of clips if the whole video decodes."""

    def __iter__(self) -> Iterator[Clip]:
        """Yield the clips.

        Raises:
            CorruptVideo: There are packets but none decodes.
            LimitExceeded: A limit is reached. `max_seconds` includes the time that the caller spends between
                clips.
            WorkerDied: With `isolate`: the process that read the file ended twice.
        """

    def warnings_until(self, time_s: float) -> list[str]:
        """The warnings about the frames read so far, up to a time in seconds. For partial results."""

    def close(self) -> None: ...


def open_clips(
    path: str | os.PathLike[str],
    plan: ClipPlan,
    *,
    limits: Limits = DEFAULT_LIMITS,
    fps: float | None = None,
    isolate: bool = False,
    resize: Resize | None = None,
) -> ClipSource:
    """Open a video and read the timestamps of its frames; nothing is decoded yet.

    Args:
        path: A file name, never a URL.
        plan: Which clips to read.
        limits: Limits on size, frames, memory and time.
        fps: Of folders of pictures and raw streams, see `open_video`.
        isolate: Read in a sandboxed process; see `twinpath.video.isolated`.
        resize: What a network takes of each frame; None: whole frames.
    Raises:
        InputError, LimitExceeded: As `open_video`.
        NoFrames: The file holds no packet of video.
        WorkerDied: With `isolate`: the process that read the file ended twice.
    """
    if isolate:
        from twinpath.video.isolated.sandbox import open_clips_isolated

        return open_clips_isolated(path, plan, limits=limits, fps=fps, resize=resize)
    return ClipReader(path, plan, limits=limits, fps=fps, resize=resize)


@dataclass(frozen=True, eq=False)
class _Part:
    """One part of a file, which is decoded in one pass, and its clips.

    Attributes:
        plan: The part of the file to decode.
        times_s: Times of the frames that the picks of the clips refer to.
        clips: In order of their last frame.
        fallback_end_s: See `NearestFrames`.
    """

    plan: Plan
    times_s: Times
    clips: list[PlannedClip]
    fallback_end_s: float | None = None


class ClipReader(ClosesAtExit):
    """`ClipSource` in this process; see `open_clips`."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        plan: ClipPlan,
        *,
        limits: Limits = DEFAULT_LIMITS,
        fps: float | None = None,
        resize: Reduction | None = None,
        allocate: Allocate | None = None,
        first: int = 0,
    ) -> None:
        """
        Args:
            path, plan, limits, fps: See `open_clips`.
            resize: What is made of each frame, a `Resize` or another reduction; None: whole frames.
            allocate: Returns a uint8 array of some shape for a clip; None: ordinary memory.
            first: Skip the clips before this number. It does not change the others.
        """
        self._source = open_video(path, limits=limits, fps=fps)
        self.first_frame_s = self._source.first_frame_s
        self._keeps_all = isinstance(plan, Selections)
        self._decodes_start = first == 0 and getattr(plan, "start_s", 0.0) == 0
        self._convert = FrameConverter(resize)
        self._assembler = ClipAssembler(self._source.budget, self._convert, allocate or _allocate)
        self._undecoded: list[_Part] = []  # parts before the first decoded frame
        self._finished: list[tuple[NearestFrames, float]] = []  # passes, and the last target time of each
        self._current: NearestFrames | None = None
        self._reached_s = 0.0  # last target time for which a frame was decoded
        self._short: dict[str, None] = {}  # warnings about clips of few frames, in order
        self.warnings: list[str] = []
        try:
            with self._source.budget.memory_errors():
                self._parts, self.end_s, self._frame_s = self._plan(plan, first)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._source.close()

    def __len__(self) -> int:
        return sum(len(part.clips) for part in self._parts)

    def __iter__(self) -> Iterator[Clip]:
        clips = chain.from_iterable(map(self._clips, self._parts))  # holds no clip while it makes the next
        yield from self._in_order(clips) if self._keeps_all else clips
        is_from_start = self._keeps_all or self._decodes_start
        if not self._source.budget.frames and is_from_start and self._parts:
            raise nothing_decodes(self._source.path)
        self._reached_s = max((last_s for _, last_s in self._finished), default=0.0)
        self.warnings = self.warnings_until(self._reached_s)

    def _in_order(self, clips: Iterator[Clip]) -> Iterator[Clip]:
        """The same clips in the order of the plan."""
        next_number = min((clip.number for part in self._parts for clip in part.clips), default=0)
        early: list[Clip] = []  # by number: complete, but clips before them in the plan are not
        for clip in clips:
            insort(early, clip, key=lambda clip: clip.number)
            del clip  # free it before the next one is decoded
            while early and early[0].number == next_number:
                next_number += 1
                yield early.pop(0)
            self._assembler.waiting_bytes = sum(clip.nbytes for clip in early)

    def warnings_until(self, time_s: float) -> list[str]:
        report = DamageReport(self._source)
        report.add_conversion(self._convert.rgb)
        for frames, last_s in self._finished:
            frames.add_to(report, last_s=min(time_s, last_s, self._reached_s))
        if self._current is not None:
            self._current.add_to(report, last_s=min(time_s, self._reached_s))
        return [*report.warnings(), *self._short]

    def _plan(self, plan: ClipPlan, first: int) -> tuple[list[_Part], float, float]:
        """The passes, the end of the video and the length of a frame, both in seconds."""
        source = self._source
        if isinstance(plan, Selections):
            numbers = range(first, len(plan.selections))
            groups = plan_groups(source, [plan.selections[i] for i in numbers]) if numbers else []
            parts = [
                _Part(
                    group.plan,
                    group.plan.times_s,
                    plan_selections(plan.selections, [numbers[i] for i in group.members], group.plan.times_s),
                    group.end_s,
                )
                for group in groups
            ]
            ends_s = [_end(part.plan, _frame_s(part.plan.times_s, source)) for part in parts]
            return parts, max(ends_s, default=0.0), 0.0
        whole = plan_pass(source)
        if not len(whole.times_s):
            raise no_frames(source.path)
        frame_s = _frame_s(whole.times_s, source)
        end_s = _end(whole, frame_s)
        try:
            clips = plan_grid(plan, whole.times_s, end_s)[first:]
        except LimitExceeded as error:
            raise LimitExceeded(f"{display_path(source.path)}: {error}") from error
        parts = [_Part(self._plan_rest(whole, clips), whole.times_s, clips)] if clips else []
        return parts, end_s, frame_s

    def _plan_rest(self, whole: Plan, clips: list[PlannedClip]) -> Plan:
        """The plan that starts at the keyframe before the first frame of the clips."""
        first = min(int(clip.picks.min()) for clip in clips)
        if first == 0:
            return whole
        rest = plan_pass(self._source, start_s=float(whole.times_s[first]))
        tail = whole.times_s[len(whole.times_s) - len(rest.times_s) :]
        return rest if np.array_equal(rest.times_s, tail) else whole  # times disagree: decode from the start

    def _clips(self, part: _Part) -> Iterator[Clip]:
        """The clips of one pass."""
        targets = np.unique(np.concatenate([clip.picks for clip in part.clips]))
        target_s = part.times_s[targets].tolist()
        frames = self._current = NearestFrames(
            self._source, part.plan, target_s, fallback_end_s=part.fallback_end_s
        )
        self._assembler.start(part.clips, targets)
        for index, (time_s, frame) in enumerate(frames):
            with self._source.budget.memory_errors():
                self._add(index, time_s, frame)
            self._reached_s = max(self._reached_s, target_s[index])
            yield from self._complete(part)
        self._finished.append((frames, target_s[-1]))
        self._current = None
        if not self._keeps_all:
            return
        if not frames.decoded_s:
            self._undecoded.append(part)
        if self._assembler.has_frames:
            for undecoded in self._undecoded:
                yield from self._repeat(undecoded)
            self._undecoded.clear()

    def _add(self, index: int, time_s: float, frame: VideoFrame) -> None:
        """Add the frame for a target; see `ClipAssembler.add`."""
        try:
            self._convert.shape(frame)
        except LimitExceeded as error:  # pictures that no network takes
            raise LimitExceeded(f"{display_path(self._source.path)}: {error}") from error
        self._assembler.add(index, time_s, frame)

    def _repeat(self, part: _Part) -> Iterator[Clip]:
        """The clips of a part without a decoded frame: each repeats a frame of another part."""
        targets = np.unique(np.concatenate([clip.picks for clip in part.clips]))
        self._assembler.start(part.clips, targets)
        for index in range(len(targets)):
            with self._source.budget.memory_errors():
                self._assembler.repeat(index)
            yield from self._complete(part)

    def _complete(self, part: _Part) -> Iterator[Clip]:
        """The clips that are complete now."""
        while True:
            with self._source.budget.memory_errors():
                assembled = self._assembler.take()
            if assembled is None:
                return
            clip = self._clip(part, assembled)
            if clip is None:
                self._assembler.reuse(assembled.pixels)
                continue
            self._note_few(part, assembled.planned)
            del assembled
            yield clip
            del clip  # free it before the next one is decoded

    def _clip(self, part: _Part, assembled: Assembled) -> Clip | None:
        """The clip; None if none of its own frames decoded."""
        planned, decoded_s = assembled.planned, assembled.times_s
        end_s = min(planned.end_s, self.end_s)
        if not self._keeps_all:
            is_near = np.abs(decoded_s - part.times_s[planned.picks]) <= _NEAR_FRAMES * self._frame_s
            if not is_near.any():
                return None
            if not is_near[-1]:
                end_s = min(end_s, float(decoded_s[-1]) + self._frame_s)
        frames: Frames = assembled.pixels
        if self._convert.resize is not None:
            frames = ResizedFrames(assembled.pixels, *self._convert.rgb.size_px)
        return Clip(planned.start_s, end_s, frames, decoded_s, planned.number, assembled.middle)

    def _note_few(self, part: _Part, planned: PlannedClip) -> None:
        """Warn if the end of the video leaves a clip with few different frames.

        The first clip of a short video holds all of it and needs no warning.
        """
        held, num_frames = planned.num_distinct, len(planned.picks)
        is_cut = part.plan.reached_end and planned.last_s > self.end_s + TIME_TOLERANCE_S
        # In a slow video every clip holds few different frames.
        whole_s = planned.last_s - float(part.times_s[planned.picks.min()])
        whole = min(num_frames, round(whole_s / _frame_s(part.times_s, self._source)))
        if is_cut and planned.start_s > TIME_TOLERANCE_S and held * _FEW <= whole:
            self._short[
                f"the clip at {planned.start_s:.2f} s holds {held} of {num_frames} frames: "
                f"the video ends at {self.end_s:.2f} s"
            ] = None


def _allocate(shape: tuple[int, ...]) -> Rgb:
    return np.empty(shape, dtype=np.uint8)


def _frame_s(times_s: Times, source: VideoSource) -> float:
    """Duration of a frame in seconds: the median distance of different times; without any 1 / frame rate.

    Many frames have one time in damaged files, and where the container's ticks are longer than a frame.
    """
    steps_s = np.diff(times_s)
    steps_s = steps_s[steps_s > 0]
    return float(np.median(steps_s)) if len(steps_s) else 1 / float(source.nominal_fps)


def _end(plan: Plan, frame_s: float) -> float:
    """End of the last frame of a plan in seconds; some files store no frame durations."""
    last_s = float(plan.times_s[-1])
    return plan.end_s if plan.end_s > last_s else last_s + frame_s
