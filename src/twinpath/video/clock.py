"""Presentation times of packets and frames in seconds since the first frame, for every container.

MPEG-TS starts at any time and jumps back where two files were joined. AVI stores the decoding order but no
presentation times, raw H.264 neither. In MPEG-PS many small pictures share a packet with one time; where a
picture begins in the packet before, FFmpeg gives it to the wrong one, and times repeat.
"""

from __future__ import annotations

from collections import deque

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from twinpath.video.source import VideoSource

_JUMP_BACK_S = 0.5  # a smaller step back is an inexact muxer, a larger one the start of another recording


class _Timeline:
    """Ticks to seconds; where the ticks jump back, the time continues."""

    def __init__(self, source: VideoSource) -> None:
        self._tick_s = float(source.time_base)
        self._origin = source.origin
        self._period_s = 1.0 / float(source.nominal_fps)
        self._shift_s = 0.0
        self._last_order_s: float | None = None
        self._latest_s = 0.0

    def seconds(self, ticks: int, *, order: int | None) -> float:
        """The time of `ticks`; `order` is what must not decrease: the dts of packets, the pts of frames."""
        if order is not None:
            order_s = (order - self._origin) * self._tick_s
            if self._last_order_s is not None and order_s < self._last_order_s - _JUMP_BACK_S:
                self._shift_s = self._latest_s + self._period_s - (ticks - self._origin) * self._tick_s
            self._last_order_s = order_s
        time_s = (ticks - self._origin) * self._tick_s + self._shift_s
        self._latest_s = max(self._latest_s, time_s)
        return time_s


def follow(source: VideoSource, last_s: float, time_s: float) -> float:
    """The time of a frame in seconds, given that of the frame shown before it: in MPEG-PS none repeats."""
    period_s = 1.0 / float(source.nominal_fps)
    repeats = source.kind == "mpeg" and time_s < last_s + period_s / 2
    return last_s + period_s if repeats else time_s


class Clock:
    """Times of one pass through a file. Call `packet` for every packet in order, and `frame` for every frame.

    Attributes:
        guessed: Number of frames without a timestamp, whose time comes from counting.
    """

    def __init__(self, source: VideoSource) -> None:
        self._source = source
        self._packets = _Timeline(source)
        self._frames = _Timeline(source)
        self._period_s = 1.0 / float(source.nominal_fps)
        self._count = 0
        self._last_packet_s = -self._period_s
        self._last_frame_s = -self._period_s
        self._has_frame = False
        # Without pts: times of the packets whose frames are not decoded yet, in order.
        self._queue: deque[float] = deque()
        self.guessed = 0

    def packet(self, packet: Packet[VideoStream]) -> tuple[float, float]:
        """Presentation time of a packet in seconds, and its decoding time in seconds."""
        source = self._source
        reorder_s = 0.0  # from decoding to presentation
        if source.is_raw:
            time_s = self._count * self._period_s
        elif not source.has_pts and packet.dts is not None:
            time_s = self._packets.seconds(packet.dts, order=packet.dts)
        elif packet.pts is not None and packet.dts is not None:
            time_s = self._packets.seconds(packet.pts, order=packet.dts)
            reorder_s = (packet.pts - packet.dts) * float(source.time_base)
        elif packet.pts is not None:
            time_s = self._packets.seconds(packet.pts, order=None)
        else:
            time_s = self._last_packet_s + self._period_s
        if not source.has_pts:
            self._queue.append(time_s)
        self._count += 1
        self._last_packet_s = time_s
        return time_s, time_s - reorder_s

    def lost(self) -> None:
        """The last packet did not decode: it has no frame."""
        if self._queue:
            self._queue.pop()

    def skip(self, packet: Packet[VideoStream]) -> None:
        """The last packet is not decoded; later packets are."""
        self.lost()
        if self._source.has_pts and packet.pts is not None and packet.dts is not None:
            self._frames.seconds(packet.pts, order=packet.dts)

    def frame(self, frame: VideoFrame) -> float:
        """Presentation time of a decoded frame in seconds; it never decreases."""
        if not self._source.has_pts:
            time_s = self._queue.popleft() if self._queue else self._last_frame_s + self._period_s
            self.guessed += self._source.is_raw
        elif frame.pts is None:
            time_s = self._last_frame_s + self._period_s
            self.guessed += 1
        else:
            time_s = self._frames.seconds(frame.pts, order=frame.pts)
            if self._has_frame:
                time_s = follow(self._source, self._last_frame_s, time_s)
        self._has_frame = True
        self._last_frame_s = max(time_s, self._last_frame_s)
        return self._last_frame_s
