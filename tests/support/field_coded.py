"""Writes H.264 whose packets are fields, two for a picture, as broadcasters code interlaced video.

No encoder at hand does so, and little of the standard (ITU-T H.264, clause 7.3) is needed where macroblocks
hold their plain samples (I_PCM).
"""

from __future__ import annotations

from pathlib import Path

_WIDTH_MBS, _HEIGHT_MBS = 4, 4  # of a picture: 64x64 pixels
_IDR_EVERY = 12  # pictures
_PROFILE_MAIN, _LEVEL_3 = 77, 30
_I_SLICE, _I_PCM = 7, 25  # of slice_type and mb_type
_SLICE, _IDR_SLICE, _SPS, _PPS, _DELIMITER = 1, 5, 7, 8, 9  # of nal_unit_type


class _Bits:
    """A payload, written from the first bit on."""

    def __init__(self) -> None:
        self.bits = ""

    def plain(self, *values_and_widths: int) -> None:
        """u(n): value, width, value, width …"""
        for value, width in zip(values_and_widths[::2], values_and_widths[1::2], strict=True):
            self.bits += f"{value:0{width}b}"

    def golomb(self, *values: int) -> None:
        """ue(v), and se(v) of 0."""
        for value in values:
            code = f"{value + 1:b}"
            self.bits += "0" * (len(code) - 1) + code

    def align(self) -> None:
        self.bits += "0" * (-len(self.bits) % 8)

    def unit(self, kind: int, *, reference: int) -> bytes:
        """A NAL unit with its start code."""
        self.bits += "1"
        self.align()
        payload = int(self.bits, 2).to_bytes(len(self.bits) // 8, "big")
        escaped, zeros = bytearray(), 0
        for byte in payload:
            if zeros >= 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = 0 if byte else zeros + 1
        return b"\0\0\0\1" + bytes([reference << 5 | kind]) + bytes(escaped)


def _sequence() -> bytes:
    bits = _Bits()
    bits.plain(_PROFILE_MAIN, 8, 0, 8, _LEVEL_3, 8)
    bits.golomb(0, 0, 0, 4, 1)  # number, frame numbers of 4 bits, picture order in 8 bits, one reference
    bits.plain(0, 1)
    bits.golomb(_WIDTH_MBS - 1, _HEIGHT_MBS // 2 - 1)
    bits.plain(0, 1, 0, 1, 1, 1, 0, 1)  # fields, for whole pictures; direct 8x8; no cropping
    bits.plain(1, 1, 0, 4)  # more to come, of which not: shape of pixels, overscan, colours, chroma's place
    bits.plain(1, 1, 1, 32, 50, 32, 1, 1)  # 25 pictures a second, always
    bits.plain(0, 3, 1, 1, 1, 1)  # no buffering; limits:
    bits.golomb(0, 0, 16, 16, 0, 1)  # nothing is reordered
    return bits.unit(_SPS, reference=3)


def _picture_parameters() -> bytes:
    bits = _Bits()
    bits.golomb(0, 0)
    bits.plain(0, 2)
    bits.golomb(0, 0, 0)
    bits.plain(0, 3)
    bits.golomb(0, 0, 0)
    bits.plain(0, 3)
    return bits.unit(_PPS, reference=3)


def _field(picture: int, *, bottom: int) -> bytes:
    since_idr = picture % _IDR_EVERY
    is_idr = not since_idr and not bottom
    bits = _Bits()
    bits.golomb(0, _I_SLICE, 0)
    bits.plain(since_idr, 4, 1, 1, bottom, 1)
    if is_idr:
        bits.golomb(picture // _IDR_EVERY % 2)
    bits.plain(2 * since_idr + bottom, 8, 0, 2 if is_idr else 1)
    bits.golomb(0)
    for _ in range(_WIDTH_MBS * _HEIGHT_MBS // 2):
        bits.golomb(_I_PCM)
        bits.align()
        bits.plain(*[20 + 4 * picture, 8] * 256, *[128, 8] * 128)
    return bits.unit(_IDR_SLICE if is_idr else _SLICE, reference=3)


def write_field_coded(path: Path, *, pictures: int) -> Path:
    """Raw H.264, 64x64, 25 pictures a second; picture k is of grey 20 + 4 k, at most 58 of them."""
    data = b""
    for picture in range(pictures):
        for bottom in (0, 1):
            delimiter = _Bits()
            delimiter.plain(0, 3)
            data += delimiter.unit(_DELIMITER, reference=0)
            if not bottom and picture % _IDR_EVERY == 0:
                data += _sequence() + _picture_parameters()
            data += _field(picture, bottom=bottom)
    path.write_bytes(data)
    return path
