"""What a recipe will do is told without doing it."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from tests.support.square_clips import CLASSES, moving_squares
from twinpath.errors import ConfigError
from twinpath.train.augment.summary import clip_changes
from twinpath.train.dry_run import dry_run, network_without_values
from twinpath.train.log.first_batches import first_batches, write_first_batches
from twinpath.train.loop.objective import ClassificationObjective
from twinpath.train.loop.train import recipe_schedule, train_clips
from twinpath.train.recipe import Recipe, read_recipe, recipe_of


def test_the_network_the_schedule_and_the_groups_of_a_recipe() -> None:
    run = dry_run(read_recipe("slowfast_r50_8x8_kinetics", ["schedule.epochs=100", "batch_size=8"]))
    assert (run.num_parameters, run.frames, run.sampling_rate, run.crop_px) == (34_566_488, 32, 2, 224)
    assert run.epochs == 100
    rates = dict(run.learning_rates)
    assert rates[0] == pytest.approx(0.01)
    assert rates[34] == max(rates.values())  # where the warm-up ends, on the cosine
    assert rates[100] == pytest.approx(0)
    assert sum(group.num_values for group in run.groups) == run.num_parameters
    assert {group.weight_decay for group in run.groups} == {0.0, 1e-4}
    (phase,) = run.phases
    assert (phase.end_epoch, phase.batch_size, phase.shape.crop_px) == (100, 8, 224)


def test_multigrid_has_its_own_epochs_and_shapes() -> None:
    run = dry_run(read_recipe("slowfast_r50_8x8_kinetics_multigrid"))
    assert run.epochs == 358
    first, last = run.phases[0], run.phases[-1]
    assert (first.end_epoch, first.batch_size, first.shape.frames, first.shape.crop_px) == (73, 512, 8, 158)
    assert [(slot.batch_size, slot.shape.crop_px) for slot in run.slots[-1]] == [
        (256, 112),
        (128, 158),
        (64, 224),
    ]
    assert (last.batch_size, last.shape.frames, last.shape.crop_px) == (64, 32, 224)
    assert max(point.learning_rate for point in run.learning_rates) == pytest.approx(0.8)


def test_frozen_modules_are_in_no_group() -> None:
    whole = dry_run(read_recipe("slowfast_tiny"))
    part = dry_run(read_recipe("slowfast_tiny_painted", ["network=slowfast_tiny"]))
    assert part.num_parameters == whole.num_parameters
    assert sum(g.num_values for g in part.groups) < sum(g.num_values for g in whole.groups)
    with pytest.raises(ConfigError, match=r"model\.frozen: slowfast_tiny has no module 'slow\.steam'"):
        network_without_values(read_recipe("slowfast_tiny_painted", ["model.frozen=slow.steam"]))


def test_data_that_is_not_named_is_missed_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.boxes_train: name the files of true boxes"):
        train_clips(read_recipe("slow_r50_4x16_ava"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes, without clips to evaluate."""
    made = moving_squares(tmp_path_factory.mktemp("squares"), num_clips=18)
    root = tmp_path_factory.mktemp("data") / "squares" / "train"
    for clip in made:
        target = root / clip.labels[0] / clip.path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        clip.path.rename(target)
    return root.parent


def squares(folder: Path, *overrides: str, **sections: Any) -> Recipe:
    values = {
        "name": "squares",
        "data": {"kind": "labelled", "train": [str(folder)]},
        "model": {"network": "slowfast_tiny"},
        "clip": {"frames": 8, "sampling_rate": 2, "short_side_px": [36, 44], "crop_px": 32},
        "schedule": {"epochs": 1, "base_learning_rate": 1e-3},
        "run": {"batch_size": 9, "workers": 0},
    }
    return recipe_of({**values, **sections}, overrides, origin="test")


def test_the_pictures_are_what_the_network_is_given(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cropped, mirrored, changed, erased and mixed, with the labels of the mixture."""
    settings = squares(
        folder,
        "mixup_alpha=0.8",
        "cutmix_alpha=1.0",
        "label_smoothing=0.1",
        "erasing=0.5",
        "rand_augment=m7-n2",
    )
    given: list[np.ndarray] = []
    loss = ClassificationObjective.loss

    def spied(self: Any, module: Any, clips: Tensor, batch: Any, rng: Any) -> Tensor:
        def spy(mixed: Tensor) -> Any:
            values = ((mixed * 0.225 + 0.45) * 255).round().clamp(0, 255)
            given.append(values.permute(0, 2, 3, 4, 1).numpy())
            return module(mixed)

        return loss(self, spy, clips, batch, rng)

    monkeypatch.setattr(ClassificationObjective, "loss", spied)
    train_clips(settings, tmp_path / "run")
    shown = list(first_batches(settings))
    assert [batch.title for batch in shown] == [
        f"epoch 1, batch {number}: 9 clips of 8 frames of 32 px" for number in (1, 2)
    ]
    for batch, clips in zip(shown, given, strict=True):
        ends = np.concatenate([clips[:4], clips[-4:]])
        assert np.abs(np.stack([row.frames for row in batch.rows]) - ends).max() <= 1
        for row in batch.rows:
            shares = [float(share) for share in re.findall(r"0\.\d\d", row.text)]
            assert sum(shares) == pytest.approx(1, abs=0.011)
            assert any(row.text.startswith(name) for name in CLASSES)


def test_each_shape_of_multigrid_has_a_picture(folder: Path, tmp_path: Path) -> None:
    settings = squares(
        folder,
        schedule={
            "epochs": 4,
            "base_learning_rate": 0.1,
            "policy": "steps",
            "steps": [0, 3],
            "factors": [1, 0.1],
        },
        clip={"frames": 16, "sampling_rate": 1, "short_side_px": [36, 44], "crop_px": 32},
        multigrid={"long_cycle": True, "norm_clips": 1},
        run={"batch_size": 1, "workers": 0},
    )
    for path in (folder / "train" / CLASSES[0]).iterdir():
        path.write_bytes(b"no video")
    paths = write_first_batches(settings, tmp_path / "pictures")
    phases = [phase for phase in recipe_schedule(settings).phases if phase.begin_epoch < phase.end_epoch]
    shapes = {f"{phase.shape.frames}_frames_of_{phase.shape.crop_px}_px" for phase in phases}
    assert {path.stem.split("_", 4)[4] for path in paths} == shapes
    for path, other in itertools.pairwise(paths):
        assert Image.open(io.BytesIO(path.read_bytes())).width >= 480
        assert path.read_bytes() != other.read_bytes()
    rows = [row.text for batch in first_batches(settings) for row in batch.rows]
    assert any(text.startswith("cannot be read: ") and "sideways/" in text for text in rows)
    assert any(text.startswith(f"{CLASSES[1]}    ") for text in rows)


def test_learning_rates_grow_with_the_batch_where_the_recipe_has_a_reference() -> None:
    overrides = ["batch_size=16", "optimizer.accumulate=2", "schedule.reference_batch=64"]
    plain, scaled = (dry_run(read_recipe("slowfast_r50_8x8_kinetics", o)) for o in ([], overrides))
    assert (plain.rate_factor, scaled.rate_factor) == (1.0, 0.5)
    for before, after in zip(plain.learning_rates, scaled.learning_rates, strict=True):
        assert after.learning_rate == pytest.approx(before.learning_rate / 2)


def test_what_is_done_to_clips_is_listed() -> None:
    lines = clip_changes(read_recipe("mvit_v2_s_16x4_kinetics"), crop_px=224)
    assert [what for what, _ in lines] == [
        "copies", "RandAugment", "crop", "mirrored", "erased", "mixed", "labels",
    ]  # fmt: skip
    assert dict(lines)["RandAugment"] == "m7-n4-mstd0.5-inc1, bicubic"
    something = dict(clip_changes(read_recipe("slowfast_r50_16x8_something"), crop_px=224))
    assert "mirrored" not in something
