"""A training run: same recipe same weights, stops and goes on, and refuses to overwrite."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from twinpath.errors import ConfigError, DamagedWeights, TrainingDiverged
from twinpath.train.checkpoints import intact_checkpoint
from twinpath.train.classification import ClassificationModule
from twinpath.train.recipe import Recipe, read_recipe, to_toml
from twinpath.train.run import train
from twinpath.zoo.create import create_model

SMALL = (
    "epochs=2",
    "clips_per_epoch=6",
    "validation_clips=6",
    "batch_size=3",
    "workers=0",
    "render_heights_px=48",
    "precision=32-true",
    "warmup_epochs=0.6",
)


def small(*changes: str) -> Recipe:
    return read_recipe("slowfast_tiny", [*SMALL, *changes])


def test_an_interrupted_run_that_goes_on_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = load_file(train(small(), tmp_path / "whole", progress=False))
    stopped(small(), tmp_path / "cut", epoch=1)
    assert (tmp_path / "cut" / "last.ckpt").exists()
    resumed = load_file(train(small(), tmp_path / "cut", resume=True, progress=False))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert all(tensor.dtype == torch.float16 for tensor in whole.values())


def stopped(recipe: Recipe, folder: Path, *, epoch: int) -> None:
    """A run that ends in the midst of an epoch, the first of which is 0."""

    def stop(module: ClassificationModule, batch: object, batch_index: int) -> None:
        if (module.current_epoch, batch_index) == (epoch, 1):
            raise RuntimeError("pulled the plug")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassificationModule, "on_train_batch_start", stop)
        with pytest.raises(RuntimeError, match="pulled the plug"):
            train(recipe, folder, progress=False)


@pytest.fixture(scope="module")
def three_epochs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """The folder of a run of three epochs that stopped in the last one, and what it would have ended with."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = small("epochs=3")
    whole = load_file(train(recipe, folder / "whole", progress=False))
    stopped(recipe, folder / "cut", epoch=2)
    return folder / "cut", whole


def flip(path: Path) -> None:
    """Change one byte amid the tensors."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def another_network(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    content["state_dict"].popitem()
    torch.save(content, path)


def weights_alone(path: Path) -> None:
    torch.save({"state_dict": torch.load(path, weights_only=True)["state_dict"]}, path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip, "is damaged or cut short"),
        (cut, "is damaged or cut short"),
        (Path.unlink, ""),
        (another_network, "is of another network"),
        (weights_alone, "is no checkpoint of a run: it lacks epoch"),
        (lambda path: path.write_bytes(b""), "is empty"),
    ],
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    three_epochs: tuple[Path, dict[str, torch.Tensor]],
    damage: Callable[[Path], object],
    words: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder, _ = three_epochs
    module = ClassificationModule(create_model("slowfast_tiny"), small())
    assert intact_checkpoint(folder, module) == folder / "last.ckpt"
    shutil.copytree(folder, tmp_path / "run")
    last, previous = tmp_path / "run" / "last.ckpt", tmp_path / "run" / "previous.ckpt"
    damage(last)
    assert intact_checkpoint(tmp_path / "run", module) == previous
    assert (f"{last} {words}" in caplog.text and f"resuming from {previous}" in caplog.text) or not words


def test_a_run_resumed_from_the_checkpoint_before_ends_like_an_uninterrupted_one(
    three_epochs: tuple[Path, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    folder, whole = three_epochs
    shutil.copytree(folder, tmp_path / "run")
    last, previous = tmp_path / "run" / "last.ckpt", tmp_path / "run" / "previous.ckpt"
    flip(last)
    resumed = load_file(train(small("epochs=3"), tmp_path / "run", resume=True, progress=False))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert [torch.load(path, weights_only=True)["epoch"] for path in (last, previous)] == [2, 1]


def test_both_checkpoints_damaged(three_epochs: tuple[Path, dict[str, torch.Tensor]], tmp_path: Path) -> None:
    shutil.copytree(three_epochs[0], tmp_path / "run")
    for name in ("last.ckpt", "previous.ckpt"):
        flip(tmp_path / "run" / name)
    before = {path: path.read_bytes() for path in (tmp_path / "run").glob("*.ckpt")}
    with pytest.raises(DamagedWeights, match=r"last\.ckpt .*previous\.ckpt .*start a new run"):
        train(small("epochs=3"), tmp_path / "run", resume=True, progress=False)
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").glob("*.ckpt")}


def test_a_folder_with_a_run_in_it_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"precious")
    with pytest.raises(ConfigError, match="resume=True"):
        train(small(), tmp_path, progress=False)
    assert (tmp_path / "last.ckpt").read_bytes() == b"precious"


def test_a_run_goes_on_only_with_the_settings_it_was_begun_with(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"precious")
    (tmp_path / "recipe.toml").write_text(to_toml(small()))
    with pytest.raises(ConfigError, match=r"another schedule\.epochs, schedule\.base_learning_rate"):
        train(small("epochs=9", "base_learning_rate=1"), tmp_path, resume=True, progress=False)
    assert (tmp_path / "recipe.toml").read_text() == to_toml(small())


def test_a_loss_that_is_no_number_stops_the_run_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"the loss is (nan|inf) at step \d.*learning_rate"):
        train(small("base_learning_rate=1e30"), tmp_path, progress=False)
    assert not list(tmp_path.glob("*.safetensors"))


def test_nothing_to_resume_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to resume"):
        train(small(), tmp_path, resume=True, progress=False)
