"""Steps by hand, clipped gradients, and optimizers that outlive a change of batch norms."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from twinpath.errors import ConfigError
from twinpath.train.batch_norms.kinds import with_sub_batch_norms
from twinpath.train.optimization.groups import parameter_groups
from twinpath.train.optimization.optimizers import clip_gradients, make_optimizer, set_learning_rate
from twinpath.train.sections import OptimizerSection


def tiny() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2, 3)
    )


def learn(network: nn.Module, optimizer: torch.optim.Optimizer, rate: float = 0.1) -> None:
    torch.manual_seed(1)
    optimizer.zero_grad()
    set_learning_rate(optimizer, rate)
    network(torch.randn(4, 1, 2, 3, 3)).square().sum().backward()
    optimizer.step()


def test_a_group_steps_by_its_own_factor_and_decay() -> None:
    model = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(1, 1)]), "head": nn.Linear(1, 1)})
    for parameter in model.parameters():
        nn.init.ones_(parameter)
        parameter.grad = torch.ones_like(parameter)
    section = OptimizerSection(layer_decay=0.5, decay_1d=False, weight_decay=0.1, momentum=0, nesterov=False)
    optimizer = make_optimizer(parameter_groups(model, section), section)
    set_learning_rate(optimizer, 0.4)
    optimizer.step()
    after = {name: float(p.detach()) for name, p in model.named_parameters()}
    expected = {
        "blocks.0.weight": 1 - 0.2 * 1.1,
        "blocks.0.bias": 0.8,
        "head.weight": 1 - 0.4 * 1.1,
        "head.bias": 0.6,
    }
    assert after == pytest.approx(expected)
    state = optimizer.state_dict()["param_groups"]
    assert state[0]["name"] == "layer 1, decayed"
    assert state[0]["param_names"] == ["blocks.0.weight"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_a_state_goes_from_plain_to_sub_batch_norms(name: Any, kind: type, tmp_path: Any) -> None:
    section = OptimizerSection(name=name)
    model = tiny()
    optimizer = make_optimizer(parameter_groups(model, section), section)
    assert isinstance(optimizer, kind)
    learn(model, optimizer)
    torch.save(optimizer.state_dict(), tmp_path / "state.ckpt")
    other = copy.deepcopy(model)
    with_sub_batch_norms(other, 2)
    resumed = make_optimizer(parameter_groups(other, section), section)
    resumed.load_state_dict(torch.load(tmp_path / "state.ckpt", weights_only=True))
    with_sub_batch_norms(model, 2)  # and the first optimizer goes on as it is
    learn(model, optimizer)
    learn(other, resumed)
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    )
    assert all(p.grad is not None for p in model.parameters())


def test_lars_by_hand() -> None:
    section = OptimizerSection(lars=True, weight_decay=0.5, momentum=0, nesterov=False)
    layer = nn.Linear(2, 1)
    norm = nn.BatchNorm1d(1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0]]))
        layer.bias.fill_(1.0)
    model = nn.Sequential(layer, norm)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    layer.weight.grad = torch.tensor([[0.0, 2.0]])
    optimizer = make_optimizer(parameter_groups(model, section), section)
    set_learning_rate(optimizer, 10.0)
    optimizer.step()
    rate = 10 * 0.001 * 5 / (2 + 0.5 * 5)
    expected = [3 - rate * 1.5, 4 - rate * (2 + 2)]
    assert layer.weight.detach().flatten().tolist() == pytest.approx(expected)
    assert float(layer.bias.detach()) == pytest.approx(1 - 10)  # one dimension: neither adapted nor decayed
    assert float(norm.weight.detach()) == pytest.approx(1 - 10)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.5]
    with torch.no_grad():  # a parameter of zeros has no norm to adapt to
        layer.weight.zero_()
    layer.weight.grad = torch.tensor([[0.0, 2.0]])
    optimizer.step()
    assert layer.weight.detach().flatten().tolist() == [0.0, -20.0]


@pytest.mark.parametrize(
    ("settings", "after"),
    [
        ({}, [3.0, 4.0]),
        ({"clip_norm": 1.0}, [0.6, 0.8]),
        ({"clip_norm": 9.0}, [3.0, 4.0]),
        ({"clip_value": 2.0}, [2.0, 2.0]),
    ],
)
def test_gradients_are_clipped_and_their_norm_is_that_before(settings: Any, after: list[float]) -> None:
    one, other, without = (nn.Parameter(torch.zeros(1)) for _ in range(3))
    one.grad, other.grad = torch.tensor([3.0]), torch.tensor([4.0])
    norm = clip_gradients([one, other, without], OptimizerSection(**settings))
    assert float(norm) == 5.0
    assert [float(one.grad), float(other.grad)] == pytest.approx(after, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": 0}, r"optimizer\.nesterov needs optimizer\.momentum above 0"),
        ({"name": "adamw", "lars": True}, r'optimizer\.lars is for optimizer\.name = "sgd"'),
        ({"clip_value": 1, "clip_norm": 1}, "both set; choose one"),
        ({"name": "adam", "betas": (0.9, 1)}, r"optimizer\.betas is \[0\.9, 1\.0\]"),
    ],
)
def test_what_contradicts_itself_is_named(settings: Any, message: str) -> None:
    section = OptimizerSection.model_validate(settings)
    with pytest.raises(ConfigError, match=message):
        make_optimizer(parameter_groups(tiny(), section), section)


def test_nothing_to_learn_is_an_error() -> None:
    section = OptimizerSection()
    with pytest.raises(ConfigError, match="no parameter is left to learn"):
        make_optimizer(parameter_groups(tiny().requires_grad_(False), section), section)
