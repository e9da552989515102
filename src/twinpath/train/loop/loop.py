"""The loop: epochs of steps, with the shapes, rates and batch norms of each phase.

    loop = TrainingLoop(recipe, schedule, network, data, objective, fabric, folder)
    loop.run(resume=True)

All random numbers follow from the seed and the place in the run, so it goes on at any step as if nothing had
happened: on a CPU bit for bit.
Source of the order of things: PySlowFast, tools/train_net.py.
"""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from twinpath.errors import InputError, TrainingDiverged
from twinpath.train.batch_norms.kinds import average_statistics, freeze_statistics, with_batch_norms_of
from twinpath.train.batch_norms.precise import update_statistics
from twinpath.train.finetune.augment import stream_seed
from twinpath.train.log.time_left import TimeLeft
from twinpath.train.loop.checkpoint import RunCheckpoints, RunPlace
from twinpath.train.loop.figures import EpochResult, StepFigures
from twinpath.train.loop.guards import check_loss, too_few_for_batch_norm
from twinpath.train.loop.objective import Objective
from twinpath.train.loop.sharded import check_can_shard, is_sharding, whole
from twinpath.train.multigrid.schedule import MultigridSchedule
from twinpath.train.optimization.ema import averaged_copy, move_average
from twinpath.train.optimization.groups import parameter_groups
from twinpath.train.optimization.optimizers import make_optimizer, set_learning_rate
from twinpath.train.optimization.schedule import learning_rate
from twinpath.train.recipe import Recipe

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from twinpath.train.loop.batches import TrainingBatches

_DROPOUT, _MIX = 0x64726F70, 0x6D697820  # streams of random numbers
_LAST_NORMS = 8  # of gradients, for the error of a loss that is no number
_CHECKPOINT_S = 600.0  # within a long epoch
_CLOCK_STEPS = 20  # processes agree so often on whether it is time


def mix_rng(seed: int, total: int, part: int, process: int) -> np.random.Generator:
    """Random numbers of what is done to a batch: its run, its step, which one of the step, its process."""
    return np.random.default_rng((seed, total, part, process, _MIX))


class TrainingLoop:
    """Trains a network by a recipe.

    Args:
        recipe: Settings.
        schedule: Phases and learning rates, `multigrid_schedule` of the recipe.
        network: On any device; trained in place.
        data: Clips to learn from and to validate with.
        objective: What is learned from a batch.
        fabric: Lightning's: device, precision, processes; launched.
        folder: Gets the checkpoints.
        on_step, on_epoch: Called in the first process.
    Attributes:
        state: Where the run is.
        average: The average of the weights; None without `ema_decay`.
    """

    def __init__(
        self,
        recipe: Recipe,
        schedule: MultigridSchedule,
        network: nn.Module,
        data: TrainingBatches,
        objective: Objective,
        fabric: Fabric,
        folder: Path,
        *,
        on_step: Callable[[StepFigures], None] = lambda _: None,
        on_epoch: Callable[[EpochResult], None] = lambda _: None,
    ) -> None:
        self.recipe, self.schedule, self.data = recipe, schedule, data
        self._module: Any = None  # the network as the processes share it
        self._whole: nn.Module | None = None  # a copy of a network that is divided, for evaluations
        self.network: nn.Module = network.to(fabric.device)
        if is_sharding(fabric):
            check_can_shard(recipe)
            with_batch_norms_of(self.network, schedule.phase_of(0).batch_norm)
            self._whole = copy.deepcopy(self.network).cpu()
            self._module = fabric.setup_module(self.network)
        else:
            self.network.to(memory_format=torch.channels_last_3d)
        self.average = averaged_copy(self.network) if recipe.optimizer.ema_decay else None
        groups = parameter_groups(self.network, recipe.optimizer)
        self.optimizer = make_optimizer(groups, recipe.optimizer)
        self._fabric, self._on_step, self._on_epoch = fabric, on_step, on_epoch
        self._optimizer: Any = fabric.setup_optimizers(self.optimizer)
        scaler = getattr(fabric.strategy.precision, "scaler", None)
        self._checkpoints = RunCheckpoints(folder, self.network, self.average, self.optimizer, scaler)
        self._objective = objective
        self._to_clips = fabric.to_device(data.to_clips)
        self._norms: deque[float] = deque(maxlen=_LAST_NORMS)
        self.state = RunPlace()
        self._time_left = TimeLeft(schedule)

    def result(self) -> nn.Module:
        """The network to keep, whole: the average, where there is one. Collective."""
        if self._whole is not None:
            self._whole.load_state_dict(whole(self.network.state_dict()))
            return self._whole.to(self._fabric.device)
        return self.network if self.average is None else self.average

    def run(self, *, resume: bool) -> None:
        """Train to the end.

        Raises:
            TrainingDiverged: The loss is infinite or NaN; names step, clips and the last gradient norms.
            DamagedWeights: There are checkpoints, and none is intact.
            InputError: Too many clips cannot be read.
        """
        norms: dict[str, Tensor] = {}
        if resume:
            self.state, norms = self._checkpoints.load()
        while self.state.epoch < self.schedule.schedule.epochs:
            self._enter(self.state.epoch)
            self._checkpoints.set_norms(norms)
            norms = {}
            self._epoch()

    def _enter(self, epoch: int) -> None:
        """Give the network the batch norms of an epoch's phase, if it has not got them."""
        wanted = self.schedule.phase_of(epoch).batch_norm
        if self._whole is not None:
            return  # they never change
        if self._module is not None and epoch and wanted == self.schedule.phase_of(epoch - 1).batch_norm:
            return
        self._module = None  # its hooks on the parameters go with it
        with_batch_norms_of(self.network, wanted)
        self._module = self._fabric.setup_module(self.network)

    def _epoch(self) -> None:
        epoch, state = self.state.epoch, self.state
        part = 1 - state.step / self.data.num_batches(epoch)
        began_s, waited_s = time.monotonic(), self._steps()
        in_steps_s = time.monotonic() - began_s
        evaluated = epoch in self._evaluated_epochs
        precise = self.recipe.batch_norm.precise_batches
        if precise and evaluated:
            batches = self.data.precise(epoch, precise)
            usable = (clips for clips in map(self._usable, batches) if len(clips))
            forward = partial(self._objective.forward, self.network)
            count = self.data.num_precise(epoch, precise)
            with too_few_for_batch_norm(None, splits=self._splits):
                update_statistics(self.network, usable, count, forward=forward)
        average_statistics(self.network)
        figures = self._objective.figures(self.result(), self.data, self._fabric) if evaluated else {}
        clips = self.data.num_clips(epoch)
        losses = [loss for loss in state.losses if math.isfinite(loss)]  # NaN: no clip could be read
        loss = float(np.mean(losses)) if losses else math.nan
        share = waited_s / max(in_steps_s, 1e-9)
        took_s, broken = time.monotonic() - began_s, len(self.data.broken.lost)
        epochs = self.schedule.schedule.epochs
        left_s = self._time_left.after(epoch, took_s, part)
        result = EpochResult(epoch, epochs, loss, clips, took_s, share, figures, broken, state.total, left_s)
        state.history.append(result)
        state.epoch, state.step, state.losses = epoch + 1, 0, []
        if self._is_checkpointed(epoch):
            self._save()
        if self._fabric.is_global_zero:
            self._on_epoch(result)

    @cached_property
    def _all_steps(self) -> int:
        """Steps of the whole run."""
        epochs, accumulate = range(self.schedule.schedule.epochs), self.recipe.optimizer.accumulate
        return sum(self.data.num_batches(epoch) // accumulate for epoch in epochs)

    @property
    def _splits(self) -> int:
        """Parts of a batch with batch norms of their own."""
        norms = self.schedule.phase_of(self.state.epoch).batch_norm
        return norms.splits if norms.kind == "sub" else 1

    @property
    def _evaluated_epochs(self) -> frozenset[int]:
        if self.schedule.evaluation_epochs is not None:
            return self.schedule.evaluation_epochs
        epochs, every = self.schedule.schedule.epochs, self.recipe.evaluation.every_epochs
        return frozenset({*range(every - 1, epochs, every), epochs - 1})

    def _is_checkpointed(self, epoch: int) -> bool:
        done, every = epoch + 1, self.recipe.run.checkpoint_every_epochs
        return done % every == 0 or done == self.schedule.schedule.epochs

    def _save(self) -> None:
        self._checkpoints.save(self.state, is_first=self._fabric.is_global_zero)
        self._fabric.barrier()

    def _steps(self) -> float:
        """All steps of the epoch that are not done yet; returns how long they waited for clips."""
        state, accumulate = self.state, self.recipe.optimizer.accumulate
        batches = self.data.start(state.epoch, state.step)
        steps = batches // accumulate
        loader = iter(self.data.training())
        waited_s, saved_s = 0.0, time.monotonic()
        self._train_mode()
        while state.step < steps * accumulate:
            began_s = time.monotonic()
            rate = learning_rate(self.schedule.schedule, state.epoch + state.step / batches)
            set_learning_rate(self.optimizer, rate)
            loss, norm, step_waited_s = self._step(loader)
            waited_s += step_waited_s
            state.step, state.total = state.step + accumulate, state.total + 1
            state.losses.append(loss)
            factor = self.recipe.run.loss_explosion_factor
            check_loss(state.losses, factor, total=state.total, epoch=state.epoch)
            took_s = time.monotonic() - began_s
            if self._fabric.is_global_zero:
                self._on_step(
                    StepFigures(
                        state.epoch, state.step // accumulate, steps, state.total, self._all_steps, loss,
                        rate, norm, step_waited_s, took_s,
                    )
                )  # fmt: skip
            if self._is_save_due(time.monotonic() - saved_s):
                self._save()
                saved_s = time.monotonic()
        return waited_s

    def _is_save_due(self, since_s: float) -> bool:
        """Whether a checkpoint within the epoch is due; the first process's clock counts, every few steps."""
        if self._fabric.world_size == 1:
            return since_s > _CHECKPOINT_S
        if self.state.step % _CLOCK_STEPS:
            return False
        return bool(self._fabric.broadcast(since_s > _CHECKPOINT_S))

    def _step(self, loader: Iterator[Any]) -> tuple[float, float, float]:
        """One step of the weights; its loss, the norm of its gradient, and how long it waited."""
        accumulate, losses, waited_s = self.recipe.optimizer.accumulate, [], 0.0
        for part in range(accumulate):
            began_s = time.monotonic()
            batch = next(loader)
            waited_s += time.monotonic() - began_s
            clips = self._usable(batch)
            if not len(clips):
                continue
            with self._fabric.no_backward_sync(self._module, enabled=part < accumulate - 1):
                loss = self._loss(clips, batch, part)
                self._fabric.backward(loss / accumulate)
            losses.append(loss.detach())
        if not losses:
            return math.nan, 0.0, waited_s
        norm = self._clip()
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self.average is not None:
            decay = self.recipe.optimizer.ema_decay
            move_average(self.average, self.network, decay=decay, step=self.state.total + 1)
        self._norms.append(norm)
        loss = torch.stack(losses).mean()
        if self._fabric.world_size > 1:
            loss = cast("Tensor", self._fabric.all_reduce(loss, reduce_op="mean"))
        return float(loss), norm, waited_s

    def _usable(self, batch: Any) -> Tensor:
        """(B, 3, T, H, W) normalised clips of a batch on the device: those that were read and that sub-batch
        norms can split.

        Raises:
            InputError: Of several processes one has no clip, and the others would wait for it.
        """
        clips = self._objective.clips_of(batch)
        count = len(clips.indices) - len(clips.indices) % self._splits
        if count == 0 and self._fabric.world_size > 1:
            raise InputError(f"no clip of a batch could be read: {'; '.join(c.reason for c in clips.broken)}")
        if not count:
            return torch.zeros(0)
        normalised: Tensor = self._to_clips(self._fabric.to_device(clips))
        return normalised[:count]

    def _loss(self, clips: Tensor, batch: Any, part: int) -> Tensor:
        """Of a batch. Raises: TrainingDiverged: It is no number."""
        seed, process = self.recipe.run.seed, self._fabric.global_rank
        place = (self.state.total, part, process)
        torch.manual_seed(stream_seed(seed, *place, _DROPOUT) % 2**63)
        with too_few_for_batch_norm(self._objective.clips_of(batch), splits=self._splits):
            loss = self._objective.loss(self._module, clips, batch, mix_rng(seed, *place))
        if not torch.isfinite(loss):
            indices = self._objective.clips_of(batch).indices
            names = ", ".join(self.data.name_of(int(i)) for i in sorted(set(indices.tolist())))
            norms = ", ".join(f"{norm:.3g}" for norm in self._norms) or "none"
            raise TrainingDiverged(
                f"the loss is {loss.item()} at step {self.state.total + 1} (epoch {self.state.epoch + 1}), "
                f"with the clips {names}; the last gradient norms were {norms}. Lower "
                f"schedule.base_learning_rate, now {self.recipe.schedule.base_learning_rate:g}, or set "
                "optimizer.clip_norm"
            )
        return loss

    def _clip(self) -> float:
        """Clip the gradients; returns their norm before."""
        section = self.recipe.optimizer
        norm = self._fabric.clip_gradients(
            self._module,
            self._optimizer,
            max_norm=section.clip_norm if section.clip_norm is not None else float("inf"),
            error_if_nonfinite=False,
        )
        if section.clip_value is not None:
            self._fabric.clip_gradients(self._module, self._optimizer, clip_val=section.clip_value)
        assert norm is not None
        return float(whole(norm))

    def _train_mode(self) -> None:
        self.network.train()
        freeze_statistics(self.network, of_frozen_only=not self.recipe.batch_norm.frozen)
