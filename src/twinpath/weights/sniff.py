"""Detect the kind of a weight file from its bytes, never from its name: all kinds have been called `.pkl`.

No torch: a download is checked before it is kept.
"""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from pathlib import Path
from typing import Literal

from twinpath.errors import DamagedWeights, NotAFile, UnknownWeightFormat, UnsafeWeights

Kind = Literal["gzip", "torch", "torch-legacy", "safetensors", "pickle"]

MAX_SAFETENSORS_HEADER_BYTES = 100_000_000  # the format's own limit
MAX_UNPACKED_BYTES = 8 << 30  # of a gzipped file
_CHUNK_BYTES = 1 << 20
HEAD_BYTES = 64  # enough for `kind_of`

_LEGACY_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number's pickle, after its protocol
_PICKLE_STARTS = (b"(dp", b"(d.", b"}q", b"}.", b"(dq")  # a dict, protocols 0 and 1


def kind_of(head: bytes, *, where: str) -> Kind:
    """Detect the kind of a weight file from its first bytes.

    Args:
        head: The first `HEAD_BYTES` of the file, or all of it.
        where: Name of the file in errors.
    Raises:
        DamagedWeights: The file is empty, or has a safetensors header of impossible length.
        UnknownWeightFormat: None of the kinds; the message is another one for a web page.
    """
    if not head:
        raise DamagedWeights(f"{where} is empty; delete it and fetch it again")
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "torch"
    if head[:1] == b"\x80" and head[2 : 2 + len(_LEGACY_TORCH)] == _LEGACY_TORCH:
        return "torch-legacy"
    if head[8:9] == b"{":
        size = int.from_bytes(head[:8], "little")
        if not 2 <= size <= MAX_SAFETENSORS_HEADER_BYTES:
            raise DamagedWeights(f"{where} is damaged: its safetensors header claims {size} bytes")
        return "safetensors"
    if (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05") or head.startswith(_PICKLE_STARTS):
        return "pickle"
    if head.lstrip()[:1] == b"<":
        raise UnknownWeightFormat(f"{where} is a web page, not weights; log in to your network or proxy?")
    raise UnknownWeightFormat(f"{where} is no weight file that Twinpath knows (torch, safetensors, Caffe2)")


def kind_of_file(path: Path, *, where: str | None = None) -> Kind:
    """As `kind_of`, for a file.

    Raises:
        NotAFile: Missing, or a folder, a pipe, a device.
    """
    if not path.exists():
        raise NotAFile(f"there is no file {path}")
    if not path.is_file():
        raise NotAFile(f"{path} is not a regular file")
    with path.open("rb") as file:
        return kind_of(file.read(HEAD_BYTES), where=where or str(path))


def check_whole(path: Path, *, where: str | None = None) -> None:
    """Check that a file is complete without reading its values, for a download of unknown hash.

    Raises:
        DamagedWeights: Shorter or longer than its own header or directory states.
        UnknownWeightFormat: No weight file.
    """
    where = where or str(path)
    kind = kind_of_file(path, where=where)
    size = path.stat().st_size
    if kind == "torch":
        try:
            zipfile.ZipFile(path).close()
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise DamagedWeights(f"{where} is cut short: its table of contents is missing") from error
    elif kind == "safetensors":
        promised = _safetensors_size(path, where)
        if size != promised:
            raise DamagedWeights(f"{where} is cut short or too long: {size} bytes of {promised}")
    elif kind == "gzip":
        _check_gzip(path, where)
    elif kind == "pickle":
        with path.open("rb") as file:
            file.seek(-1, 2)
            if file.read(1).strip() != b".":
                raise DamagedWeights(f"{where} is cut short: its pickle does not end")


def _check_gzip(path: Path, where: str) -> None:
    """Unpack to the end, and keep nothing."""
    unpacked_bytes = 0
    try:
        with gzip.open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                unpacked_bytes += len(chunk)
                if unpacked_bytes > MAX_UNPACKED_BYTES:
                    raise UnsafeWeights(f"{where} grows to more than {MAX_UNPACKED_BYTES} bytes unpacked")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedWeights(f"{where} is cut short or damaged (gzip: {error})") from error


def _safetensors_size(path: Path, where: str) -> int:
    """How long a safetensors file is by its own header, in bytes."""
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(header_bytes))
            entries = [entry for name, entry in header.items() if name != "__metadata__"]
            return 8 + header_bytes + max((int(e["data_offsets"][1]) for e in entries), default=0)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedWeights(f"{where} is damaged or cut short: its header cannot be read") from error
