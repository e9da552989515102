"""One picture of a folder of frames: read within limits, decoded by FFmpeg, turned as its EXIF says."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.frame import VideoFrame

from twinpath.errors import LimitExceeded
from twinpath.paths import display_path
from twinpath.video.codecs import CODEC_WHITELIST
from twinpath.video.file_access import open_binary
from twinpath.video.orientation import Orientation

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_BYTES_PER_PIXEL = 8  # of the largest file: a PNG of 16 bits with transparency that does not shrink
_SPARE_BYTES = 1 << 24
_ORIENTATION_TAG = 0x112
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # markers of segments with the size


def codec_of(data: bytes) -> str | None:
    """The codec of a picture by its first bytes, "mjpeg" or "png"; None: neither."""
    if data.startswith(_JPEG):
        return "mjpeg"
    return "png" if data.startswith(_PNG) else None


def read_picture(path: Path, *, max_pixels: int) -> bytes:
    """The bytes of a file.

    Raises:
        LimitExceeded: It has more than any picture of `max_pixels` needs.
        NotAFile, OSError: As `open_regular`.
    """
    most = _BYTES_PER_PIXEL * max_pixels + _SPARE_BYTES
    with open_binary(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise LimitExceeded(
            f"{display_path(path)} has more bytes than a picture of {max_pixels} pixels needs; is it one?"
        )
    return data


class PictureDecoder:
    """Decodes pictures, each with the decoder that its own first bytes ask for."""

    def __init__(self, *, max_pixels: int) -> None:
        self._options = {"max_pixels": str(max_pixels), "codec_whitelist": CODEC_WHITELIST}

    def decode(self, data: bytes) -> VideoFrame:
        """The picture; `frame.opaque` has its orientation.

        Raises:
            FFmpegError: It is damaged, larger than `max_pixels`, or neither JPEG nor PNG.
        """
        codec = codec_of(data)
        if codec is None:
            raise av.InvalidDataError(1, "neither JPEG nor PNG")
        context: Any = CodecContext.create(codec, "r")
        context.options = self._options
        context.thread_count = 1
        frames = context.decode(Packet(data)) or context.decode(None)
        if not frames or not isinstance(frames[0], VideoFrame):
            raise av.InvalidDataError(1, "no picture")
        frames[0].opaque = Orientation.of_exif(exif_orientation(data))
        return frames[0]


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels by the header, before anything is decoded; 0, 0 where there is none."""
    if data.startswith(_PNG) and data[12:16] == b"IHDR" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    for marker, content in _jpeg_segments(data):
        if marker in _JPEG_SIZES and len(content) >= 5:
            height, width = struct.unpack(">HH", content[1:5])
            return width, height
    return 0, 0


def exif_orientation(data: bytes) -> int:
    """EXIF's number for the orientation of a JPEG or a PNG; 1, upright, if it has none."""
    if data.startswith(_PNG):
        tiff = next((content for kind, content in _png_chunks(data) if kind == b"eXIf"), b"")
    else:
        blocks = (content for marker, content in _jpeg_segments(data) if marker == 0xE1)
        tiff = next((block[6:] for block in blocks if block.startswith(b"Exif\0\0")), b"")
    try:
        return _orientation_of(tiff)
    except struct.error:  # cut short
        return 1


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The marker and the content of each segment before the pixels of a JPEG."""
    at = 2
    while data.startswith(_JPEG) and at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # a byte to fill
            at += 1
            continue
        if marker in (0xDA, 0xD9):
            return
        yield marker, data[at + 4 : at + 2 + size]
        at += 2 + max(size, 2)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind and the content of each chunk before the pixels of a PNG."""
    at = len(_PNG)
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def _orientation_of(tiff: bytes) -> int:
    """The value of the tag in the first directory of a TIFF file."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, number, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
        if (tag, kind, number) == (_ORIENTATION_TAG, 3, 1):
            return int(value)
    return 1
