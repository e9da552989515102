"""Sub-batch norms: statistics of parts of a batch, and to the outside a plain batch norm."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.support.narrow_networks import narrow, small
from twinpath.errors import ConfigError
from twinpath.train.batch_norms.kinds import (
    freeze_statistics,
    with_batch_norms,
    with_batch_norms_of,
    with_sub_batch_norms,
)
from twinpath.train.batch_norms.sub import SubBatchNorm3d, set_split_statistics, split_statistics
from twinpath.train.sections import BatchNormSection


def sub(splits: int = 2, channels: int = 3) -> SubBatchNorm3d:
    torch.manual_seed(0)
    norm = SubBatchNorm3d(splits, channels)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def clips(n: int = 8, channels: int = 3, seed: int = 1) -> torch.Tensor:
    torch.manual_seed(seed)
    scale = torch.arange(1.0, n + 1).view(n, 1, 1, 1, 1)  # so that splits differ
    return torch.randn(n, channels, 2, 3, 3) * scale + scale


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
def test_every_kth_clip_is_normalised_with_its_like(memory_format: torch.memory_format) -> None:
    norm = sub(splits=4)
    x = clips().to(memory_format=memory_format).requires_grad_()
    y = norm(x)
    expected = torch.empty_like(x)
    means, variances = [], []
    for j in range(4):
        expected[j::4] = F.batch_norm(x[j::4], None, None, norm.weight, norm.bias, training=True)
        means.append(x[j::4].mean(dim=(0, 2, 3, 4)))
        variances.append(x[j::4].transpose(0, 1).flatten(1).var(dim=1))
    assert torch.allclose(y, expected, atol=1e-5)
    assert y.is_contiguous(memory_format=memory_format)
    ours = torch.autograd.grad(y.square().sum() + y[0].sum(), (x, norm.weight, norm.bias))
    theirs = torch.autograd.grad(expected.square().sum() + expected[0].sum(), (x, norm.weight, norm.bias))
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(ours, theirs, strict=True))
    norm.eval()
    mean, var = 0.1 * torch.stack(means), 0.9 + 0.1 * torch.stack(variances)
    assert torch.allclose(norm.running_mean, mean.mean(dim=0), atol=1e-5)
    assert torch.allclose(norm.running_var, var.mean(dim=0) + mean.var(dim=0, correction=0), rtol=1e-5)
    with torch.no_grad():
        whole = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    assert torch.allclose(norm(x), whole)


def test_checkpoints_are_those_of_a_plain_batch_norm() -> None:
    plain, norm = nn.BatchNorm3d(3), sub(splits=3)
    norm(clips(6))
    saved = copy.deepcopy(norm.state_dict())  # in training mode, and up to date
    assert saved.keys() == plain.state_dict().keys()
    plain.load_state_dict(saved)
    assert torch.equal(plain.running_var, norm.eval().running_var)
    other = SubBatchNorm3d(5, 3)
    other.load_state_dict(saved)
    assert torch.equal(other.split_mean, plain.running_mean.repeat(5, 1))
    again = other.state_dict()
    assert all(torch.equal(again[name], saved[name]) for name in saved)  # to the last bit


def test_a_network_changes_to_and_fro() -> None:
    network = small("slowfast_tiny", 4, **narrow("slowfast_tiny"))
    names = list(network.state_dict())
    parameters = dict(network.named_parameters())
    before = copy.deepcopy(network.state_dict())
    with_sub_batch_norms(network, 2)
    assert list(network.state_dict()) == names
    assert all(parameters[name] is p for name, p in network.named_parameters())
    assert all(torch.equal(before[n], t) for n, t in network.state_dict().items())
    clip = torch.randn(4, 3, 8, 64, 64)
    network.train()(clip)
    network.eval()
    with torch.no_grad():
        scores = network.scores(clip)
        with_batch_norms_of(network, BatchNormSection())
        assert not any(isinstance(m, SubBatchNorm3d) for m in network.modules())
        assert torch.allclose(network.scores(clip), scores, atol=1e-6)
    assert all(parameters[name] is p for name, p in network.named_parameters())
    with_batch_norms_of(network, BatchNormSection(kind="sub", splits=1))
    assert all(type(m) is not SubBatchNorm3d for m in network.modules())
    with_batch_norms_of(network, BatchNormSection(kind="sync"))  # of one process: a plain one
    network.train()(clip)
    with_batch_norms(network)


def test_splits_that_do_not_divide_a_batch_are_named() -> None:
    with pytest.raises(
        ConfigError, match=r"batch_norm\.splits is 4, and a batch has 6 clips .*run\.batch_size"
    ):
        sub(splits=4)(clips(6))
    assert sub(splits=4).eval()(clips(6)).shape[0] == 6


def test_a_resumed_run_has_the_statistics_of_each_split() -> None:
    one = nn.Sequential(sub())
    one(clips())
    state, splits = one.state_dict(), split_statistics(one)
    other = nn.Sequential(SubBatchNorm3d(2, 3))
    other.load_state_dict(state)
    set_split_statistics(other, splits)
    for network in (one, other):
        network(clips(seed=2))
        network.eval()
    assert torch.equal(one[0].running_var, other[0].running_var)


def test_frozen_statistics_stay_and_weights_learn() -> None:
    network = nn.Sequential(sub(), nn.BatchNorm3d(3)).train()
    freeze_statistics(network)
    before = copy.deepcopy(network.state_dict())
    network(clips()).sum().backward()
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert all(p.grad is not None for p in network.parameters())
