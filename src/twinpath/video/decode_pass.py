"""Decoding one part of a file, frame by frame, with the times that they have, through damage.

decoding = DecodePass(source, plan=plan, budget=budget, strict=False)
for time_s, frame in decoding:
    ...
decoding.bad_packets, decoding.corrupt
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import av
import numpy as np
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from twinpath.errors import CorruptVideo, LimitExceeded
from twinpath.paths import display_path
from twinpath.video.clock import Clock
from twinpath.video.decode_plan import REORDER_PACKETS, Plan
from twinpath.video.sampling import TIME_TOLERANCE_S
from twinpath.video.source import Budget, VideoSource

_SAME_S = 1e-9  # two times that one clock gave, or another one that began later


class _Given:
    """The frames that were given so far, so that one thread may take over and give none of them again.

    Attributes:
        count: How many there are.
        last_s: The time of the last one.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last_s = -np.inf
        self._as_late = 0  # how many have that time
        self._keyframes = deque([(0, -np.inf)])  # packet and time, from that of the last frame on
        # What is to be left out once one thread has taken over:
        self._until_s = -np.inf
        self._then = 0
        self._first = 0

    def add_keyframe(self, number: int, due_s: float) -> None:
        """A packet that goes to the decoder; times do not run back."""
        self._keyframes.append((number, due_s))

    def add(self, time_s: float, frame: VideoFrame) -> None:
        self.count += 1
        self._as_late = self._as_late + 1 if time_s == self.last_s else 1
        self.last_s = time_s
        while len(self._keyframes) > 1 and self._keyframes[1][1] <= time_s:
            if frame.key_frame:
                self._keyframes.popleft()
            else:  # lost, or one from which pictures become whole little by little
                del self._keyframes[1]

    def leave_out(self, *, by_time: bool) -> None:
        """From now on what comes may have come before. Not by time: it comes again from the start."""
        if by_time:
            self._until_s, self._then = self.last_s, self._as_late
        else:
            self._first = self.count

    def first_packet(self) -> int:
        """Where decoding may begin and miss nothing: the keyframe of the last frame."""
        return self._keyframes[0][0]

    def has(self, time_s: float) -> bool:
        """Whether the next frame, which has this time, came before. Ask once for each."""
        if self._first:
            self._first -= 1
            return True
        if abs(time_s - self._until_s) > _SAME_S:
            return time_s < self._until_s
        self._then -= 1
        return self._then >= 0


class DecodePass:
    """Decode from a plan's start, or from the beginning. Iterate once for (time in seconds, frame).

    Several threads decode, until the first damage: then one thread takes over, since the others would lose
    pictures behind the damage, and not the same ones in every run. It begins at the keyframe before; in
    AVI and raw streams, which have no times, at the start.

    Attributes:
        packets: Packets that came by and should each give a frame.
        discarded: Packets that an edit list hides.
        leading: Packets whose pictures precede the first keyframe, which comes first in the file.
        first_packet_s, ends_at_s: When the first of these packets is due, and when the last one ends.
        bad_packets: Packets that the decoder refused.
        corrupt: Frames that the decoder itself calls corrupt.
    """

    def __init__(self, source: VideoSource, *, plan: Plan | None, budget: Budget, strict: bool) -> None:
        self._source = source
        self._plan = plan
        self._budget = budget
        self._strict = strict
        self._given = _Given()
        self._held: deque[tuple[float, VideoFrame]] = deque()  # decoded, not given yet
        self._is_met_by_threads = False  # damage
        self._is_head_lost = False
        self._has_fields = False  # of which each may be a packet
        self._from_packet = 0  # on, packets are decoded
        self.corrupt = 0
        self.guessed = 0
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

    @property
    def decoded(self) -> int:
        """Frames given so far."""
        return self._given.count

    @property
    def hides_frames(self) -> bool:
        """The codec legitimately gives fewer frames than packets: fields, VP8's hidden frames."""
        return self._has_fields or self._source.stream.codec_context.name == "vp8"

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
        has_clock = self._source.has_pts  # else only counting tells which frame is which
        self._given.leave_out(by_time=has_clock)
        if has_clock and not self._is_head_lost:  # what is wrong with the head is to be counted, too
            self._from_packet = self._given.first_packet()

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
                self._given.add_keyframe(number, max(due_s, self._last_due_s))
            yield from self._timed(self._decode(packet, clock), clock)
            if self._is_met_by_threads:
                return
        yield from self._timed(self._decode(None, clock), clock)
        # At the end PyAV keeps an error to itself, and the pictures behind it.
        last_s = self._held[-1][0] if self._held else self._given.last_s
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
                f"{display_path(self._source.path)}: decoding it takes more memory "
                "than there is; scale it down"
            ) from error
        except av.FFmpegError as error:
            self.bad_packets += 1
            clock.lost()
            self._meet_damage()
            if self._strict and self._source.on_one_thread:
                raise CorruptVideo(
                    f"{display_path(self._source.path)} is damaged: decoding fails "
                    f"after {self.decoded} frames; "
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
            if time_s < not_before_s - TIME_TOLERANCE_S:  # open GOP: refers to pictures before the keyframe
                continue
            if self._given.has(time_s):
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
            yield from self._give_held(but=REORDER_PACKETS if waits else 0)

    def _meet_damage(self) -> None:
        self._is_met_by_threads = not self._source.on_one_thread

    def _give_held(self, *, but: int = 0) -> Iterator[tuple[float, VideoFrame]]:
        """The frames held back, but for so many of the last ones."""
        while len(self._held) > but:
            time_s, frame = self._held.popleft()
            self._budget.spend(1)
            self.corrupt += bool(frame.is_corrupt)
            self._given.add(time_s, frame)
            yield time_s, frame
