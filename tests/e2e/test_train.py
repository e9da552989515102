"""`twinpath train` on a recipe that takes seconds, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support.commands import Finished, in_process, twinpath
from twinpath.train.recipe import read_recipe, to_toml

QUICK = (
    "epochs=1",
    "warmup_epochs=0.1",
    "clips_per_epoch=6",
    "validation_clips=6",
    "batch_size=6",
    "workers=0",
)
RECIPE = to_toml(
    read_recipe("slowfast_tiny", ["name=quick", *QUICK, "render_heights_px=96", "precision=32-true"])
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "quick.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def run(recipe: Path) -> tuple[Path, Finished]:
    """A finished run."""
    folder = recipe.parent / "run"
    return folder, twinpath("train", recipe, "--out", folder)


def test_a_run_leaves_weights_that_classify_takes(run: tuple[Path, Finished], clips: Path) -> None:
    folder, done = run
    weights = folder / "quick.safetensors"
    assert f"wrote {weights}" in done.err
    assert f"twinpath evaluate slowfast_tiny --weights {weights}" in done.err
    assert done.out == ""
    answer = twinpath(
        "classify", clips / "a.mp4", "--model", "slowfast_tiny", "--weights", weights, "--json"
    ).object
    assert len(answer["predictions"]) == 5


def test_a_run_can_be_repeated_from_its_folder(run: tuple[Path, Finished]) -> None:
    folder, _ = run
    assert (folder / "last.ckpt").is_file()
    assert read_recipe(str(folder / "recipe.toml")) == read_recipe(str(folder.parent / "quick.toml"))


def test_a_second_run_does_not_overwrite_the_first(run: tuple[Path, Finished], recipe: Path) -> None:
    folder, _ = run
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    error = in_process("train", recipe, "--out", folder, "--no-resume", code=2).error
    assert str(folder) in error
    assert "--resume" in error
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_resuming_a_finished_run_keeps_its_weights(run: tuple[Path, Finished], recipe: Path) -> None:
    folder, _ = run
    before = load_file(folder / "quick.safetensors")
    in_process("train", recipe, "--out", folder)
    after = load_file(folder / "quick.safetensors")
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("epochs = 1", "epochs = 1\nlerning_rate = 1"),
            ("unknown key 'schedule.lerning_rate'", "did you mean 'schedule.base_learning_rate'?"),
        ),
        (("epochs = 1", "epochs = 0"), ("epochs", "greater than 0")),
        (("seed = ", "seed = = "), ("not valid TOML",)),
    ],
)
def test_a_wrong_recipe(tmp_path: Path, change: tuple[str, str], words: tuple[str, ...]) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(RECIPE.replace(*change))
    error = in_process("train", path, "--out", tmp_path / "run", code=2).error
    assert str(path) in error
    assert all(word in error for word in words)
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_does_not_exist(tmp_path: Path) -> None:
    error = in_process("train", "slowfast_tny", "--out", tmp_path / "run", code=2).error
    assert "no recipe 'slowfast_tny'" in error
    assert "slowfast_tiny" in error


def test_a_dry_run_prints_what_a_recipe_will_do(tmp_path: Path) -> None:
    done = in_process(
        "train",
        "x3d_s_kinetics",
        "schedule.epochs=100",
        "batch_size=16",
        "--dry-run",
        "--out",
        tmp_path / "run",
    )
    lines = done.out.splitlines()
    assert "network   x3d_s, 3.79 M parameters" in lines
    assert "clips     13 frames, every 6. of 30 per second, 160 px" in lines
    assert "batch     16 clips" in lines
    assert "clips     crop: 160 px of a short side of 182 to 228 px" in lines
    assert any(line.startswith("rate      epoch   35.00: 0.") for line in lines)
    assert lines[-1] == "pictures  none: the recipe names no clips; give data.train"
    assert not (tmp_path / "run").exists()


def test_a_configuration_of_pyslowfast_is_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "SLOW_8x8.yaml"
    path.write_text("MODEL:\n  ARCH: slow\n  MODEL_NAME: ResNet\nSOLVER:\n  BASE_LR: 0.2\n  BASE_LR: 1e-1\n")
    done = in_process("train", "--pyslowfast", path, "SOLVER.MAX_EPOCH", "50", "--dry-run")
    lines = done.out.splitlines()
    assert "recipe    SLOW_8x8" in lines
    assert "network   slow_r50_8x8, 32.45 M parameters" in lines
    assert "epochs    50" in lines
    assert "SOLVER.BASE_LR stands twice" in done.err
    error = in_process("train", "--pyslowfast", path, "SOLVER.MAX_EPOC", "50", code=2).error
    assert "did you mean SOLVER.MAX_EPOCH" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give a recipe"),
        (("slowfast_tiny", "epoch=3"), "did you mean 'schedule.epochs'"),
        (("slowfast_tiny", "schedule.epochs"), "write section.key=value"),
        (("vit_b_16x4_mae",), "data.train: name the training clips of 'unlabelled'"),
    ],
)
def test_what_cannot_be_trained_is_one_line(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    assert message in in_process("train", *words, "--out", tmp_path / "run", code=2).error
    assert not (tmp_path / "run").exists()
