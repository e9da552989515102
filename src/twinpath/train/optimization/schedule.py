"""The learning rate over epochs, counted in fractions. No torch.

Sources: PySlowFast, utils/lr_policy.py; golden/rules/learning_rates.json; torch's `OneCycleLR`.
"""

from __future__ import annotations

import math
from bisect import bisect_right

from twinpath.errors import ConfigError
from twinpath.train.sections import ScheduleSection

_ONE_CYCLE = 25, 25e4  # the base over its first and its last rate, torch's defaults


def learning_rate(schedule: ScheduleSection, epoch: float) -> float:
    """The learning rate at a moment of the run.

    A warm-up is a line from its start to what the policy gives where the warm-up ends: with a cosine that
    began with the run, that is below the base. Of one cycle it is a half cosine, and so is the rest.

    Args:
        schedule: Checked by `check_schedule`.
        epoch: From 0; step k of n in the first epoch is at k / n.
    """
    if schedule.policy == "one_cycle":
        return _one_cycle(schedule, epoch)
    if epoch >= schedule.warmup_epochs:
        return _policy(schedule, epoch)
    start = schedule.warmup_start_learning_rate
    end = _policy(schedule, schedule.warmup_epochs)
    return start + (end - start) * epoch / schedule.warmup_epochs


def scaled_to_batch(schedule: ScheduleSection, batch_size: int) -> ScheduleSection:
    """The schedule with learning rates in proportion to the batch, where the recipe has a reference.

    Args:
        schedule: Of a recipe.
        batch_size: Clips of a step of the weights, of all processes together.
    Source: Goyal et al. 2017 (arXiv:1706.02677), the linear rule; PySlowFast leaves it to the user, but for
        SOLVER.BASE_LR_SCALE_NUM_SHARDS, which is this rule over machines.
    """
    if schedule.reference_batch is None:
        return schedule
    factor = batch_size / schedule.reference_batch
    keys = ("base_learning_rate", "end_learning_rate", "warmup_start_learning_rate")
    return schedule.model_copy(update={key: getattr(schedule, key) * factor for key in keys})


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
        _check_no_steps(schedule)


def check_steps(steps: tuple[float, ...]) -> None:
    """Check the epochs from which on other factors hold.

    Raises:
        ConfigError: There are none, the first is not 0, or a later one is smaller.
    """
    if not steps or steps[0] != 0:
        raise ConfigError(f"schedule.steps is {list(steps)}; its first value is 0, where the run begins")
    if list(steps) != sorted(steps):
        raise ConfigError(f"schedule.steps is {list(steps)}; its values must not become smaller")


def _check_no_steps(schedule: ScheduleSection) -> None:
    if schedule.policy == "cosine" and schedule.end_learning_rate >= schedule.base_learning_rate:
        raise ConfigError(
            f"schedule.end_learning_rate is {schedule.end_learning_rate:g}; it must be below "
            f"schedule.base_learning_rate, {schedule.base_learning_rate:g}"
        )
    if schedule.steps or schedule.factors:
        key = "steps" if schedule.steps else "factors"
        raise ConfigError(f'schedule.{key} is of schedule.policy = "steps"; here it is "{schedule.policy}"')
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
    return _half_cosine(base, schedule.end_learning_rate, (epoch - begin) / (schedule.epochs - begin))


def _one_cycle(schedule: ScheduleSection, epoch: float) -> float:
    base, up = schedule.base_learning_rate, schedule.warmup_epochs
    first, last = (base / divisor for divisor in _ONE_CYCLE)
    if epoch < up:
        return _half_cosine(first, base, epoch / up)
    return _half_cosine(base, last, (epoch - up) / (schedule.epochs - up)) if up < schedule.epochs else base


def _half_cosine(first: float, last: float, done: float) -> float:
    """From one value to another; `done` is 0 to 1."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * done))
