"""What a recipe will do, before it does it: the network, the learning rate, the shapes of clips, the groups.

Nothing is read and nothing is written; the network has no values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from twinpath.errors import ConfigError
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.models.shapes_only import shapes_only
from twinpath.suggest import nearest_name
from twinpath.train.augment.summary import ChangeLine, clip_changes
from twinpath.train.loop.train import recipe_schedule, recipe_spec
from twinpath.train.masked.network import UNLABELLED_CLASSES, masked_network
from twinpath.train.multigrid.schedule import BatchSlot, MultigridPhase
from twinpath.train.optimization.groups import parameter_groups
from twinpath.train.optimization.schedule import learning_rate
from twinpath.train.recipe import Recipe
from twinpath.train.recipe_checks import DRAWN, MASKED
from twinpath.train.sections import ScheduleSection

_POINTS = 10  # of the table of learning rates, beside those where something changes


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
        num_parameters: Of the network, with what masked pre-training puts on it.
        frames, sampling_rate, crop_px: Of a training clip, where multigrid does not change it.
        epochs: Of the run, those of multigrid included.
        learning_rates: Over the run.
        phases: Shapes and batches over the run; one without multigrid.
        slots: Of each phase, the batches that take turns; one without the short cycle.
        groups: Of the parameters that learn.
        changes: What is done to clips.
        rate_factor: Of the recipe's learning rates, for its batch; 1: they stay.
    """

    recipe: Recipe
    num_parameters: int
    frames: int
    sampling_rate: int
    crop_px: int
    epochs: int
    learning_rates: tuple[RatePoint, ...]
    phases: tuple[MultigridPhase, ...]
    slots: tuple[tuple[BatchSlot, ...], ...]
    groups: tuple[GroupRow, ...]
    changes: tuple[ChangeLine, ...]
    rate_factor: float


def dry_run(recipe: Recipe) -> DryRun:
    """Work out what a recipe will do.

    Raises:
        ConfigError: The network cannot be made so, or a module to be frozen does not exist.
    """
    plan, spec = recipe_schedule(recipe), recipe_spec(recipe)
    network: nn.Module = network_without_values(recipe)
    if isinstance(network, VideoNetwork) and recipe.loss.kind in MASKED:
        with shapes_only():
            network.reset_classifier(len(UNLABELLED_CLASSES))
            network = masked_network(recipe, network, num_frames=spec.num_frames, crop_px=plan.crop_px)
    groups = tuple(
        GroupRow(g.name, len(g.parameters), g.num_values, g.weight_decay, g.learning_rate_factor)
        for g in parameter_groups(network, recipe.optimizer)
    )
    whole = plan.phases[-1].shape
    return DryRun(
        recipe=recipe,
        num_parameters=sum(p.numel() for p in network.parameters()),
        frames=whole.frames,
        sampling_rate=spec.sampling_rate,
        crop_px=whole.crop_px,
        epochs=plan.schedule.epochs,
        learning_rates=learning_rate_table(plan.schedule),
        phases=plan.phases,
        slots=tuple(plan.slots_of(phase.begin_epoch) for phase in plan.phases),
        groups=groups,
        changes=() if recipe.data.kind in DRAWN else clip_changes(recipe, crop_px=whole.crop_px),
        rate_factor=plan.schedule.base_learning_rate / recipe.schedule.base_learning_rate,
    )


def network_without_values(recipe: Recipe) -> VideoNetwork:
    """The recipe's network on the device "meta", what is frozen without gradients.

    Raises:
        ConfigError: It cannot be made for such clips, or a module to be frozen does not exist.
    """
    known = architecture(recipe.model.network)
    options: dict[str, Any] = {"num_frames": recipe.clip.frames or known.num_frames}
    if recipe.model.num_classes is not None:
        options["num_classes"] = recipe.model.num_classes
    try:
        with shapes_only():
            network = known.build(**options)
    except ValueError as error:
        raise ConfigError(f"model.network: {known.name} cannot be made so: {error}") from error
    modules = dict(network.named_modules())
    for name in recipe.model.frozen:
        if name not in modules:
            near = nearest_name(name, list(modules), cutoff=0.0)
            raise ConfigError(f"model.frozen: {known.name} has no module {name!r}; did you mean {near!r}?")
        modules[name].requires_grad_(False)
    return network


def learning_rate_table(schedule: ScheduleSection) -> tuple[RatePoint, ...]:
    """The learning rate at the end of the warm-up, at every step, and evenly over the run."""
    epochs = schedule.epochs
    evenly = (i * epochs / _POINTS for i in range(_POINTS + 1))
    moments = sorted({*evenly, schedule.warmup_epochs, *schedule.steps})
    return tuple(RatePoint(epoch, learning_rate(schedule, epoch)) for epoch in moments if epoch <= epochs)
