"""MPEG-4 pictures that are "not coded": a packet of a few bytes that repeats the picture before it.

Phones and DivX write them where nothing moves. The decoder gives no frame for them. Source: ISO/IEC 14496-2,
6.2.3 (video object layer) and 6.2.5 (video object plane).
"""

from __future__ import annotations

import re

_MOST_BYTES = 32  # of such a packet
_LAYER = re.compile(rb"\x00\x00\x01[\x20-\x2f]")
_PLANE = b"\x00\x00\x01\xb6"
# A packet with two pictures is followed by one that stands for the second: each has its frame.
_PACKED = re.compile(rb"DivX\d+(?:b|Build)\d+p")
_EXTENDED_SHAPE = 15  # of aspect_ratio_info


class NotCoded:
    """Tells these packets of one stream, given all of its packets in order.

    Args:
        header: What the container knows of the stream, the codec's extradata.
    """

    def __init__(self, header: bytes) -> None:
        self._increment_bits: int | None = None
        self._is_packed = False
        self._read_layer(header)

    def __call__(self, data: bytes) -> bool:
        """Whether a packet repeats the picture before it."""
        if len(data) > _MOST_BYTES:
            if self._increment_bits is None:
                self._read_layer(data)
            return False
        start = data.find(_PLANE)
        if start < 0 or self._increment_bits is None or self._is_packed:
            return False
        bits = _Bits(data[start + len(_PLANE) :])
        bits.read(2)  # vop_coding_type
        while bits.read(1):  # modulo_time_base
            pass
        bits.read(1 + self._increment_bits + 1)  # between two markers: vop_time_increment
        return not bits.is_over and bits.read(1) == 0

    def _read_layer(self, data: bytes) -> None:
        self._is_packed |= _PACKED.search(data) is not None
        found = _LAYER.search(data)
        if found is None:
            return
        bits = _Bits(data[found.end() : found.end() + 64])
        bits.read(1 + 8)  # random_accessible_vol, video_object_type_indication
        if bits.read(1):  # is_object_layer_identifier
            bits.read(4 + 3)
        if bits.read(4) == _EXTENDED_SHAPE:
            bits.read(8 + 8)
        if bits.read(1):  # vol_control_parameters
            bits.read(2 + 1)
            if bits.read(1):  # vbv_parameters
                bits.read(79)
        bits.read(2 + 1)  # video_object_layer_shape, marker
        resolution = bits.read(16)
        if resolution and not bits.is_over:
            self._increment_bits = max((resolution - 1).bit_length(), 1)


class _Bits:
    """Reads numbers from bytes, the first bit first; zeros behind the end."""

    def __init__(self, data: bytes) -> None:
        self._left = len(data) * 8
        self._value = int.from_bytes(data, "big")

    @property
    def is_over(self) -> bool:
        return self._left < 0

    def read(self, width: int) -> int:
        self._left -= width
        return (self._value >> self._left if self._left >= 0 else 0) & ((1 << width) - 1)
