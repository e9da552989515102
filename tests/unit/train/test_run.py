"""A training run: same recipe same weights, stops and goes on, and refuses to overwrite."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from twinpath.errors import ConfigError, TrainingDiverged
from twinpath.train.module import ActionModule
from twinpath.train.recipe import Recipe, read_recipe, to_toml
from twinpath.train.run import train


def small(**changes: object) -> Recipe:
    base = {
        "epochs": 2,
        "clips_per_epoch": 12,
        "validation_clips": 12,
        "batch_size": 6,
        "workers": 0,
        "render_heights_px": (48,),
        "precision": "32-true",
        "warmup_fraction": 0.3,
    }
    return read_recipe("slowfast_tiny").model_copy(update=base | changes)


def test_an_interrupted_run_that_goes_on_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = load_file(train(small(), tmp_path / "whole", progress=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twinpath.train.module.ActionModule.on_train_batch_start", _stop_in_epoch_1)
        with pytest.raises(RuntimeError, match="pulled the plug"):
            train(small(), tmp_path / "cut", progress=False)
    assert (tmp_path / "cut" / "last.ckpt").exists()
    resumed = load_file(train(small(), tmp_path / "cut", resume=True, progress=False))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert all(tensor.dtype == torch.float16 for tensor in whole.values())


def _stop_in_epoch_1(module: ActionModule, batch: object, batch_index: int) -> None:
    if (module.current_epoch, batch_index) == (1, 1):
        raise RuntimeError("pulled the plug")


def test_a_folder_with_a_run_in_it_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"precious")
    with pytest.raises(ConfigError, match="--resume"):
        train(small(), tmp_path, progress=False)
    assert (tmp_path / "last.ckpt").read_bytes() == b"precious"


def test_a_run_goes_on_only_with_the_settings_it_was_begun_with(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"precious")
    (tmp_path / "recipe.toml").write_text(to_toml(small()))
    with pytest.raises(ConfigError, match="another epochs, learning_rate"):
        train(small(epochs=9, learning_rate=1.0), tmp_path, resume=True, progress=False)
    assert (tmp_path / "recipe.toml").read_text() == to_toml(small())


def test_a_loss_that_is_no_number_stops_the_run_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"the loss is (nan|inf) at step \d.*learning_rate"):
        train(small(learning_rate=1e30), tmp_path, progress=False)
    assert not list(tmp_path.glob("*.safetensors"))


def test_nothing_to_resume_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to resume"):
        train(small(), tmp_path, resume=True, progress=False)
