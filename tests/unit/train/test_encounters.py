"""Training for features: every target teaches, what is frozen stays, a run can be repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from twinpath.data.synthetic.encounters import ENCOUNTERS
from twinpath.errors import ConfigError
from twinpath.train.encounters import EncounterBatch, EncounterModule, PaintedClipData
from twinpath.train.recipe import Recipe, read_recipe
from twinpath.train.run import train
from twinpath.zoo.create import create_model, input_spec

pytest.importorskip("cv2")
SPEC = input_spec("slowfast_tiny")


SMALL = (
    "epochs=1",
    "clips_per_epoch=4",
    "validation_clips=2",
    "batch_size=4",
    "workers=0",
    "render_heights_px=32",
    "clip.crop_px=32",
    "warmup_epochs=0.3",
)


def small(*changes: str) -> Recipe:
    return read_recipe("slowfast_tiny_painted", [*SMALL, *changes])


@pytest.fixture(scope="module")
def batch() -> EncounterBatch:
    return next(iter(PaintedClipData(small(), SPEC).train_dataloader()))


@pytest.fixture
def module() -> EncounterModule:
    torch.manual_seed(0)
    return EncounterModule(create_model("slowfast_tiny", num_classes=len(ENCOUNTERS)), small())  # type: ignore[arg-type]


def test_a_batch_has_all_targets(batch: EncounterBatch) -> None:
    assert batch.clips.shape == (4, 3, 16, 32, 32)
    assert batch.clips.dtype == torch.float32
    assert batch.labels.shape == batch.sides.shape == batch.moments.shape == (4,)
    assert batch.body_parts.shape[2:] == (16, 2, 2)


def test_every_target_teaches_and_frozen_modules_do_not_learn(
    module: EncounterModule, batch: EncounterBatch
) -> None:
    module.train()
    before = {name: tensor.clone() for name, tensor in module.network.slow.stem.state_dict().items()}
    module.loss(batch).backward()
    for part in (
        module.side,
        module.moment,
        module.parts["slow"],
        module.parts["fast"],
        module.network.slow.res2,
    ):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    assert all(p.grad is None for p in module.network.fast.stem.parameters())
    assert all(torch.equal(before[n], t) for n, t in module.network.slow.stem.state_dict().items())


def test_the_loss_falls_on_clips_that_it_sees_again(module: EncounterModule, batch: EncounterBatch) -> None:
    module.train()
    learning = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=3e-3)
    losses = []
    for _ in range(8):
        loss = module.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_run_leaves_a_network_that_starts_from_the_drawn_actions(tmp_path: Path) -> None:
    weights = load_file(train(small("clips_per_epoch=12"), tmp_path / "run", progress=False))
    again = load_file(train(small("clips_per_epoch=12"), tmp_path / "again", progress=False))
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    donor = create_model("slowfast_tiny.synthetic", pretrained=True).state_dict()
    stem = "slow.stem.conv.weight"
    assert torch.equal(weights[stem].float(), donor[stem].half().float())
    assert weights["head.projection.weight"].shape[0] == len(ENCOUNTERS)
    last = [name for name in donor if name.startswith("slow.res5") and name.endswith(".weight")]
    assert any(not torch.equal(weights[name].float(), donor[name]) for name in last)


def test_what_it_cannot_train_is_named() -> None:
    with pytest.raises(ConfigError, match="SlowFast"):
        EncounterModule(create_model("x3d_xs", num_classes=len(ENCOUNTERS)), small("network=x3d_xs"))
    network = create_model("slowfast_tiny", num_classes=len(ENCOUNTERS))
    with pytest.raises(ConfigError, match=r"slow\.steam"):
        EncounterModule(network, small("model.frozen=slow.steam"))
