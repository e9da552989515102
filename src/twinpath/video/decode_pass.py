"""Decode one part of a file, frame by frame with presentation times, also behind damage.

decoding = DecodePass(source, plan=plan)
for time_s, frame in decoding:
    ...
decoding.bad_packets, decoding.corrupt
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import av
import numpy as np
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from twinpath.errors import CorruptVideo
from twinpath.paths import display_path
from twinpath.video.clock import Clock
from twinpath.video.decode_plan import REORDER_PACKETS, Plan
from twinpath.video.sampling import TIME_TOLERANCE_S
from twinpath.video.skipping import Skipping
from twinpath.video.source import VideoSource, out_of_memory

_SAME_S = 1e-9  # the same time, from clocks that started at different packets


class _Yielded:
    """The frames that were yielded so far, so that decoding can restart and yield no frame twice.

    Attributes:
        count: Number of frames.
        last_s: Time of the last one in seconds.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last_s = -np.inf
        self._num_at_last = 0  # number of frames with the time of the last one
        self._keyframes = deque([(0, -np.inf)])  # (packet number, time), from the last frame's keyframe on
        # After a restart, these frames are skipped:
        self._skip_until_s = -np.inf
        self._skip_at_until = 0
        self._skip_count = 0

    def add_keyframe(self, number: int, due_s: float) -> None:
        """A keyframe's packet was sent to the decoder; `due_s` never decreases."""
        self._keyframes.append((number, due_s))

    def add(self, time_s: float, frame: VideoFrame) -> None:
        self.count += 1
        self._num_at_last = self._num_at_last + 1 if time_s == self.last_s else 1
        self.last_s = time_s
        while len(self._keyframes) > 1 and self._keyframes[1][1] <= time_s:
            if frame.key_frame:
                self._keyframes.popleft()
            else:  # lost, or intra refresh: frames become complete gradually from there
                del self._keyframes[1]

    def restart(self, *, by_time: bool) -> None:
        """Decoding restarts: skip the frames that were yielded, by their times, or else by their number."""
        if by_time:
            self._skip_until_s, self._skip_at_until = self.last_s, self._num_at_last
        else:
            self._skip_count = self.count

    def first_packet(self) -> int:
        """Number of the packet where decoding can restart: the keyframe of the last frame."""
        return self._keyframes[0][0]

    def has(self, time_s: float) -> bool:
        """Whether the next frame, with this time, was yielded before. Call it once for each frame."""
        if self._skip_count:
            self._skip_count -= 1
            return True
        if abs(time_s - self._skip_until_s) > _SAME_S:
            return time_s < self._skip_until_s
        self._skip_at_until -= 1
        return self._skip_at_until >= 0


class DecodePass:
    """Decode from a plan's start, or from the beginning. Iterate once for (time in seconds, frame).

    Several threads decode up to the first damage. From there on a single thread decodes, since several would
    lose frames behind the damage, and not the same ones in every run. It starts at the keyframe before the
    damage; in AVI and raw streams, which have no timestamps, at the beginning.

    If the wanted frames are given, packets that neither they nor other pictures need are not decoded, up to
    the first damage.

    Attributes:
        packets: Number of packets read so far that should each decode to a frame, or were skipped.
        discarded: Number of packets that an edit list hides.
        leading: Number of packets whose frames precede the first keyframe in time but follow it in the file.
        first_packet_s, ends_at_s: Presentation time of the first of `packets` that was not skipped, and end
            of the last one, in seconds.
        bad_packets: Number of packets that the decoder rejected.
        corrupt: Number of frames that the decoder marks as corrupt.
        skipping: The packets that were not decoded because nothing needs them.
    """

    def __init__(
        self,
        source: VideoSource,
        *,
        plan: Plan | None = None,
        target_s: Sequence[float] = (),
        strict: bool = False,
    ) -> None:
        """
        Args:
            source: An open file; its budget is charged with every frame.
            plan: Where to start; None: at the beginning.
            target_s: Times of the wanted frames in seconds, increasing; empty: all frames are wanted.
            strict: Raise at the first packet that does not decode, wanted or not.
        """
        self._source = source
        self._plan = plan
        self._strict = strict
        self.skipping = Skipping(source, target_s)
        if strict or not target_s or source.on_one_thread:
            self.skipping.stop()
        self._yielded = _Yielded()
        self._held: deque[tuple[float, VideoFrame]] = deque()  # decoded, not yielded yet
        self._is_damaged_for_threads = False  # damage was found while several threads decoded
        self._is_head_lost = False
        self._has_fields = False  # interlaced: each field may be a packet
        self._repeats = False  # there are packets that only repeat a picture
        self._from_packet = 0  # packets before it are read, not decoded
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
        """Frames yielded so far."""
        return self._yielded.count

    @property
    def hides_frames(self) -> bool:
        """Whether fewer frames than packets are no damage: fields, repeated pictures, VP8's hidden frames."""
        return self._has_fields or self._repeats or self._source.codec == "vp8"

    def __iter__(self) -> Iterator[tuple[float, VideoFrame]]:
        read_errors = self._source.read_errors if self._plan and self._plan.seek_s is not None else 0
        yield from self._frames()
        if self._is_damaged_for_threads:
            self._source.use_one_thread()
            self._source.read_errors = read_errors
            self._restart()
            yield from self._frames()

    def _restart(self) -> None:
        """Set where the single thread starts."""
        self._is_damaged_for_threads = False
        self.skipping.stop()
        self.skipping.forget_behind(self._yielded.last_s)
        self._held.clear()
        self._forget_packets()
        has_clock = self._source.has_pts  # else frames are identified by counting
        self._yielded.restart(by_time=has_clock)
        if has_clock and not self._is_head_lost:  # a lost head is decoded again, so that it is counted
            self._from_packet = self._yielded.first_packet()

    def _frames(self) -> Iterator[tuple[float, VideoFrame]]:
        """Frames to the end, or up to the first damage if several threads decode."""
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
            if source.repeats_picture(packet):
                self._repeats = True
                clock.lost()
                yield from self._timed(self._decode(packet, clock), clock)
                continue
            is_skipped = self._is_skipped(packet, due_s)
            self._count_packet(packet, due_s, is_skipped=is_skipped)
            if is_skipped:
                clock.lost()
                continue
            if number < self._from_packet:
                clock.skip(packet)
                continue
            if packet.is_keyframe:
                self._yielded.add_keyframe(number, max(due_s, self._last_due_s))
            yield from self._timed(self._decode(packet, clock), clock)
            if self._is_damaged_for_threads:
                return
        yield from self._timed(self._decode(None, clock), clock)
        # While the decoder is flushed, PyAV reports no error and loses the frames behind it.
        last_s = self._held[-1][0] if self._held else self._yielded.last_s
        if last_s < self._last_due_s and not self._has_fields:
            self._note_damage()
        if not self._is_damaged_for_threads:
            yield from self._yield_held()

    def _is_skipped(self, packet: Packet[VideoStream], due_s: float) -> bool:
        if packet.is_discard or (self._keyframe_s is not None and due_s < self._keyframe_s):
            return False
        if self._has_fields:  # each may be a packet, and the other one refer to it
            self.skipping.stop()
        return self.skipping.skips(packet, due_s)

    def _count_packet(self, packet: Packet[VideoStream], due_s: float, *, is_skipped: bool) -> None:
        if self._keyframe_s is None:
            self._keyframe_s = due_s if packet.is_keyframe else -np.inf
        if packet.is_discard:
            self.discarded += 1
            return
        if due_s < self._keyframe_s:
            self.leading += 1
            return
        self.packets += 1
        if not is_skipped:
            self.first_packet_s = min(self.first_packet_s, due_s)
            self._last_due_s = max(self._last_due_s, due_s - TIME_TOLERANCE_S)
        ends_at_s = due_s + float((packet.duration or 0) * self._source.time_base)
        self.ends_at_s = max(self.ends_at_s, ends_at_s)

    def _decode(self, packet: Packet[VideoStream] | None, clock: Clock) -> list[VideoFrame]:
        self._source.budget.spend(0)
        try:
            return self._source.stream.codec_context.decode(packet)
        except (MemoryError, BlockingIOError) as error:  # BlockingIOError: no thread can be started
            raise out_of_memory(self._source.path) from error
        except av.FFmpegError as error:
            self.bad_packets += 1
            clock.lost()
            self._note_damage()
            if self._strict and self._source.on_one_thread:
                raise CorruptVideo(
                    f"{display_path(self._source.path)} is damaged: decoding fails "
                    f"after {self.decoded} frames; "
                    "repair it or leave it out",
                    frames_decoded=self.decoded,
                ) from error
            return []

    def _timed(self, frames: list[VideoFrame], clock: Clock) -> Iterator[tuple[float, VideoFrame]]:
        """The frames to yield now, with those held back before; none if several threads find damage."""
        not_before_s = self._plan.times_s[0] if self._plan and not self._plan.from_start else -np.inf
        for frame in frames:
            time_s = clock.frame(frame)
            self.guessed = max(self.guessed, clock.guessed)
            self._has_fields |= frame.interlaced_frame
            if time_s < not_before_s - TIME_TOLERANCE_S:  # open GOP: refers to frames before the keyframe
                continue
            if self._yielded.has(time_s):
                continue
            if not (self.decoded or self._held):
                self._is_head_lost = time_s > self.first_packet_s + TIME_TOLERANCE_S
            is_head_missing = self._is_head_lost and not self.decoded and not frame.key_frame
            if frame.is_corrupt or is_head_missing or self.skipping.misses(time_s):
                self._note_damage()
                if self._is_damaged_for_threads:
                    return
            self._held.append((time_s, frame))
            # A B-frame refers to a frame that is displayed after it. If that one is damaged, both are.
            waits = frame.pict_type == PictureType.B and not self._source.on_one_thread
            yield from self._yield_held(keep=REORDER_PACKETS if waits else 0)

    def _note_damage(self) -> None:
        self._is_damaged_for_threads = not self._source.on_one_thread

    def _yield_held(self, *, keep: int = 0) -> Iterator[tuple[float, VideoFrame]]:
        """The frames held back, except the last `keep` ones."""
        while len(self._held) > keep:
            time_s, frame = self._held.popleft()
            self._source.budget.spend(1)
            self.corrupt += bool(frame.is_corrupt)
            self._yielded.add(time_s, frame)
            yield time_s, frame
