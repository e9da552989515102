"""The learning rate of every moment is that of the reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twinpath.errors import ConfigError
from twinpath.train.optimization.schedule import check_schedule, learning_rate
from twinpath.train.sections import ScheduleSection

RULES = Path(__file__).parents[3] / "golden" / "rules"
ROWS = json.loads((RULES / "learning_rates.json").read_text())


def section(given: dict[str, Any]) -> ScheduleSection:
    is_cosine = given["policy"] == "cosine"
    return ScheduleSection(
        epochs=given["max_epoch"],
        policy="cosine" if is_cosine else "steps",
        base_learning_rate=given["base_lr"],
        end_learning_rate=given["end_lr"],
        warmup_epochs=given["warmup_epochs"],
        warmup_start_learning_rate=given["warmup_start_lr"],
        cosine_after_warmup=given["cosine_after_warmup"],
        steps=() if is_cosine else given["steps"],
        factors=() if is_cosine else given["lrs"][: len(given["steps"])],
    )


@pytest.mark.parametrize("row", ROWS, ids=[row["config"] for row in ROWS])
def test_it_is_the_reference_s(row: dict[str, Any]) -> None:
    schedule = section(row["given"])
    check_schedule(schedule)
    ours = [learning_rate(schedule, epoch) for epoch, _ in row["epoch_lr"]]
    assert ours == pytest.approx([rate for _, rate in row["epoch_lr"]], rel=1e-9, abs=1e-15)


STEPS: dict[str, Any] = {"policy": "steps", "steps": (0, 5), "factors": (1, 0.1)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"end_learning_rate": 0.1}, r"schedule\.end_learning_rate is 0\.1; it must be below"),
        ({"warmup_epochs": 11}, r"schedule\.warmup_epochs is 11, longer than schedule\.epochs, 10"),
        ({"warmup_epochs": 10, "cosine_after_warmup": True}, "no epoch is left for the cosine"),
        ({"steps": (0, 5)}, r'schedule\.steps is of schedule\.policy = "steps"'),
        ({**STEPS, "steps": ()}, "its first value is 0"),
        ({**STEPS, "steps": (1, 5)}, "its first value is 0"),
        ({**STEPS, "steps": (0, 5, 3)}, "must not become smaller"),
        ({**STEPS, "factors": (1,)}, r"schedule\.factors has 1 values for the 2 of schedule\.steps"),
    ],
)
def test_what_contradicts_itself_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_schedule(ScheduleSection(**{"epochs": 10, "base_learning_rate": 0.1, **changes}))


def test_one_cycle_goes_up_and_down_on_half_cosines() -> None:
    schedule = ScheduleSection(epochs=10, policy="one_cycle", base_learning_rate=1, warmup_epochs=2)
    rates = [learning_rate(schedule, epoch) for epoch in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([1 / 25, 0.52, 1, 0.500002, 1 / 25e4])


def test_a_phase_without_epochs_is_passed_over() -> None:
    schedule = ScheduleSection(
        epochs=6, policy="steps", base_learning_rate=1, steps=(0, 3, 3), factors=(1, 7, 0.5)
    )
    assert [learning_rate(schedule, epoch) for epoch in (0, 2.99, 3, 5.5, 9)] == [1, 1, 0.5, 0.5, 0.5]
