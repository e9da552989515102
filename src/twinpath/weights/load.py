"""Load a weight file into a network, all of it or nothing, and write one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from twinpath.atomic import atomic_path
from twinpath.errors import UnknownWeightFormat
from twinpath.models.layers.head import Activation
from twinpath.weights import inflate as inflation
from twinpath.weights import positions
from twinpath.weights.formats import Format
from twinpath.weights.head_reading import (
    HeadReading,
    apply_reading,
    metadata_of,
    reading_of_file,
    reading_of_network,
)
from twinpath.weights.mismatch import mismatch
from twinpath.weights.names import Naming
from twinpath.weights.state_dict import HEAD, ConvertedStateDict, read_state_dict


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
        head: How the head computes scores now, and what decided it; None: the network has no such head.
        head_of_file: How the file would have it, where the network was built in another way: by a record, or
            by arguments, which count. Else None.
        entry: Which entry of a checkpoint was taken, "model_state"; empty: the file itself.
        prefix: What stood before the names of the network and came off, "module.backbone.".
        beside: Names of the file that are not of the network: a criterion, a metric, an average.
        dropped: Names that no network needs: step counts, split statistics, optimizer state.
    """

    path: Path
    format: Format
    naming: Naming
    loaded: int
    left_out: tuple[str, ...]
    metadata: dict[str, str]
    resized: tuple[str, ...] = ()
    inflated: tuple[str, ...] = ()
    head: HeadReading | None = None
    head_of_file: HeadReading | None = None
    entry: str = ""
    prefix: str = ""
    beside: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


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
    entry: str | None = None,
    head: Literal["file", "network"] | None = None,
) -> LoadReport:
    """Set every parameter and buffer of a network from a weight file, or none of them.

    Format and parameter names are detected from the content: torch, safetensors or Caffe2; ours,
    PyTorchVideo's, PySlowFast's or torchvision's. Prefixes and wrappers come off in any nesting.
    `num_batches_tracked` is not needed and not set.

    The names also say how the head computes scores, where upstreams differ (PySlowFast averages
    probabilities and aligns RoIAlign, PyTorchVideo averages logits and does not): see `head`.

    Args:
        model: A network of `twinpath.models`, on any device; set in place.
        path: The weight file.
        leave_out: Names of the network, or beginnings of names up to a dot, that keep their values:
            ("head.projection",) for another number of classes.
        resize_positions: Interpolate tables of positions that the file has for clips of another size: for a
            network built with other `num_frames` or another `crop` than the file's.
        inflate: Make kernels over several frames from the file's kernels of one frame: to start a video
            network from an image network.
        entry: Of a checkpoint with several weights: which are meant; see `read_weights`.
        head: "file": the file decides how the head computes scores, by its metadata or by whose names it has.
            "network": the network keeps its way. None: the file decides, unless the network was built with a
            record's way or with one of yours (`head_config`, `aligned`).
    Raises:
        WeightsMismatch: Names or shapes differ; lists all of them, and the networks that would fit.
        UnknownWeightFormat, DamagedWeights, UnsafeWeights, NotAFile: see `read_weights`.
    """
    converted = read_state_dict(path, entry=entry)
    matched = match_state_dict(
        converted, model, leave_out=leave_out, resize_positions=resize_positions, inflate=inflate
    )
    own = _state(model)
    with torch.no_grad():
        for name, tensor in matched.tensors.items():
            own[name].copy_(tensor)
    if head is None and f"{HEAD}.weight" in matched.left_out:
        head = "network"  # a new head is not the file's
    reading, of_file = _read_head(converted, model, head)
    return LoadReport(
        converted.path,
        converted.format,
        converted.naming,
        len(matched.tensors),
        matched.left_out,
        converted.metadata,
        matched.resized,
        matched.inflated,
        reading,
        of_file,
        converted.entry,
        converted.prefix,
        converted.beside,
        converted.dropped,
    )


def _read_head(
    converted: ConvertedStateDict, model: nn.Module, head: Literal["file", "network"] | None
) -> tuple[HeadReading | None, HeadReading | None]:
    """Let the file decide how the head computes scores, where it may; gives `head` and `head_of_file`."""
    now, wanted = reading_of_network(model), reading_of_file(converted, model)
    if now is None or wanted is None:
        return None, None
    if head == "file" or (head is None and now.decided_by == "default"):
        apply_reading(wanted, model)
        return wanted, None
    return now, None if wanted.decided_by == "default" or wanted.same_scores(now) else wanted


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
        raise mismatch(converted, missing, unexpected, shape_mismatch)
    _check_types(found, own, converted.path)
    return MatchedState(found, left_out, tuple(resized), tuple(inflated))


def save_weights(model: nn.Module, path: Path | str, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network as safetensors with our names, atomically: an older file is kept until then.

    How the head computes scores is written too, where a record, an argument or a file decided it.

    Args:
        model: Its parameters and buffers are written, except `num_batches_tracked`.
        path: Of the file; missing folders are made.
        metadata: Text for the file's header, for example the architecture's name.
    Raises:
        OSError: The disk is full or refuses; the old file is kept.
    """
    reading = reading_of_network(model)
    says = {} if reading is None or reading.same_scores(_default(reading)) else metadata_of(reading)
    save_tensors(_state(model), path, {**says, **(metadata or {})})


def _default(reading: HeadReading) -> HeadReading:
    """How a network computes scores of which nobody said how."""
    is_detector = reading.aligned is not None
    activation: Activation = "sigmoid" if is_detector else "softmax"
    return HeadReading(activation, "logits", "window", False if is_detector else None, "default")


def save_tensors(
    tensors: Mapping[str, Tensor], path: Path | str, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors by our names as safetensors, atomically. The same make the same bytes.

    Raises:
        OSError: The disk is full or refuses; the old file is kept.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Not `save_file`, which leaves a temporary file of its own when the process is killed.
    content = safetensors.torch.save(stored, dict(metadata or {}) or None)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.writelines(_with_sorted_metadata(content))


def _with_sorted_metadata(content: bytes) -> tuple[bytes | memoryview, ...]:
    """The parts of a safetensors file; the library writes metadata in an order that it draws."""
    begin = 8 + int.from_bytes(content[:8], "little")  # of the tensors
    header = json.loads(content[8:begin])
    if "__metadata__" not in header:
        return (content,)
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple
    return len(text).to_bytes(8, "little"), text, memoryview(content)[begin:]


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


def _check_types(found: dict[str, Tensor], own: dict[str, Tensor], path: Path) -> None:
    """Raises: UnknownWeightFormat: Integers for weights: quantised ones, whose scale is elsewhere."""
    for name, tensor in found.items():
        if own[name].is_floating_point() and not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise UnknownWeightFormat(
                f"{path}: {name} holds integers ({kind}), perhaps quantised; save the weights as "
                "floating-point numbers"
            )
