"""The shapes of clips, the batches and the learning rate of multigrid training. No torch.

The long cycle goes through shapes again and again, from few frames of a small side in large batches to the
whole clip, once for each step of the learning rate. The short cycle changes the side from batch to batch. A
smaller clip is in a larger batch, so a step costs the same, and an epoch has fewer of them.
Sources: Wu et al. 2020, A Multigrid Method for Efficiently Training Video Models (arXiv:1912.00998);
PySlowFast, utils/multigrid.py; golden/rules/multigrid.json.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twinpath.errors import ConfigError
from twinpath.train.optimization.schedule import check_schedule, check_steps
from twinpath.train.sample_request import ClipShape
from twinpath.train.sections import BatchNormSection, MultigridSection, ScheduleSection

_PLAIN = BatchNormSection()


@dataclass(frozen=True)
class MultigridPhase:
    """Epochs with one shape of clips.

    Attributes:
        begin_epoch, end_epoch: From the first to before the second. Equal: the rounding left it no epoch.
        step: Which step of the given learning rate it belongs to, from 0.
        relative_batch: Its batch over the recipe's.
        batch_size: Clips of a batch, of all processes together; without the short cycle, or in its last slot.
        shape: Of these clips.
        batch_norm: Kind of batch norms, so that statistics are over about `norm_clips` clips.
    """

    begin_epoch: int
    end_epoch: int
    step: int
    relative_batch: int
    batch_size: int
    shape: ClipShape
    batch_norm: BatchNormSection


@dataclass(frozen=True)
class BatchSlot:
    """One of the batches that take turns in an epoch.

    Attributes:
        batch_size: Clips, of all processes together.
        shape: Of them.
    """

    batch_size: int
    shape: ClipShape


@dataclass(frozen=True)
class MultigridSchedule:
    """All epochs of a run. Without multigrid it is one phase.

    Attributes:
        phases: In order; one may have no epochs.
        schedule: The learning rate: the recipe's, with the steps, factors and epochs of multigrid.
        crop_px: S of the recipe, of which shorter sides are parts.
        short_factors: Of `crop_px`, for the first two slots of the short cycle; empty: there is none.
        evaluation_epochs: Epochs after which the network is evaluated and kept; None: multigrid does not
            decide it.
    """

    phases: tuple[MultigridPhase, ...]
    schedule: ScheduleSection
    crop_px: int
    short_factors: tuple[float, ...] = ()
    evaluation_epochs: frozenset[int] | None = field(default=None, repr=False)

    def phase_of(self, epoch: int) -> MultigridPhase:
        """The phase of an epoch, from 0; after the last one, the last."""
        return next((phase for phase in self.phases if epoch < phase.end_epoch), self.phases[-1])

    def slots_of(self, epoch: int) -> tuple[BatchSlot, ...]:
        """The batches that take turns in an epoch: three with the short cycle, else one.

        A slot's batch is larger by the rounded ratio of areas, so at the small sides of the long cycle the
        three are 2, 1 and 1 batches large.
        """
        phase = self.phase_of(epoch)
        small = [
            BatchSlot(
                phase.batch_size * max(1, round((phase.shape.crop_px / (factor * self.crop_px)) ** 2)),
                phase.shape._replace(crop_px=round(factor * self.crop_px)),
            )
            for factor in self.short_factors
        ]
        return (*small, BatchSlot(phase.batch_size, phase.shape))


def multigrid_schedule(
    schedule: ScheduleSection,
    multigrid: MultigridSection,
    *,
    batch_size: int,
    frames: int,
    crop_px: int,
    sampling_rate: int,
    processes: int = 1,
    frame_multiple: int = 1,
    batch_norm: BatchNormSection = _PLAIN,
) -> MultigridSchedule:
    """The schedule of a run.

    Args:
        schedule: Of the learning rate, without multigrid.
        multigrid: Which cycles; both may be off.
        batch_size: Clips of a batch, of all processes together.
        frames, crop_px, sampling_rate: Of the whole clip.
        processes: That share a batch.
        frame_multiple: What the network wants T to be a multiple of; alpha of a SlowFast.
        batch_norm: Of the recipe; the long cycle chooses its kind itself.
    Raises:
        ConfigError: Settings that contradict each other, or a shape that the network cannot take.
    """
    if batch_size % processes:
        raise ConfigError(f"run.batch_size is {batch_size}; the {processes} processes cannot share it evenly")
    short = multigrid.short_factors if multigrid.short_cycle else ()
    whole = ClipShape(frames, crop_px)
    if multigrid.long_cycle:
        _check_long_cycle(schedule)
        phases = _long_cycle(
            schedule, multigrid, batch_size, whole, sampling_rate, processes, frame_multiple, batch_norm
        )
        new = _with_steps_of(schedule, phases)
        check_schedule(new)
        evaluated = frozenset(_evaluation_epochs(phases, multigrid.evaluations))
        return MultigridSchedule(phases, new, crop_px, short, evaluated)
    check_schedule(schedule)
    if multigrid.short_cycle:
        factor = multigrid.epoch_factor
        schedule = _changed(
            schedule,
            epochs=int(schedule.epochs * factor),
            steps=tuple(int(step * factor) for step in schedule.steps),
        )
    phase = MultigridPhase(0, schedule.epochs, 0, 1, batch_size, whole, batch_norm)
    return MultigridSchedule((phase,), schedule, crop_px, short)


def short_side_px(short_side: tuple[int, int], *, crop_px: int, whole_crop_px: int) -> tuple[int, int]:
    """The range of short sides for clips of another crop: the smallest in proportion, the largest unchanged.

    So a smaller crop is also cut from relatively larger pictures.

    Args:
        short_side: For `whole_crop_px`.
        crop_px: Of the clip.
        whole_crop_px: Of the recipe.
    """
    smallest, largest = short_side
    return round(smallest * crop_px / whole_crop_px), largest


def _check_long_cycle(schedule: ScheduleSection) -> None:
    if schedule.policy != "steps":
        raise ConfigError(
            f'multigrid.long_cycle needs schedule.policy = "steps", not "{schedule.policy}": a cycle goes '
            "from one step to the next; give schedule.steps, such as [0, 94, 154, 196] of 239 epochs"
        )
    check_steps(schedule.steps)
    if not 0 < schedule.steps[-1] <= schedule.epochs:
        raise ConfigError(
            f"schedule.steps is {list(schedule.steps)}; for multigrid.long_cycle its last value is above 0 "
            f"and at most schedule.epochs, {schedule.epochs}"
        )
    computed = [schedule.gamma**i for i in range(len(schedule.factors))]
    if not all(math.isclose(*both, rel_tol=1e-6) for both in zip(schedule.factors, computed, strict=True)):
        raise ConfigError(
            f"schedule.factors is {list(schedule.factors)}; multigrid.long_cycle takes powers of "
            f"schedule.gamma, {schedule.gamma:g}: leave factors out, or set gamma"
        )


def _long_cycle(
    schedule: ScheduleSection,
    multigrid: MultigridSection,
    batch_size: int,
    whole: ClipShape,
    sampling_rate: int,
    processes: int,
    frame_multiple: int,
    batch_norm: BatchNormSection,
) -> tuple[MultigridPhase, ...]:
    shapes = [_rounded(whole, factors, frame_multiple) for factors in multigrid.long_factors]
    phases: list[MultigridPhase] = []
    for step, shape, end_epoch in _ends(schedule, multigrid, whole, shapes):
        relative = _relative_batch(whole, shape.frames, shape.crop_px)
        size = relative * batch_size
        longer = whole.frames // shape.frames
        phases.append(
            MultigridPhase(
                begin_epoch=phases[-1].end_epoch if phases else 0,
                end_epoch=end_epoch,
                step=step,
                relative_batch=relative,
                batch_size=size,
                shape=shape._replace(longest_sampling_rate=sampling_rate * longer if longer > 1 else 0),
                batch_norm=_batch_norm(batch_norm, size // processes, processes, multigrid.norm_clips),
            )
        )
    return tuple(phases)


def _rounded(whole: ClipShape, factors: tuple[float, float], frame_multiple: int) -> ClipShape:
    frames, crop_px = round(whole.frames * factors[0]), round(whole.crop_px * factors[1])
    if frames < 1 or crop_px < 1 or frames % frame_multiple:
        raise ConfigError(
            f"multigrid.long_factors: {list(factors)} of {whole.frames} frames of {whole.crop_px} pixels are "
            f"{frames} of {crop_px}; this network needs a multiple of {frame_multiple} frames"
        )
    return ClipShape(frames, crop_px)


def _relative_batch(whole: ClipShape, frames: int, side_px: float) -> int:
    """How many such clips cost what one whole clip costs."""
    return round(whole.frames * whole.crop_px**2 / (frames * side_px**2))


def _ends(
    schedule: ScheduleSection, multigrid: MultigridSection, whole: ClipShape, shapes: Sequence[ClipShape]
) -> list[tuple[int, ClipShape, int]]:
    """Step, shape and end of each phase. The last shape alone ends the run (fine-tuning)."""
    factors = multigrid.short_factors if multigrid.short_cycle else ()
    mean_batches = []
    for shape in shapes:
        sides = [*(factor * whole.crop_px for factor in factors), shape.crop_px]
        batches = [_relative_batch(whole, shape.frames, side) for side in sides]
        mean_batches.append(sum(batches) / len(batches))
    steps, all_batches = schedule.steps, sum(mean_batches)
    parts = [
        (i, shape, (steps[i + 1] - steps[i]) * mean / all_batches)
        for i in range(len(steps) - 1)
        for shape, mean in zip(shapes, mean_batches, strict=True)
    ]
    # In epochs at the recipe's batch; the last phase saves as much as all others do.
    iterations = steps[-1] * len(shapes) / all_batches
    last = (schedule.epochs - steps[-1]) * iterations / steps[-1] * mean_batches[-1]
    parts.append((len(steps) - 1, shapes[-1], last))
    longer = schedule.epochs * multigrid.epoch_factor / sum(epochs for _, _, epochs in parts)
    ends, total = [], 0.0
    for step, shape, epochs in parts:
        total += epochs * longer
        ends.append((step, shape, round(total)))
    return ends


def _with_steps_of(schedule: ScheduleSection, phases: Sequence[MultigridPhase]) -> ScheduleSection:
    """Factors follow the batch (linear scaling); half of the last phase keeps those of the one before it."""
    ends = [phase.end_epoch for phase in phases]
    factors = [schedule.gamma**phase.step * phase.relative_batch for phase in phases]
    return _changed(
        schedule,
        epochs=ends[-1],
        steps=(0, *ends[:-1], (ends[-2] + ends[-1]) // 2),
        factors=(*factors[:-1], factors[-2], factors[-1]),
    )


def _changed(schedule: ScheduleSection, **values: Any) -> ScheduleSection:
    return ScheduleSection(**{**schedule.model_dump(), **values})


def _batch_norm(given: BatchNormSection, clips: int, processes: int, norm_clips: int) -> BatchNormSection:
    """Statistics over about `norm_clips` clips, where a process has so many of a batch.

    Splits divide a batch, and groups of processes are of one size [better: upstream truncates, and fails in
    the run where that does not divide].
    """
    if clips > norm_clips:
        splits = _largest_divisor(clips, clips // norm_clips)
        return given.model_copy(
            update={"kind": "sub" if splits > 1 else "batch", "splits": splits, "devices": 1}
        )
    devices = _largest_divisor(processes, norm_clips // clips)
    return given.model_copy(
        update={"kind": "sync" if devices > 1 else "batch", "splits": 1, "devices": devices}
    )


def _largest_divisor(number: int, at_most: int) -> int:
    return next(n for n in range(min(number, at_most), 0, -1) if number % n == 0)


def _evaluation_epochs(phases: Sequence[MultigridPhase], evaluations: int) -> list[int]:
    """About so many of each phase, evenly backwards from its last epoch; and the last epoch of all."""
    epochs = [phases[-1].end_epoch - 1]
    for phase in phases:
        period = max((phase.end_epoch - phase.begin_epoch) // evaluations + 1, 1)
        epochs += range(phase.end_epoch - 1, phase.begin_epoch - 1, -period)
    return epochs
