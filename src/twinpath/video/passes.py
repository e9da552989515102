"""One pass through a file: plan which packets to decode, decode them, turn frames into RGB.

Planning reads packets without decoding them, which is cheap, and yields the presentation times; decoding
then starts at the right keyframe and can stop at the last wanted frame. Packets of broken files lie, so
decoding never relies on the plan: it takes the nearest frame that does come.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from twinpath.errors import CorruptVideo, LimitExceeded
from twinpath.video.clock import Clock
from twinpath.video.sampling import TIME_TOLERANCE_S, Times
from twinpath.video.source import Budget, VideoSource, show

Rgb = npt.NDArray[np.uint8]

LATE_S = 3.0  # a span that starts later than this is worth a seek
_SEEK_MARGINS_S = (0.0, 10.0)  # where the index leads behind the wanted start, try once from further back
_SAME_S = 1e-9  # two times that one clock gave, or another one begun later
_REORDER_PACKETS = 16  # look this far behind the end of a span: the most that H.264 and HEVC reorder


@dataclass(frozen=True, eq=False)
class Plan:
    """Where to start decoding, and the presentation times to expect from there."""

    times_s: Times  # (N,) sorted, from the keyframe at or before the wanted start
    seek_s: float | None  # None: from the beginning of the file
    skip_packets: int  # after the seek
    reached_end: bool  # no packet lies behind the wanted end
    end_s: float  # when the last planned frame leaves the screen
    discarded: int  # packets before them that an edit list hides
    leading: int  # packets before the first keyframe in time but after it in the file: open GOP

    @property
    def from_start(self) -> bool:
        return self.seek_s is None and self.skip_packets == 0


def plan_pass(source: VideoSource, *, start_s: float, end_s: float, budget: Budget) -> Plan:
    """Read packets, without decoding, for what is on screen in [start_s, end_s)."""
    if source.can_seek and start_s > LATE_S:
        for margin_s in _SEEK_MARGINS_S:
            seek_s = max(start_s - margin_s, 0.0)
            if not source.seek(seek_s):
                break
            plan = _plan_from_here(source, start_s=start_s, end_s=end_s, seek_s=seek_s, budget=budget)
            if plan is not None:
                return plan
    source.rewind()
    plan = _plan_from_here(source, start_s=start_s, end_s=end_s, seek_s=None, budget=budget)
    assert plan is not None
    return plan


def _plan_from_here(
    source: VideoSource, *, start_s: float, end_s: float, seek_s: float | None, budget: Budget
) -> Plan | None:
    """None: after a seek there is no keyframe at or before the wanted start."""
    clock = Clock(source)
    times: list[float] = []
    durations: list[float] = []
    skip, behind, discarded, found_keyframe, keyframe_s = 0, 0, 0, False, -np.inf
    for number, packet in enumerate(source.packets()):
        time_s, order_s = clock.packet(packet)
        if packet.is_keyframe and time_s <= start_s + TIME_TOLERANCE_S:
            skip, found_keyframe, keyframe_s = number, True, time_s
            times, durations = [], []
        if seek_s is not None and not found_keyframe:
            return None
        behind += order_s >= end_s
        if behind > _REORDER_PACKETS:
            break
        discarded += packet.is_discard
        if not packet.is_discard:
            times.append(time_s)
            durations.append(float((packet.duration or 0) * source.time_base))
        _check_plan(len(times), budget)
    order = np.argsort(np.asarray(times), kind="stable")
    planned = np.asarray(times, dtype=np.float64)[order]
    # Pictures that precede the keyframe refer to the group of pictures before it, which is not there.
    decodable = planned >= keyframe_s
    if not decodable.any():
        decodable[:] = True
    keep = decodable & (planned < max(end_s, start_s + TIME_TOLERANCE_S))
    if not keep.any() and len(planned):  # the video starts behind the span: its first frame is what there is
        keep = planned == planned[decodable][0]
    last = int(order[keep][-1]) if len(planned) else None
    return Plan(
        times_s=planned[keep],
        seek_s=seek_s,
        skip_packets=skip,
        reached_end=bool(keep[decodable].all()),
        end_s=times[last] + durations[last] if last is not None else 0.0,
        discarded=discarded,
        leading=int(np.count_nonzero(~decodable)),
    )


def _check_plan(frames: int, budget: Budget) -> None:
    """A budget that the packets alone pass needs no decoding to be passed."""
    most = budget.limits.max_frames
    if most is not None and frames > most:
        raise LimitExceeded(
            f"{show(budget.path)}: the wanted part has more than {most} frames; "
            "cut the video or raise max_frames"
        )
    if frames % 1024 == 0:
        budget.spend(0)


def check_bytes(shape: tuple[int, ...], *, budget: Budget) -> None:
    """Raises: LimitExceeded: frames of `shape`, (N, H, W, 3), are more than one call may return."""
    if math.prod(shape) > budget.limits.max_bytes:
        raise LimitExceeded(
            f"{show(budget.path)}: {shape[0]} frames of {shape[2]}x{shape[1]} are more than "
            f"{budget.limits.max_bytes} bytes; ask for fewer views at a time or raise max_bytes"
        )


class DecodePass:
    """Decode from a plan's start, or from the beginning. Iterate once for (time in seconds, frame).

    Several threads decode, until the first damage: then one thread takes over, since the others would lose
    pictures behind the damage, and not the same ones in every run. It begins at the keyframe before, in MP4
    and Matroska; elsewhere at the start.

    Attributes:
        decoded: Frames given so far.
        packets: Packets that came by and should each give a frame.
        discarded: Packets that an edit list hides.
        leading: Packets whose pictures precede the first keyframe, which comes first in the file.
        first_packet_s, ends_at_s: When the first of these packets is due, and when the last one ends.
        bad_packets: Packets that the decoder refused.
        corrupt: Frames that the decoder itself calls corrupt.
        hides_frames: The codec legitimately gives fewer frames than packets (fields, VP8's hidden frames).
    """

    def __init__(self, source: VideoSource, *, plan: Plan | None, budget: Budget, strict: bool) -> None:
        self._source = source
        self._plan = plan
        self._budget = budget
        self._strict = strict
        self._keyframes = deque([(0, -np.inf)])  # packet and time, from that of the last frame given on
        self._last_s = -np.inf  # of the frames that were given
        self._as_late = 0  # how many of them have that time
        self._held: deque[tuple[float, VideoFrame]] = deque()  # decoded, not given yet
        self._is_met_by_threads = False  # damage
        self._is_head_lost = False
        self._has_fields = False  # of which each may be a packet
        # Where one thread takes over: the first packet that it decodes, and the frames given before.
        self._from_packet = 0
        self._given_until_s = -np.inf
        self._given_then = 0
        self._given_frames = 0
        self.decoded = 0
        self.corrupt = 0
        self.guessed = 0
        self.hides_frames = source.stream.codec_context.name == "vp8"
        self._forget_packets()

    def _forget_packets(self) -> None:
        self._keyframe_s: float | None = None
        self._last_due_s = -np.inf
        self.packets = 0
        self.discarded = 0
        self.leading = 0
        self.first_packet_s = np.inf
        self.ends_at_s = 0.0
        self.bad_packets = 0

    def __iter__(self) -> Iterator[tuple[float, VideoFrame]]:
        read_errors = self._source.read_errors if self._plan and self._plan.seek_s is not None else 0
        yield from self._frames()
        if self._is_met_by_threads:
            self._source.use_one_thread()
            self._source.read_errors = read_errors
            self._take_over()
            yield from self._frames()

    def _take_over(self) -> None:
        """Settle where one thread begins."""
        self._is_met_by_threads = False
        self._held.clear()
        self._forget_packets()
        if not self._source.can_seek:  # without a clock to trust, only counting tells which frame is which
            self._given_frames = self.decoded
            return
        self._given_until_s, self._given_then = self._last_s, self._as_late
        if self.decoded and not self._is_head_lost:  # else what is wrong with the head is to be counted, too
            self._from_packet, _ = self._keyframes[0]

    def _frames(self) -> Iterator[tuple[float, VideoFrame]]:
        """Frames to the end, or up to damage that several threads meet."""
        source, plan = self._source, self._plan
        if plan is None or plan.seek_s is None:
            source.rewind()
        else:
            source.seek(plan.seek_s)
        skip = plan.skip_packets if plan else 0
        clock = Clock(source)
        for number, packet in enumerate(source.packets()):
            due_s, _ = clock.packet(packet)
            if number < skip:
                clock.lost()
                continue
            self._note(packet, due_s)
            if number < self._from_packet:
                clock.passed(packet)
                continue
            if packet.is_keyframe:
                self._keyframes.append((number, max(due_s, self._last_due_s)))
            yield from self._timed(self._decode(packet, clock), clock)
            if self._is_met_by_threads:
                return
        yield from self._timed(self._decode(None, clock), clock)
        # At the end PyAV keeps an error to itself, and the pictures behind it.
        last_s = self._held[-1][0] if self._held else self._last_s
        if last_s < self._last_due_s and not self._has_fields:
            self._meet_damage()
        if not self._is_met_by_threads:
            yield from self._give_held()

    def _note(self, packet: Packet[VideoStream], due_s: float) -> None:
        if self._keyframe_s is None:
            self._keyframe_s = due_s if packet.is_keyframe else -np.inf
        if packet.is_discard:
            self.discarded += 1
            return
        if due_s < self._keyframe_s:
            self.leading += 1
            return
        self.packets += 1
        self.first_packet_s = min(self.first_packet_s, due_s)
        self._last_due_s = max(self._last_due_s, due_s - TIME_TOLERANCE_S)
        ends_at_s = due_s + float((packet.duration or 0) * self._source.time_base)
        self.ends_at_s = max(self.ends_at_s, ends_at_s)

    def _decode(self, packet: Packet[VideoStream] | None, clock: Clock) -> list[VideoFrame]:
        self._budget.spend(0)
        try:
            return self._source.stream.codec_context.decode(packet)
        except (MemoryError, BlockingIOError) as error:  # FFmpeg's are such, too; the second: no more threads
            raise LimitExceeded(
                f"{show(self._source.path)}: decoding it takes more memory than there is; scale it down"
            ) from error
        except av.FFmpegError as error:
            self.bad_packets += 1
            clock.lost()
            self._meet_damage()
            if self._strict and self._source.on_one_thread:
                raise CorruptVideo(
                    f"{show(self._source.path)} is damaged: decoding fails after {self.decoded} frames; "
                    "repair it or leave it out",
                    frames_decoded=self.decoded,
                ) from error
            return []

    def _timed(self, frames: list[VideoFrame], clock: Clock) -> Iterator[tuple[float, VideoFrame]]:
        """The frames that may be given, and those that were held back; none where threads meet damage."""
        not_before_s = self._plan.times_s[0] if self._plan and not self._plan.from_start else -np.inf
        for frame in frames:
            time_s = clock.frame(frame)
            self.guessed = max(self.guessed, clock.guessed)
            self._has_fields |= frame.interlaced_frame
            self.hides_frames |= frame.interlaced_frame
            if time_s < not_before_s - TIME_TOLERANCE_S:  # open GOP: refers to pictures before the keyframe
                continue
            if self._was_given(time_s):
                continue
            if not (self.decoded or self._held):
                self._is_head_lost = time_s > self.first_packet_s + TIME_TOLERANCE_S
            if frame.is_corrupt or (self._is_head_lost and not self.decoded and not frame.key_frame):
                self._meet_damage()
                if self._is_met_by_threads:
                    return
            self._held.append((time_s, frame))
            # A B-picture shows what is wrong with the next picture of another kind, which comes after it.
            waits = frame.pict_type == PictureType.B and not self._source.on_one_thread
            yield from self._give_held(but=_REORDER_PACKETS if waits else 0)

    def _meet_damage(self) -> None:
        self._is_met_by_threads = not self._source.on_one_thread

    def _give_held(self, *, but: int = 0) -> Iterator[tuple[float, VideoFrame]]:
        """The frames held back, but for so many of the last ones."""
        while len(self._held) > but:
            time_s, frame = self._held.popleft()
            self._budget.spend(1)
            self.decoded += 1
            self.corrupt += bool(frame.is_corrupt)
            self._as_late = self._as_late + 1 if time_s == self._last_s else 1
            self._last_s = time_s
            while len(self._keyframes) > 1 and self._keyframes[1][1] <= time_s:
                if frame.key_frame:
                    self._keyframes.popleft()
                else:  # lost, or one from which pictures become whole little by little
                    del self._keyframes[1]
            yield time_s, frame

    def _was_given(self, time_s: float) -> bool:
        """Whether this frame came already, before one thread took over."""
        if self._given_frames:
            self._given_frames -= 1
            return True
        if abs(time_s - self._given_until_s) > _SAME_S:
            return time_s < self._given_until_s
        self._given_then -= 1
        return self._given_then >= 0


def nearest_frames(
    frames: Iterable[tuple[float, VideoFrame]], target_s: Sequence[float], *, seen_s: list[float]
) -> Iterator[tuple[float, VideoFrame]]:
    """For each of some times the nearest frame that decodes, as soon as it is known; stops after the last.

    Args:
        frames: As a `DecodePass` gives them.
        target_s: Wanted times in seconds, increasing.
        seen_s: Gets the time of every frame that came by.
    Yields:
        (time in seconds, frame), one for each target. Where frames end early the last one stands for the
        rest; nothing where none decodes.
    """
    previous = None
    found = 0
    for time_s, frame in frames:
        seen_s.append(time_s)
        while found < len(target_s) and time_s >= target_s[found] - TIME_TOLERANCE_S / 10:
            is_previous = previous is not None and target_s[found] - previous[0] < time_s - target_s[found]
            yield previous if previous is not None and is_previous else (time_s, frame)
            found += 1
        if found == len(target_s):
            return
        previous = (time_s, frame)
    if previous is not None:
        for _ in range(found, len(target_s)):
            yield previous


class RgbConverter:
    """Decoded frames to RGB as displayed: turned upright, all of the first frame's size.

    Sample aspect ratio is ignored, as in the references. Colours: FFmpeg's swscale, BT.601 unless tagged.

    Attributes:
        resized: How many frames came in another size than the first.
        recoloured: How many frames are tagged with a matrix or range that swscale has no conversion for, such
            as YCgCo and ICtCp, and were converted as if they had no tags.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._quarter_turns = 0
        self.resized = 0
        self.recoloured = 0

    def shape(self, frame: VideoFrame) -> tuple[int, int, int]:
        """(H, W, 3) of the arrays that this converter returns; settled by the first frame it sees."""
        if self._size is None:
            self._size = (frame.width, frame.height)
            self._quarter_turns = round(frame.rotation / 90) % 4
        width, height = self._size
        return (width, height, 3) if self._quarter_turns % 2 else (height, width, 3)

    def __call__(self, frame: VideoFrame) -> Rgb:
        """(H, W, 3) uint8."""
        self.shape(frame)
        assert self._size is not None
        width, height = self._size
        self.resized += (frame.width, frame.height) != self._size
        try:
            rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
        except MemoryError:
            raise
        except av.FFmpegError:
            self.recoloured += 1
            frame.colorspace, frame.color_range = Colorspace.DEFAULT, ColorRange.UNSPECIFIED
            rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
        picture: Rgb = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
        return np.rot90(picture, self._quarter_turns) if self._quarter_turns else picture
