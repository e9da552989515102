"""Which parameters decay, and at which share of the learning rate each one learns.

Source: PySlowFast, models/optimizer.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from twinpath.errors import ConfigError
from twinpath.models.layers.positions import JointPositions, RelativePositions, SeparatePositions
from twinpath.train.sections import OptimizerSection

_POSITIONS = (SeparatePositions, JointPositions, RelativePositions)
_TOKENS = frozenset({"class_token", "mask_token"})
_FIRST = frozenset({"class_token", "mask_token", "positions", "patches"})  # before all blocks

DECAYED, NOT_DECAYED, BATCH_NORMS = "decayed", "not decayed", "batch norms"


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Parameters that an optimizer treats alike.

    Attributes:
        name: "batch norms", "decayed" or "not decayed"; with layer decay also the layer: "layer 3, decayed".
        parameter_names: In the network, in its order.
        parameters: The same.
        weight_decay: Of them.
        learning_rate_factor: They learn at this factor of the learning rate.
        lars: Whether LARS adapts their rates.
    """

    name: str
    parameter_names: tuple[str, ...]
    parameters: tuple[nn.Parameter, ...]
    weight_decay: float
    learning_rate_factor: float = 1.0
    lars: bool = False

    @property
    def num_values(self) -> int:
        """Numbers that learn."""
        return sum(parameter.numel() for parameter in self.parameters)


@dataclass(frozen=True)
class _Named:
    """A parameter that learns, and what is decided by."""

    name: str
    parameter: nn.Parameter
    of_batch_norm: bool
    of_positions: bool


def parameter_groups(network: nn.Module, optimizer: OptimizerSection) -> list[ParameterGroup]:
    """The parameters of a network in groups; what is frozen is in none, and no group is empty.

    Batch norms (instance norms too, layer norms not) have a decay of their own. So have the sub-batch norms
    of multigrid [better]: upstream these decay like convolutions, and there is another number of groups, so
    that its optimizer cannot be loaded at a change of shape. Here groups and parameters stay the same.
    `decay_1d=False` means what upstream means by it: its class tokens and position embeddings have
    three dimensions, so it leaves them to `decay_positions`. With layer decay, relative positions follow
    `decay_positions` too [better]; upstream misses them there.

    Args:
        network: Of `twinpath.models`, or one that holds such a network.
        optimizer: Settings.
    Returns:
        Batch norms, decayed, not decayed, each where there is one. With layer decay: layer by layer.
    Raises:
        ConfigError: Layer decay for a network that has batch norms, or no blocks.
    """
    named = list(_learning(network))
    if optimizer.layer_decay < 1:
        return _by_layer(network, named, optimizer)
    norms = [n for n in named if n.of_batch_norm]
    others = [n for n in named if not n.of_batch_norm]
    groups = [
        _group(BATCH_NORMS, norms, weight_decay=optimizer.norm_weight_decay),
        _group(
            DECAYED,
            [n for n in others if _decays(n, optimizer)],
            weight_decay=optimizer.weight_decay,
            lars=optimizer.lars,
        ),
        _group(NOT_DECAYED, [n for n in others if not _decays(n, optimizer)], lars=optimizer.lars),
    ]
    return [group for group in groups if group.parameters]


def _learning(network: nn.Module) -> Iterator[_Named]:
    seen: set[nn.Parameter] = set()  # a shared parameter belongs to its first module
    for prefix, module in network.named_modules():
        for last, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or parameter in seen:
                continue
            seen.add(parameter)
            yield _Named(
                f"{prefix}.{last}" if prefix else last,
                parameter,
                of_batch_norm=isinstance(module, _NormBase),
                of_positions=isinstance(module, _POSITIONS) or last in _TOKENS,
            )


def _decays(named: _Named, optimizer: OptimizerSection) -> bool:
    if named.of_positions:
        return optimizer.decay_positions
    return optimizer.decay_1d or (named.parameter.ndim > 1 and not named.name.endswith(".bias"))


def _group(
    name: str, named: list[_Named], *, weight_decay: float = 0.0, factor: float = 1.0, lars: bool = False
) -> ParameterGroup:
    names = tuple(n.name for n in named)
    return ParameterGroup(name, names, tuple(n.parameter for n in named), weight_decay, factor, lars)


def _by_layer(network: nn.Module, named: list[_Named], optimizer: OptimizerSection) -> list[ParameterGroup]:
    """The first layer is what comes before the blocks, each block is one, and the last one is the rest."""
    if any(isinstance(module, _NormBase) for module in network.modules()):
        raise ConfigError(
            f"optimizer.layer_decay is {optimizer.layer_decay:g}; it is for transformers, and this network "
            "has batch norms: set it to 1"
        )
    prefix, depth = _blocks(network, optimizer)
    layers: dict[tuple[int, bool], list[_Named]] = {}
    for one in named:
        layer = _layer(one.name.removeprefix(prefix), depth)
        layers.setdefault((layer, _decays(one, optimizer)), []).append(one)
    return [
        _group(
            f"layer {layer}, {DECAYED if decays else NOT_DECAYED}",
            members,
            weight_decay=optimizer.weight_decay if decays else 0.0,
            factor=optimizer.layer_decay ** (depth + 1 - layer),
            lars=optimizer.lars,
        )
        for (layer, decays), members in sorted(layers.items(), key=lambda item: (item[0][0], not item[0][1]))
    ]


def _blocks(network: nn.Module, optimizer: OptimizerSection) -> tuple[str, int]:
    """What stands before the names of the network that has the blocks, and their number."""
    for name, module in network.named_modules():
        if isinstance(module, nn.ModuleList) and (name == "blocks" or name.endswith(".blocks")):
            return name.removesuffix("blocks"), len(module)
    raise ConfigError(
        f"optimizer.layer_decay is {optimizer.layer_decay:g}; it needs a network of blocks, such as a ViT: "
        "set it to 1"
    )


def _layer(name: str, depth: int) -> int:
    first, *others = name.split(".")
    if first in _FIRST:
        return 0
    return int(others[0]) + 1 if first == "blocks" else depth + 1
