"""Read weight files into tensors by name: torch, safetensors, Caffe2, and any of them gzipped.

No code in a file is run. A file is refused rather than read in part, and nothing is allocated on its word:
what it claims is compared with the bytes that are there.
"""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from torch import Tensor

from twinpath.errors import DamagedWeights, UnknownWeightFormat, UnsafeWeights
from twinpath.weights import containers
from twinpath.weights.archive import check_sums, mapped, read_directory
from twinpath.weights.caffe2 import read_blobs
from twinpath.weights.pickled_arrays import PickledArray
from twinpath.weights.pickles import Buffer
from twinpath.weights.safetensors_files import read_safetensors
from twinpath.weights.sniff import HEAD_BYTES, Kind, kind_of, kind_of_file
from twinpath.weights.torch_files import TorchFile, as_tensor, read_archive, read_legacy

Format = Literal["torch", "safetensors", "caffe2"]

GZIP_MAX_RATIO = 20  # float32 weights shrink by a tenth; zeros by a thousand
GZIP_FREE_BYTES = 1 << 24
GZIP_MAX_BYTES = 1 << 32
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class WeightFile:
    """The content of a weight file.

    Attributes:
        path: Of the file.
        format: "torch", "safetensors" or "caffe2".
        tensors: By the file's own names, on the CPU. A torch or safetensors file is mapped into memory, not
            read: copy a tensor before you change or delete the file.
        metadata: Text in a safetensors file.
        entry: Which entry of a checkpoint they are from, its keys joined by "/": "model_state". Empty: the
            file itself.
        other_entries: Further entries that hold weights, which were not taken.
        config: PySlowFast's configuration in the file, as text; None: there is none.
    """

    path: Path
    format: Format
    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)
    entry: str = ""
    other_entries: tuple[str, ...] = ()
    config: str | None = None


def read_weights(path: Path | str, *, entry: str | None = None) -> WeightFile:
    """Read a weight file; its format is detected from its content.

    Args:
        path: A torch file (a bare state dict, or a checkpoint with one in any of its entries), a safetensors
            file, a Caffe2 pickle, or any of them gzipped.
        entry: Of a checkpoint: the entry to take, its keys joined by "/", where it holds several weights.
            None: a running average (EMA) where there is one, then `model_state`, `state_dict`, `model` and
            the like.
    Raises:
        NotAFile: Missing, or a folder, a pipe, a device.
        UnknownWeightFormat: None of these, or without tensors; says what the file is and what to do.
        DamagedWeights: Empty, cut short, a checksum that does not match, values that are not finite.
        UnsafeWeights: A pickle that would run code (names it), compressed members in a torch file, gzip that
            grows beyond `GZIP_MAX_RATIO`, or tensors that claim far more than the file holds.
    """
    path = Path(path)
    kind, where = kind_of_file(path), str(path)
    with path.open("rb") as file:
        try:
            data: Buffer = mapped(file)
        except (OSError, ValueError) as error:
            raise DamagedWeights(f"{where} cannot be read ({error})") from error
        if kind != "gzip":
            return _checked(_read(path, kind, data, file, entry), where)
    unpacked = _gunzip(path)
    kind = kind_of(bytes(unpacked[:HEAD_BYTES]), where=f"the gzipped content of {path}")
    if kind == "gzip":
        raise UnsafeWeights(f"{path} was refused: gzip inside gzip")
    return _checked(_read(path, kind, unpacked, None, entry), where)


def _read(path: Path, kind: Kind, data: Buffer, file: BinaryIO | None, entry: str | None) -> WeightFile:
    """`file` has the same content as `data`; None: it is packed."""
    where = str(path)
    if kind == "safetensors":
        tensors, metadata = read_safetensors(data, path, where=where, is_file=file is not None)
        return WeightFile(path, "safetensors", tensors, metadata)
    if kind == "pickle":
        arrays = {name: PickledArray(array) for name, array in read_blobs(data, where=where).items()}
        containers.check_claims(arrays, size_bytes=len(data), where=where)
        # Copies: Caffe2 arrays are read-only or of foreign byte order, and torch takes neither.
        copies = {name: as_tensor(array) for name, array in arrays.items()}
        return WeightFile(path, "caffe2", {name: t for name, t in copies.items() if t is not None})
    if kind == "torch":
        members = read_directory(data, file or io.BytesIO(data), where=where)
        check_sums(data, members, where=where)
        return _from_torch(path, read_archive(data, members, where=where), len(data), entry)
    return _from_torch(path, read_legacy(data, where=where), len(data), entry)


def _from_torch(path: Path, file: TorchFile, size_bytes: int, entry: str | None) -> WeightFile:
    where = str(path)
    found = containers.find_weights(file.content, where=where, entry=entry)
    containers.check_claims(found.leaves, size_bytes=size_bytes, where=where)
    tensors: dict[str, Tensor] = {}
    for name, leaf in found.leaves.items():
        tensor = as_tensor(leaf) if isinstance(leaf, PickledArray) else file.tensor(leaf, name)
        assert tensor is not None
        tensors[name] = tensor
    return WeightFile(
        path, "torch", tensors, entry=found.entry, other_entries=found.others, config=found.config
    )


def _gunzip(path: Path) -> bytearray:
    """Unpack into memory, and stop as soon as it grows beyond the limits."""
    limit = min(GZIP_FREE_BYTES + GZIP_MAX_RATIO * path.stat().st_size, GZIP_MAX_BYTES)
    unpacked = bytearray()
    try:
        with gzip.open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                unpacked += chunk
                if len(unpacked) > limit:
                    raise UnsafeWeights(
                        f"{path} was refused: {path.stat().st_size} gzipped bytes grow to more than {limit}"
                    )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedWeights(f"{path} is damaged or cut short (gzip: {error})") from error
    return unpacked


def _checked(file: WeightFile, where: str) -> WeightFile:
    """Refuse values that no network can have."""
    if not file.tensors:
        raise UnknownWeightFormat(f"{where} holds no tensors")
    containers.check_count(len(file.tensors), where=where)
    containers.check_values(file.tensors, where=where)
    return file
