"""Detect the container of a file from its first bytes, never from its name.

FFmpeg guesses among hundreds of formats, and some of them (HLS playlists, ffconcat lists) open other files.
Therefore the demuxer is chosen here, from a short list, and passed to FFmpeg.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

SNIFF_BYTES = 4096

#: The demuxers that `sniff` can return, by FFmpeg's names, and what people call them.
DEMUXERS = {
    "mov": "MP4, MOV",
    "matroska": "MKV, WebM",
    "avi": "AVI",
    "mpegts": "MPEG-TS",
    "mpeg": "MPEG-PS",
    "flv": "FLV",
    "asf": "WMV, ASF",
    "ogg": "Ogg",
    "mxf": "MXF",
    "dv": "DV",
    "gif": "GIF",
    "h264": "raw H.264",
    "hevc": "raw HEVC",
    "mpegvideo": "raw MPEG-2",
}

#: Demuxers of streams without a container, and so without times.
RAW_DEMUXERS = frozenset({"h264", "hevc", "mpegvideo"})

#: Their names in FFmpeg's whitelist ("mov" alone is not enough: it compares any one name).
FORMAT_WHITELIST = ",".join([*DEMUXERS, "mp4,m4a,3gp,3g2,mj2,webm"])

_AVI_PADDING_BYTES = 4096  # behind the end that its header names

RAW_SUFFIXES = frozenset({".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".m1v", ".m2v", ".mpv", ".mpgv"})

_MP4_FIRST_BOXES = frozenset(
    {
        b"ftyp",
        b"styp",
        b"moov",
        b"moof",
        b"mdat",
        b"free",
        b"skip",
        b"wide",
        b"pnot",
        b"uuid",
        b"sidx",
        b"emsg",
        b"prft",
        b"pdin",
    }
)
_FIRST_BYTES = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"FLV\x01", "flv"),
    (b"OggS", "ogg"),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
)
_MXF_KEY = bytes.fromhex("060e2b34020501010d0102010102")  # of a header partition
_H264_FIRST_NALS = frozenset({1, 5, 6, 7, 8, 9})  # slices, SEI, parameter sets, delimiter
_HEVC_FIRST_NALS = frozenset({1, 19, 20, 21, 32, 33, 34, 35, 39})
_HEADER_BYTES = 1024  # of a recorder's own header and the parameter sets behind it
_H264_SETS = re.compile(rb"\x00\x00\x01[\x27\x47\x67][^\x00].{2,200}?\x00\x00\x01[\x28\x48\x68]", re.DOTALL)
_HEVC_SETS = re.compile(rb"\x00\x00\x01\x40\x01.{2,200}?\x00\x00\x01\x42\x01", re.DOTALL)
_TS_PACKETS = {188: 0, 192: 4, 204: 0}  # length: where its sync byte lies; Blu-ray, and with error correction
_TS_SYNCS = 8  # in a row, in a recording that does not begin with a packet


def sniff(head: bytes) -> str | None:
    """Name the FFmpeg demuxer for a file.

    Args:
        head: The first `SNIFF_BYTES` bytes of the file, or all of them.
    Returns:
        One of `DEMUXERS`; None: not a supported video.
    """
    if head[4:8] in _MP4_FIRST_BOXES:
        return "mov"
    if head.startswith((b"RIFF", b"RIFX")) and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(b"RIFF") and head[8:12] == b"CDXA":  # a Video CD
        return "mpeg"
    for start, name in _FIRST_BYTES:
        if head.startswith(start):
            return name
    if head[:4] in (b"\x1f\x07\x00\x3f", b"\x1f\x07\x00\xbf"):
        return "dv"
    if _MXF_KEY in head:  # cameras may write up to 64 kB before it, but do not
        return "mxf"
    return _sniff_start_code(head) or ("mpegts" if _is_mpegts(head) else _sniff_behind_header(head))


def _is_mpegts(head: bytes) -> bool:
    """Whether every packet starts with a sync byte; a cut recording may start within a packet."""
    for stride, at in _TS_PACKETS.items():
        starts = range(at, min(len(head), at + 5 * stride), stride)
        if len(starts) >= 2 and all(head[i] == 0x47 for i in starts):
            return True
        for offset in range(stride):
            syncs = head[offset::stride]
            if len(syncs) >= _TS_SYNCS and syncs.count(0x47) == len(syncs):
                return True
    return False


def _sniff_start_code(head: bytes) -> str | None:
    """An MPEG program stream, or a raw stream, starts with a start code; zeros may stand before it."""
    start = head.lstrip(b"\x00")
    zeros = len(head) - len(start)
    if zeros < 2 or start[:1] != b"\x01" or len(start) < 2:
        return None
    code = start[1]
    if code == 0xBA or code in (0xBB, 0xBD, 0xBE) or 0xC0 <= code <= 0xEF:  # a pack, or a packet of one
        return "mpeg"
    if code == 0xB3:  # a sequence header
        return "mpegvideo"
    return _sniff_nal(start[1:3]) if zeros <= 3 else None


def _sniff_behind_header(head: bytes) -> str | None:
    """What begins behind a recorder's own header: a program stream, or the parameter sets of a raw stream."""
    if head.startswith(b"IMKH"):  # Hikvision; FFmpeg's demuxer finds the packs
        return "mpeg"
    if head.startswith(b"DHAV"):  # Dahua: a container of its own, with times
        return None
    if _HEVC_SETS.search(head, 0, _HEADER_BYTES):
        return "hevc"
    return "h264" if _H264_SETS.search(head, 0, _HEADER_BYTES) else None


def _sniff_nal(nal: bytes) -> str | None:
    """H.264 or HEVC without a container starts with a parameter set, SEI or slice."""
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


def is_joined_mp4(file: BinaryIO) -> bool:
    """Whether one MP4 follows another, as `cat` joins them; looks at the first 1000 boxes."""
    boxes = itertools.islice(_mp4_boxes(file), 1000)
    return sum(name == b"ftyp" for name, _ in boxes) > 1


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


def has_avi_index(file: BinaryIO) -> bool:
    """Whether an AVI has a complete index (`idx1`): one without it was cut off, or is still written.

    Files above 1 GB have more parts, and an index for each; for them the answer is False.

    Args:
        file: The file, open for reading and seekable. Its position changes.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(4)
    size = int.from_bytes(file.read(4), "little")
    if end > size + 8 + _AVI_PADDING_BYTES:
        return False
    position = 12
    while position + 8 <= end:
        file.seek(position)
        header = file.read(8)
        size = int.from_bytes(header[4:], "little")
        if header[:4] == b"idx1":
            return size > 0 and position + 8 + size <= end
        position += 8 + size + size % 2
    return False


def is_cut_asf(file: BinaryIO) -> bool:
    """Whether a WMV or ASF file ends before its packets do, by the size in the header of its data."""
    file.seek(16)
    header_bytes = int.from_bytes(file.read(8), "little")
    end = file.seek(0, os.SEEK_END)
    if header_bytes > end:
        return True
    file.seek(header_bytes + 16)
    return header_bytes + int.from_bytes(file.read(8), "little") > end
