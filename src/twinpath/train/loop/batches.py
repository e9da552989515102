"""Batches of training samples, whatever a sample is: of any epoch from any step on, and others for the
statistics of batch norms. What clips, key frames and their evaluations have of their own is in subclasses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from twinpath.models.input_spec import InputSpec
from twinpath.train.augment.pipeline import ClipPixels
from twinpath.train.clips.batch import ToClips, collate
from twinpath.train.clips.broken import BrokenClips
from twinpath.train.clips.loader import ClipLoader, clip_loader
from twinpath.train.multigrid.batches import EpochBatches
from twinpath.train.multigrid.schedule import BatchSlot, MultigridSchedule
from twinpath.train.recipe import Recipe

logger = logging.getLogger(__name__)

Collate = Callable[[Sequence[Any]], Any]

_PRECISE = 1 << 20  # added to the epoch of batches for statistics, whose clips are drawn anew


class TrainingBatches:
    """The training batches of a run.

    Args:
        recipe: Settings.
        spec: Input of the network.
        schedule: Phases.
        dataset: Makes the sample of a request.
        pixels: What it does to pictures.
        num_clips: That it has.
        classes: Their names.
        is_multi_label: Whether a clip, or a person in it, may have several classes, or none.
        copies: Samples of a batch for each request.
        collate: From samples to a batch, which has `indices` and `broken` as a `ClipBatch` has.
        process, processes: Which one of how many.
        on_gpu: Whether batches go to a GPU.
    Attributes:
        num_classes: C, of the network.
        is_multi_label: As given.
        broken: The clips that cannot be read, so far.
        to_clips: From a batch to what the network takes.
    """

    def __init__(
        self,
        recipe: Recipe,
        spec: InputSpec,
        schedule: MultigridSchedule,
        dataset: Dataset[Any],
        pixels: ClipPixels,
        *,
        num_clips: int,
        classes: Sequence[str],
        is_multi_label: bool,
        copies: int = 1,
        collate: Collate = collate,
        process: int = 0,
        processes: int = 1,
        on_gpu: bool = False,
    ) -> None:
        self._recipe, self._spec, self._schedule = recipe, spec, schedule
        self._dataset, self._num_clips, self._collate = dataset, num_clips, collate
        self._classes, self.is_multi_label = tuple(classes), is_multi_label
        self.num_classes = recipe.model.num_classes or len(classes)
        self._process, self._processes, self._on_gpu = process, processes, on_gpu
        self._batches = self._epoch_batches(schedule.slots_of)
        self._loader: ClipLoader | None = None
        self.broken = BrokenClips(num_clips, copies=copies)
        self.to_clips: nn.Module = ToClips(
            replace(spec, mean=recipe.clip.mean or spec.mean, std=recipe.clip.std or spec.std),
            erasing=pixels.erasing,
            lighting=pixels.lighting > 0,
            bgr=recipe.clip.bgr,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; where the network has more of them, numbers for the rest."""
        known = self._classes
        return (*known, *(f"class {i}" for i in range(len(known), self.num_classes)))

    def name_of(self, index: int) -> str:
        """A training clip in a message."""
        raise NotImplementedError

    def num_clips(self, epoch: int) -> int:
        """That all processes together ask for in an epoch, without their copies."""
        batches = self._epoch_batches(self._schedule.slots_of)
        batches.start(epoch)
        return sum(batches.slot_of(step).batch_size for step in range(len(batches)))

    def num_batches(self, epoch: int) -> int:
        """Of an epoch."""
        batches = self._epoch_batches(self._schedule.slots_of)
        batches.start(epoch)
        return len(batches)

    def start(self, epoch: int, step: int) -> int:
        """Say where `training` begins; returns the batches of the whole epoch."""
        self._batches.start(epoch, step)
        return len(self._batches)

    def training(self) -> Iterator[Any]:
        """The batches from the start on. The processes that make clips stay from epoch to epoch."""
        if self._loader is None:
            self._loader = self._make_loader(self._dataset, self._batches)
        for batch in self._loader:
            for line in self.broken.add(batch.broken, num_read=len(batch.indices)):
                logger.warning("%s", line)
            yield batch

    def precise(self, epoch: int, num_batches: int) -> Iterator[Any]:
        """Training batches of the whole shape, with other random numbers than the epoch's."""
        phase = self._schedule.phase_of(epoch)
        batches = self._epoch_batches(lambda _: (BatchSlot(phase.batch_size, phase.shape),))
        batches.start(_PRECISE + epoch)
        count = min(num_batches, len(batches))
        for _, batch in zip(range(count), self._make_loader(self._dataset, batches), strict=False):
            yield batch

    def num_precise(self, epoch: int, num_batches: int) -> int:
        """How many `precise` gives."""
        return min(num_batches, self._num_clips // self._schedule.phase_of(epoch).batch_size)

    def part_of_batch(self, epoch: int, step: int, ends: int) -> Any:
        """The first and the last clips of a training batch of this process, made at once.

        Args:
            epoch, step: Which batch.
            ends: How many clips of each end, at most.
        """
        batches = self._epoch_batches(self._schedule.slots_of)
        batches.start(epoch, step)
        requests = next(iter(batches))
        if len(requests) > 2 * ends:
            requests = [*requests[:ends], *requests[-ends:]]
        return self._collate([self._dataset[request] for request in requests])

    def _epoch_batches(self, slots_of: Callable[[int], Sequence[BatchSlot]]) -> EpochBatches:
        return EpochBatches(
            slots_of,
            num_clips=self._num_clips,
            seed=self._recipe.run.seed,
            process=self._process,
            processes=self._processes,
        )

    def _of_process(self, num_clips: int) -> list[list[int]]:
        """Every P-th of a number of clips in batches, to evaluate with."""
        mine = range(self._process, num_clips, self._processes)
        size = max(self._recipe.run.batch_size // self._processes, 1)
        return [list(mine[first : first + size]) for first in range(0, len(mine), size)]

    def _make_loader(self, dataset: Dataset[Any], batches: Any, collate: Collate | None = None) -> ClipLoader:
        return clip_loader(
            dataset,
            batches,
            workers=self._recipe.num_workers,
            pin_memory=self._on_gpu,
            collate=collate or self._collate,
        )
