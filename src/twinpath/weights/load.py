"""Load a weight file into a network, all of it or nothing, and write one."""

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
from twinpath.weights import inflate as inflation
from twinpath.weights import positions
from twinpath.weights.formats import Format
from twinpath.weights.names import Naming
from twinpath.weights.state_dict import ConvertedStateDict, matching_networks, read_state_dict

_SHOWN = 3  # names in the message; the error's attributes have all of them

ShapeMismatches = list[tuple[str, tuple[int, ...], tuple[int, ...]]]


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Attributes:
        path: The file.
        format: Of the file: torch, safetensors or caffe2.
        naming: Whose parameter names it has.
        loaded: How many parameters and buffers of the network were set.
        left_out: Names of the network that keep their values, see `load_weights`.
        metadata: Text in a safetensors file.
        resized: Tables of positions that were interpolated from another size.
        inflated: Kernels that were made from kernels of one frame.
    """

    path: Path
    format: Format
    naming: Naming
    loaded: int
    left_out: tuple[str, ...]
    metadata: dict[str, str]
    resized: tuple[str, ...] = ()
    inflated: tuple[str, ...] = ()


@dataclass(frozen=True)
class MatchedState:
    """A file's tensors matched to one network.

    Attributes:
        tensors: By our names, in the network's shapes.
        left_out, resized, inflated: See `LoadReport`.
    """

    tensors: dict[str, Tensor]
    left_out: tuple[str, ...]
    resized: tuple[str, ...]
    inflated: tuple[str, ...]


def load_weights(
    model: nn.Module,
    path: Path | str,
    *,
    leave_out: tuple[str, ...] = (),
    resize_positions: bool = False,
    inflate: bool = False,
) -> LoadReport:
    """Set every parameter and buffer of a network from a weight file, or none of them.

    Format and parameter names are detected from the content: torch, safetensors or Caffe2; ours,
    PyTorchVideo's, PySlowFast's or torchvision's. `num_batches_tracked` is not needed and not set.

    Args:
        model: A network of `twinpath.models`, on any device; set in place.
        path: The weight file.
        leave_out: Names of the network, or beginnings of names up to a dot, that keep their values:
            ("head.projection",) for another number of classes.
        resize_positions: Interpolate tables of positions that the file has for clips of another size: for a
            network built with other `num_frames` or another `crop` than the file's.
        inflate: Make kernels over several frames from the file's kernels of one frame: to start a video
            network from an image network.
    Raises:
        WeightsMismatch: Names or shapes differ; lists all of them, and the networks that would fit.
        UnknownWeightFormat, DamagedWeights, UnsafeWeights, NotAFile: see `read_weights`.
    """
    converted = read_state_dict(path)
    matched = match_state_dict(
        converted, model, leave_out=leave_out, resize_positions=resize_positions, inflate=inflate
    )
    own = _state(model)
    with torch.no_grad():
        for name, tensor in matched.tensors.items():
            own[name].copy_(tensor)
    return LoadReport(
        converted.path,
        converted.format,
        converted.naming,
        len(matched.tensors),
        matched.left_out,
        converted.metadata,
        matched.resized,
        matched.inflated,
    )


def match_state_dict(
    converted: ConvertedStateDict,
    model: nn.Module,
    *,
    leave_out: tuple[str, ...] = (),
    resize_positions: bool = False,
    inflate: bool = False,
) -> MatchedState:
    """Match a file's tensors to the names and shapes of a network, which is not changed.

    Args:
        converted: The file.
        model: On any device, "meta" too: only its names and shapes count.
        leave_out, resize_positions, inflate: See `load_weights`.
    Raises:
        WeightsMismatch: Names or shapes differ; lists all of them, and the networks that would fit.
    """
    own = _state(model)
    left_out = tuple(name for name in own if _is_left_out(name, leave_out))
    found = {
        name: _as_deep(tensor, own.get(name))
        for name, tensor in converted.tensors.items()
        if not _is_left_out(name, leave_out)
    }
    resized = _resized(found, own) if resize_positions else {}
    found.update(resized)
    inflated = _inflated(found, own) if inflate else {}
    found.update(inflated)
    missing = [name for name in own if name not in found and name not in left_out]
    unexpected = [*converted.repeated, *(name for name in found if name not in own)]
    shape_mismatch = [
        (name, tuple(tensor.shape), tuple(own[name].shape))
        for name, tensor in found.items()
        if name in own and tensor.shape != own[name].shape
    ]
    if missing or unexpected or shape_mismatch:
        raise _mismatch(converted, missing, unexpected, shape_mismatch)
    return MatchedState(found, left_out, tuple(resized), tuple(inflated))


def save_weights(model: nn.Module, path: Path | str, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network as safetensors with our names, atomically: an older file is kept until then.

    Args:
        model: Its parameters and buffers are written, except `num_batches_tracked`.
        path: Of the file; missing folders are made.
        metadata: Text for the file's header, for example the architecture's name.
    Raises:
        OSError: The disk is full or refuses; the old file is kept.
    """
    save_tensors(_state(model), path, metadata)


def save_tensors(
    tensors: Mapping[str, Tensor], path: Path | str, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors by our names as safetensors, atomically.

    Raises:
        OSError: The disk is full or refuses; the old file is kept.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Not `save_file`, which leaves a temporary file of its own when the process is killed.
    content = safetensors.torch.save(stored, dict(metadata or {}) or None)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _state(model: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers that a weight file holds; they share memory with the network."""
    return {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}


def _is_left_out(name: str, leave_out: tuple[str, ...]) -> bool:
    return any(name == part or name.startswith(part + ".") for part in leave_out)


def _as_deep(tensor: Tensor, like: Tensor | None) -> Tensor:
    """Add or remove dimensions of length 1.

    A 1x1x1 convolution is a matrix in Caffe2, an image network's kernels have no time, and a class token is
    (C,) here and (1, 1, C) there.
    """
    if like is None or _longer_than_1(tensor) != _longer_than_1(like):
        return tensor
    return tensor.reshape(like.shape)


def _inflated(found: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file's kernels of one frame inflated to the network's frames."""
    inflated = {name: inflation.inflate(name, t, own[name]) for name, t in found.items() if name in own}
    return {name: tensor for name, tensor in inflated.items() if tensor is not found[name]}


def _resized(found: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file's tables of positions of another size than the network's, interpolated to the network's."""
    other_size = [n for n, t in found.items() if n in own and t.shape != own[n].shape]
    resized = {name: positions.resize_positions(name, found[name], own[name]) for name in other_size}
    return {name: tensor for name, tensor in resized.items() if tensor is not None}


def _longer_than_1(tensor: Tensor) -> list[int]:
    return [n for n in tensor.shape if n != 1]


def _mismatch(
    converted: ConvertedStateDict, missing: list[str], unexpected: list[str], shape_mismatch: ShapeMismatches
) -> WeightsMismatch:
    shapes = [f"{name} ({_x(theirs)} in the file, {_x(here)} here)" for name, theirs, here in shape_mismatch]
    counts = [
        f"{len(entries)} {what} ({_some(entries)})"
        for what, entries in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("with another shape", shapes),
        )
        if entries
    ]
    fits = matching_networks(converted.tensors)
    classes = f" with {converted.num_classes} classes" if converted.num_classes else ""
    suggestion = f"; this file looks like {_some(fits, ' or ')}{classes}" if fits else ""
    return WeightsMismatch(
        f"{converted.path} does not fit this network: {'; '.join(counts)}{suggestion}",
        missing=missing,
        unexpected=unexpected,
        shape_mismatch=shape_mismatch,
    )


def _some(entries: list[str], between: str = ", ") -> str:
    """The first few."""
    return between.join(entries[:_SHOWN]) + (f"{between}…" if len(entries) > _SHOWN else "")


def _x(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape) or "a number"
