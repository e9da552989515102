"""Any weight file to one of ours: safetensors, our names, and what it is for written into it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from twinpath import __version__
from twinpath.errors import UsageError, WeightsMismatch
from twinpath.weights.converted import HEAD, ConvertedStateDict, matching_networks, read_converted
from twinpath.weights.load import fitted, save_tensors
from twinpath.zoo.create import create_model, resolve


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Attributes:
        source, target: Paths.
        format: How the source was written: torch, safetensors or caffe2.
        naming: Whose names it had: pytorchvideo, pyslowfast, torchvision, caffe2 or twinpath.
        model: The network it was taken for.
        also_fits: Other networks with the same names and shapes.
        num_classes: Logits in the target.
        new_head: Whether the last layer is new, and has to be trained.
        tensors, params: How many are in the target; buffers are no parameters.
        dropped: Names of the source that no network needs.
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

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    model: str | None = None,
    num_classes: int | None = None,
) -> Conversion:
    """Write a weight file anew: safetensors, with our names and the name of the network.

    Args:
        source: A file of any upstream, in any of its formats.
        target: Where to, atomically; an older file there is replaced.
        model: The network or the record that it is for. None: found by names and shapes; where several
            networks have these, the first.
        num_classes: Give the network a new last layer for so many classes, if the file's is for others or
            missing.
    Returns:
        What was done.
    Raises:
        UsageError: `target` is the source or no .safetensors; or there is no last layer.
        UnknownModel: No such model; says the nearest name.
        WeightsMismatch: The file is of no network known here, or not of `model`.
        UnknownWeightFormat, DamagedWeights, UnsafeWeights, NotAFile: See `read_weights`.
        OSError: The disk is full or refuses; an older file is kept.
    """
    source, target = Path(source), Path(target)
    if target.suffix != ".safetensors":
        raise UsageError(f"{target}: weights are written as safetensors; call it something.safetensors")
    if num_classes is not None and num_classes < 1:
        raise UsageError(f"a network needs at least one class, not --num-classes {num_classes}")
    if model is not None:
        resolve(model)  # a wrong name should not wait for a large file
    if source.exists() and target.exists() and target.samefile(source):
        raise UsageError(f"{target} is the file to be converted; write to another one")
    ours = read_converted(source)
    fits = matching_networks(ours.tensors)
    name = model or _first(fits, ours)
    classes = num_classes or ours.num_classes
    if classes is None:
        raise UsageError(f"{source} has no last layer; --num-classes N gives it a new one")
    new_head = classes != ours.num_classes
    with torch.device("meta"):  # names and shapes are enough
        network = create_model(name, num_classes=classes)
    tensors = _tensors(ours, network, name=name, num_classes=classes, new_head=new_head)
    about = {
        "architecture": resolve(name)[0].name,
        "model": name,
        "num_classes": str(classes),
        "source": source.name,
        "source_format": ours.format,
        "source_naming": ours.naming,
        "made_by": f"twinpath {__version__}",
    }
    save_tensors(tensors, target, about)
    return Conversion(
        source=str(source),
        target=str(target),
        format=ours.format,
        naming=ours.naming,
        model=name,
        also_fits=tuple(other for other in fits if other != name),
        num_classes=classes,
        new_head=new_head,
        tensors=len(tensors),
        params=sum(p.numel() for p in network.parameters()),
        dropped=ours.dropped,
    )


def _first(fits: list[str], ours: ConvertedStateDict) -> str:
    if fits:
        return fits[0]
    raise WeightsMismatch(
        f"{ours.path} is of no network that Twinpath knows "
        f"({len(ours.tensors)} tensors, {ours.naming} names); --model NAME tells how it differs from one",
        missing=[],
        unexpected=list(ours.tensors),
        shape_mismatch=[],
    )


def _tensors(
    ours: ConvertedStateDict, network: nn.Module, *, name: str, num_classes: int, new_head: bool
) -> dict[str, Tensor]:
    """All tensors of the network, of its own types."""
    fit = fitted(ours, network, leave_out=(HEAD,) if new_head else ())
    found = dict(fit.tensors)
    if new_head:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same values each time
            fresh = create_model(name, num_classes=num_classes).state_dict()
        found |= {part: fresh[part] for part in fit.left_out}
    types = {part: tensor.dtype for part, tensor in network.state_dict().items()}
    return {part: tensor.to(types[part]) for part, tensor in found.items()}
