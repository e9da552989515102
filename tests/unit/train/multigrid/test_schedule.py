"""Shapes, epochs, batches, norms and learning rates of multigrid are those of the reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twinpath.errors import ConfigError
from twinpath.train.multigrid.schedule import MultigridSchedule, multigrid_schedule, short_side_px
from twinpath.train.optimization.schedule import learning_rate
from twinpath.train.sections import MultigridSection, ScheduleSection

RULES = Path(__file__).parents[3] / "golden" / "rules"
ROWS = json.loads((RULES / "multigrid.json").read_text())
KINDS = {"batchnorm": "batch", "sync_batchnorm": "sync", "sub_batchnorm": "sub"}


def of(given: dict[str, Any], **changes: Any) -> MultigridSchedule:
    schedule = ScheduleSection(
        epochs=given["max_epoch"],
        policy="steps",
        base_learning_rate=given["base_lr"],
        warmup_epochs=given["warmup_epochs"],
        warmup_start_learning_rate=given["warmup_start_lr"],
        steps=given["steps"],
        factors=given["lrs"][: len(given["steps"])],
        gamma=given["gamma"],
    )
    multigrid = MultigridSection(
        long_cycle=given["long"],
        short_cycle=given["short"],
        long_factors=given["long_cycle_factors"],
        short_factors=given["short_cycle_factors"],
        epoch_factor=given["epoch_factor"],
        norm_clips=given["bn_base_size"],
    )
    return multigrid_schedule(
        schedule,
        multigrid.model_copy(update={k: v for k, v in changes.items() if k.endswith("_cycle")}),
        batch_size=given["batch"],
        frames=given["frames"],
        crop_px=given["crop"],
        sampling_rate=given["sampling_rate"],
        processes=changes.get("processes", given["gpus"]),
        frame_multiple=changes.get("frame_multiple", 4),
    )


@pytest.mark.parametrize("row", ROWS, ids=[row["config"] for row in ROWS])
def test_it_is_the_reference_s(row: dict[str, Any]) -> None:
    found = of(row["given"])
    assert [
        [p.step, [p.relative_batch, p.shape.frames, p.shape.crop_px], p.end_epoch] for p in found.phases
    ] == row["schedule_step_shape_endepoch"]
    assert list(found.schedule.steps) == row["steps"]
    assert list(found.schedule.factors) == pytest.approx(row["lrs"])
    assert found.schedule.epochs == row["max_epoch"]
    for epoch, batch, frames, crop, norm, splits, rate in row["epochs"]:
        phase = found.phase_of(epoch)
        assert (phase.batch_size, phase.shape.frames, phase.shape.crop_px) == (batch, frames, crop)
        assert phase.batch_norm.kind == KINDS[norm]
        if phase.batch_norm.kind == "sub":
            assert phase.batch_norm.splits == splits
        assert learning_rate(found.schedule, epoch + 0.5) == pytest.approx(rate, rel=1e-5)


def test_clips_of_few_frames_may_span_the_whole_time() -> None:
    rates = [phase.shape.longest_sampling_rate for phase in of(ROWS[0]["given"]).phases[:4]]
    assert rates == [8, 4, 4, 0]  # of a rate of 2; 0: it is that of the recipe


def test_batches_of_few_clips_share_statistics_with_their_neighbours() -> None:
    given = ROWS[1]["given"]  # 16 clips
    assert of(given).phase_of(21).batch_norm.devices == 4  # of 8 processes, 2 clips each
    assert of(given, processes=1).phase_of(21).batch_norm.splits == 2
    assert of(given, processes=16).phase_of(21).batch_norm.devices == 8
    six = {**given, "batch": 12}  # 2 clips each, but 6 processes are no multiple of 4
    assert of(six, processes=6).phase_of(21).batch_norm.devices == 3


def test_the_short_cycle_takes_turns() -> None:
    found = of(ROWS[0]["given"])
    slots = [[(s.batch_size, s.shape.crop_px) for s in found.slots_of(epoch)] for epoch in (150, 0)]
    assert slots == [[(256, 112), (128, 158), (64, 224)], [(1024, 112), (512, 158), (512, 158)]]
    assert {s.shape.frames for s in found.slots_of(0)} == {8}


def test_it_is_evaluated_some_times_in_each_phase() -> None:
    """The rule of the reference, for each epoch of a schedule that has a phase without any."""
    found = of(ROWS[1]["given"])
    expected, begin = {found.schedule.epochs - 1}, 0
    for end in (11, 16, 21, 24, 27, 28, 30, 30, 33):
        period = max((end - begin) // 3 + 1, 1)
        expected |= {epoch for epoch in range(begin, end) if (end - 1 - epoch) % period == 0}
        begin = end
    assert found.evaluation_epochs == expected
    assert found.phases[7].begin_epoch == found.phases[7].end_epoch == 30
    assert found.phase_of(30) is found.phases[8]


def test_the_long_cycle_alone() -> None:
    found = of(ROWS[0]["given"], short_cycle=False)
    assert [len(found.slots_of(epoch)) for epoch in (0, 150)] == [1, 1]
    assert (found.phases[-1].relative_batch, found.phases[-1].shape.frames) == (1, 32)
    assert found.schedule.epochs == 358
    assert found.phases[0].end_epoch == 87  # 8 of 8 + 4 + 2 + 1 parts, not 10.7 of 23


def test_the_short_cycle_alone_stretches_the_schedule() -> None:
    found = of(ROWS[1]["given"], long_cycle=False)
    assert (found.schedule.steps, found.schedule.epochs) == ((0, 21, 27), 33)
    assert found.schedule.factors == pytest.approx((1, 0.1, 0.01))
    assert found.evaluation_epochs is None
    assert [(s.batch_size, s.shape.crop_px) for s in found.slots_of(9)] == [(64, 112), (32, 158), (16, 224)]


def test_without_multigrid_it_is_one_phase() -> None:
    found = of(ROWS[1]["given"], long_cycle=False, short_cycle=False)
    (phase,) = found.phases
    assert (phase.end_epoch, found.schedule.epochs, found.schedule.steps) == (22, 22, (0, 14, 18))
    assert [(s.batch_size, *s.shape) for s in found.slots_of(0)] == [(16, 64, 224, 0)]


def test_a_smaller_crop_comes_from_a_larger_range_of_sides() -> None:
    assert short_side_px((256, 320), crop_px=158, whole_crop_px=224) == (181, 320)
    assert short_side_px((256, 320), crop_px=112, whole_crop_px=224) == (128, 320)


@pytest.mark.parametrize(
    ("schedule", "multigrid", "others", "message"),
    [
        ({"policy": "cosine", "steps": (), "factors": ()}, {}, {}, r'needs schedule\.policy = "steps", not'),
        ({"steps": (0,), "factors": ()}, {}, {}, "its last value is above 0"),
        ({"steps": (0, 30), "factors": ()}, {}, {}, r"at most schedule\.epochs, 20"),
        (
            {"factors": (1, 0.5)},
            {},
            {},
            r"schedule\.factors is \[1\.0, 0\.5\]; .* powers of schedule\.gamma, 0\.1",
        ),
        ({}, {}, {"frames": 12}, r"\[0\.25, 0\.7.* are 3 of 158; .* multiple of 4 frames"),
        ({}, {}, {"processes": 3}, r"run\.batch_size is 8; the 3 processes cannot share it evenly"),
    ],
)
def test_what_cannot_be_trained_is_named(schedule: Any, multigrid: Any, others: Any, message: str) -> None:
    given = {
        "epochs": 20,
        "policy": "steps",
        "base_learning_rate": 0.1,
        "steps": (0, 10),
        "factors": (1, 0.1),
    }
    clip = {"batch_size": 8, "frames": 32, "crop_px": 224, "sampling_rate": 2, "frame_multiple": 4, **others}
    with pytest.raises(ConfigError, match=message):
        multigrid_schedule(
            ScheduleSection(**{**given, **schedule}), MultigridSection(long_cycle=True, **multigrid), **clip
        )
