"""The clips of a recipe, as the loop takes them: training batches of any epoch from any step on, batches for
the statistics of batch norms, and one view of each validation clip."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from twinpath.data.labelled.clip import LabelledClip, LabelledData, Part
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
from twinpath.train.clips.batch import ClipBatch, collate
from twinpath.train.clips.dataset import CentreViews, ClipDataset
from twinpath.train.clips.pictures import ClipPictures, FramesCache
from twinpath.train.kept_frames import KeptFrames
from twinpath.train.loop.batches import TrainingBatches
from twinpath.train.multigrid.schedule import MultigridSchedule
from twinpath.train.recipe import Recipe
from twinpath.train.sample_request import ClipShape, SampleRequest

logger = logging.getLogger(__name__)

_HELD_OUT = 0.2  # of labelled clips that say nothing of what they are for
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
        where = "folders or lists" if section.kind == "unlabelled" else "in lists as published"
        raise ConfigError(f"data.train: name the training clips of {section.kind!r}, {where}")
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


class RecipeData(TrainingBatches):
    """The batches of a run on clips.

    Args:
        recipe: Settings.
        clips: `read_recipe_clips` of it.
        spec: Input of the network, with the recipe's frames.
        schedule: Phases.
        reader: Reads the files.
        process, processes, on_gpu: See `TrainingBatches`.
        frames_folder: For decoded frames, of which the recipe says how many are kept; None: none are.
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
        self._clips = clips
        self._pictures = ClipPictures(
            LabelledReader(reader or VideoReader(fps=clips.train.fps), spec, Views.parse("1x1")),
            _frames_cache(recipe, frames_folder),
        )
        self._times = TimeRule.of(
            recipe.clip, sampling_rate=spec.sampling_rate, kind=_RULES.get(recipe.data.kind, "span")
        )
        pixels = ClipPixels.of(recipe.clip, recipe.augmentation, crop_px=schedule.crop_px)
        dataset = ClipDataset(
            clips.train, self._pictures, self._times, pixels, recipe.run.seed, recipe.clip.repeats
        )
        super().__init__(
            recipe,
            spec,
            schedule,
            dataset,
            pixels,
            num_clips=len(clips.train.clips),
            classes=clips.train.classes,
            is_multi_label=clips.train.is_multi_label,
            copies=dataset.samples_per_request,
            process=process,
            processes=processes,
            on_gpu=on_gpu,
        )

    def name_of(self, index: int) -> str:
        """A training clip in a message."""
        return display_path(self._clips.train.clips[index].path)

    @property
    def validation_clips(self) -> Sequence[LabelledClip]:
        """All of them, in the order of their indices."""
        return self._clips.validation.clips

    def validation_view(self, index: int) -> ClipBatch:
        """The view of one validation clip, made at once; a batch of one, or of none if it cannot be read."""
        dataset, requests = self._validation_views()
        return collate([dataset[requests[index]]])

    def validation(self) -> Iterator[ClipBatch]:
        """One view of each validation clip of this process; indices are those of all validation clips."""
        dataset, requests = self._validation_views()
        wanted = [[requests[i] for i in part] for part in self._of_process(len(requests))]
        if not wanted:
            return
        for batch in self._make_loader(dataset, wanted):
            for line in (clip.reason for clip in batch.broken if clip.is_lost):
                logger.warning("validation: %s", line)
            if len(batch.indices):
                yield batch

    def _validation_views(self) -> tuple[ClipDataset | CentreViews, Sequence[Any]]:
        """The views, and what to ask them for each validation clip."""
        data = self._clips.validation
        whole = ClipShape(self._spec.num_frames, self._recipe.evaluation.crop_px or self._spec.crop_px)
        if self._recipe.evaluation.validation_view == "random":
            dataset = ClipDataset(
                data,
                self._pictures,
                replace(self._times, clips=1),
                ClipPixels.of(self._recipe.clip, None, crop_px=self._schedule.crop_px),
                self._recipe.run.seed,
            )
            return dataset, [SampleRequest(i, 0, i, whole) for i in range(len(data.clips))]
        view = ViewPixels(max(self._recipe.clip.short_side_px[0], whole.crop_px))
        return CentreViews(data, self._pictures, self._times, view, whole), range(len(data.clips))
