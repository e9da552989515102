"""Detect the container of a file from its first bytes, never from its name.

FFmpeg guesses among hundreds of formats, and some of them (HLS playlists, ffconcat lists) open other files.
Therefore the demuxer is chosen here, from a short list, and passed to FFmpeg.
"""

from __future__ import annotations

import os
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
    return _sniff_start_code(head) or ("mpegts" if _is_mpegts(head) else None)


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


#: Pictures and other files that people take for videos, by their first bytes.
_FOREIGN = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"8BPS", "a Photoshop picture"),
    (b"ID3", "an MP3 sound file"),
    (b"fLaC", "a FLAC sound file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF", "a PDF document"),
    (b".RMF", "a RealMedia video"),
    (b"DKIF", "an IVF video"),
    (b"YUV4MPEG2", "a Y4M video"),
    (bytes.fromhex("b7d800203749da11a64e0007e95ead8d"), "a WTV video"),
    (b"\x00\x00\x01\xb0", "a raw MPEG-4 video"),
)
_RIFF = {b"WEBP": "a WebP picture", b"WAVE": "a WAV sound file"}
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def name_foreign(head: bytes) -> str | None:
    """What a file is that `sniff` does not know, for a message: "a PNG picture"; None if that is unknown."""
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head[128:132] == b"DICM":
        return "a DICOM file"
    return next((name for start, name in _FOREIGN if head.startswith(start)), None)


def name_heif(head: bytes) -> str | None:
    """Which picture an MP4 is by its brand, for example "a HEIC picture"; it may still hold a video, too."""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand == b"mif1" and b"avif" in head[12:64]:
        brand = b"avif"
    if brand in _AVIF_BRANDS:
        return "an AVIF picture"
    return "a HEIC picture" if brand in _HEIC_BRANDS else None


def has_mp4_index(file: BinaryIO) -> bool:
    """Whether an MP4 has a complete `moov` box at its top level (a truncated upload usually has none).

    Args:
        file: The file, open for reading and seekable. Its position changes.
    """
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
            return False
        if header[4:8] == b"moov":
            return position + size <= end
        position += size
    return False


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
