"""Read weight files into tensors by name: torch, safetensors, Caffe2, and any of them gzipped.

No code in a file is run. A file is refused rather than read in part.
"""

from __future__ import annotations

import gzip
import io
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from twinpath.errors import DamagedWeights, UnknownWeightFormat, UnsafeWeights
from twinpath.weights.caffe2 import read_blobs
from twinpath.weights.sniff import HEAD_BYTES, Kind, kind_of, kind_of_file

Format = Literal["torch", "safetensors", "caffe2"]

GZIP_MAX_RATIO = 20  # float32 weights shrink by a tenth; zeros by a thousand
GZIP_FREE_BYTES = 1 << 24
GZIP_MAX_BYTES = 1 << 32
_CHUNK_BYTES = 1 << 20
_WRAPPERS = ("model_state", "state_dict", "model")


@dataclass(frozen=True)
class WeightFile:
    """The content of a weight file.

    Attributes:
        path: Of the file.
        format: "torch", "safetensors" or "caffe2".
        tensors: By the file's own names, on the CPU. A torch or safetensors file is mapped into memory, not
            read: copy a tensor before you change or delete the file.
        metadata: Text in a safetensors file.
    """

    path: Path
    format: Format
    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)


def read_weights(path: Path | str) -> WeightFile:
    """Read a weight file; its format is detected from its content.

    Args:
        path: A torch file (a bare state dict, or one under `model_state`, `state_dict` or `model`), a
            safetensors file, a Caffe2 pickle, or any of them gzipped.
    Raises:
        NotAFile: Missing, or a folder, a pipe, a device.
        UnknownWeightFormat: None of these, or without tensors.
        DamagedWeights: Empty, cut short, a checksum that does not match, values that are not finite.
        UnsafeWeights: A pickle that would run code (names it), compressed members in a torch file, or gzip
            that grows beyond `GZIP_MAX_RATIO`.
    """
    path = Path(path)
    kind = kind_of_file(path)
    if kind != "gzip":
        return _checked(_read(path, kind, source=path))
    unpacked = _gunzip(path)
    kind = kind_of(bytes(unpacked.getbuffer()[:HEAD_BYTES]), where=f"the gzipped content of {path}")
    if kind == "gzip":
        raise UnsafeWeights(f"{path} was refused: gzip inside gzip")
    return _checked(_read(path, kind, source=unpacked))


def _read(path: Path, kind: Kind, *, source: Path | io.BytesIO) -> WeightFile:
    if kind == "safetensors":
        return _read_safetensors(path, source)
    if kind == "pickle":
        with _opened(source) as file:
            arrays = read_blobs(file, where=str(path))
        # Copies: Caffe2 arrays are read-only or of foreign byte order, and torch takes neither.
        tensors = {
            name: torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C", copy=True))
            for name, array in arrays.items()
        }
        return WeightFile(path, "caffe2", tensors)
    if kind == "torch":
        with _opened(source) as file:
            _check_archive(file, path)
    return WeightFile(path, "torch", _state_dict(_load_torch(path, kind, source), path))


def _opened(source: Path | io.BytesIO) -> BinaryIO:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source.getbuffer())


def _gunzip(path: Path) -> io.BytesIO:
    """Unpack into memory, and stop as soon as it grows beyond the limits."""
    limit = min(GZIP_FREE_BYTES + GZIP_MAX_RATIO * path.stat().st_size, GZIP_MAX_BYTES)
    unpacked = io.BytesIO()
    try:
        with gzip.open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                unpacked.write(chunk)
                if unpacked.tell() > limit:
                    raise UnsafeWeights(
                        f"{path} was refused: {path.stat().st_size} gzipped bytes grow to more than {limit}"
                    )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedWeights(f"{path} is damaged or cut short (gzip: {error})") from error
    return unpacked


def _check_archive(file: BinaryIO, path: Path) -> None:
    """Check what `torch.load` does not: compression, overlaps, checksums.

    Raises:
        UnsafeWeights: Members that are compressed or overlap: a small file could fill the memory.
        DamagedWeights: Cut short, or a member that does not match its checksum.
    """
    size = file.seek(0, 2)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if any(m.compress_type != zipfile.ZIP_STORED for m in members):
                raise UnsafeWeights(f"{path} was refused: compressed members; torch writes none")
            if sum(m.file_size for m in members) > size:
                raise UnsafeWeights(f"{path} was refused: its members overlap")
            if not any(m.filename.rsplit("/", 1)[-1] == "data.pkl" for m in members):
                raise UnknownWeightFormat(f"{path} is a zip archive, but no torch file")
            for member in members:
                if member.CRC:  # 0: the file has no checksums
                    with archive.open(member) as content:
                        while content.read(_CHUNK_BYTES):
                            pass
    except (zipfile.BadZipFile, EOFError, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise DamagedWeights(f"{path} is damaged or cut short ({_first_line(error)})") from error


def _load_torch(path: Path, kind: Kind, source: Path | io.BytesIO) -> Any:
    mapped = kind == "torch" and isinstance(source, Path)
    if not mapped:
        source = source if isinstance(source, io.BytesIO) else io.BytesIO(source.read_bytes())
        source.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about protocols; files that cannot be read raise errors
            return torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted:
            raise UnsafeWeights(
                f"{path} was refused: its pickle refers to {wanted[1]}, which weights do not need; "
                "load it elsewhere only if you trust its author"
            ) from error
        raise DamagedWeights(f"{path} is damaged, or no torch weights ({_first_line(error)})") from error
    except _TORCH_FAILS as error:
        if "TorchScript" in str(error):
            raise UnknownWeightFormat(f"{path} is a TorchScript program; export its state_dict()") from error
        raise DamagedWeights(f"{path} is damaged or cut short ({_first_line(error)})") from error


_TORCH_FAILS = (
    EOFError,
    RuntimeError,
    OSError,
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
)


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping):
        raise UnknownWeightFormat(f"{path} holds a {type(content).__name__}, not tensors by name")
    others = [str(k) for k, v in content.items() if not isinstance(v, Tensor) or v.layout != torch.strided]
    if others or not content:
        held = f"{', '.join(others[:3])} and no tensors for them" if others else "nothing"
        raise UnknownWeightFormat(f"{path} is a torch file, but not of weights: it holds {held}")
    return {str(name): tensor.detach() for name, tensor in content.items()}


def _read_safetensors(path: Path, source: Path | io.BytesIO) -> WeightFile:
    try:
        if isinstance(source, io.BytesIO):
            return WeightFile(path, "safetensors", safetensors.torch.load(source.getvalue()))
        with safetensors.safe_open(source, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return WeightFile(path, "safetensors", tensors, dict(file.metadata() or {}))
    except (safetensors.SafetensorError, KeyError, ValueError, OSError) as error:
        raise DamagedWeights(f"{path} is damaged or cut short (safetensors: {_first_line(error)})") from error


def _checked(file: WeightFile) -> WeightFile:
    """Refuse values that are not finite; names the first tensor that has one."""
    if not file.tensors:
        raise UnknownWeightFormat(f"{file.path} holds no tensors")
    for name, tensor in file.tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            low, high = torch.aminmax(tensor)  # NaN if any value is; makes no copy
            if not (torch.isfinite(low) and torch.isfinite(high)):
                raise DamagedWeights(
                    f"{file.path}: {name} holds values that are not finite (NaN or infinity)"
                )
    return file


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
