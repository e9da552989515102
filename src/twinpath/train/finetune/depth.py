"""How deep in a network each parameter is, for learning rates that grow from the first layer to the last."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import nn

from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork

STAGES = 6  # the stem, four stages, and what comes after; transformers are cut into as many


def stages(network: VideoNetwork, spec: InputSpec) -> dict[str, int]:
    """The stage of each parameter of a network, 0 to `STAGES` - 1, by its name.

    It follows from the order in which modules are called in a forward pass, so it holds for every network:
    pathways go side by side.

    Args:
        network: Its own modules are not called but those of a copy without values.
        spec: Its input.
    """
    copied = copy.deepcopy(network).to("meta").eval()
    order: dict[str, int] = {}

    def note(name: str, _module: nn.Module, _inputs: object) -> None:
        order.setdefault(name, len(order))

    for name, module in copied.named_modules():
        module.register_forward_pre_hook(partial(note, name))
    with torch.no_grad():
        copied(torch.empty(1, 3, spec.num_frames, spec.crop_px, spec.crop_px, device="meta"))
    owners = {name: _called_owner(name, order) for name, _ in network.named_parameters()}
    ranks = {rank: i for i, rank in enumerate(sorted({order[owner] for owner in owners.values()}))}
    return {name: ranks[order[owner]] * STAGES // len(ranks) for name, owner in owners.items()}


def _called_owner(name: str, order: dict[str, int]) -> str:
    """The innermost module of a parameter that is called as one; the network itself always is."""
    owner = name.rpartition(".")[0]
    while owner not in order:
        owner = owner.rpartition(".")[0]
    return owner
