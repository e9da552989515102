"""New networks begin as published; the average of weights follows them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.support.narrow_networks import narrow, small
from twinpath.train.batch_norms.kinds import with_sub_batch_norms
from twinpath.train.optimization.ema import averaged_copy, move_average
from twinpath.train.optimization.initialise import initialise_new, last_norms
from twinpath.train.sections import ModelSection


@pytest.mark.parametrize(
    ("name", "branches"), [("slowfast_nln_r50_8x8", 16 + 3), ("x3d_s", 7), ("r3d_18", 8), ("s3d", 0)]
)
def test_residual_branches_begin_as_nothing_if_wanted(name: str, branches: int) -> None:
    network = small(name, 5, **narrow(name))
    for wanted in (True, False):
        section = ModelSection(network=name, zero_init_last_norm=wanted, head_init_std=0.1)
        initialise_new(network, section)
        scales = [p for n, p in network.named_parameters() if n.endswith("weight") and p.ndim == 1]
        zero = sum(not bool(p.any()) for p in scales)
        assert zero == (branches if wanted else 0)
    assert len(last_norms(network)) == branches
    classifier = network.get_classifier()
    assert float(classifier.weight.detach().std()) == pytest.approx(0.1, rel=0.2)
    assert not classifier.bias.any()


def test_transformers_have_biases_of_upstream() -> None:
    network = small("mvit_v2_s_16x4", 5, **narrow("mvit_v2_s_16x4"))
    initialise_new(network, ModelSection(network="mvit_v2_s_16x4", head_init_scale=0.001))
    norm, classifier = network.get_submodule("head.norm"), network.get_classifier()
    assert isinstance(norm, nn.LayerNorm)
    assert torch.equal(norm.weight, torch.ones_like(norm.weight))
    assert torch.equal(norm.bias, torch.full_like(norm.bias, 0.02))
    assert float(classifier.weight.detach().std()) == pytest.approx(0.02 * 0.001, rel=0.2)
    assert torch.allclose(classifier.bias, torch.full_like(classifier.bias, 0.02 * 0.001))


def test_the_average_follows_fast_at_first_and_slowly_later() -> None:
    network = nn.Sequential(nn.BatchNorm3d(1))
    average = averaged_copy(network)
    assert not average.training
    assert not any(p.requires_grad for p in average.parameters())
    with_sub_batch_norms(network, 2)  # whatever kind of batch norms learns
    with torch.no_grad():
        network[0].weight.fill_(2.0)
        network[0].split_mean.copy_(torch.tensor([[1.0], [3.0]]))
        network[0].set_split_statistics(network[0].split_mean, network[0].split_var)
    move_average(average, network, decay=0.9, step=0)  # a tenth of it stays
    assert float(average[0].weight.detach()) == pytest.approx(0.1 * 1 + 0.9 * 2)
    assert float(average[0].running_mean) == pytest.approx(0.9 * 2)
    move_average(average, network, decay=0.9, step=10**6)
    assert float(average[0].weight.detach()) == pytest.approx(0.9 * 1.9 + 0.1 * 2)
