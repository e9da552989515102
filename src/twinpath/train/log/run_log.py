"""What happens in a run, to the loggers that its recipe names.

    log = RunLog(recipe, folder)
    objective = ClassificationObjective(recipe, data, on_scores=log.on_scores)
    log.begin(data, network, device)
    TrainingLoop(…, on_step=log.on_step, on_epoch=log.on_epoch).run(resume=True)
    log.close()

It is of the first process alone, draws no random number and changes nothing of the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from twinpath.render.clip_rows import captioned
from twinpath.train.log.evaluated import (
    ValidationScores,
    class_groups,
    confusion_pictures,
    prediction_pictures,
    wrong_clips,
)
from twinpath.train.log.layers import (
    activation_film,
    activations,
    shown_layers,
    weight_picture,
    weights_of,
)
from twinpath.train.log.loggers import RunLogger, begin_services, check_loggers, local_loggers
from twinpath.train.log.metrics_file import MetricsFile, RowPlace
from twinpath.train.log.wrong_keyframes import KeyframeScores, wrong_keyframes
from twinpath.train.loop.batches import TrainingBatches
from twinpath.train.loop.data import RecipeData
from twinpath.train.loop.figures import EpochResult, StepFigures
from twinpath.train.loop.keyframes import KeyframeData
from twinpath.train.recipe import Recipe, to_toml

_MOST_CLASSES = 50  # with a picture of their predictions, where the recipe names none


class RunLog:
    """Writes figures and pictures of a run.

    Args:
        recipe: Settings.
        folder: Of the run.
    Raises:
        MissingExtra: What a logger needs is not installed.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        check_loggers(recipe.log)
        self._recipe, self._section, self._folder = recipe, recipe.log, folder
        self._file: MetricsFile | None = None
        self._loggers: list[RunLogger] = []
        self._behind: RowPlace | None = None  # services have what is up to here
        self._scores: ValidationScores | None = None
        self._keyframe_scores: KeyframeScores = {}
        self._data: RecipeData | None = None
        self._keyframes: KeyframeData | None = None
        self._layers: dict[str, nn.Module] = {}
        self._groups: dict[str, tuple[int, ...]] = {}

    def begin(
        self, data: TrainingBatches, network: nn.Module, device: torch.device, *, is_first: bool = True
    ) -> None:
        """Before the first step.

        Args:
            data: Of the run.
            network: That is kept in the end.
            device: Where it is.
            is_first: Whether this is the first process, which alone writes.
        Raises:
            ConfigError: A class or a layer that the recipe names does not exist.
            UsageError: A service cannot begin, for example without a login.
        """
        self._data = data if isinstance(data, RecipeData) else None  # others give no scores of clips
        self._keyframes = data if isinstance(data, KeyframeData) else None
        self._network, self._device = network, device
        self._layers = shown_layers(network, self._section.layers)
        if self._section.classes or self._section.parents:
            self._groups = class_groups(data.labels, self._section.classes, self._section.parents)
        if is_first:
            self._loggers = begin_services(
                self._section, self._folder, name=self._recipe.name, recipe=to_toml(self._recipe)
            )

    def on_step(self, step: StepFigures) -> None:
        """A step was made."""
        place = RowPlace(step.total, is_epoch=False)
        self._open(place)
        if step.total % self._section.every_steps:
            return
        values = {
            "train/loss": step.loss,
            "train/learning_rate": step.learning_rate,
            "train/gradient_norm": step.gradient_norm,
            "train/waited_s": step.waited_s,
            "train/step_s": step.took_s,
        }
        self._add(place, step.epoch + step.step / step.steps, values)

    def on_scores(self, scores: ValidationScores) -> None:
        """An evaluation was made; its epoch comes next."""
        self._scores = scores

    def on_keyframe_scores(self, scores: KeyframeScores) -> None:
        """The same of key frames."""
        self._keyframe_scores = scores

    def on_epoch(self, result: EpochResult) -> None:
        """An epoch is done."""
        place = RowPlace(result.total, is_epoch=True)
        self._open(place)
        values = {
            "epoch/train_loss": result.train_loss,
            "epoch/waited_share": result.waited_share,
            "epoch/took_s": result.took_s,
            "epoch/broken_clips": float(result.broken),
            **{f"validation/{name}": value for name, value in result.figures.items()},
        }
        self._add(place, result.epoch + 1, values)
        scores, self._scores = self._scores, None
        of_keyframes, self._keyframe_scores = self._keyframe_scores, {}
        loggers = self._new(place)
        if result.figures and loggers:
            show = _Show(loggers, result.total)
            if scores is not None:
                self._show_scores(show, scores)
            if of_keyframes and "wrong_clips" in self._section.show:
                self._show_keyframes(show, of_keyframes)
            self._show_layers(show, scores)
        for each in self._loggers:
            each.flush()

    def close(self) -> None:
        """The run is over, or stopped."""
        for each in self._loggers:
            each.close()

    def _open(self, place: RowPlace) -> None:
        """With the first thing that happens: rows from there on are of an earlier process."""
        if self._file is not None:
            return
        self._file = MetricsFile(self._folder)
        self._behind = self._file.last
        self._file.cut(place)
        if self._behind is not None and self._behind < place:
            self._behind = None
        self._loggers += local_loggers(
            self._section, self._folder, recipe=to_toml(self._recipe), first_step=place.step
        )

    def _new(self, place: RowPlace) -> list[RunLogger]:
        """The loggers that do not have what is at a place."""
        known = self._behind is not None and place <= self._behind
        return [each for each in self._loggers if not (known and each.keeps_all)]

    def _add(self, place: RowPlace, epoch: float, values: Mapping[str, float]) -> None:
        assert self._file is not None
        self._file.append(place, epoch, {name.replace("/", "_"): value for name, value in values.items()})
        for each in self._new(place):
            each.figures({"epoch": epoch, **values}, place.step)

    def _show_scores(self, show: _Show, scores: ValidationScores) -> None:
        assert self._data is not None
        labels, section = self._data.labels, self._section
        named = self._groups.get("named", ())
        if not scores.is_multi_label:
            confusion = scores.confusion
            if "confusion" in section.show:
                for name, image in confusion_pictures(labels, confusion, self._groups):
                    show.picture(name, image)
            if "predictions" in section.show:
                bars = prediction_pictures(
                    labels, confusion, only=named, top_k=section.top_k, most=_MOST_CLASSES
                )
                for name, image in bars:
                    show.picture(name, image)
        if "wrong_clips" in section.show:
            clips = self._data.validation_clips
            wrong = wrong_clips(labels, scores, clips, only=named, most=section.most_clips)
            for number, clip in enumerate(wrong, start=1):
                view = self._data.validation_view(clip.clip_index)
                if len(view.frames):
                    film = captioned(view.frames[0].numpy(), clip.truth, clip.answer)
                    show.film(f"wrong_clips/{number}", film)

    def _show_keyframes(self, show: _Show, scores: KeyframeScores) -> None:
        data = self._keyframes
        assert data is not None
        assert data.evaluated is not None
        only = {data.labels[i] for i in self._groups.get("named", ())}
        wrong = wrong_keyframes(data.evaluated, scores, only=only, most=self._section.most_clips)
        for number, one in enumerate(wrong, start=1):
            frame = data.validation_frame(one.number)
            if frame is not None:
                show.picture(f"wrong_clips/{number}", one.picture(frame))

    def _show_layers(self, show: _Show, scores: ValidationScores | None) -> None:
        section = self._section
        if "weights" in section.show:
            for name, values in self._network.named_parameters():
                show.histogram(f"weights/{name}", values.detach().float().cpu().numpy())
            for name, layer in self._layers.items():
                weight = weights_of(layer)
                if weight is not None:
                    show.picture(f"layers/{name}/weight", Image.fromarray(weight_picture(weight)))
        if "activations" not in section.show or scores is None:
            return
        assert self._data is not None
        view = self._data.validation_view(scores.indices[0])
        if not len(view.frames):
            return
        show.film("layers/clip", captioned(view.frames[0].numpy(), "the clip of these activations"))
        clip = self._data.to_clips.to(self._device)(view._replace(frames=view.frames.to(self._device)))
        for name, found in activations(self._network, self._layers, clip).items():
            show.histogram(f"activations/{name}", found)
            show.film(f"layers/{name}/activation", activation_film(found))


class _Show:
    """Pictures of one step to several loggers.

    Args:
        loggers: To give them to.
        step: Of the run.
    """

    def __init__(self, loggers: list[RunLogger], step: int) -> None:
        self._loggers, self._step = loggers, step

    def picture(self, name: str, picture: Image.Image) -> None:
        for each in self._loggers:
            each.picture(name, picture, self._step)

    def film(self, name: str, frames: np.ndarray) -> None:
        for each in self._loggers:
            each.film(name, frames, self._step)

    def histogram(self, name: str, values: np.ndarray) -> None:
        flat = values[np.isfinite(values)].ravel()
        if flat.size:
            for each in self._loggers:
                each.histogram(name, flat, self._step)
