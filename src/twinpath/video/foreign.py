"""What a file is that is no video, or why a name leads to no file, with the next step.

foreign_content(b"version https://git-lfs.github.com/spec/v1…")    # "a pointer of Git LFS; fetch the video …"
missing_reason(Path("file:///videos/a.mp4"))    # "is the address of a file; give its path, /videos/a.mp4"
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

from twinpath.addresses import is_address

_CONVERT = "convert it to MP4"
_UNPACK = "unpack it and give the videos in it"

#: First bytes, and what a file is that has them.
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a pointer of Git LFS; fetch the video with `git lfs pull`"),
    (b"\x00\x05\x16\x07", "a side file of macOS (AppleDouble); give the file of that name without ._"),
    (b"PK\x03\x04", f"a ZIP archive; {_UNPACK}"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", f"compressed with gzip; {_UNPACK}"),
    (b"BZh", f"compressed with bzip2; {_UNPACK}"),
    (b"\xfd7zXZ\x00", f"compressed with xz; {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"compressed with zstd; {_UNPACK}"),
    (b"Rar!\x1a\x07", f"a RAR archive; {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (b"\xff\xd8\xff", "a JPEG picture; give a video"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture; give a video"),
    (b"BM", "a BMP picture; give a video"),
    (b"II*\x00", "a TIFF picture; give a video"),
    (b"MM\x00*", "a TIFF picture; give a video"),
    (b"ID3", "a sound file; give a video"),
    (b"fLaC", "a sound file; give a video"),
    (b"%PDF-", "a PDF document; give a video"),
    (b"\xd0\xcf\x11\xe0", "an Office document; give a video"),
    (b"bplist", "a property list of macOS, such as a link or a file that is not downloaded; give the video"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "a shortcut of Windows; give the file that it leads to"),
    (b"[InternetShortcut]", "a link to a page; save the video as a file"),
    (b"\x1f\x43\xb6\x75", "a later part of a WebM recording; join it behind the first part"),
    (b"\x93NUMPY", "an array of NumPy; give a video"),
    (b"\x89HDF", "an HDF5 file; give a video"),
    (b"SQLite format 3\x00", "a database; give a video"),
    (b"MZ", "a program of Windows; where it plays a video, export that as MP4"),
    (b"d8:announce", "a torrent; download the video"),
    (b"DHAV", "a recording of a Dahua recorder; copy it with `ffmpeg -i FILE -c copy OUT.mp4`"),
    (b"#EXTM3U", "a playlist; give the videos, or join them to one file"),
    (b"ffconcat", "a list of files; give the videos, or join them to one file"),
)
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<script)", re.IGNORECASE)
_XML = re.compile(rb"\s*<(\?xml|Error>)", re.IGNORECASE)
_DICOM_AT = 128


def foreign_content(head: bytes) -> str | None:
    """Describes a file that is no video.

    Args:
        head: Its first bytes, at least one.
    Returns:
        For example "a ZIP archive; unpack it and give the videos in it"; None: unknown.
    """
    if not head.strip(b"\x00"):
        return "nothing but zeros at its beginning; was it downloaded or copied to the end?"
    for start, what in _STARTS:
        if head.startswith(start):
            return what
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "a sound file; give a video"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return f"a WebP picture; {_CONVERT} if it is animated"
    if head[_DICOM_AT : _DICOM_AT + 4] == b"DICM":
        return f"a DICOM file; {_CONVERT}"
    text = head.removeprefix(b"\xef\xbb\xbf")
    if _PAGE.match(text):
        return "a web page; open it in a browser to see what the server said"
    if _XML.match(text):
        return "an XML text; a server may have sent an error in its place"
    if text.lstrip()[:1] in (b"{", b"["):
        return "a JSON text; a server may have sent an error in its place"
    if is_text(head):
        return "a text; give a video"
    return None


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are plain text in UTF-8, which no container of video is."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else the last character is cut
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and all(character.isprintable() or character in "\t\r\n\f" for character in text)


def placeholder_reason(name: str) -> str:
    """What a file called ".match.mov.icloud" is, with the next step."""
    return f"a placeholder of iCloud; download {name.removeprefix('.').removesuffix('.icloud')} first"


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
