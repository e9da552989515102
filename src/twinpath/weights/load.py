"""Put a weight file into a network, all of it or nothing, and write one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from twinpath.atomic import atomic_path
from twinpath.errors import WeightsMismatch
from twinpath.models.registry import ARCHITECTURES
from twinpath.weights.formats import Format, WeightFile, read_weights
from twinpath.weights.names import Naming, translate

_SHOWN = 3  # names in the one-line message; all are in the error's attributes

Misshapen = list[tuple[str, tuple[int, ...], tuple[int, ...]]]


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Attributes:
        path: The file.
        format: How it was written.
        naming: Whose parameter names it has.
        loaded: How many parameters and buffers of the network were set.
        left_out: Names of the network that the caller asked not to set.
        metadata: Text that a safetensors file carries.
    """

    path: Path
    format: Format
    naming: Naming
    loaded: int
    left_out: tuple[str, ...]
    metadata: dict[str, str]


def load_weights(model: nn.Module, path: Path | str, *, leave_out: tuple[str, ...] = ()) -> LoadReport:
    """Set every parameter and buffer of a network from a weight file, or none of them.

    Format and parameter names are told from the content: torch, safetensors or Caffe2; ours,
    PyTorchVideo's or PySlowFast's. `num_batches_tracked` is not needed and not touched.

    Args:
        model: A network of `twinpath.models`, on any device; set in place.
        path: The weight file.
        leave_out: Names, or beginnings of names up to a dot, of the network that keep their values:
            ("head.projection",) for another number of classes.
    Raises:
        WeightsMismatch: Names or shapes differ; lists all of them, and the networks that would fit.
        UnknownWeightFormat, DamagedWeights, UnsafeWeights, NotAFile: see `read_weights`.
    """
    file = read_weights(path)
    names = translate(file.tensors)
    wanted = _state(model)
    left_out = tuple(name for name in wanted if _is_left_out(name, leave_out))
    found = {
        name: _as_deep(_joined(file, theirs), wanted.get(name))
        for name, theirs in names.ours.items()
        if not _is_left_out(name, leave_out)
    }
    missing = [name for name in wanted if name not in found and name not in left_out]
    unexpected = [*names.repeated, *(name for name in found if name not in wanted)]
    misshapen = [
        (name, tuple(tensor.shape), tuple(wanted[name].shape))
        for name, tensor in found.items()
        if name in wanted and tensor.shape != wanted[name].shape
    ]
    if missing or unexpected or misshapen:
        raise _mismatch(file, found, missing, unexpected, misshapen)
    with torch.no_grad():
        for name, tensor in found.items():
            wanted[name].copy_(tensor)
    return LoadReport(file.path, file.format, names.naming, len(found), left_out, file.metadata)


def save_weights(model: nn.Module, path: Path | str, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network as safetensors with our names, atomically: the old file stays until the new is whole.

    Args:
        model: Its parameters and buffers are written, `num_batches_tracked` left out.
        path: Where to; missing folders are made.
        metadata: Text to carry, for example the architecture's name.
    Raises:
        OSError: The disk is full or refuses; the old file is kept.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _state(model).items()}
    # Not `save_file`: it has a temporary file of its own, which stays behind when the process is killed.
    content = safetensors.torch.save(tensors, dict(metadata or {}) or None)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers that a weight file has; they share memory with the network."""
    return {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}


def _is_left_out(name: str, leave_out: tuple[str, ...]) -> bool:
    return any(name == part or name.startswith(part + ".") for part in leave_out)


def _joined(file: WeightFile, theirs: tuple[str, ...]) -> Tensor:
    """One array of ours from the arrays that the file has for it."""
    if len(theirs) == 1:
        return file.tensors[theirs[0]]
    return torch.cat([file.tensors[name] for name in theirs])


def _as_deep(tensor: Tensor, like: Tensor | None) -> Tensor:
    """Give or take dimensions of length 1.

    A 1x1x1 convolution is a matrix in Caffe2, an image network's kernels have no time, and a class token
    is (C,) here and (1, 1, C) there.
    """
    if like is None or _longer_than_1(tensor) != _longer_than_1(like):
        return tensor
    return tensor.reshape(like.shape)


def _longer_than_1(tensor: Tensor) -> list[int]:
    return [n for n in tensor.shape if n != 1]


def _mismatch(
    file: WeightFile,
    found: dict[str, Tensor],
    missing: list[str],
    unexpected: list[str],
    misshapen: Misshapen,
) -> WeightsMismatch:
    shapes = [f"{name} ({_x(theirs)} in the file, {_x(ours)} here)" for name, theirs, ours in misshapen]
    counts = [
        f"{len(entries)} {what} ({', '.join(entries[:_SHOWN])}{', …' if len(entries) > _SHOWN else ''})"
        for what, entries in (("missing", missing), ("unexpected", unexpected), ("misshapen", shapes))
        if entries
    ]
    fits = _networks_that_fit(found)
    looks = f"; this file looks like {' or '.join(fits)}" if fits else ""
    return WeightsMismatch(
        f"{file.path} does not fit this network: {'; '.join(counts)}{looks}",
        missing=missing,
        unexpected=unexpected,
        misshapen=misshapen,
    )


def _x(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape) or "a number"


def _networks_that_fit(found: dict[str, Tensor]) -> list[str]:
    """Registered networks, and the number of classes, that have exactly these names and shapes."""
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    head = shapes.get("head.projection.weight")
    if head is None:
        return []
    num_blocks = sum(name.endswith("conv_a.weight") for name in shapes)
    fits = []
    for name, architecture in ARCHITECTURES.items():
        pathways = 2 if architecture.family == "slowfast" else 1
        if num_blocks != pathways * sum(architecture.options["blocks"]):
            continue  # building the deep ones takes a while
        with torch.device("meta"):  # shapes only, no memory
            candidate = architecture.build(num_classes=head[0])
        if {n: tuple(t.shape) for n, t in _state(candidate).items()} == shapes:
            fits.append(f"{name} with {head[0]} classes")
    return fits
