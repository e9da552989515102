"""What a file is that is no video, or why a name leads to no file, with the next step.

foreign_content(b"version https://git-lfs.github.com/spec/v1…").what    # "a pointer of Git LFS"
missing_reason(Path("file:///videos/a.mp4"))    # "is the address of a file; give its path, /videos/a.mp4"
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from twinpath.addresses import is_address

_UNPACK = "unpack it and give the videos in it"
_FRAMES = "frames of a video are read if they are numbered JPEG or PNG pictures and their folder is given"
_VIDEO = "give the name of a video file"
_SERVER = "open it to see what the server said"
#: The advice is the command that converts the file.
CONVERT = "convert"


class Foreign(NamedTuple):
    """What a file is, with an article, and what to do; `CONVERT`: convert it."""

    what: str
    advice: str


#: By the first bytes.
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the video with `git lfs pull`"),
    (b"\x00\x05\x16\x07", "a side file of macOS (AppleDouble)", "give the file of that name without ._"),
    (b"PK\x03\x04", "a ZIP archive", _UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", _VIDEO),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"\xff\xd8\xff", "a JPEG picture", _FRAMES),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", _FRAMES),
    (b"BM", "a BMP picture", _FRAMES),
    (b"II*\x00", "a TIFF picture", _FRAMES),
    (b"MM\x00*", "a TIFF picture", _FRAMES),
    (b"\xff\x0a", "a JPEG XL picture", _FRAMES),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture", _FRAMES),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture", _FRAMES),
    (b"8BPS", "a Photoshop picture", _FRAMES),
    (b"ID3", "an MP3 sound file", _VIDEO),
    (b"fLaC", "a FLAC sound file", _VIDEO),
    (b"%PDF", "a PDF document", _VIDEO),
    (b"\xd0\xcf\x11\xe0", "an Office document", _VIDEO),
    (b"bplist", "a property list of macOS", _VIDEO),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "a shortcut of Windows", "give the file that it leads to"),
    (b"[InternetShortcut]", "a link to a page", "save the video as a file"),
    (b"\x1f\x43\xb6\x75", "a later part of a WebM recording", "join it behind the first part"),
    (b"\x93NUMPY", "an array of NumPy", _VIDEO),
    (b"\x89HDF", "an HDF5 file", _VIDEO),
    (b"SQLite format 3\x00", "a database", _VIDEO),
    (b"MZ", "a program of Windows", "where it plays a video, export that as MP4"),
    (b"d8:announce", "a torrent", "download the video"),
    (b"#EXTM3U", "a playlist", "give the videos, or join them to one file"),
    (b"ffconcat", "a list of files", "give the videos, or join them to one file"),
    (b".RMF", "a RealMedia video", CONVERT),
    (b"DKIF", "an IVF video", CONVERT),
    (b"YUV4MPEG2", "a Y4M video", CONVERT),
    (bytes.fromhex("b7d800203749da11a64e0007e95ead8d"), "a WTV video", CONVERT),
    (b"\x00\x00\x01\xb0", "a raw MPEG-4 video", CONVERT),
    (b"DHAV", "a recording of a Dahua recorder", CONVERT),
)
_RIFF = {b"WEBP": Foreign("a WebP picture", _FRAMES), b"WAVE": Foreign("a WAV sound file", _VIDEO)}
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<script)", re.IGNORECASE)
_XML = re.compile(rb"\s*<(\?xml|Error>)", re.IGNORECASE)
_DICOM_AT = 128
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def foreign_content(head: bytes) -> Foreign | None:
    """What a file is that is no video that Twinpath reads; None: unknown.

    Args:
        head: Its first bytes, at least one.
    """
    if not head.strip(b"\x00"):
        return Foreign("zeros at its beginning", "was it downloaded or copied to the end?")
    for start, what, advice in _STARTS:
        if head.startswith(start):
            return Foreign(what, advice)
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[_DICOM_AT : _DICOM_AT + 4] == b"DICM":
        return Foreign("a DICOM file", "export the video in it as MP4")
    text = head.removeprefix(b"\xef\xbb\xbf")
    if _PAGE.match(text):
        return Foreign("a web page", _SERVER)
    if _XML.match(text):
        return Foreign("an XML file", _SERVER)
    if text.lstrip()[:1] in (b"{", b"["):
        return Foreign("a JSON file", _SERVER)
    return Foreign("a text file", _VIDEO) if is_text(head) else None


def foreign_picture(head: bytes) -> Foreign | None:
    """A HEIC or AVIF picture by the brand of an MP4, which may still hold a video; None: another brand."""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand == b"mif1" and b"avif" in head[12:64]:
        brand = b"avif"
    if brand in _AVIF_BRANDS:
        return Foreign("an AVIF picture", _FRAMES)
    return Foreign("a HEIC picture", _FRAMES) if brand in _HEIC_BRANDS else None


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are plain text in UTF-8, which no container of video is."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else the last character is cut
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and all(character.isprintable() or character in "\t\r\n\f" for character in text)


def cloud_placeholder(name: str) -> Foreign:
    """What a file called ".match.mov.icloud" is."""
    video = name.removeprefix(".").removesuffix(".icloud")
    return Foreign("a placeholder of iCloud", f"download {video} first")


def missing_reason(path: Path) -> str:
    """Why a name leads to no file, with the next step, to be put behind the name.

    Args:
        path: A path that does not exist.
    """
    text = str(path)
    if os.path.islink(path):  # noqa: PTH114 - as the other calls of os.path for names of any kind
        target = os.readlink(path)  # noqa: PTH115
        is_annexed = ".git/annex/" in target.replace("\\", "/")
        advice = "fetch it with `git annex get`" if is_annexed else "fetch it, or mend the link"
        return f"is a link to {target!a}, which is not there; {advice}"
    if text.lower().startswith("file:"):
        local = "/" + unquote(text[5:]).lstrip("/")
        return (
            f"is the address of a file; give its path, {ascii(local) if not local.isprintable() else local}"
        )
    if is_address(text):
        return "is an address, not a file; save the video as a file first"
    if text.startswith("~"):
        return "does not exist; ~ stands for the home folder in a shell only: give the whole path"
    if os.name != "nt" and re.match(r"[A-Za-z]:\\|\\\\", text):
        return "is a path of Windows; give the path on this computer, such as /mnt/c/… under WSL"
    if len(text) > 2 and text[0] in "\"'" and text[-1] == text[0]:
        return "does not exist; leave out the quotes"
    return "does not exist; check the name"
