"""Read what `torch.save` writes, in its zip form and its older one, without torch's own reader.

The pickle says where each tensor lies: storage, offset, sizes, strides. This is kept as data
(`StoredTensor`), checked against the bytes that are there, and only then made a tensor, which is a view of
the mapped file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twinpath.errors import DamagedWeights
from twinpath.weights.archive import ArchiveMember
from twinpath.weights.foreign import refuse_foreign
from twinpath.weights.pickled_arrays import PickledArray, array_names
from twinpath.weights.pickles import Buffer, Known, Malformed, PickleMachine, UnknownObject, shown_name

_MAX_DIMENSIONS = 64

_STORAGES: dict[str, torch.dtype] = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}


@dataclass(frozen=True)
class StorageRef:
    """Bytes that tensors are views of.

    Attributes:
        key: Its name in the file.
        dtype: None: bytes, which each tensor reads as its own type.
        count: Values in it; bytes where `dtype` is None.
        first: Of a part of a storage: the first value.
    """

    key: str
    dtype: torch.dtype | None
    count: int
    first: int = 0


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the pickle describes it.

    Attributes:
        storage, dtype, offset, size, stride: See `torch.Tensor.set_`.
        problem: What it is, where it is no plain tensor: "is sparse".
    """

    storage: StorageRef | None = None
    dtype: torch.dtype | None = None
    offset: int = 0
    size: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    problem: str | None = None

    @property
    def claimed_bytes(self) -> int:
        """What its values take, each of them counted."""
        return math.prod(self.size) * (self.dtype.itemsize if self.dtype else 0)


@dataclass(frozen=True)
class TorchFile:
    """The content of a torch file: descriptions of tensors, and a way to get at one.

    Attributes:
        content: What was saved, with `StoredTensor` and `PickledArray` for tensors and arrays.
        tensor: Makes the tensor of a description; `name` is for errors.
    """

    content: Any
    tensor: Callable[[StoredTensor, str], Tensor]


def read_archive(data: Buffer, members: list[ArchiveMember], *, where: str) -> TorchFile:
    """Read the zip form, whose directory has been checked.

    Raises:
        DamagedWeights: No valid pickle.
        UnsafeWeights: It names what weights do not need.
    """
    by_name = {member.name: member for member in members}
    pickle = min((m for m in members if m.name.rpartition("/")[2] == "data.pkl"), key=lambda m: len(m.name))
    folder = pickle.name.removesuffix("data.pkl")
    machine = PickleMachine(
        data,
        where=where,
        known=_names(pickle.size),
        persistent=_storage_ref,
        start=pickle.start,
        stop=pickle.start + pickle.size,
    )
    content = machine.load()
    refuse_foreign(machine.foreign, where=where, content=content, is_torch=True)
    order = by_name.get(folder + "byteorder")
    is_swapped = order is not None and bytes(data[order.start : order.start + order.size]) == b"big"

    def place(key: str) -> tuple[int, int]:
        member = by_name.get(f"{folder}data/{key}")
        if member is None:
            raise DamagedWeights(f"{where} is damaged: its values of storage {shown_name(key)} are missing")
        return member.start, member.size

    return TorchFile(content, _Tensors(data, where, place, is_swapped=is_swapped).get)


def read_legacy(data: Buffer, *, where: str) -> TorchFile:
    """Read the form of torch before 1.6: five pickles, then the storages one behind the other.

    Raises:
        DamagedWeights: No valid pickle, or cut short.
        UnsafeWeights: It names what weights do not need.
    """
    sizes: dict[str, int] = {}

    def ref(pid: Any) -> StorageRef | UnknownObject:
        found = _storage_ref(pid)
        if isinstance(found, UnknownObject):
            return found
        sizes[found.key] = found.dtype.itemsize if found.dtype else 1
        return found

    machine = PickleMachine(data, where=where, known=_names(len(data)), persistent=ref)
    machine.load()  # a magic number
    machine.load()  # the protocol's version
    system = machine.load()
    content = machine.load()
    refuse_foreign(machine.foreign, where=where, content=content, is_torch=True)
    places: dict[str, tuple[int, int]] = {}
    keys = machine.load()
    at = machine.position
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key in places or at + 8 > len(data):
            break
        size = int.from_bytes(data[at : at + 8], "little", signed=True) * sizes.get(key, 1)
        if size < 0 or at + 8 + size > len(data):
            break
        places[key] = (at + 8, size)
        at += 8 + size

    def place(key: str) -> tuple[int, int]:
        if key not in places:
            raise DamagedWeights(
                f"{where} is damaged or cut short: its values of storage {shown_name(key)} are missing"
            )
        return places[key]

    is_swapped = isinstance(system, dict) and system.get("little_endian") is False
    return TorchFile(content, _Tensors(data, where, place, is_swapped=is_swapped).get)


class _Tensors:
    """Makes tensors from descriptions."""

    def __init__(
        self, data: Buffer, where: str, place: Callable[[str], tuple[int, int]], *, is_swapped: bool
    ) -> None:
        self._data, self._where, self._place, self._is_swapped = data, where, place, is_swapped

    def get(self, stored: StoredTensor, name: str) -> Tensor:
        """A view of the file's bytes.

        Raises:
            DamagedWeights: It reaches beyond what is there.
        """
        try:
            return self._get(stored, name)
        except (
            RuntimeError,
            ValueError,
            OverflowError,
            TypeError,
        ) as error:  # of torch, for impossible sizes
            raise DamagedWeights(
                f"{self._where} is damaged: {shown_name(name)} has impossible sizes"
            ) from error

    def _get(self, stored: StoredTensor, name: str) -> Tensor:
        storage, dtype = stored.storage, stored.dtype
        assert storage is not None
        assert dtype is not None
        start, size = self._place(storage.key)
        count = size // dtype.itemsize
        offset = stored.offset + storage.first
        last = offset + sum((n - 1) * step for n, step in zip(stored.size, stored.stride, strict=True))
        if 0 in stored.size:
            return torch.empty(stored.size, dtype=dtype)
        if last >= count:
            raise DamagedWeights(
                f"{self._where} is damaged: {shown_name(name)} needs {last + 1} values, and {count} are there"
            )
        raw = torch.frombuffer(self._data, dtype=torch.uint8, count=count * dtype.itemsize, offset=start)
        if self._is_swapped:
            real = max(dtype.itemsize // 2, 1) if dtype.is_complex else dtype.itemsize
            raw = raw.view(-1, real).flip(1).reshape(-1)
        elif start % dtype.itemsize:
            raw = raw.clone()
        return raw.view(dtype).as_strided(stored.size, stored.stride, offset)


# what a pickle of torch names


def _names(size_bytes: int) -> dict[str, Known]:
    names = array_names(size_bytes)
    rebuild: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor_v3": _tensor_v3,
        "torch._utils._rebuild_parameter": lambda data, *_: _checked(data),
        "torch._utils._rebuild_parameter_with_state": lambda data, *_: _checked(data),
        "torch._utils._rebuild_device_tensor_from_numpy": lambda data, *_: data,
        "torch._utils._rebuild_device_tensor_from_cpu_tensor": lambda data, *_: _checked(data),
        "torch._utils._rebuild_meta_tensor_no_storage": _is("has no values (it was on the device 'meta')"),
        "torch._utils._rebuild_sparse_tensor": _is("is sparse"),
        "torch._utils._rebuild_sparse_csr_tensor": _is("is sparse"),
        "torch._utils._rebuild_nested_tensor": _is("is a nested tensor"),
        "torch._utils._rebuild_qtensor": _is("is quantised"),
        "torch._tensor._rebuild_from_type_v2": _typed,
        "torch.nn.parameter.Parameter": lambda data=None, *_: _checked(data),
        "torch.serialization._get_layout": lambda *_: None,
        "torch.Size": lambda items=(), *_: _size(items),
        "torch.device": lambda *_: None,
        "torch.Tensor": lambda *_: StoredTensor(problem="is empty"),
    }
    names |= {name: Known(make) for name, make in rebuild.items()}
    for kind, dtype in _STORAGES.items():
        names[f"torch.{kind}Storage"] = names[f"torch.storage.{kind}Storage"] = _DtypeName(dtype)
        names[f"torch.cuda.{kind}Storage"] = _DtypeName(dtype)
    for module in ("torch", "torch.storage"):
        names[f"{module}.UntypedStorage"] = _DtypeName(None)
    for name, value in vars(torch).items():
        if isinstance(value, torch.dtype):
            names[f"torch.{name}"] = _DtypeName(value)
    for scheme in (
        "per_tensor_affine",
        "per_channel_affine",
        "per_tensor_symmetric",
        "per_channel_symmetric",
    ):
        names[f"torch.{scheme}"] = Known(lambda *_: None)
    return names


class _DtypeName(Known):
    """Stands for a dtype or a class of storages."""

    def __init__(self, dtype: torch.dtype | None) -> None:
        super().__init__(lambda *_: None)
        self.dtype = dtype


def _storage_ref(pid: Any) -> StorageRef | UnknownObject:
    """A storage, or the class of a module in the older form.

    Raises:
        Malformed: Not how torch names these.
    """
    if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module" and isinstance(pid[1], UnknownObject):
        return pid[1]
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] not in ("storage", b"storage"):
        raise Malformed("an object outside of it that is no storage")
    _, kind, key, _location, count, *part = pid
    if isinstance(key, int):
        key = str(key)
    if not isinstance(kind, _DtypeName) or not isinstance(key, str) or not _is_size(count):
        raise Malformed("a storage without type, name or size")
    ref = StorageRef(key, kind.dtype, count)
    if part and part[0] is not None:  # a storage that is a part of another one
        if not isinstance(part[0], tuple) or len(part[0]) != 3 or not all(map(_is_size, part[0][1:])):
            raise Malformed("a part of a storage without place")
        ref = replace(ref, first=part[0][1])
    return ref


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> StoredTensor:
    return _described(
        storage, storage.dtype if isinstance(storage, StorageRef) else None, offset, size, stride
    )


def _tensor_v3(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> StoredTensor:
    """`rest`: whether it needs a gradient, hooks, its dtype, perhaps metadata."""
    dtype = rest[2] if len(rest) > 2 else None
    if not isinstance(dtype, _DtypeName):
        raise Malformed("a tensor without a type")
    return _described(storage, dtype.dtype, offset, size, stride)


def _described(storage: Any, dtype: torch.dtype | None, offset: Any, size: Any, stride: Any) -> StoredTensor:
    if not isinstance(storage, StorageRef) or dtype is None or not _is_size(offset):
        raise Malformed("a tensor without a storage")
    if not isinstance(size, (tuple, list)) or not isinstance(stride, (tuple, list)):
        raise Malformed("a tensor without sizes")
    if len(size) != len(stride) or len(size) > _MAX_DIMENSIONS or not all(map(_is_size, (*size, *stride))):
        raise Malformed("a tensor of impossible sizes")
    return StoredTensor(storage, dtype, offset, tuple(size), tuple(stride))


def _size(items: Any) -> tuple[Any, ...]:
    if not isinstance(items, (list, tuple)) or len(items) > _MAX_DIMENSIONS:
        raise Malformed("a shape of impossible length")
    return tuple(items)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _checked(data: Any) -> Any:
    if not isinstance(data, (StoredTensor, PickledArray)):
        raise Malformed("a parameter without a tensor")
    return data


def _is(problem: str) -> Callable[..., StoredTensor]:
    return lambda *_: StoredTensor(problem=problem)


def _typed(function: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    """A tensor with attributes, which are not needed; or of a class of its own."""
    if isinstance(kind, UnknownObject):
        return UnknownObject(kind.name)
    if not isinstance(function, Known) or not isinstance(arguments, (tuple, list)):
        raise Malformed("a tensor that is not described")
    return function.make(*arguments)


def as_tensor(array: PickledArray) -> Tensor | None:
    """A copy of an array of numbers, in this machine's byte order; None: of other things."""
    if array.array is None:
        return None
    native = array.array.astype(array.array.dtype.newbyteorder("="), order="C", copy=True)
    return torch.from_numpy(np.asarray(native))
