"""What decays, and how fast each layer learns, is as in the reference."""

from __future__ import annotations

from math import prod

import pytest
import torch
from torch import nn

from tests.support.golden_weights import golden
from twinpath.errors import ConfigError
from twinpath.models.registry import architecture
from twinpath.models.shapes_only import shapes_only
from twinpath.train.batch_norms.kinds import with_batch_norms, with_sub_batch_norms
from twinpath.train.optimization.groups import parameter_groups
from twinpath.train.sections import OptimizerSection


def network(name: str) -> nn.Module:
    with shapes_only():
        return architecture(name).build()


def sizes(name: str, **settings: object) -> dict[str, tuple[int, float]]:
    """Parameters and decay of each group."""
    groups = parameter_groups(network(name), OptimizerSection.model_validate(settings))
    return {group.name: (group.num_values, group.weight_decay) for group in groups}


def golden_size(name: str, *, small: bool) -> int:
    """Values of the reference's parameters that have one dimension, or more."""
    state = [(key, shape) for key, shape in golden(name)["state"] if "running_" not in key]
    return sum(prod(shape) for key, shape in state if (len(shape) == 1 or key.endswith(".bias")) == small)


def test_a_slowfast_has_batch_norms_and_the_rest() -> None:
    found = sizes("slowfast_r50_8x8", weight_decay=1e-4)
    state = golden("psf_Kinetics_SLOWFAST_8x8_R50")["state"]
    norms = 2 * sum(prod(shape) for key, shape in state if key.endswith("running_mean"))
    everything = golden("psf_Kinetics_SLOWFAST_8x8_R50")["num_params"]
    assert found == {"batch norms": (norms, 0.0), "decayed": (everything - norms, 1e-4)}


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("mvit_v2_s_16x4", "psf_Kinetics_MVITv2_S_16x4"),
        ("mvit_v1_b_16x4", "psf_Kinetics_MVIT_B_16x4_CONV"),
    ],
)
def test_without_decay_of_one_dimension_tokens_and_positions_decay_still(name: str, reference: str) -> None:
    """In the reference these have three dimensions, whatever they have here."""
    found = sizes(name, weight_decay=0.05, decay_1d=False)
    assert found == {
        "decayed": (golden_size(reference, small=False), 0.05),
        "not decayed": (golden_size(reference, small=True), 0.0),
    }


def test_positions_and_tokens_need_not_decay() -> None:
    names = {
        name
        for group in parameter_groups(network("mvit_v2_s_16x4"), OptimizerSection(decay_positions=False))
        if group.name == "not decayed"
        for name in group.parameter_names
    }
    assert "class_token" in names
    assert "blocks.3.attention.relative.height" in names
    assert not any(name.endswith((".weight", ".bias")) for name in names)


def test_what_is_frozen_is_in_no_group() -> None:
    model = network("slowfast_tiny")
    model.get_submodule("slow.stem").requires_grad_(False)
    groups = parameter_groups(model, OptimizerSection())
    names = [name for group in groups for name in group.parameter_names]
    assert set(names) == {n for n, _ in model.named_parameters() if not n.startswith("slow.stem")}
    assert len(names) == len(set(names))
    assert parameter_groups(model.requires_grad_(False), OptimizerSection()) == []


def test_sub_batch_norms_are_batch_norms_with_the_same_parameters() -> None:
    model = network("slowfast_tiny")
    plain = parameter_groups(model, OptimizerSection())
    sub = parameter_groups(with_sub_batch_norms(model, 4), OptimizerSection())
    back = parameter_groups(with_batch_norms(model), OptimizerSection())
    for other in (sub, back):
        assert [g.name for g in other] == [g.name for g in plain]
        for one, same in zip(plain, other, strict=True):
            assert all(a is b for a, b in zip(one.parameters, same.parameters, strict=True))


def test_each_block_learns_more_slowly_than_the_next() -> None:
    model = network("vit_b_16x4")
    groups = parameter_groups(model, OptimizerSection(layer_decay=0.65, decay_1d=False, weight_decay=0.05))
    factors = {name: g.learning_rate_factor for g in groups for name in g.parameter_names}
    decays = {name: g.weight_decay for g in groups for name in g.parameter_names}
    assert factors["class_token"] == factors["patches.weight"] == pytest.approx(0.65**13)
    assert factors["positions.spatial"] == pytest.approx(0.65**13)
    assert factors["blocks.0.mlp.widen.weight"] == pytest.approx(0.65**12)
    assert factors["blocks.11.norm_mlp.weight"] == pytest.approx(0.65)
    assert factors["head.norm.weight"] == factors["head.projection.weight"] == 1
    assert decays["blocks.0.mlp.widen.bias"] == 0
    assert decays["blocks.0.mlp.widen.weight"] == decays["class_token"] == 0.05
    assert [g.name for g in groups][:3] == ["layer 0, decayed", "layer 0, not decayed", "layer 1, decayed"]
    assert sum(g.num_values for g in groups) == sum(p.numel() for p in model.parameters())
    assert factors == {
        name.removeprefix("inside."): g.learning_rate_factor
        for g in parameter_groups(
            nn.ModuleDict({"inside": model}), OptimizerSection(layer_decay=0.65, decay_1d=False)
        )
        for name in g.parameter_names
    }


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4)), "has batch norms: set it to 1"),
        (nn.Linear(2, 2), "needs a network of blocks"),
    ],
)
def test_layer_decay_is_for_transformers(model: nn.Module, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"optimizer\.layer_decay is 0\.5.*{message}"):
        parameter_groups(model, OptimizerSection(layer_decay=0.5))


def test_a_shared_parameter_is_stepped_once() -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    other.weight = one.weight
    (group,) = parameter_groups(nn.Sequential(one, other), OptimizerSection())
    assert group.parameter_names == ("0.weight", "0.bias", "1.bias")
    assert torch.is_tensor(group.parameters[0])
