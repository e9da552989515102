"""What a recipe will do, before it does it: the network, the learning rate, the shapes of clips, the groups.

Nothing is read and nothing is written; the network has no values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from twinpath.errors import ConfigError
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.models.shapes_only import shapes_only
from twinpath.train.multigrid.schedule import MultigridPhase, multigrid_schedule
from twinpath.train.optimization.groups import parameter_groups
from twinpath.train.optimization.schedule import learning_rate
from twinpath.train.recipe import Recipe
from twinpath.train.sections import ScheduleSection

_POINTS = 10  # of the table of learning rates, beside those where something changes
_ONE_CYCLE_START, _ONE_CYCLE_END = 25, 25e4  # the base over the first and the last rate, torch's defaults


class RatePoint(NamedTuple):
    """The learning rate at an epoch."""

    epoch: float
    learning_rate: float


class GroupRow(NamedTuple):
    """Parameters that are treated alike.

    Attributes:
        name: Of the group.
        num_tensors, num_values: In it.
        weight_decay: Of them.
        learning_rate_factor: Of the learning rate.
    """

    name: str
    num_tensors: int
    num_values: int
    weight_decay: float
    learning_rate_factor: float


@dataclass(frozen=True)
class DryRun:
    """What can be known of a run.

    Attributes:
        recipe: Its settings.
        num_parameters: Of the network.
        frames, sampling_rate, crop_px: Of a training clip, where multigrid does not change it.
        epochs: Of the run, those of multigrid included.
        learning_rates: Over the run.
        phases: Shapes and batches over the run; one without multigrid.
        groups: Of the parameters that learn.
    """

    recipe: Recipe
    num_parameters: int
    frames: int
    sampling_rate: int
    crop_px: int
    epochs: int
    learning_rates: tuple[RatePoint, ...]
    phases: tuple[MultigridPhase, ...]
    groups: tuple[GroupRow, ...]


def dry_run(recipe: Recipe) -> DryRun:
    """Work out what a recipe will do.

    Raises:
        ConfigError: The network cannot be made so, or a module to be frozen does not exist.
    """
    known = architecture(recipe.model.network)
    clip = recipe.clip
    frames, crop_px = clip.frames or known.num_frames, clip.crop_px or known.train_crop
    sampling_rate = clip.sampling_rate or known.sampling_rate
    network = network_without_values(recipe)
    groups = tuple(
        GroupRow(g.name, len(g.parameters), g.num_values, g.weight_decay, g.learning_rate_factor)
        for g in parameter_groups(network, recipe.optimizer)
    )
    if recipe.schedule.policy == "one_cycle":
        phases: tuple[MultigridPhase, ...] = ()
        schedule = recipe.schedule
    else:
        grid = multigrid_schedule(
            recipe.schedule,
            recipe.multigrid,
            batch_size=recipe.run.batch_size,
            frames=frames,
            crop_px=crop_px,
            sampling_rate=sampling_rate,
            frame_multiple=known.frame_multiple,
            batch_norm=recipe.batch_norm,
        )
        phases, schedule = grid.phases, grid.schedule
    return DryRun(
        recipe=recipe,
        num_parameters=sum(p.numel() for p in network.parameters()),
        frames=frames,
        sampling_rate=sampling_rate,
        crop_px=crop_px,
        epochs=schedule.epochs,
        learning_rates=learning_rate_table(schedule),
        phases=phases,
        groups=groups,
    )


def network_without_values(recipe: Recipe) -> VideoNetwork:
    """The recipe's network on the device "meta", what is frozen without gradients.

    Raises:
        ConfigError: It cannot be made for such clips, or a module to be frozen does not exist.
    """
    known, clip = architecture(recipe.model.network), recipe.clip
    options: dict[str, Any] = {
        "num_frames": clip.frames or known.num_frames,
        "crop": clip.crop_px or known.train_crop,
    }
    if recipe.model.num_classes is not None:
        options["num_classes"] = recipe.model.num_classes
    try:
        with shapes_only():
            network = known.build(**options)
    except ValueError as error:
        raise ConfigError(f"model.network: {known.name} cannot be made so: {error}") from error
    freeze(network, recipe)
    return network


def freeze(network: nn.Module, recipe: Recipe) -> None:
    """Take the gradients of modules that the recipe freezes.

    Raises:
        ConfigError: Nothing has such a name.
    """
    modules = dict(network.named_modules())
    for name in recipe.model.frozen:
        if name not in modules:
            raise ConfigError(f"model.frozen: {recipe.model.network} has no module {name!r}")
        modules[name].requires_grad_(False)


def learning_rate_table(schedule: ScheduleSection) -> tuple[RatePoint, ...]:
    """The learning rate at the ends of the warm-up, at every step, and evenly over the run."""
    epochs = schedule.epochs
    evenly = (i * epochs / _POINTS for i in range(_POINTS + 1))
    moments = sorted({*evenly, schedule.warmup_epochs, *schedule.steps})
    return tuple(RatePoint(e, learning_rate_at(schedule, e)) for e in moments if e <= epochs)


def learning_rate_at(schedule: ScheduleSection, epoch: float) -> float:
    """`learning_rate`, and that of torch's `OneCycleLR`, which trains on drawn worlds."""
    if schedule.policy != "one_cycle":
        return learning_rate(schedule, epoch)
    base, up = schedule.base_learning_rate, schedule.warmup_epochs
    start, end = base / _ONE_CYCLE_START, base / _ONE_CYCLE_END
    if epoch < up:
        return _between(start, base, epoch / up)
    return _between(base, end, (epoch - up) / (schedule.epochs - up))


def _between(first: float, last: float, share: float) -> float:
    """On a half cosine from one value to another."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
