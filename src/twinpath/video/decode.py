"""Frames of a video as RGB arrays: chosen by time (`read_frames`), or all of them one by one (`FrameStream`).

    views = [EvenSpan(start_s, span_s, num_frames=32) for start_s, span_s in view_spans(...)]
    decoded = read_frames("archery.mp4", views)
    decoded.clip(0)             # (32, H, W, 3) uint8
    decoded.warnings            # ["decoded 24 of 50 frames: …"], empty for a sound file

Times are seconds since the first picture. Pictures are as displayed: turned upright, in pixels of that size.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
from av.video.frame import VideoFrame

from twinpath.errors import CorruptVideo, NoFrames, UsageError
from twinpath.paths import display_path
from twinpath.video.color import Rgb, RgbConverter
from twinpath.video.damage import DamageReport
from twinpath.video.decode_pass import DecodePass
from twinpath.video.decode_plan import LATE_S, Plan, check_bytes, nearest_frames, plan_pass
from twinpath.video.sampling import TIME_TOLERANCE_S, Indices, Times, frame_indices, on_screen_indices
from twinpath.video.source import DEFAULT_LIMITS, Budget, Limits, VideoSource, open_video

#: What can turn packets into frames. PyAV reads everything; see `torchcodec_decoder` for the other one.
DECODERS = ("pyav", "torchcodec")

Allocate = Callable[[tuple[int, ...]], Rgb]  # given (U, H, W, 3), an array of bytes for the frames


@dataclass(frozen=True)
class EvenSpan:
    """T frames evenly over the frames with start_s <= time < start_s + span_s: one clip of a classifier."""

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
        return frame_indices(times_s, start_s=self.start_s, span_s=self.span_s, num_frames=self.num_frames)


@dataclass(frozen=True)
class AtTimes:
    """The frames on screen at some times in seconds, in any order: keyframes, AVA clips, exact views."""

    times_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.times_s or not np.isfinite(self.times_s).all():
            raise ValueError("AtTimes needs at least one time, and only finite ones")

    @property
    def start_s(self) -> float:
        return min(self.times_s)

    @property
    def end_s(self) -> float:
        return max(self.times_s) + 2 * TIME_TOLERANCE_S

    def pick(self, times_s: Times) -> Indices:
        return on_screen_indices(times_s, self.times_s)


Selection = EvenSpan | AtTimes


@dataclass(frozen=True, eq=False)
class DecodedFrames:
    """What `read_frames` returns. A frame that several selections share is held once."""

    frames: Rgb  # (U, H, W, 3) uint8 RGB, in order of time
    times_s: Times  # (U,) presentation times in seconds since the first picture
    picks: list[Indices]  # for each selection, (T,) indices into `frames`
    frames_decoded: int  # wanted or not; decoding stops at the last wanted frame
    warnings: list[str]  # one line each, for the user; empty for a sound file

    def clip(self, selection: int = 0) -> Rgb:
        """(T, H, W, 3) uint8: the frames of one selection, repeated where the video is too short."""
        picks = self.picks[selection]
        if len(picks) == len(self.frames) and np.array_equal(picks, np.arange(len(picks))):
            return self.frames
        return self.frames[picks]

    def clip_times_s(self, selection: int = 0) -> Times:
        """(T,) presentation times of one selection's frames, in seconds."""
        return self.times_s[self.picks[selection]]


@dataclass(eq=False)
class _Group:
    """Selections near enough in time to be decoded in one pass."""

    members: list[int]
    start_s: float
    end_s: float
    plan: Plan | None = None
    target_s: list[float] = field(default_factory=list)  # times of the wanted frames, sorted
    slots: list[int] = field(default_factory=list)  # for each target, where its frame went


def read_frames(
    path: str | os.PathLike[str],
    selections: Sequence[Selection],
    *,
    strict: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    decoder: str | None = None,
    allocate: Allocate | None = None,
) -> DecodedFrames:
    """Decode the frames of one or more selections, each frame once, in one pass where they lie close.

    Args:
        path: A file's name, never a URL.
        selections: What is wanted; at least one.
        strict: Raise at the first sign of damage (training). Otherwise decode what decodes and warn.
        limits: What it may cost.
        decoder: One of `DECODERS`; None: what TWINPATH_DECODER says, else PyAV. What torchcodec does not read
            as PyAV does, PyAV reads, with a warning; and all of it if strict: torchcodec is silent on damage.
        allocate: Makes the array for the frames that PyAV reads, for a caller who wants them in a place of
            his own; None: ordinary memory.
    Raises:
        UsageError: There is no such decoder; MissingExtra: it is not installed here.
        InputError: everything that `open_video` raises.
        NoFrames: the file holds no packet of video.
        CorruptVideo: there are packets but none decodes (`frames_decoded` is 0); or, strict, any damage in
            the part that was read. What lies behind the last wanted frame is not looked at.
        LimitExceeded: too many frames to decode, too much memory to return them, or too slow.
    """
    if not selections:
        raise ValueError("read_frames needs at least one selection")
    by_torchcodec = _decoder(decoder) == "torchcodec"
    with open_video(path, limits=limits) as source:
        budget = Budget(source.path, limits)
        groups = _plan_groups(source, selections, budget)
        warnings = []
        if by_torchcodec and not strict:
            decoded = _read_by_torchcodec(source, groups, selections, budget)
            if isinstance(decoded, DecodedFrames):
                return decoded
            warnings = [f"torchcodec does not read this file as PyAV does ({decoded}): PyAV read it"]
        reader = _GroupReader(
            source,
            budget,
            strict=strict,
            wanted=sum(len(group.target_s) for group in groups),
            allocate=allocate or _allocate,
        )
        for group in groups:
            reader.read(group)
        result = reader.result(groups, selections)
        result.warnings.extend(warnings)
        return result


def _decoder(wished: str | None) -> str:
    """Raises: UsageError: no such decoder, or none here."""
    name = wished or os.environ.get("TWINPATH_DECODER") or DECODERS[0]
    if name not in DECODERS:
        raise UsageError(f"there is no decoder {name!r}; TWINPATH_DECODER takes {' or '.join(DECODERS)}")
    if name == "torchcodec":
        from twinpath.video import torchcodec_decoder

        torchcodec_decoder.load()
    return name


def _allocate(shape: tuple[int, ...]) -> Rgb:
    return np.empty(shape, dtype=np.uint8)


def _read_by_torchcodec(
    source: VideoSource, groups: list[_Group], selections: Sequence[Selection], budget: Budget
) -> DecodedFrames | str:
    """The frames, or why torchcodec does not give them."""
    from twinpath.video.torchcodec_decoder import Unreadable, frames_at

    target_s = [time_s for group in groups for time_s in group.target_s]
    try:
        frames = frames_at(source, target_s, budget=budget)
    except Unreadable as why:
        return str(why)
    report = DamageReport(source)
    first = 0
    for group in groups:
        assert group.plan is not None
        group.slots = list(range(first, first + len(group.target_s)))
        first += len(group.target_s)
        # It raises where a frame is missing, so all that were planned up to the last wanted one are there.
        unread = DecodePass(source, plan=group.plan, budget=budget, strict=False)
        report.add_planned(group.plan, unread, seen_s=group.plan.times_s, last_s=group.target_s[-1])
    return DecodedFrames(
        frames=frames,
        times_s=np.asarray(target_s, dtype=np.float64),
        picks=_picks(groups, selections),
        frames_decoded=len(frames),
        warnings=report.warnings(),
    )


def _picks(groups: list[_Group], selections: Sequence[Selection]) -> list[Indices]:
    """For each selection the slots of its frames."""
    picks: dict[int, Indices] = {}
    for group in groups:
        assert group.plan is not None
        times_s = group.plan.times_s
        slots = np.asarray(group.slots, dtype=np.int64)
        for number in group.members:
            wanted_s = times_s[selections[number].pick(times_s)]
            picks[number] = slots[np.searchsorted(group.target_s, wanted_s)]
    return [picks[number] for number in range(len(selections))]


def _plan_groups(source: VideoSource, selections: Sequence[Selection], budget: Budget) -> list[_Group]:
    groups: list[_Group] = []
    for number in sorted(range(len(selections)), key=lambda i: selections[i].start_s):
        selection = selections[number]
        if groups and selection.start_s <= groups[-1].end_s + LATE_S:
            groups[-1].members.append(number)
            groups[-1].end_s = max(groups[-1].end_s, selection.end_s)
        else:
            groups.append(_Group([number], selection.start_s, selection.end_s))
    for group in groups:
        group.plan = plan_pass(source, start_s=group.start_s, end_s=group.end_s, budget=budget)
        times_s = group.plan.times_s
        if not len(times_s):
            raise NoFrames(f"{display_path(source.path)} holds no frames; was the upload complete?")
        wanted = np.unique(np.concatenate([selections[i].pick(times_s) for i in group.members]))
        group.target_s = times_s[wanted].tolist()
    return groups


class _GroupReader:
    """Fills one array with the frames of all groups, and remembers what went wrong."""

    def __init__(
        self, source: VideoSource, budget: Budget, *, strict: bool, wanted: int, allocate: Allocate
    ) -> None:
        self._source = source
        self._budget = budget
        self._strict = strict
        self._wanted = wanted
        self._allocate = allocate
        self._convert = RgbConverter()
        self._frames: Rgb | None = None
        self._times: list[float] = []
        self._decoded = 0
        self._report = DamageReport(source)

    def read(self, group: _Group) -> None:
        """Take the frame nearest to each target as frames come by; stop after the last."""
        assert group.plan is not None
        plan = group.plan
        if not self._pass(group, plan) and not plan.from_start:
            # Nothing from that keyframe on: what there is before the damage is better than nothing.
            plan = plan_pass(self._source, start_s=0.0, end_s=group.end_s, budget=self._budget)
            self._pass(group, plan)
        missing_targets = len(group.target_s) - len(group.slots)
        group.slots += [max(len(self._times) - 1, 0)] * missing_targets

    def _pass(self, group: _Group, plan: Plan) -> bool:
        """Whether anything was decoded."""
        decoding = DecodePass(self._source, plan=plan, budget=self._budget, strict=self._strict)
        seen: list[float] = []
        taken = None  # the frame in the last slot
        for time_s, frame in nearest_frames(decoding, group.target_s, seen_s=seen):
            if taken is not frame:
                taken = self._take(time_s, frame)
            group.slots.append(len(self._times) - 1)
        self._decoded += decoding.decoded
        if taken is None and not plan.from_start:
            return False
        self._report.add_planned(plan, decoding, seen_s=np.asarray(seen), last_s=group.target_s[-1])
        return taken is not None

    def _take(self, time_s: float, frame: VideoFrame) -> VideoFrame:
        if self._frames is None:
            shape = (self._wanted, *self._convert.shape(frame))
            check_bytes(shape, budget=self._budget)
            self._frames = self._allocate(shape)
        self._frames[len(self._times)] = self._convert(frame)
        self._times.append(time_s)
        return frame

    def result(self, groups: list[_Group], selections: Sequence[Selection]) -> DecodedFrames:
        if self._frames is None:
            raise CorruptVideo(
                f"{display_path(self._source.path)} is damaged: none of its frames decodes; send it again",
                frames_decoded=0,
            )
        self._report.resized = self._convert.resized
        self._report.recoloured = self._convert.recoloured
        self._report.raise_if_strict(self._strict, frames_decoded=self._decoded)
        return DecodedFrames(
            frames=self._frames[: len(self._times)],
            times_s=np.asarray(self._times, dtype=np.float64),
            picks=_picks(groups, selections),
            frames_decoded=self._decoded,
            warnings=self._report.warnings(),
        )


class FrameStream:
    """Every frame of a video, one at a time, in constant memory. Iterate once.

        with FrameStream("archery.mp4") as stream:
            for time_s, frame in stream:    # frame: (H, W, 3) uint8 RGB
                ...
            print(stream.warnings)          # complete after the last frame

    Attributes:
        fps: The frame rate that the file claims, or 25.
        frames_decoded: How many frames came so far.
        warnings: One line each, filled when the iteration reaches the end.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, strict: bool = False, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        """Open the file. `limits.max_seconds` includes what the caller does between two frames.

        Raises:
            InputError, LimitExceeded: everything that `open_video` raises.
        """
        self._source = open_video(path, limits=limits)
        self._strict = strict
        self._budget = Budget(self._source.path, limits)
        self.fps = float(self._source.nominal_fps)
        self.frames_decoded = 0
        self.warnings: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._source.close()

    def __iter__(self) -> Iterator[tuple[float, Rgb]]:
        """Yield (time in seconds, (H, W, 3) uint8 RGB).

        Raises:
            NoFrames, CorruptVideo, LimitExceeded: as `read_frames`; strict damage may show only at the end.
        """
        decoding = DecodePass(self._source, plan=None, budget=self._budget, strict=self._strict)
        convert = RgbConverter()
        first_s = None
        for time_s, frame in decoding:
            first_s = time_s if first_s is None else first_s
            self.frames_decoded += 1
            yield time_s, convert(frame)
        name = display_path(self._source.path)
        if not decoding.decoded and not decoding.packets:
            raise NoFrames(f"{name} holds no frames; was the upload complete?")
        if not decoding.decoded:
            raise CorruptVideo(
                f"{name} is damaged: none of its frames decodes; send it again", frames_decoded=0
            )
        report = DamageReport(self._source)
        report.resized = convert.resized
        report.recoloured = convert.recoloured
        report.add_whole(decoding, first_s=first_s, ends_at_s=decoding.ends_at_s)
        self.warnings = report.warnings()
        report.raise_if_strict(self._strict, frames_decoded=decoding.decoded)
