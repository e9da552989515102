"""Frames of a video as RGB arrays: selected by time (`read_frames`), or all of them (`FrameStream`).

    views = [EvenSpan(start_s, span_s, num_frames=32) for start_s, span_s in view_spans(...)]
    decoded = read_frames("archery.mp4", views)
    decoded.clip(0)             # (32, H, W, 3) uint8
    decoded.warnings            # ["decoded 24 of 50 frames: …"], empty for an undamaged file

Times are seconds since the first frame. Frames are as displayed: rotated upright, in displayed pixels.
To iterate over the clips of a whole video, or to read in another process, use `clips.open_clips`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from twinpath.video.closing import ClosesAtExit
from twinpath.video.color import Rgb, RgbConverter
from twinpath.video.damage import DamageReport, check_decoded, no_frames, nothing_decodes
from twinpath.video.decode_pass import DecodePass
from twinpath.video.decode_plan import LATE_S, Plan, plan_pass
from twinpath.video.nearest_frames import NearestFrames
from twinpath.video.sampling import Indices, Times
from twinpath.video.selection import AtTimes, EvenSpan, Selection
from twinpath.video.source import DEFAULT_LIMITS, Limits, VideoSource, open_video

__all__ = [
    "Allocate",
    "AtTimes",
    "DecodedFrames",
    "EvenSpan",
    "FrameStream",
    "Selection",
    "read_frames",
]

Allocate = Callable[[tuple[int, ...]], Rgb]  # given (N, H, W, 3), a uint8 array for the frames


@dataclass(frozen=True, eq=False)
class DecodedFrames:
    """The result of `read_frames`. A frame that several selections share is stored once."""

    frames: Rgb  # (U, H, W, 3) uint8 RGB, in order of time
    times_s: Times  # (U,) presentation times in seconds since the first frame
    picks: list[Indices]  # for each selection, (T,) indices into `frames`
    frames_decoded: int  # selected or not; decoding stops at the last selected frame
    warnings: list[str]  # one line each, for the user; empty for an undamaged file

    def clip(self, selection: int = 0) -> Rgb:
        """(T, H, W, 3) uint8: the frames of one selection, repeated where the video is too short."""
        picks = self.picks[selection]
        if len(picks) == len(self.frames) and np.array_equal(picks, np.arange(len(picks))):
            return self.frames
        return self.frames[picks]

    def clip_times_s(self, selection: int = 0) -> Times:
        """(T,) presentation times of one selection's frames, in seconds."""
        return self.times_s[self.picks[selection]]


@dataclass(frozen=True, eq=False)
class SelectionGroup:
    """Selections near enough in time to be decoded in one pass.

    Attributes:
        members: Indices of the selections.
        end_s: The latest end of a selection in seconds.
        plan: The part of the file to decode.
        target_s: Times of the selected frames in seconds, increasing.
    """

    members: list[int]
    end_s: float
    plan: Plan
    target_s: list[float]


def plan_groups(source: VideoSource, selections: Sequence[Selection]) -> list[SelectionGroup]:
    """Join selections that lie close, in order of time, and plan each group.

    Raises:
        NoFrames: The file holds no packet of video.
        LimitExceeded: See `plan_pass`.
    """
    spans: list[tuple[list[int], float, float]] = []  # members, start, end
    for number in sorted(range(len(selections)), key=lambda i: selections[i].start_s):
        selection = selections[number]
        if spans and selection.start_s <= spans[-1][2] + LATE_S:
            members, start_s, end_s = spans[-1]
            spans[-1] = ([*members, number], start_s, max(end_s, selection.end_s))
        else:
            spans.append(([number], selection.start_s, selection.end_s))
    groups = []
    for members, start_s, end_s in spans:
        plan = plan_pass(source, start_s=start_s, end_s=end_s)
        if not len(plan.times_s):
            raise no_frames(source.path)
        picks = np.unique(np.concatenate([selections[i].pick(plan.times_s) for i in members]))
        groups.append(SelectionGroup(members, end_s, plan, plan.times_s[picks].tolist()))
    return groups


def read_frames(
    path: str | os.PathLike[str],
    selections: Sequence[Selection],
    *,
    strict: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    fps: float | None = None,
    allocate: Allocate | None = None,
) -> DecodedFrames:
    """Decode the frames of one or more selections, each frame once, in one pass where they lie close.

    Args:
        path: A file name, never a URL.
        selections: Which frames to return; at least one selection.
        strict: Raise on any damage (training). False: decode as many frames as possible and warn.
        limits: Limits on size, frames, memory and time. `max_bytes` bounds all frames together, and the
            largest clip.
        fps: Of folders of pictures and raw streams, see `open_video`.
        allocate: Returns the uint8 array for the frames, for example in shared memory; None: ordinary memory.
    Raises:
        InputError: As `open_video`.
        NoFrames: The file holds no packet of video.
        CorruptVideo: There are packets but none decodes (`frames_decoded` is 0); with `strict` also any
            damage in the part that was read. Frames behind the last selected one are not checked.
        LimitExceeded: `limits` are exceeded.
    """
    if not selections:
        raise ValueError("read_frames needs at least one selection")
    with open_video(path, limits=limits, fps=fps) as source, source.budget.memory_errors():
        groups = plan_groups(source, selections)
        reader = _GroupReader(source, groups, selections, strict=strict, allocate=allocate or _allocate)
        for group in groups:
            reader.read(group)
        return reader.result()


def _allocate(shape: tuple[int, ...]) -> Rgb:
    return np.empty(shape, dtype=np.uint8)


class _GroupReader:
    """Fills one array with the frames of all groups."""

    def __init__(
        self,
        source: VideoSource,
        groups: list[SelectionGroup],
        selections: Sequence[Selection],
        *,
        strict: bool,
        allocate: Allocate,
    ) -> None:
        self._source = source
        self._groups = groups
        self._selections = selections
        self._strict = strict
        self._allocate = allocate
        self._convert = RgbConverter()
        self._frames: Rgb | None = None
        self._times_s: list[float] = []
        self._slots: list[list[int]] = []  # for each group and target, the index of its frame
        self._report = DamageReport(source)

    def read(self, group: SelectionGroup) -> None:
        """Decode the frames of a group, the one nearest to each target."""
        frames = NearestFrames(
            self._source,
            group.plan,
            group.target_s,
            strict=self._strict,
            fallback_end_s=group.end_s,
        )
        slots: list[int] = []
        last = None  # the frame in the last slot
        for time_s, frame in frames:
            if frame is not last:
                self._take(time_s, frame)
                last = frame
            slots.append(len(self._times_s) - 1)
        frames.add_to(self._report, last_s=group.target_s[-1])
        num_missing = len(group.target_s) - len(slots)
        self._slots.append(slots + [max(len(self._times_s) - 1, 0)] * num_missing)

    def _take(self, time_s: float, frame: VideoFrame) -> None:
        if self._frames is None:
            self._frames = self._new_array(frame)
        self._frames[len(self._times_s)] = self._convert(frame)
        self._times_s.append(time_s)

    def _new_array(self, frame: VideoFrame) -> Rgb:
        height, width, channels = self._convert.shape(frame)
        count = sum(len(group.target_s) for group in self._groups)
        largest = max(count, *(selection.num_frames for selection in self._selections))
        self._source.budget.check_bytes(
            math.prod((largest, height, width, channels)), what=f"{largest} frames of {width}x{height}"
        )
        return self._allocate((count, height, width, channels))

    def result(self) -> DecodedFrames:
        if self._frames is None:
            raise nothing_decodes(self._source.path)
        frames_decoded = self._source.budget.frames
        self._report.add_conversion(self._convert)
        if self._strict:
            self._report.raise_damage(frames_decoded=frames_decoded)
        return DecodedFrames(
            frames=self._frames[: len(self._times_s)],
            times_s=np.asarray(self._times_s, dtype=np.float64),
            picks=self._picks(),
            frames_decoded=frames_decoded,
            warnings=self._report.warnings(),
        )

    def _picks(self) -> list[Indices]:
        """For each selection the slots of its frames."""
        picks: dict[int, Indices] = {}
        for group, slots in zip(self._groups, self._slots, strict=True):
            slot_of_target = np.asarray(slots, dtype=np.int64)
            times_s = group.plan.times_s
            for number in group.members:
                picked_s = times_s[self._selections[number].pick(times_s)]
                picks[number] = slot_of_target[np.searchsorted(group.target_s, picked_s)]
        return [picks[number] for number in range(len(self._selections))]


class FrameStream(ClosesAtExit):
    """Every frame of a video, one at a time, in constant memory. Iterate once.

        with FrameStream("archery.mp4") as stream:
            for time_s, frame in stream:    # frame: (H, W, 3) uint8 RGB
                ...
            print(stream.warnings)          # complete after the last frame

    Attributes:
        fps: The frame rate in the file's header, or 25.
        frames_decoded: Number of frames decoded so far.
        ends_at_s: End of the last frame in seconds, of an undamaged file after its last frame; else None.
        warnings: One line each; complete after the last frame.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        strict: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        fps: float | None = None,
    ) -> None:
        """Open the file; `fps` as `open_video`.

        `limits.max_seconds` includes the time that the caller spends between frames.

        Raises:
            InputError, LimitExceeded: As `open_video`.
        """
        self._source = open_video(path, limits=limits, fps=fps)
        self._strict = strict
        self.fps = float(self._source.nominal_fps)
        self.frames_decoded = 0
        self.ends_at_s: float | None = None
        self.warnings: list[str] = []

    def close(self) -> None:
        self._source.close()

    def __iter__(self) -> Iterator[tuple[float, Rgb]]:
        """Yield (time in seconds, (H, W, 3) uint8 RGB).

        Raises:
            NoFrames, CorruptVideo, LimitExceeded: As `read_frames`; strict damage may show only at the end.
        """
        decoding = DecodePass(self._source, strict=self._strict)
        convert = RgbConverter()
        first_s = None
        for time_s, frame in decoding:
            first_s = time_s if first_s is None else first_s
            self.frames_decoded += 1
            with self._source.budget.memory_errors():
                picture = convert(frame)
            yield time_s, picture
        check_decoded(decoding, self._source.path)
        report = DamageReport(self._source)
        report.add_conversion(convert)
        report.add_whole(decoding, first_s=first_s, ends_at_s=decoding.ends_at_s)
        self.warnings = report.warnings()
        if not report.damage():
            self.ends_at_s = decoding.ends_at_s
        if self._strict:
            report.raise_damage(frames_decoded=decoding.decoded)
