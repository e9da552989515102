"""Convert any weight file to safetensors with our parameter names and the name of its network."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from twinpath import __version__
from twinpath.errors import UsageError
from twinpath.models.shapes_only import shapes_only
from twinpath.weights.head_reading import (
    HeadReading,
    metadata_of,
    reading_of_file,
    reading_of_network,
)
from twinpath.weights.load import match_state_dict, save_tensors
from twinpath.weights.mismatch import unknown_network
from twinpath.weights.state_dict import HEAD, ConvertedStateDict, matching_networks, read_state_dict
from twinpath.zoo.create import create_model, resolve


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Attributes:
        source, target: Paths.
        format: Of the source: torch, safetensors or caffe2.
        naming: Whose names the source has: pytorchvideo, pyslowfast, torchvision, caffe2 or twinpath.
        model: The network or record that the file is for.
        also_fits: Other networks with the same names and shapes.
        num_classes: Classes of the target.
        new_head: Whether the last layer is new, and has to be trained.
        tensors, params: How many are in the target; buffers are tensors and no parameters.
        dropped: Names of the source that no network needs, or that are not of the network.
        head: How the head computes scores, in words; the target says it in its header. Empty: as the model's
            record says.
        entry: Which entry of a checkpoint was taken; empty: the file itself.
    """

    source: str
    target: str
    format: str
    naming: str
    model: str
    also_fits: tuple[str, ...]
    num_classes: int
    new_head: bool
    tensors: int
    params: int
    dropped: tuple[str, ...]
    head: str = ""
    entry: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    model: str | None = None,
    num_classes: int | None = None,
    entry: str | None = None,
) -> Conversion:
    """Write the weights of a file as safetensors, with our parameter names and the name of the network.

    Args:
        source: A file of any upstream, in any of its formats.
        target: Where to, atomically; an older file there is replaced.
        model: The network or record that it is for. None: detected by names and shapes; where several
            networks have these, the first.
        num_classes: Of the target. Where the file has another number, or no last layer, the target gets a
            new last layer.
        entry: Of a checkpoint with several weights: which are meant; see `read_weights`.
    Returns:
        What was done.
    Raises:
        UsageError: `target` is the source or does not end in .safetensors; the file has no last layer and
            `num_classes` is None.
        UnknownModel: No such model; names the nearest one.
        WeightsMismatch: The file is for no network known here, or not for `model`.
        UnknownWeightFormat, DamagedWeights, UnsafeWeights, NotAFile: See `read_weights`.
        OSError: The disk is full or refuses; an older file is kept.
    """
    source, target = Path(source), Path(target)
    if target.suffix != ".safetensors":
        raise UsageError(f"{target}: weights are written as safetensors; call it something.safetensors")
    if num_classes is not None and num_classes < 1:
        raise UsageError(f"num_classes must be at least 1, not {num_classes}")
    if model is not None:
        resolve(model)  # a wrong name should not wait for a large file
    if source.exists() and target.exists() and target.samefile(source):
        raise UsageError(f"{target} is the file to be converted; write to another one")
    converted = read_state_dict(source, entry=entry)
    fits = matching_networks(converted.tensors)
    name = model or _first(fits, converted)
    classes = num_classes or converted.num_classes
    if classes is None:
        _check_backbone(converted, name)
        raise UsageError(f"{source} has no last layer; give num_classes to make a new one")
    new_head = classes != converted.num_classes
    with shapes_only():
        network = create_model(name, num_classes=classes)
    tensors = _tensors(converted, network, name=name, num_classes=classes, new_head=new_head)
    reading = _reading(converted, network)
    save_tensors(
        tensors, target, _metadata(converted, name, classes) | (metadata_of(reading) if reading else {})
    )
    return Conversion(
        source=str(source),
        target=str(target),
        format=converted.format,
        naming=converted.naming,
        model=name,
        also_fits=tuple(other for other in fits if other != name),
        num_classes=classes,
        new_head=new_head,
        tensors=len(tensors),
        params=sum(p.numel() for p in network.parameters()),
        dropped=converted.dropped + converted.beside,
        head=reading.describe() if reading else "",
        entry=converted.entry,
    )


def _check_backbone(converted: ConvertedStateDict, name: str) -> None:
    """Raises: WeightsMismatch: More than the last layer is missing."""
    with torch.device("meta"):
        match_state_dict(converted, create_model(name), leave_out=(HEAD,))


def _reading(converted: ConvertedStateDict, network: nn.Module) -> HeadReading | None:
    """How the head computes scores: as the record says, or else the file."""
    now, of_file = reading_of_network(network), reading_of_file(converted, network)
    return now if now is not None and now.decided_by == "network" else of_file


def _metadata(converted: ConvertedStateDict, name: str, num_classes: int) -> dict[str, str]:
    """Text for the header of the target."""
    return {
        "architecture": resolve(name)[0].name,
        "model": name,
        "num_classes": str(num_classes),
        "source": converted.path.name,
        "source_format": converted.format,
        "source_naming": converted.naming,
        "made_by": f"twinpath {__version__}",
    }


def _first(fits: list[str], converted: ConvertedStateDict) -> str:
    if fits:
        return fits[0]
    raise unknown_network(converted)


def _tensors(
    converted: ConvertedStateDict, network: nn.Module, *, name: str, num_classes: int, new_head: bool
) -> dict[str, Tensor]:
    """All tensors of the network, of its own types."""
    matched = match_state_dict(converted, network, leave_out=(HEAD,) if new_head else ())
    found = dict(matched.tensors)
    if new_head:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same values in every run
            fresh = create_model(name, num_classes=num_classes).state_dict()
        found |= {part: fresh[part] for part in matched.left_out}
    types = {part: tensor.dtype for part, tensor in network.state_dict().items()}
    return {part: tensor.to(types[part]) for part, tensor in found.items()}
