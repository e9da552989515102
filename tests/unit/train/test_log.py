"""What is seen of a run while it goes on: rows without doubles, pictures, services; and what stops it."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.square_clips import moving_squares
from twinpath.data.labelled.clip import LabelledClip
from twinpath.errors import ConfigError, InputError, MissingExtra, TrainingDiverged, UsageError
from twinpath.train.batch_norms.sub import SubBatchNorm3d
from twinpath.train.clips.batch import BrokenClip, collate
from twinpath.train.log import loggers as loggers_module
from twinpath.train.log.evaluated import ValidationScores, class_groups, wrong_clips
from twinpath.train.log.layers import activation_film, weight_picture
from twinpath.train.log.metrics_file import MetricsFile, RowPlace
from twinpath.train.log.time_left import TimeLeft
from twinpath.train.loop.guards import check_loss, too_few_for_batch_norm
from twinpath.train.loop.train import recipe_schedule, train_clips
from twinpath.train.recipe import Recipe, differences, read_recipe, recipe_of
from twinpath.weights.formats import read_weights
from twinpath.zoo.model_folder import WEIGHTS

SETTINGS: dict[str, Any] = {
    "name": "squares",
    "model": {"network": "slowfast_tiny", "zero_init_last_norm": False},
    "clip": {"frames": 8, "sampling_rate": 2, "short_side_px": [36, 44], "crop_px": 32, "flip": False},
    "optimizer": {"name": "adamw"},
    "schedule": {"epochs": 2, "base_learning_rate": 1e-3},
    "evaluation": {"every_epochs": 1, "crop_px": 32, "crops": 1},
    "run": {"batch_size": 2, "workers": 0},
    "log": {"every_steps": 2, "most_clips": 2, "layers": ["slow.stem.conv", "fast.res2.0"]},
}
STOPPED_AT = 7  # of two epochs of five steps, with a checkpoint after each


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes, divided into what it is for."""
    made = moving_squares(tmp_path_factory.mktemp("squares"), num_clips=14)
    root = tmp_path_factory.mktemp("data") / "squares"
    for number, clip in enumerate(made):
        target = root / ("val" if number < 4 else "train") / clip.labels[0] / clip.path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip.path, target)
    return root


def recipe(folder: Path, *overrides: str) -> Recipe:
    values = {**SETTINGS, "data": {"kind": "labelled", "train": [str(folder)]}}
    return recipe_of(values, overrides, origin="test")


class Stop(Exception):
    """In the midst of a run."""


def stopped_and_resumed(settings: Recipe, run: Path) -> None:
    def on_step(figures: Any) -> None:
        if figures.total == STOPPED_AT:
            raise Stop

    with pytest.raises(Stop):
        train_clips(settings, run, on_step=on_step)
    train_clips(settings, run, resume=True)


def rows(run: Path) -> list[dict[str, str]]:
    """What does not depend on the clock."""
    table = csv.DictReader(io.StringIO((run / "metrics.csv").read_text("utf-8")))
    return [{k: v for k, v in row.items() if not k.endswith("_s") and "share" not in k} for row in table]


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stopped, with its metrics alone."""
    run = tmp_path_factory.mktemp("plain") / "run"
    train_clips(recipe(folder), run)
    assert sorted(path.name for path in run.iterdir()) == [
        "evaluation", "last.ckpt", "metrics.csv", "previous.ckpt", "recipe.toml", "squares",
    ]  # fmt: skip
    return run


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A stand-in that has the functions of wandb and trackio, and what it was given."""
    made = SimpleNamespace(runs=[], logged=[], finish=lambda: None)
    made.init = lambda **options: made.runs.append(options)
    made.log = lambda values, step: made.logged.append((step, values))
    made.Image, made.Histogram = np.shape, lambda np_histogram: np_histogram
    monkeypatch.setitem(sys.modules, "wandb", made)  # type: ignore[arg-type]
    monkeypatch.setattr(loggers_module, "is_installed", lambda module: True)
    return made


def test_loggers_show_the_run_without_doubles_and_change_nothing_of_it(
    folder: Path, plain: Path, tmp_path: Path, service: SimpleNamespace
) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (tmp_path / "parents.json").write_text(json.dumps({"moves": ["sideways", "up and down"]}))
    settings = recipe(
        folder,
        "log.loggers=['tensorboard', 'files', 'wandb']",
        "log.show=['confusion', 'predictions', 'wrong_clips', 'weights', 'activations']",
        "log.classes=['sideways']",
        f"log.parents={tmp_path / 'parents.json'}",
    )
    assert differences(settings, recipe(folder)) == []  # a run goes on with other loggers
    stopped_and_resumed(settings, tmp_path / "run")

    assert rows(tmp_path / "run") == rows(plain)
    kinds = [(row["of"], int(row["step"])) for row in rows(plain)]
    assert kinds == [
        ("step", 2), ("step", 4), ("epoch", 5), ("step", 6), ("step", 8), ("step", 10), ("epoch", 10),
    ]  # fmt: skip
    ours, theirs = (read_weights(run / "squares" / WEIGHTS).tensors for run in (tmp_path / "run", plain))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)

    read = events.EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"images": 0})
    read.Reload()
    loss = read.Scalars("train/loss")
    assert [point.step for point in loss] == [2, 4, 6, 8, 10]
    assert [point.value for point in loss] == pytest.approx(
        [float(row["train_loss"]) for row in rows(plain) if row["of"] == "step"]
    )
    assert [point.step for point in read.Scalars("validation/top1")] == [5, 10]
    tags = read.Tags()
    assert {"confusion", "confusion/moves", "layers/slow.stem.conv/weight"} <= set(tags["images"])
    assert "predictions/sideways" in tags["images"]
    assert "predictions/up and down" not in tags["images"]
    assert {"weights/slow.stem.conv.weight", "activations/fast.res2.0"} <= set(tags["histograms"])
    (film, *_) = read.Images("layers/fast.res2.0/activation")
    assert Image.open(io.BytesIO(film.encoded_image_string)).n_frames == 8  # type: ignore[attr-defined]
    picture = (tmp_path / "run" / "pictures" / "confusion.png").read_bytes()
    assert Image.open(io.BytesIO(picture)).width >= 500

    assert [step for step, values in service.logged if "train/loss" in values] == [2, 4, 6, 8, 10]
    assert [step for step, values in service.logged if "confusion" in values] == [5, 10]
    assert service.runs[0]["id"] == service.runs[1]["id"]
    assert service.runs[0]["resume"] == "allow"


def test_wrong_clips_are_named_the_surest_first(tmp_path: Path) -> None:
    labels = ("a", "b", "c")
    scores = np.array([[0.9, 0.1, 0], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.6, 0.4, 0]], np.float32)
    truth = np.eye(3, dtype=bool)[[1, 1, 0, 1]]
    clips = [LabelledClip(tmp_path / f"{i}.mp4", ("a",), group=str(i)) for i in range(6)]
    found = ValidationScores([0, 2, 3, 5], scores, truth, is_multi_label=False)
    wrong = wrong_clips(labels, found, clips, only=(), most=2)
    assert [(clip.clip_index, clip.truth, clip.answer) for clip in wrong] == [
        (0, "true: b", "predicted: a (90%)"), (3, "true: a", "predicted: c (70%)"),
    ]  # fmt: skip
    assert [clip.clip_index for clip in wrong_clips(labels, found, clips, only=(0,), most=9)] == [3]
    tags = found._replace(is_multi_label=True, truth=truth | np.array([True, False, False]))
    assert wrong_clips(labels, tags, clips, only=(), most=1)[0].answer == "missed: b (10%)"


def test_what_a_log_cannot_have_is_said_before_the_first_step(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for setting, message in (
        (
            "log.layers=['slow.steam']",
            r"log\.layers: there is no module 'slow\.steam'; did you mean 'slow\.st",
        ),
        (
            "log.classes=['sidewards']",
            r"log\.classes: there is no class 'sidewards'; did you mean 'sideways'",
        ),
        ("log.parents=nowhere.json", r"log\.parents: nowhere\.json cannot be read"),
    ):
        with pytest.raises(ConfigError, match=message):
            train_clips(recipe(folder, setting), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"log\.loggers"):
        recipe(folder, "log.loggers=tensorbord")

    def no_login(**_: Any) -> None:
        raise RuntimeError("no API key")

    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(init=no_login))  # type: ignore[arg-type]
    monkeypatch.setattr(loggers_module, "is_installed", lambda module: module == "trackio")
    with pytest.raises(UsageError, match=r"log\.loggers: 'trackio' cannot begin: no API key"):
        train_clips(recipe(folder, "log.loggers=trackio"), tmp_path / "run")
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[wandb\]'"):
        train_clips(recipe(folder, "log.loggers=wandb"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_groups_of_classes_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "parents.json"
    path.write_text(json.dumps({"sports": ["c", "a"], "none": []}))
    assert class_groups(("a", "b", "c"), ["b"], str(path)) == {"named": (1,), "sports": (2, 0)}
    path.write_text(json.dumps(["a"]))
    with pytest.raises(ConfigError, match="no list of classes for each group"):
        class_groups(("a", "b"), [], str(path))


def test_rows_survive_a_kill_in_the_midst_of_one_and_new_columns(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path)
    file.append(RowPlace(1, False), 0.5, {"loss": 0.1})
    file.append(RowPlace(2, False), 1.0, {"loss": float("nan")})
    path = tmp_path / "metrics.csv"
    path.write_bytes(path.read_bytes() + b"step,3,1.5,0.")
    file = MetricsFile(tmp_path)
    assert file.last == RowPlace(2, False)
    file.cut(RowPlace(3, False))
    file.append(RowPlace(3, False), 1.5, {"loss": 0.3})
    file.append(RowPlace(3, True), 2.0, {"top1": 1.0})
    assert path.read_text().splitlines() == [
        "of,step,epoch,loss,top1", "step,1,0.5,0.1,", "step,2,1.0,nan,", "step,3,1.5,0.3,",
        "epoch,3,2.0,,1.0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "shape", [(8,), (6, 4), (6, 4, 1, 1, 1), (6, 3, 2, 5, 5), (6, 4, 2, 3, 3), (5, 9, 3)]
)
def test_tensors_of_any_shape_are_pictures(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert max(weight_picture(values).shape[:2]) >= 256
    film = activation_film(values)
    assert film.dtype == np.uint8
    assert film.ndim == 4
    assert len(np.unique(film)) > 2


def test_a_loss_that_explodes_stops_the_run(folder: Path, tmp_path: Path) -> None:
    losses = [9.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    check_loss([*losses, 2.9], 3.0, total=7, epoch=0)
    check_loss([*losses, 99.0], 0.0, total=7, epoch=0)
    check_loss([1.0, 99.0], 3.0, total=2, epoch=0)  # too few to know
    with pytest.raises(TrainingDiverged, match=r"the loss is 3\.1 at step 7 \(epoch 1\), more than 3 times"):
        check_loss([*losses, 3.1], 3.0, total=7, epoch=0)
    settings = recipe(folder, "run.loss_explosion_factor=0.1", "run.batch_size=1", "schedule.epochs=1")
    with pytest.raises(TrainingDiverged, match="at step 7"):
        train_clips(settings, tmp_path / "run")


def test_one_value_a_channel_is_too_few_for_a_batch_norm() -> None:
    norm, clips = SubBatchNorm3d(2, 3), torch.zeros(2, 3, 1, 1, 1)
    whole = collate([])
    with (
        pytest.raises(ConfigError, match=r"run\.batch_size: 0 clips for 2 splits are too few"),
        too_few_for_batch_norm(whole, splits=2),
    ):
        norm(clips)
    lost = collate([BrokenClip(3, "c.mp4: no frame decodes")])
    with (
        pytest.raises(InputError, match=r"one value a channel; the others could not be read: c\.mp4"),
        too_few_for_batch_norm(lost, splits=2),
    ):
        norm(clips)


def test_the_time_left_counts_pixels() -> None:
    plain = TimeLeft(recipe_schedule(read_recipe("slowfast_r50_8x8_kinetics", ["schedule.epochs=100"])))
    assert plain.after(39, 10.0) == pytest.approx(600)
    assert plain.after(40, 5.0, part=0.5) == pytest.approx(590)
    grid = TimeLeft(recipe_schedule(read_recipe("slowfast_r50_8x8_kinetics_multigrid")))
    assert grid.after(0, 10.0) > 10 * 357 * 2  # the first clips are small
