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

from twinpath.addresses import is_address
from twinpath.errors import DamagedWeights, NotAFile, UnknownWeightFormat, UnsafeWeights
from twinpath.paths import display_path

Kind = Literal["gzip", "torch", "torch-legacy", "safetensors", "pickle"]

MAX_SAFETENSORS_HEADER_BYTES = 100_000_000  # the format's own limit
MAX_UNPACKED_BYTES = 8 << 30  # of a gzipped file
_CHUNK_BYTES = 1 << 20
HEAD_BYTES = 4096  # enough for `kind_of`

_OURS = "Twinpath reads weights that PyTorch saved (torch, safetensors) and Caffe2's"
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
    if head[8:9] == b"{" and head[:1] not in (b"{", b"[", b"<"):
        size = int.from_bytes(head[:8], "little")
        if not 2 <= size <= MAX_SAFETENSORS_HEADER_BYTES:
            raise DamagedWeights(f"{where} is damaged: its safetensors header claims {size} bytes")
        return "safetensors"
    if (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05") or head.startswith(_PICKLE_STARTS):
        return "pickle"
    raise UnknownWeightFormat(f"{where} {_what_it_is(head)}")


# What other files begin with, and what to do about them.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs.github.com",
        "is a pointer of Git LFS, not the weights; get them with: git lfs pull",
    ),
    (b"\x89HDF\r\n\x1a\n", f"is an HDF5 file, as Keras writes them; {_OURS}"),
    (b"GGUF", f"is a GGUF file of a language model; {_OURS}"),
    (b"ggml", f"is a GGML file of a language model; {_OURS}"),
    (b"\x93NUMPY", "is one NumPy array; save arrays by name with safetensors.numpy.save_file"),
    (b"BZh", "is packed by bzip2; unpack it"),
    (b"\xfd7zXZ\0", "is packed by xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "is packed by Zstandard; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it"),
    (b"Rar!", "is a RAR archive; unpack it"),
    (b"\x7fELF", f"is a program or a library, not weights; {_OURS}"),
    (b"ftrt", f"is an engine of TensorRT, made for one GPU; {_OURS}"),
    (b"%PDF", "is a PDF document, not weights"),
    (b"\x89PNG", "is a picture, not weights"),
    (b"\xff\xd8\xff", "is a picture, not weights"),
    (b"RIFF", "is a video or sound file, not weights; were two arguments swapped?"),
    (b"\x1a\x45\xdf\xa3", "is a video, not weights; were two arguments swapped?"),
    (b"model_checkpoint_path:", f"is the list of a TensorFlow checkpoint; {_OURS}"),
)


def _what_it_is(head: bytes) -> str:
    """What another file is, to judge by its beginning, and what to do."""
    for start, problem in _OTHERS:
        if head.startswith(start):
            return problem
    if head[4:8] == b"TFL3":
        return f"is a TensorFlow Lite file; {_OURS}"
    if head[4:8] == b"ftyp":
        return "is a video, not weights; were two arguments swapped?"
    if head[257:262] == b"ustar":
        return "is a tar archive; unpack it and give the weight file in it"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"<":
        return _markup(text)
    if text[:1] in (b"{", b"[") and not head.startswith(b"{\0"):
        if b'"weight_map"' in text:
            return "is the index of weights in several files; join them: save_file of all their tensors"
        return "is a JSON file, not weights; does it hold a server's error message?"
    if head[:1] == b"\x08" and len(head) > 1 and 0 < head[1] < 32:
        of = "a SavedModel of TensorFlow" if b"serve" in head or b"saved_model" in head else "an ONNX file"
        return f"is {of}, a network and not only weights; {_OURS}"
    if not head.strip(b"\0"):
        return "holds zeros where weights begin; was the download complete? Fetch it again"
    return "is no weight file that Twinpath knows (torch, safetensors, Caffe2)"


def _markup(text: bytes) -> str:
    if b"<net " in text[:1024]:
        return (
            "is the network of an OpenVINO IR, not its weights; Twinpath makes its own from the weights "
            "of PyTorch: give the file that it was made from"
        )
    if text[:5].lower() == b"<?xml" and b"<html" not in text.lower():
        return "is an XML file, not weights; does it hold a server's error message?"
    return "is a web page, not weights; log in to your network or proxy?"


def check_is_file(path: Path) -> None:
    """Raises: NotAFile: Missing, or a folder, a pipe, a device; says so of an address, too."""
    if path.is_file():
        return
    name = display_path(path)
    if path.exists():
        raise NotAFile(f"the weight file {name} is not a regular file")
    if is_address(str(path)):
        raise NotAFile(f"{name} is an address, not a file of weights; download it and give the file")
    raise NotAFile(f"the weight file {name} does not exist; check the name")


def kind_of_file(path: Path, *, where: str | None = None) -> Kind:
    """As `kind_of`, for a file.

    Raises:
        NotAFile: Missing, or a folder, a pipe, a device.
    """
    check_is_file(path)
    where = where or str(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if path.suffix == ".bin" and path.with_suffix(".xml").is_file() and not head.startswith(b"PK"):
        raise UnknownWeightFormat(
            f"{where} holds the values of an OpenVINO IR without their names; Twinpath makes its own from "
            "the weights of PyTorch: give the file that it was made from"
        )
    return kind_of(head, where=where)


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
