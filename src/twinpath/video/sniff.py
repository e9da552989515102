"""Detect the container of a file from its first bytes, never from its name.

FFmpeg guesses among hundreds of formats, and some of them (HLS playlists, ffconcat lists) open other files.
Therefore the demuxer is chosen here, from a short list, and passed to FFmpeg.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

SNIFF_BYTES = 4096

#: The demuxers that `sniff` can return, by FFmpeg's names.
DEMUXERS = ("mov", "matroska", "avi", "mpegts", "gif", "h264", "hevc")

#: Their names in FFmpeg's whitelist ("mov" alone is not enough: it compares any one name).
FORMAT_WHITELIST = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,gif,h264,hevc"

RAW_SUFFIXES = frozenset({".h264", ".264", ".avc", ".h265", ".265", ".hevc"})

_MP4_FIRST_BOXES = frozenset(
    re.findall(rb"\w{4}", b"ftyp styp moov mdat free skip wide pnot moof sidx emsg prft pdin uuid")
)
_H264_FIRST_NALS = frozenset({1, 5, 6, 7, 8, 9})  # slices, SEI, parameter sets, delimiter
_HEVC_FIRST_NALS = frozenset({1, 19, 20, 21, 32, 33, 34, 35, 39})


def sniff(head: bytes) -> str | None:
    """Name the FFmpeg demuxer for a file.

    Args:
        head: The first `SNIFF_BYTES` bytes of the file, or all of them.
    Returns:
        One of `DEMUXERS`; None: not a supported video.
    """
    if head[4:8] in _MP4_FIRST_BOXES:
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith((b"RIFF", b"RIFX")) and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if _is_mpegts(head, offset=0, stride=188) or _is_mpegts(head, offset=4, stride=192):
        return "mpegts"
    return _sniff_raw(head)


def _is_mpegts(head: bytes, *, offset: int, stride: int) -> bool:
    """Whether every packet starts with a sync byte; Blu-ray has packets of 192 bytes with a 4-byte prefix."""
    starts = range(offset, min(len(head), offset + 5 * stride), stride)
    return len(starts) >= 2 and all(head[i] == 0x47 for i in starts)


def _sniff_raw(head: bytes) -> str | None:
    """H.264 or HEVC without a container starts with a start code and a parameter set, SEI or slice."""
    if head.startswith(b"\x00\x00\x00\x01"):
        nal = head[4:6]
    elif head.startswith(b"\x00\x00\x01"):
        nal = head[3:5]
    else:
        return None
    if len(nal) < 2 or nal[0] & 0x80:  # the forbidden bit
        return None
    if (nal[0] >> 1) & 0x3F in _HEVC_FIRST_NALS and nal[0] & 1 == 0 and nal[1] == 0x01:
        return "hevc"
    return "h264" if nal[0] & 0x1F in _H264_FIRST_NALS else None


def gif_size(head: bytes) -> tuple[int, int]:
    """Width and height of a GIF in pixels, by its header: a 35-byte file can require a gigabyte of memory."""
    return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")


def has_mp4_index(file: BinaryIO) -> bool:
    """Whether an MP4 has a complete `moov` box at its top level (a truncated upload usually has none).

    Args:
        file: The file, open for reading and seekable. Its position changes.
    """
    return any(name == b"moov" and is_whole for name, is_whole in _mp4_boxes(file))


def has_mp4_fragments(file: BinaryIO) -> bool:
    """Whether an MP4 has a `moof` box at its top level: the samples of a part of a stream."""
    return any(name == b"moof" for name, _ in _mp4_boxes(file))


def _mp4_boxes(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The names of the boxes at the top level, and whether the file holds all of each."""
    end = file.seek(0, os.SEEK_END)
    position = 0
    while position + 8 <= end:
        file.seek(position)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        if size == 1 and len(header) == 16:
            size = int.from_bytes(header[8:], "big")
        elif size == 0:
            size = end - position
        if size < 8:
            return
        yield header[4:8], position + size <= end
        position += size
