"""The exponential moving average of a network's weights, which is what is evaluated and kept."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def averaged_copy(network: Network) -> Network:
    """A copy for the average: it does not learn and is in evaluation mode."""
    return copy.deepcopy(network).requires_grad_(False).eval()


@torch.no_grad()
def move_average(average: nn.Module, network: nn.Module, *, decay: float, step: int) -> None:
    """Move the average towards the weights: far in the first steps, when it knows little.

    Parameters and statistics of norms are averaged, by `min(decay, (1 + step) / (10 + step))`; counts are
    not.

    Args:
        average: Of `averaged_copy`; changed. Its batch norms may be plain where the network's are not.
        network: As it is after a step.
        decay: Share of the average that stays, 0 to 1.
        step: How many steps were made.
    """
    share = 1 - min(decay, (1 + step) / (10 + step))
    ours, theirs = average.state_dict(), network.state_dict()
    floats = [name for name, tensor in ours.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([ours[n] for n in floats], [theirs[n] for n in floats], share)
