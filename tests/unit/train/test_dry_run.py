"""What a recipe will do is told without doing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinpath.errors import ConfigError
from twinpath.train.dry_run import dry_run, network_without_values
from twinpath.train.loop.train import train_clips
from twinpath.train.recipe import read_recipe


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


def test_data_that_cannot_be_trained_on_is_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.kind: networks cannot be trained on 'ava' yet"):
        train_clips(read_recipe("slow_r50_4x16_ava"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
