"""Statistics over many batches are those of all their clips together."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from twinpath.errors import ConfigError
from twinpath.train.batch_norms.kinds import with_sub_batch_norms
from twinpath.train.batch_norms.precise import update_statistics


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm3d(2, momentum=0.3), nn.Conv3d(2, 3, 1), nn.BatchNorm3d(3)).train()


def batches() -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(n, 2, 2, 3, 3) * n + n for n in (2, 4, 6)]


def test_they_are_those_of_all_clips() -> None:
    model = network()
    update_statistics(model, iter([*batches(), torch.full((2, 2, 1, 1, 1), 1e9)]), 3)
    everything = torch.cat(batches()).transpose(0, 1).flatten(1)
    norm = model[0]
    assert torch.allclose(norm.running_mean, everything.mean(dim=1), rtol=1e-5)
    assert torch.allclose(norm.running_var, everything.var(dim=1, correction=0), rtol=1e-5)
    assert (norm.momentum, model[2].momentum) == (0.3, 0.1)
    assert not norm._forward_hooks


def test_each_split_of_a_sub_batch_norm_has_its_own() -> None:
    model = with_sub_batch_norms(network(), 2)
    update_statistics(model, batches(), 3)
    for j in range(2):
        clips = torch.cat([batch[j::2] for batch in batches()]).transpose(0, 1).flatten(1)
        assert torch.allclose(model[0].split_mean[j], clips.mean(dim=1), rtol=1e-5)
        assert torch.allclose(model[0].split_var[j], clips.var(dim=1, correction=0), rtol=1e-5)
    everything = torch.cat(batches()).transpose(0, 1).flatten(1)
    model.eval()
    assert torch.allclose(model[0].running_mean, everything.mean(dim=1), rtol=1e-5)
    assert torch.allclose(model[0].running_var, everything.var(dim=1, correction=0), rtol=1e-5)


def test_frozen_batch_norms_take_no_part() -> None:
    model = network()
    model[2].eval()
    before = copy.deepcopy(model[2].state_dict())
    update_statistics(model, batches(), 2, forward=lambda batch: model(batch))
    assert all(torch.equal(t, before[name]) for name, t in model[2].state_dict().items())
    assert model[0].running_mean.any()


def test_too_few_batches_are_an_error_and_change_nothing() -> None:
    model = network()
    before = model[0].running_mean.clone()
    with pytest.raises(ConfigError, match=r"batch_norm\.precise_batches is 5, but there are 3 batches only"):
        update_statistics(model, batches(), 5)
    assert torch.equal(model[0].running_mean, before)
    assert model[0].momentum == 0.3
