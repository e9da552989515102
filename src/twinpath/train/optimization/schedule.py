"""The learning rate over epochs, counted in fractions. No torch.

Source: PySlowFast, utils/lr_policy.py; golden/rules/learning_rates.json.
"""

from __future__ import annotations

import math
from bisect import bisect_right

from twinpath.errors import ConfigError
from twinpath.train.sections import ScheduleSection


def learning_rate(schedule: ScheduleSection, epoch: float) -> float:
    """The learning rate at a moment of the run.

    A warm-up is a line from its start to what the policy gives where the warm-up ends: with a cosine that
    began with the run, that is below the base.

    Args:
        schedule: Checked by `check_schedule`.
        epoch: From 0; step k of n in the first epoch is at k / n.
    """
    if epoch >= schedule.warmup_epochs:
        return _policy(schedule, epoch)
    start = schedule.warmup_start_learning_rate
    end = _policy(schedule, schedule.warmup_epochs)
    return start + (end - start) * epoch / schedule.warmup_epochs


def check_schedule(schedule: ScheduleSection) -> None:
    """Check what one value cannot know of the others.

    Raises:
        ConfigError: Names the key.
    """
    if schedule.warmup_epochs > schedule.epochs:
        raise ConfigError(
            f"schedule.warmup_epochs is {schedule.warmup_epochs:g}, longer than schedule.epochs, "
            f"{schedule.epochs}"
        )
    if schedule.policy == "steps":
        check_steps(schedule.steps)
        if len(schedule.factors) != len(schedule.steps):
            raise ConfigError(
                f"schedule.factors has {len(schedule.factors)} values for the {len(schedule.steps)} of "
                "schedule.steps; one for each step"
            )
    else:
        _check_cosine(schedule)


def check_steps(steps: tuple[float, ...]) -> None:
    """Check the epochs from which on other factors hold.

    Raises:
        ConfigError: There are none, the first is not 0, or a later one is smaller.
    """
    if not steps or steps[0] != 0:
        raise ConfigError(f"schedule.steps is {list(steps)}; its first value is 0, where the run begins")
    if list(steps) != sorted(steps):
        raise ConfigError(f"schedule.steps is {list(steps)}; its values must not become smaller")


def _check_cosine(schedule: ScheduleSection) -> None:
    if schedule.end_learning_rate >= schedule.base_learning_rate:
        raise ConfigError(
            f"schedule.end_learning_rate is {schedule.end_learning_rate:g}; it must be below "
            f"schedule.base_learning_rate, {schedule.base_learning_rate:g}"
        )
    if schedule.steps or schedule.factors:
        key = "steps" if schedule.steps else "factors"
        raise ConfigError(f'schedule.{key} is of schedule.policy = "steps"; here it is "cosine"')
    if schedule.cosine_after_warmup and schedule.warmup_epochs == schedule.epochs:
        raise ConfigError(
            f"schedule.warmup_epochs is {schedule.warmup_epochs:g}, all of schedule.epochs: "
            "no epoch is left for the cosine after it"
        )


def _policy(schedule: ScheduleSection, epoch: float) -> float:
    """The learning rate without a warm-up."""
    base = schedule.base_learning_rate
    if schedule.policy == "steps":
        return base * schedule.factors[max(0, bisect_right(schedule.steps, epoch) - 1)]
    begin = schedule.warmup_epochs if schedule.cosine_after_warmup else 0.0
    done = (epoch - begin) / (schedule.epochs - begin)
    end = schedule.end_learning_rate
    return end + (base - end) * 0.5 * (1 + math.cos(math.pi * done))
