"""The directory of a torch file, a zip archive of uncompressed members: checked before anything is read."""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import BinaryIO

from twinpath.errors import DamagedWeights, UnknownWeightFormat, UnsafeWeights
from twinpath.weights.pickles import Buffer, shown_name

MAX_DIRECTORY_BYTES = 1 << 23  # of the largest network with its optimizer: 300 kB
_CHUNK_BYTES = 1 << 20
_END, _END_BYTES, _MAX_COMMENT_BYTES = b"PK\x05\x06", 22, 1 << 16
_END_64, _LOCATOR_64, _LOCATOR_64_BYTES = b"PK\x06\x06", b"PK\x06\x07", 20
_LOCAL, _LOCAL_BYTES = b"PK\x03\x04", 30


@dataclass(frozen=True)
class ArchiveMember:
    """Where the content of a member lies.

    Attributes:
        name: With its folders.
        start, size: In bytes.
        crc: Checksum; 0: none.
    """

    name: str
    start: int
    size: int
    crc: int


def read_directory(data: Buffer, file: BinaryIO, *, where: str) -> list[ArchiveMember]:
    """The members of an archive.

    Args:
        data, file: The same content twice: mapped, and as a file.
        where: Name of the file in errors.
    Raises:
        UnsafeWeights: A directory that would fill the memory; members that are compressed or overlap.
        DamagedWeights: Cut short, or a directory that cannot be read.
        UnknownWeightFormat: An archive of other things; says of what.
    """
    _check_directory_size(data, where)
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, EOFError, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise _damaged(where, error) from error
    _check_kind([info.filename for info in infos], where)
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise UnsafeWeights(f"{where} was refused: compressed members; torch writes none")
    members = [_member(data, info, where) for info in infos]
    ordered = sorted(members, key=lambda member: member.start)
    for first, second in pairwise(ordered):
        if first.start + first.size > second.start - _LOCAL_BYTES:
            raise UnsafeWeights(f"{where} was refused: its members overlap")
    if len({member.name for member in members}) < len(members):
        raise DamagedWeights(f"{where} is damaged: two of its members have one name")
    return members


def check_sums(data: Buffer, members: list[ArchiveMember], *, where: str) -> None:
    """Compare every member with its checksum.

    Raises:
        DamagedWeights: One differs; names it.
    """
    view = memoryview(data)
    for member in members:
        if not member.crc:  # the file was written without checksums
            continue
        found = 0
        for start in range(member.start, member.start + member.size, _CHUNK_BYTES):
            found = zlib.crc32(view[start : min(start + _CHUNK_BYTES, member.start + member.size)], found)
        if found != member.crc:
            raise DamagedWeights(
                f"{where} is damaged or cut short (Bad CRC-32 for {shown_name(member.name)})"
            )


def _check_directory_size(data: Buffer, where: str) -> None:
    """Python's reader believes the size of the directory, and makes an object for every entry."""
    end = data.rfind(_END, max(0, len(data) - _END_BYTES - _MAX_COMMENT_BYTES))
    if end < 0 or end + _END_BYTES > len(data):
        raise DamagedWeights(f"{where} is damaged or cut short (its table of contents is missing)")
    sizes = [struct.unpack_from("<I", data, end + 12)[0]]
    locator = end - _LOCATOR_64_BYTES
    if locator >= 0 and data[locator : locator + 4] == _LOCATOR_64:
        sizes = [size for size in sizes if size != 0xFFFFFFFF]
        for at in (locator - 56, struct.unpack_from("<Q", data, locator + 8)[0]):
            if 0 <= at <= len(data) - 56 and data[at : at + 4] == _END_64:
                sizes.append(struct.unpack_from("<Q", data, at + 40)[0])
    if max(sizes, default=0) > MAX_DIRECTORY_BYTES:
        raise UnsafeWeights(
            f"{where} was refused: its table of contents claims {max(sizes):,} bytes; "
            f"weights need less than {MAX_DIRECTORY_BYTES:,}"
        )


def _member(data: Buffer, info: zipfile.ZipInfo, where: str) -> ArchiveMember:
    """Raises: DamagedWeights: It does not lie where the directory says."""
    at = info.header_offset
    if not 0 <= at <= len(data) - _LOCAL_BYTES or data[at : at + 4] != _LOCAL:
        raise DamagedWeights(
            f"{where} is damaged or cut short (its member {shown_name(info.filename)} is missing)"
        )
    name_bytes, extra_bytes = struct.unpack_from("<HH", data, at + 26)
    start = at + _LOCAL_BYTES + name_bytes + extra_bytes
    if info.file_size < 0 or start + info.file_size > len(data):
        raise DamagedWeights(
            f"{where} is damaged or cut short (its member {shown_name(info.filename)} is longer)"
        )
    return ArchiveMember(info.filename, start, info.file_size, info.CRC)


def _check_kind(names: list[str], where: str) -> None:
    """Raises: UnknownWeightFormat: Not what `torch.save` writes; says what it is and what to do."""
    last = {PurePosixPath(name).name for name in names}
    folders = {part for name in names for part in PurePosixPath(name).parts[:-1]}
    problem = None
    if "constants.pkl" in last and "code" in folders:
        problem = (
            "is a TorchScript program; save its weights alone: "
            "import torch; torch.save(torch.jit.load(FILE, map_location='cpu').state_dict(), 'weights.pt')"
        )
    elif "serialized_exported_program.json" in last or "archive_format" in last:
        problem = (
            "is a program of torch.export; save its weights alone: "
            "import torch; torch.save(torch.export.load(FILE).state_dict, 'weights.pt')"
        )
    elif "extern_modules" in last:
        problem = "is a package of torch.package; save the state_dict() of the model in it with torch.save"
    elif "data.pkl" in last:
        return
    elif "config.json" in last and any(name.endswith(".h5") for name in last):
        problem = "is a Keras model; Twinpath reads weights of PyTorch and Caffe2 networks"
    elif names and all(name.endswith(".npy") for name in names):
        problem = (
            "is an archive of NumPy arrays; arrays by name are read from safetensors: "
            "safetensors.numpy.save_file(dict(numpy.load(FILE)), 'w.safetensors')"
        )
    else:
        inside = [
            name for name in names if name.endswith((".pt", ".pth", ".pyth", ".safetensors", ".ckpt", ".pkl"))
        ]
        shown_names = ", ".join(shown_name(name) for name in (inside or names)[:3]) or "nothing"
        step = "unpack it and give the weight file in it" if inside else "give a weight file"
        problem = f"is a zip archive of {shown_names}, but no torch file; {step}"
    raise UnknownWeightFormat(f"{where} {problem}")


def _damaged(where: str, error: BaseException) -> DamagedWeights:
    return DamagedWeights(
        f"{where} is damaged or cut short ({shown_name(str(error) or type(error).__name__)})"
    )


def mapped(file: BinaryIO) -> mmap.mmap:
    """A file as memory, read when it is needed; changes of it stay in this process.

    Raises:
        ValueError, OSError: Empty, or cannot be mapped.
    """
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
