"""The key frames of AVA, or of data in its form, as the loop takes them: training batches with the boxes of
people, and whole pictures to evaluate with."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from twinpath.data.ava.clips import AvaSource, Frames
from twinpath.data.ava.training import (
    AvaKeyframe,
    AvaKeyframes,
    ava_sources,
    joined_rows,
    keyframe_frames,
    missing_notes,
    read_ava_training,
    training_sources,
)
from twinpath.errors import INPUT_FAILURES, ConfigError, InputError
from twinpath.escapes import shown
from twinpath.evaluate.ava import People, ScoredSecond, people_to_score, score_rows
from twinpath.formats.ava import BoxRows, Second, read_exclusions, read_people, read_truth
from twinpath.formats.ava_label_map import LabelMap, built_in_label_map, read_label_map
from twinpath.metrics.ava import ava_frame_map
from twinpath.metrics.frame_map import FrameMap
from twinpath.models.input_spec import InputSpec
from twinpath.train.augment.pipeline import ClipPixels
from twinpath.train.clips.keyframes import (
    KeyframeClips,
    KeyframeDataset,
    WholeKeyframes,
    collate_by_size,
    collate_keyframe_samples,
)
from twinpath.train.loop.batches import TrainingBatches
from twinpath.train.multigrid.schedule import MultigridSchedule
from twinpath.train.recipe import Recipe

logger = logging.getLogger(__name__)

Sources = Mapping[str, AvaSource]


@dataclass(frozen=True, eq=False)
class ScoredKeyframes:
    """What a detection network is evaluated with.

    Attributes:
        people: Boxes that it scores.
        truth: Who does what.
        label_map: The actions that count.
        excluded: Seconds that do not.
        sources: Frames or videos by name.
        notes: What a user should know, a sentence each.
    """

    people: People
    truth: BoxRows
    label_map: LabelMap
    excluded: frozenset[Second]
    sources: Sources
    notes: tuple[str, ...] = ()

    def frame_map(self, scores: Mapping[int, NDArray[np.float32]]) -> float:
        """Frame mAP at an overlap of 0.5.

        Args:
            scores: (people, C) of a key frame by its number, in the order of `people`; those of a key frame
                that could not be read are missing, and its people are missed.
        """
        columns = np.asarray(self.label_map.ids) - 1
        scored: dict[str, list[ScoredSecond]] = {video: [] for video in self.people}
        for number, (video, second, boxes_xyxy) in enumerate(self._each()):
            if number in scores:
                scored[video].append(ScoredSecond(second, boxes_xyxy, scores[number][:, columns]))
        return self.measured(score_rows(scored, self.label_map)).mean

    def measured(self, rows: BoxRows) -> FrameMap:
        """The same of rows of people with scores. Raises: InputError: No true box is evaluated."""
        return ava_frame_map(self.truth, rows, self.label_map, excluded=self.excluded)

    def keyframes(self) -> list[AvaKeyframe]:
        """All of them, in order of their numbers. What people do is left out."""
        return [
            AvaKeyframe(video, second, boxes.astype(np.float32), np.zeros((len(boxes), 0), np.float32))
            for video, second, boxes in self._each()
        ]

    def _each(self) -> Iterator[tuple[str, int, NDArray[np.float64]]]:
        for video, seconds in self.people.items():
            for second, boxes in seconds.items():
                yield video, second, boxes


@dataclass(frozen=True, eq=False)
class RecipeKeyframes:
    """The data of a recipe.

    Attributes:
        train: To learn from.
        sources: Frames or videos of these by name.
        validation: To evaluate with during training; None: nothing is.
    """

    train: AvaKeyframes
    sources: Sources
    validation: ScoredKeyframes | None


def read_recipe_keyframes(recipe: Recipe) -> RecipeKeyframes:
    """Read what a recipe names. No video is opened.

    Raises:
        ConfigError: It does not name boxes, or where frames are; or the network has fewer classes.
        InputError: A list, a file of boxes or a label map is wrong, or nothing is left of it.
    """
    section = recipe.data
    if not section.boxes_train:
        raise ConfigError("data.boxes_train: name the files of true boxes to learn from, as AVA has them")
    if not section.videos and not section.train:
        raise ConfigError(
            "data.videos: name the folder of videos or of frames, and in data.train the lists of frames if "
            "there are any"
        )
    label_map, sources = _label_map(recipe), _sources(recipe, section.train)
    keyframes = read_ava_training(
        section.boxes_train,
        section.predicted_boxes_train,
        label_map=label_map,
        least_score=section.least_box_score,
        excluded=section.excluded or None,
        available=sources,
    )
    wanted = recipe.model.num_classes
    if wanted is not None and wanted < len(keyframes.classes):
        raise ConfigError(
            f"model.num_classes: {wanted}, and the label map has {len(keyframes.classes)} actions; leave it "
            "out with none"
        )
    return RecipeKeyframes(
        keyframes, training_sources(sources, keyframes), _validation(recipe, label_map, sources)
    )


def read_test_keyframes(recipe: Recipe) -> ScoredKeyframes:
    """All key frames that the recipe's true boxes for tests name. No video is opened.

    Frames are those of `data.test`, else of `data.validation`, else of `data.train`. Seconds of videos that
    are not there stay: their people are missed, as in every test on AVA.

    Raises:
        ConfigError: It names no true boxes, or none of them counts, or nobody is to be scored.
        InputError: A list, a file of boxes or a label map is wrong.
    """
    section = recipe.data
    if section.kind != "ava" or not section.boxes_test:
        raise ConfigError(
            f"data.boxes_test: {recipe.name} names no true boxes of key frames to measure a network on"
        )
    sources = _sources(recipe, section.test or section.validation or section.train)
    return _scored_keyframes(recipe, _label_map(recipe), sources)


def _label_map(recipe: Recipe) -> LabelMap:
    return read_label_map(recipe.data.labels) if recipe.data.labels else built_in_label_map()


def _sources(recipe: Recipe, lists: Sequence[str]) -> Sources:
    section = recipe.data
    return ava_sources(
        lists, section.videos or ".", begins_at_s=section.begins_at_s, fps=section.frames_per_second
    )


def _validation(recipe: Recipe, label_map: LabelMap, sources: Sources) -> ScoredKeyframes | None:
    """Of videos that are there, the seconds that count during training."""
    if not recipe.data.boxes_test:
        return None
    if recipe.data.validation:
        sources = _sources(recipe, recipe.data.validation)
    return _scored_keyframes(recipe, label_map, sources, during_training=True)


def _scored_keyframes(
    recipe: Recipe, label_map: LabelMap, sources: Sources, *, during_training: bool = False
) -> ScoredKeyframes:
    section, every = recipe.data, recipe.evaluation.keyframes_every if during_training else 1
    truth = read_truth(section.boxes_test, label_map)
    excluded = read_exclusions(section.excluded) if section.excluded else frozenset()
    least = section.least_box_score
    read = [read_people(path, min_score=least) for path in section.predicted_boxes_test]
    predicted = joined_rows(read) if read else None
    sources, notes, which = training_sources(sources, truth), truth.notes, "counts"
    if during_training:
        notes = tuple(missing_notes([name for name in truth.videos if name not in sources]))
        which = "of videos that are there"
        truth = _evaluated(truth, sources, every)
        predicted = None if predicted is None else _evaluated(predicted, sources, every)
    people = people_to_score(truth, predicted, excluded=excluded)
    found = ScoredKeyframes(people, truth, label_map, excluded, sources, notes)
    try:
        found.frame_map({})
    except InputError as error:
        seconds = f" at seconds that {every} divides (evaluation.keyframes_every)" if every > 1 else ""
        raise ConfigError(f"data.boxes_test: no true box {which}{seconds}") from error
    if not people:
        raise ConfigError(
            f"data.predicted_boxes_test: no box with a score of {least:g} or more (data.least_box_score) is "
            "in the videos of data.boxes_test"
        )
    return found


def _evaluated(rows: BoxRows, sources: Sources, every: int) -> BoxRows:
    is_there = np.asarray([name in sources for name in rows.videos], dtype=bool)
    return rows.where(is_there[rows.video] & (rows.second % every == 0))


class KeyframeData(TrainingBatches):
    """The batches of a run on key frames.

    Args:
        recipe: Settings.
        keyframes: `read_recipe_keyframes` of it.
        spec: Input of the network, with the recipe's frames.
        schedule: Phases.
        process, processes, on_gpu: See `TrainingBatches`.
    """

    def __init__(
        self,
        recipe: Recipe,
        keyframes: RecipeKeyframes,
        spec: InputSpec,
        schedule: MultigridSchedule,
        *,
        process: int = 0,
        processes: int = 1,
        on_gpu: bool = False,
    ) -> None:
        self._keyframes = train = keyframes.train
        self.evaluated = keyframes.validation
        pixels = ClipPixels.of(recipe.clip, recipe.augmentation, crop_px=schedule.crop_px)
        read = partial(keyframe_frames, keyframes.sources)
        super().__init__(
            recipe,
            spec,
            schedule,
            KeyframeDataset(train, read, pixels, spec.sampling_rate, recipe.run.seed),
            pixels,
            num_clips=len(train),
            classes=train.classes,
            is_multi_label=True,
            collate=collate_keyframe_samples,
            process=process,
            processes=processes,
            on_gpu=on_gpu,
        )
        if process == 0:
            of_validation = () if self.evaluated is None else self.evaluated.notes
            for note in (*train.notes, *(f"validation: {note}" for note in of_validation)):
                logger.warning("%s", note)

    def name_of(self, index: int) -> str:
        keyframe = self._keyframes[index]
        return f"{shown(keyframe.video)} at {keyframe.second} s"

    def validation_frame(self, number: int) -> Frames | None:
        """The (H, W, 3) key frame of that number of the evaluation; None: it cannot be read."""
        assert self.evaluated is not None
        keyframe = self.evaluated.keyframes()[number]
        try:
            (frame,) = keyframe_frames(self.evaluated.sources, keyframe, num_frames=1, sampling_rate=1)
        except INPUT_FAILURES:
            return None
        return np.asarray(frame, dtype=np.uint8)

    def validation(self) -> Iterator[KeyframeClips]:
        """Clips around the key frames of this process, in batches of one size of pictures."""
        if self.evaluated is None:
            return
        keyframes = self.evaluated.keyframes()
        parts = self._of_process(len(keyframes))
        if not parts:
            return
        dataset = WholeKeyframes(
            keyframes,
            partial(keyframe_frames, self.evaluated.sources),
            self._spec.num_frames,
            self._spec.sampling_rate,
            short_side_px=self._recipe.evaluation.crop_px or self._spec.crop_px,
        )
        named: set[str] = set()
        for batches in self._make_loader(dataset, parts, collate_by_size):
            for batch in batches:
                for reason in (clip.reason for clip in batch.broken):
                    if reason not in named:
                        named.add(reason)
                        logger.warning("validation: %s", reason)
                if len(batch.indices):
                    yield batch
