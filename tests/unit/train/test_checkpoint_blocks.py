"""Activations that are computed again: the same gradients and statistics, with less kept in between."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.narrow_networks import narrow, small
from twinpath.errors import ConfigError
from twinpath.models.layers.attention import StochasticDepth
from twinpath.train.batch_norms.kinds import with_sub_batch_norms
from twinpath.train.loop.network import recipe_network
from twinpath.train.recomputed_blocks import recompute_blocks
from twinpath.train.sections import ModelSection

NETWORKS = {"slow_nln_r50_4x16": 2, "x3d_s": 1, "mvit_v2_s_16x4": 1, "vit_b_16x4": 1, "rev_mvit_b_16x4": 1}


def network_of(name: str) -> nn.Module:
    """With dropout and stochastic depth, in training, and with last norms that let the branches count."""
    network = small(name, 5, **narrow(name))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.ones_(module.weight)
        if isinstance(module, StochasticDepth):
            module.rate = 0.4
    return network.train()


def kept_bytes(network: nn.Module, clips: Tensor) -> tuple[int, Tensor]:
    """Of the activations that a forward pass keeps for the backward one, and the loss."""
    parameters = {p.data_ptr() for p in network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in parameters:
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    torch.manual_seed(3)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = network(clips).square().sum()
    return sum(kept.values()), loss


def learned(network: nn.Module) -> dict[str, Tensor]:
    """Gradients, and what batch norms know."""
    of_splits = {n: b for n, b in network.named_buffers() if "split_" in n}
    gradients = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    return {**network.state_dict(), **of_splits, **{f"d {n}": grad for n, grad in gradients.items()}}


@pytest.mark.parametrize(("name", "splits"), NETWORKS.items())
def test_gradients_and_statistics_are_those_of_kept_activations(name: str, splits: int) -> None:
    plain = network_of(name)
    with_sub_batch_norms(plain, splits)
    again = copy.deepcopy(plain)
    recompute_blocks(again)
    clips = torch.randn(2, 3, 8, 64, 64, generator=torch.Generator().manual_seed(1))
    kept: list[int] = []
    for network in (plain, again):
        bytes_, loss = kept_bytes(network, clips)
        loss.backward()  # type: ignore[no-untyped-call]
        kept.append(bytes_)
    ours, theirs = learned(again), learned(plain)
    assert ours.keys() == theirs.keys()
    assert [n for n in ours if not torch.equal(ours[n], theirs[n])] == []
    if not name.startswith("rev_"):  # keeps next to nothing as it is
        assert kept[1] < kept[0] / 2
    for network in (plain, again):
        network.eval()
    with torch.no_grad():
        assert torch.equal(again(clips), plain(clips))


def test_a_copy_has_blocks_of_its_own() -> None:
    """Else the average of the weights would answer as the network does."""
    network = network_of("vit_b_16x4")
    recompute_blocks(network)
    other = copy.deepcopy(network).eval()
    clips = torch.randn(1, 3, 8, 64, 64)
    with torch.no_grad():
        before = other(clips)
        for parameter in network.parameters():
            parameter.zero_()
        assert torch.equal(other(clips), before)


def test_the_setting_reaches_the_blocks() -> None:
    options: dict[str, Any] = {"num_classes": 3, "num_frames": 8, "is_multi_label": False, "seed": 0}
    made = recipe_network(ModelSection(network="slowfast_tiny", checkpoint_blocks=True), **options)
    assert any(type(m).__name__ == "RecomputedBottleneck" for m in made.modules())
    with pytest.raises(ConfigError, match=r"checkpoint_blocks: Linear has no blocks"):
        recompute_blocks(nn.Linear(1, 1))
