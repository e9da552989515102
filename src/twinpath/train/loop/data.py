"""The clips of a recipe, as the loop takes them: training batches of any epoch from any step on, batches for
the statistics of batch norms, and one view of each validation clip."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from twinpath.data.labelled.clip import LabelledData, Part
from twinpath.data.labelled.read import read_labelled
from twinpath.data.labelled.split import hold_out
from twinpath.data.published.read import read_published
from twinpath.errors import ConfigError
from twinpath.models.input_spec import InputSpec
from twinpath.paths import display_path
from twinpath.recognize.labelled import LabelledReader
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.train.augment.pipeline import ClipPixels, ViewPixels
from twinpath.train.augment.times import Rule, TimeRule
from twinpath.train.clips.batch import ClipBatch, ToClips
from twinpath.train.clips.broken import BrokenClips
from twinpath.train.clips.dataset import CentreViews, ClipDataset
from twinpath.train.clips.loader import ClipLoader, OrderedRequests, clip_loader
from twinpath.train.clips.pictures import ClipPictures, FramesCache
from twinpath.train.kept_frames import KeptFrames
from twinpath.train.multigrid.batches import EpochBatches
from twinpath.train.multigrid.schedule import BatchSlot, MultigridSchedule
from twinpath.train.recipe import Recipe
from twinpath.train.sample_request import ClipShape

logger = logging.getLogger(__name__)

_HELD_OUT = 0.2  # of labelled clips that say nothing of what they are for
_PRECISE = 1 << 20  # added to the epoch of batches for statistics, whose clips are drawn anew
_RULES: dict[str, Rule] = {"something": "segments", "charades": "stride"}


@dataclass(frozen=True, eq=False)
class RecipeClips:
    """The data of a recipe.

    Attributes:
        train: To learn from.
        validation: To evaluate with during training; there may be no clips.
    """

    train: LabelledData
    validation: LabelledData


def read_recipe_clips(recipe: Recipe) -> RecipeClips:
    """Read what a recipe names. No video is opened.

    Raises:
        ConfigError: It names no training clips.
        InputError: A list or a folder is wrong.
    """
    section = recipe.data
    if not section.train:
        raise ConfigError(f"data.train: name the training clips of {section.kind}, in lists as published")
    if section.kind == "labelled":
        return _labelled(recipe)
    read = partial(read_published, section.kind, videos=section.videos, separator=section.separator)
    train = read(section.train, "train", labels=section.labels, num_classes=recipe.model.num_classes)
    if not section.validation:
        return RecipeClips(train, replace(train, clips=()))
    return RecipeClips(train, read(section.validation, "validation", classes=train.classes))


def _frames_cache(recipe: Recipe, folder: Path | None) -> FramesCache | None:
    """Frames as large as the recipe's crops can use."""
    if not recipe.data.cache_gb or folder is None:
        return None
    largest = max(recipe.clip.short_side_px[1], recipe.evaluation.crop_px or 0)
    return FramesCache(KeptFrames(folder, round(recipe.data.cache_gb * 10**9)), largest)


def _labelled(recipe: Recipe) -> RecipeClips:
    data = read_labelled([Path(path) for path in recipe.data.train])
    if recipe.data.validation:
        other = read_labelled([Path(path) for path in recipe.data.validation], min_classes=1)
        unknown = sorted(set(other.classes) - set(data.classes))
        if unknown:
            raise ConfigError(f"data.validation: {unknown[0]!r} is no class of the training clips")
        return RecipeClips(data, replace(other, classes=data.classes))
    parts: Sequence[Part | None] = [clip.part for clip in data.clips]
    if not any(parts):
        parts = hold_out(data, _HELD_OUT, recipe.run.seed)
    train = tuple(c for c, part in zip(data.clips, parts, strict=True) if part in (None, "train"))
    held_out = tuple(c for c, part in zip(data.clips, parts, strict=True) if part not in (None, "train"))
    return RecipeClips(replace(data, clips=train), replace(data, clips=held_out))


class RecipeData:
    """The batches of a run.

    Args:
        recipe: Settings.
        clips: `read_recipe_clips` of it.
        spec: Input of the network, with the recipe's frames.
        schedule: Phases.
        reader: Reads the files.
        process, processes: Which one of how many.
        on_gpu: Whether batches go to a GPU.
        frames_folder: For decoded frames, of which the recipe says how many are kept; None: none are.
    Attributes:
        broken: The clips that cannot be read, so far.
        to_clips: From a batch to what the network takes.
    """

    def __init__(
        self,
        recipe: Recipe,
        clips: RecipeClips,
        spec: InputSpec,
        schedule: MultigridSchedule,
        *,
        reader: VideoReader | None = None,
        process: int = 0,
        processes: int = 1,
        on_gpu: bool = False,
        frames_folder: Path | None = None,
    ) -> None:
        self._recipe, self._clips, self._schedule, self._spec = recipe, clips, schedule, spec
        self._process, self._processes, self._on_gpu = process, processes, on_gpu
        self._pictures = ClipPictures(
            LabelledReader(reader or VideoReader(fps=clips.train.fps), spec, Views.parse("1x1")),
            _frames_cache(recipe, frames_folder),
        )
        self._times = TimeRule.of(
            recipe.clip, sampling_rate=spec.sampling_rate, kind=_RULES.get(recipe.data.kind, "span")
        )
        crop_px = schedule.crop_px
        self._pixels = ClipPixels.of(recipe.clip, recipe.augmentation, crop_px=crop_px)
        self._dataset = ClipDataset(
            clips.train, self._pictures, self._times, self._pixels, recipe.run.seed, recipe.clip.repeats
        )
        self._batches = self._epoch_batches(schedule.slots_of)
        self._loader: ClipLoader | None = None
        self.broken = BrokenClips(len(clips.train.clips), copies=self._dataset.samples_per_request)
        self.to_clips: nn.Module = ToClips(
            replace(spec, mean=recipe.clip.mean or spec.mean, std=recipe.clip.std or spec.std),
            erasing=self._pixels.erasing,
            lighting=self._pixels.lighting > 0,
            bgr=recipe.clip.bgr,
        )

    @property
    def num_classes(self) -> int:
        """C."""
        return self._recipe.model.num_classes or len(self._clips.train.classes)

    @property
    def is_multi_label(self) -> bool:
        """Whether a clip may have several classes, or none."""
        return self._clips.train.is_multi_label

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; where the network has more of them, numbers for the rest."""
        known = self._clips.train.classes
        return (*known, *(f"class {i}" for i in range(len(known), self.num_classes)))

    def name_of(self, index: int) -> str:
        """A training clip in a message."""
        return display_path(self._clips.train.clips[index].path)

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

    def training(self) -> Iterator[ClipBatch]:
        """The batches from the start on. The processes that make clips stay from epoch to epoch."""
        if self._loader is None:
            self._loader = self._make_loader(self._dataset, self._batches)
        for batch in self._loader:
            for line in self.broken.add(batch.broken, num_read=len(batch.indices)):
                logger.warning("%s", line)
            yield batch

    def precise(self, epoch: int, num_batches: int) -> Iterator[ClipBatch]:
        """Training batches of the whole shape, with other random numbers than the epoch's."""
        phase = self._schedule.phase_of(epoch)
        batches = self._epoch_batches(lambda _: (BatchSlot(phase.batch_size, phase.shape),))
        batches.start(_PRECISE + epoch)
        count = min(num_batches, len(batches))
        for _, batch in zip(range(count), self._make_loader(self._dataset, batches), strict=False):
            yield batch

    def num_precise(self, epoch: int, num_batches: int) -> int:
        """How many `precise` gives."""
        return min(num_batches, len(self._clips.train.clips) // self._schedule.phase_of(epoch).batch_size)

    def validation(self) -> Iterator[ClipBatch]:
        """One view of each validation clip of this process; indices are those of all validation clips."""
        data = self._clips.validation
        mine = range(self._process, len(data.clips), self._processes)
        if not mine:
            return
        whole = ClipShape(self._spec.num_frames, self._recipe.evaluation.crop_px or self._spec.crop_px)
        size = max(self._recipe.run.batch_size // self._processes, 1)
        if self._recipe.evaluation.validation_view == "random":
            seed = self._recipe.run.seed
            dataset: ClipDataset | CentreViews = ClipDataset(
                data,
                self._pictures,
                replace(self._times, clips=1),
                ClipPixels.of(self._recipe.clip, None, crop_px=self._schedule.crop_px),
                seed,
            )
            requests = [r for part in OrderedRequests(len(data.clips), 1, whole) for r in part]
            wanted: list[list[Any]] = [
                [requests[i] for i in mine[first : first + size]] for first in range(0, len(mine), size)
            ]
        else:
            view = ViewPixels(max(self._recipe.clip.short_side_px[0], whole.crop_px))
            dataset = CentreViews(data, self._pictures, self._times, view, whole)
            wanted = [list(mine[first : first + size]) for first in range(0, len(mine), size)]
        for batch in self._make_loader(dataset, wanted):
            for line in (clip.reason for clip in batch.broken if clip.is_lost):
                logger.warning("validation: %s", line)
            if len(batch.indices):
                yield batch

    def _epoch_batches(self, slots_of: Callable[[int], Sequence[BatchSlot]]) -> EpochBatches:
        return EpochBatches(
            slots_of,
            num_clips=len(self._clips.train.clips),
            seed=self._recipe.run.seed,
            process=self._process,
            processes=self._processes,
        )

    def _make_loader(self, dataset: Dataset[Any], batches: Any) -> ClipLoader:
        return clip_loader(
            dataset,
            batches,
            workers=self._recipe.num_workers,
            pin_memory=self._on_gpu,
        )
