"""A network is trained by a recipe on clips of files: it learns, stops anywhere and goes on, and says what it
left out."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.square_clips import CLASSES, moving_squares
from twinpath.errors import ConfigError, InputError, Interrupted, TrainingDiverged
from twinpath.recognize.classifier import Classifier
from twinpath.train.loop import loop as loop_module
from twinpath.train.loop.figures import StepFigures
from twinpath.train.loop.train import recipe_schedule, train_clips
from twinpath.train.machine import Machine
from twinpath.train.recipe import Recipe, holds_run, recipe_of
from twinpath.weights.formats import read_weights
from twinpath.zoo.model_folder import WEIGHTS

PLAIN: dict[str, Any] = {
    "model": {"network": "slowfast_tiny", "zero_init_last_norm": False},
    "clip": {"frames": 8, "sampling_rate": 2, "short_side_px": [36, 44], "crop_px": 32, "flip": False},
    "optimizer": {"name": "adamw", "weight_decay": 0.01},
    "schedule": {"epochs": 3, "base_learning_rate": 2e-3, "warmup_epochs": 0.5},
    "evaluation": {"every_epochs": 1, "crop_px": 32, "crops": 1, "at_end": False},
    "run": {"batch_size": 4, "workers": 0},
}
# All phases of the long cycle with sub-batch norms, the short cycle, an average and statistics of their own.
MULTIGRID: dict[str, Any] = {
    "schedule": {
        "epochs": 4, "base_learning_rate": 2e-3, "policy": "steps", "steps": [0, 3], "factors": [1, 0.1],
    },
    "clip": {"frames": 16, "sampling_rate": 1, "short_side_px": [36, 44], "crop_px": 32, "flip": False},
    "optimizer": {"name": "sgd", "ema_decay": 0.9, "clip_norm": 1.0},
    "batch_norm": {"precise_batches": 1},
    "multigrid": {"long_cycle": True, "short_cycle": True, "norm_clips": 2},
    "run": {"batch_size": 2, "workers": 0},
}  # fmt: skip
# What several processes draw as one does; and norms over few positions would blow up what rounding did.
SAME_DRAWS = ("model.dropout=0", "optimizer.name=sgd", "clip_norm=1", "base_learning_rate=1e-3")
LARGER = ("clip.crop_px=64", "clip.short_side_px=[64,72]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes, divided into what it is for."""
    made = moving_squares(tmp_path_factory.mktemp("squares"), num_clips=42)
    root = tmp_path_factory.mktemp("data") / "squares"
    for number, clip in enumerate(made):
        target = root / ("val" if number < 8 else "train") / clip.labels[0] / clip.path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip.path, target)
    return root


def recipe(folder: Path, *overrides: str, **sections: Any) -> Recipe:
    values = {**PLAIN, "name": "squares", "data": {"kind": "labelled", "train": [str(folder)]}, **sections}
    return recipe_of(values, overrides, origin="test")


class Stop(Exception):
    """In the midst of a run."""


def stop_after(total: int) -> Any:
    def on_step(figures: StepFigures) -> None:
        if figures.total == total:
            raise Stop

    return on_step


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read_weights(run / "squares" / WEIGHTS).tensors


def same(one: Path, other: Path) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


def test_it_learns_and_the_result_is_a_model(folder: Path, tmp_path: Path) -> None:
    results = []
    begin = "model.start_from=slowfast_tiny.synthetic"
    settings = recipe(folder, "schedule.epochs=4", "run.batch_size=8", begin)
    made = train_clips(settings, tmp_path / "run", on_epoch=results.append)
    assert made is not None
    assert results[-1].figures["top1"] >= 0.75
    assert results[-1].train_loss < results[0].train_loss
    assert made.card.figures["validation_top1"] == results[-1].figures["top1"]
    classifier = Classifier(str(tmp_path / "run" / "squares"))
    right = [classifier(clip).label == clip.parent.name for clip in (folder / "val").rglob("*.mp4")]
    assert sum(right) / len(right) >= 0.75


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The epoch and the shape of every batch that is learned from, as it comes."""
    seen: list[tuple[int, ...]] = []
    loss = loop_module.TrainingLoop._loss

    def record(self: Any, clips: torch.Tensor, *others: Any) -> Any:
        seen.append((self.state.epoch, *clips.shape))
        return loss(self, clips, *others)

    monkeypatch.setattr(loop_module.TrainingLoop, "_loss", record)
    return seen


@pytest.mark.parametrize("sections", [PLAIN, MULTIGRID], ids=["plain", "multigrid"])
def test_a_run_that_stopped_anywhere_ends_with_the_same_weights(
    folder: Path,
    tmp_path: Path,
    sections: dict[str, Any],
    shapes: list[tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within an epoch and a phase, with a checkpoint of the midst of an epoch, and without."""
    settings = recipe(folder, **sections)
    losses: dict[int, float] = {}

    def on_step(figures: StepFigures) -> None:
        assert losses.setdefault(figures.total, figures.loss) == figures.loss

    train_clips(settings, tmp_path / "whole", on_step=on_step)
    _check_shapes(settings, shapes)
    rng, resume = random.Random(1), False
    for stop in range(4, max(losses), max(max(losses) // 4, 1)):
        saved = stop - rng.randrange(1, 4)

        def on_step_until(figures: StepFigures, stop: int = stop, saved: int = saved) -> None:
            on_step(figures)
            monkeypatch.setattr(loop_module, "_CHECKPOINT_S", 0.0 if figures.total == saved else 600.0)
            if figures.total == stop:
                raise Stop

        with pytest.raises(Stop):
            train_clips(settings, tmp_path / "stopped", resume=resume, on_step=on_step_until)
        resume = True
    train_clips(settings, tmp_path / "stopped", resume=True, on_step=on_step)
    assert same(tmp_path / "whole", tmp_path / "stopped")


def _check_shapes(settings: Recipe, shapes: list[tuple[int, ...]]) -> None:
    """The batches of each epoch take turns through the shapes of its phase."""
    schedule = recipe_schedule(settings)
    for epoch in range(schedule.schedule.epochs):
        found = [shape for number, *shape in shapes if number == epoch]
        slots = schedule.slots_of(epoch)
        assert found == [
            [slot.batch_size, 3, slot.shape.frames, slot.shape.crop_px, slot.shape.crop_px]
            for slot, _ in zip(slots * len(found), found, strict=False)
        ]
    if settings.multigrid.long_cycle:
        assert {phase.batch_norm.kind for phase in schedule.phases} == {"sub", "batch"}
        assert len({tuple(shape[1:]) for shape in shapes}) >= 6


def test_a_broken_clip_is_named_and_left_out(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = Path(shutil.copytree(folder, tmp_path / "data"))
    broken = data / "train" / CLASSES[0] / "broken.mp4"
    broken.write_text("no video")
    norms = {"kind": "sub", "splits": 2}  # a batch of three is cut to two
    made = train_clips(recipe(data, "schedule.epochs=1", batch_norm=norms), tmp_path / "run")
    assert made is not None
    assert [r.message for r in caplog.records if "broken.mp4" in r.message] != []
    for path in (data / "train").rglob("*.mp4"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"more than a third"):
        train_clips(recipe(data), tmp_path / "none")


def test_a_loss_that_is_no_number_names_step_clips_and_gradients(folder: Path, tmp_path: Path) -> None:
    settings = recipe(folder, "schedule.base_learning_rate=1e30", "schedule.warmup_epochs=0")
    with pytest.raises(TrainingDiverged, match=r"step \d+ .*\.mp4.*gradient norms were .*base_learning_rate"):
        train_clips(settings, tmp_path)


def test_a_folder_with_another_run_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train_clips(recipe(folder), tmp_path, on_step=stop_after(10))
    with pytest.raises(ConfigError, match="holds a run already"):
        train_clips(recipe(folder), tmp_path)
    with pytest.raises(ConfigError, match=r"another optimizer\.weight_decay"):
        train_clips(recipe(folder, "optimizer.weight_decay=0.5"), tmp_path, resume=True)

    def interrupt(_: StepFigures) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"resume=True goes on after .*last\.ckpt"):
        train_clips(recipe(folder), tmp_path, resume=True, on_step=interrupt)


def test_mixing_labels_clips_as_a_whole(folder: Path, tmp_path: Path) -> None:
    mix = {"mixup_alpha": 0.8, "cutmix_alpha": 1.0, "label_smoothing": 0.1}
    extra = {"rand_augment": "m7-n2", "erasing": 0.5, "brightness": 0.2}
    settings = recipe(folder, "schedule.epochs=1", "clip.repeats=2", mix=mix, augmentation=extra)
    losses: list[float] = []
    train_clips(settings, tmp_path, on_step=lambda figures: losses.append(figures.loss))
    assert np.isfinite(losses).all()


@pytest.mark.slow
@pytest.mark.parametrize("sections", [PLAIN, MULTIGRID], ids=["plain", "multigrid"])
def test_two_processes_are_one_with_the_doubled_batch(
    folder: Path, tmp_path: Path, sections: dict[str, Any]
) -> None:
    """Batch norms are over the same clips: of both processes, or split alike."""
    size = "run.batch_size=8" if sections is PLAIN else "run.batch_size=2"
    norms = {"batch_norm": {"kind": "sync"}} if sections is PLAIN else {}
    alone = recipe(folder, *SAME_DRAWS, *LARGER, size, **sections)
    shared = recipe(folder, *SAME_DRAWS, *LARGER, size, **{**sections, **norms})
    losses = _losses(alone, tmp_path / "one", devices=1)
    both = _losses(shared, tmp_path / "two", devices=2)
    assert len(both) == len(losses)
    np.testing.assert_allclose(both[:6], losses[:6], rtol=1e-2)


@pytest.mark.slow
def test_a_network_divided_among_processes_learns_the_same(folder: Path, tmp_path: Path) -> None:
    settings = recipe(
        folder, *SAME_DRAWS, *LARGER, "epochs=2", "run.batch_size=8", "model.checkpoint_blocks=true"
    )
    losses = _losses(settings, tmp_path / "ddp", devices=2)
    both = _losses(settings, tmp_path / "fsdp", devices=2, strategy="fsdp")
    assert len(both) == len(losses)
    np.testing.assert_allclose(both[:4], losses[:4], rtol=1e-2)
    assert weights(tmp_path / "fsdp").keys() == weights(tmp_path / "ddp").keys()


@pytest.mark.slow
def test_killed_at_twenty_random_steps_the_losses_are_the_same(folder: Path, tmp_path: Path) -> None:
    settings = recipe(folder, "schedule.epochs=30")
    (tmp_path / "recipe.json").write_text(settings.model_dump_json(exclude_none=True))
    command = [sys.executable, "-m", __name__, str(tmp_path / "recipe.json"), str(tmp_path / "run")]
    rng, killed = random.Random(2), 0
    losses: dict[str, set[str]] = {}
    while killed < 20:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(rng.randrange(1, 16))]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        killed += bool(lines[0])
        for line in filter(None, lines):
            step, _, loss = line.strip().partition(" ")
            losses.setdefault(step, set()).add(loss)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        step, _, loss = line.partition(" ")
        losses.setdefault(step, set()).add(loss)
    complete = {step: found for step, found in losses.items() if all(len(v) > 8 for v in found)}
    assert len(complete) >= 200
    assert all(len(found) == 1 for found in complete.values())
    train_clips(settings, tmp_path / "whole")
    assert same(tmp_path / "whole", tmp_path / "run")


def _losses(settings: Recipe, run: Path, *, devices: int, strategy: str = "ddp") -> list[float]:
    """Of each step; of two processes the mean."""
    run.parent.mkdir(exist_ok=True)
    file = run.with_suffix(".json")
    file.write_text(settings.model_dump_json(exclude_none=True))
    command = [sys.executable, "-m", __name__, str(file), str(run), str(devices), strategy]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return [float(line.partition(" ")[2]) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    wanted = recipe_of(json.loads(Path(sys.argv[1]).read_text()), origin="test")
    where, devices = Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    is_begun = holds_run(where)
    if not is_begun:
        shutil.rmtree(where, ignore_errors=True)
    train_clips(
        wanted,
        where,
        resume=is_begun,
        machine=Machine("cpu", devices, sys.argv[4] if len(sys.argv) > 4 else "ddp"),
        on_step=lambda s: print(s.total, repr(s.loss), flush=True),
    )
