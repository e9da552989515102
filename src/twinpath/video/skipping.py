"""Packets that are not decoded: no frame of them is wanted, and no other picture refers to them.

H.264 and HEVC say of each picture whether others refer to it; usual encodings have a third to a half of such
pictures. Every picture stands alone in a codec without prediction (MJPEG, ProRes, DV) and in a folder of
pictures. Sources: ITU-T H.264, 7.3.1 and 7.4.1 (nal_ref_idc); H.265, 7.4.2.2 (sub-layer non-reference
pictures); ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1 (avcC, hvcC).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from av.packet import Packet
from av.video.stream import VideoStream

from twinpath.video.source import VideoSource

_H264_PICTURES = range(1, 6)  # nal_unit_type of slices
_H264_BESIDE = (6, 9, 12)  # supplemental information, delimiter, filler
_HEVC_UNREFERENCED = (0, 2, 4, 6, 8)  # TRAIL_N, TSA_N, STSA_N, RADL_N, RASL_N
_HEVC_BESIDE = (35, 38, 39, 40)  # delimiter, filler, supplemental information
_MAX_UNITS = 256  # slices of a picture; a packet with more is decoded

UnitKind = bool | None  # of a NAL unit: a picture with references to it or without; None: no picture


class Skipping:
    """Says of the packets of one pass whether they are skipped, and notices what should have come.

    Attributes:
        times_s: Times of the packets that were skipped, in seconds, increasing.
    """

    def __init__(self, source: VideoSource, target_s: Sequence[float]) -> None:
        """
        Args:
            source: An open file. Without timestamps nothing is skipped: frames are counted there.
            target_s: Times of the wanted frames in seconds, increasing.
        """
        self.times_s: list[float] = []
        self._target_s = target_s
        self._tolerance_s = source.tolerance_s
        self._next = 0  # of the wanted frames
        self._is_unreferenced = unreferenced(source) if source.has_pts else None

    def stop(self) -> None:
        """Decode every packet from now on."""
        self._is_unreferenced = None

    def forget_behind(self, time_s: float) -> None:
        """Decoding starts again behind a time in seconds."""
        del self.times_s[bisect_right(self.times_s, time_s) :]

    def skips(self, packet: Packet[VideoStream], due_s: float) -> bool:
        """Whether a packet, with this time in seconds, needs no decoding; it then counts as skipped."""
        if self._is_unreferenced is None or self._is_wanted(due_s) or not self._is_unreferenced(packet):
            return False
        self.times_s.insert(bisect_left(self.times_s, due_s), due_s)
        return True

    def _is_wanted(self, due_s: float) -> bool:
        at = bisect_left(self._target_s, due_s - self._tolerance_s)
        return at < len(self._target_s) and self._target_s[at] <= due_s + self._tolerance_s

    def misses(self, time_s: float) -> bool:
        """Whether a wanted frame before this one did not come, where frames next to it may be skipped."""
        if self._is_unreferenced is None:
            return False
        targets, tolerance_s = self._target_s, self._tolerance_s
        if self._next < len(targets) and targets[self._next] < time_s - tolerance_s:
            return True
        while self._next < len(targets) and targets[self._next] <= time_s + tolerance_s:
            self._next += 1
        return False

    def count(self, begin_s: float, end_s: float) -> int:
        """Number of packets skipped from one time to another, both in seconds."""
        return bisect_right(self.times_s, end_s) - bisect_left(self.times_s, begin_s)


def unreferenced(source: VideoSource) -> Callable[[Packet[VideoStream]], bool] | None:
    """What tells of a packet's content whether no other picture refers to it; None: it cannot be told."""
    if source.kind == "frames":
        return lambda _: True
    context = source.stream.codec_context
    if context.codec.intra_only:
        return lambda _: True
    header = context.extradata or b""
    if source.codec == "h264" and len(header) > 4 and header[0] == 1:
        return _Units(1 + (header[4] & 3), _h264_kind)
    if source.codec == "hevc" and len(header) > 21 and header[0] == 1 and header[21] >> 3 & 7 == 1:
        return _Units(1 + (header[21] & 3), _hevc_kind)  # of one layer in time
    return None


class _Units:
    """Reads the headers of a packet's NAL units, each behind its length."""

    def __init__(self, length_bytes: int, kind: Callable[[int], UnitKind]) -> None:
        self._length_bytes = length_bytes
        self._kind = kind

    def __call__(self, packet: Packet[VideoStream]) -> bool:
        """Whether it has pictures, and none of them has references to it. False in case of doubt."""
        data = memoryview(packet)
        at, found = 0, False
        for _ in range(_MAX_UNITS):
            if at == len(data):
                return found
            begin = at + self._length_bytes
            size = int.from_bytes(data[at:begin], "big")
            at = begin + size
            if size < 2 or at > len(data):
                return False
            kind = self._kind(data[begin])
            if kind:
                return False
            found |= kind is False
        return False


def _h264_kind(header: int) -> UnitKind:
    kind, is_referenced = header & 31, bool(header >> 5 & 3)
    if kind in _H264_BESIDE:
        return None
    return is_referenced or kind not in _H264_PICTURES


def _hevc_kind(header: int) -> UnitKind:
    kind = header >> 1 & 63
    if kind in _HEVC_BESIDE:
        return None
    return kind not in _HEVC_UNREFERENCED
