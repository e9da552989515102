"""The Explainer: why a model gave a label its score.

explain = Explainer("slowfast_r50_8x8")
result = explain("archery.mp4")
result.label, result.peak_s, result.maps["whole"]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from twinpath.data.labelled.clip import LabelledClip
from twinpath.engine.base import boxes_in_resized
from twinpath.engine.config import EngineConfig
from twinpath.engine.torch_engine import TorchEngine
from twinpath.errors import UsageError
from twinpath.explain.faithfulness import faithfulness
from twinpath.explain.seen import first_kernels, strongest_channels
from twinpath.explain.when import occlusion_losses, over_frames, without_pathway
from twinpath.explain.where import WHOLE, Map, class_maps
from twinpath.models.layers.positions import Grid
from twinpath.paths import display_path
from twinpath.recognize.labelled import LabelledReader
from twinpath.recognize.model import Task, load_model
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.results.explanation import Explanation, PersonAt
from twinpath.results.seen import FirstKernels, SeenClip
from twinpath.suggest import did_you_mean
from twinpath.video.clip_plan import Selections
from twinpath.video.clips import Clip
from twinpath.video.resize import ResizedFrames
from twinpath.video.sampling import keyframe_times
from twinpath.video.selection import AtTimes
from twinpath.video.source import DEFAULT_LIMITS, Limits
from twinpath.zoo.model_facts import facts_of_model

if TYPE_CHECKING:
    from twinpath.weights.callbacks import Progress


class Explainer:
    """Explains the scores of a model. Create one and call it many times. It needs torch.

    Args:
        model: A network or a record (`list_models`), or a model folder with weights.
        weights: A weight file that replaces the one of the record.
        config: Device and threads; the engine is torch, in fp32.
        limits, isolate, fps: See `VideoReader`.
        progress, on_status: See `load_model`.
    Attributes:
        model, labels, weights_sha256: See `LoadedModel`.
        reader: Reads the files.
    Raises:
        UnknownModel, UsageError, WeightsError: See `load_model`; or another engine is named.
    """

    def __init__(
        self,
        model: str,
        weights: str | os.PathLike[str] | None = None,
        *,
        config: EngineConfig = EngineConfig(),
        limits: Limits = DEFAULT_LIMITS,
        isolate: bool = False,
        fps: float | None = None,
        progress: Progress | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> None:
        if config.engine not in ("auto", "torch"):
            raise UsageError(
                f"explanations follow gradients, which {config.engine} has not; take engine 'torch'"
            )
        config = replace(config, engine="torch", precision="fp32")
        is_detector = facts_of_model(model, weights=weights).task == "detection"
        task: Task = "detection" if is_detector else "classification"
        loaded = load_model(model, weights, task=task, config=config, progress=progress, on_status=on_status)
        assert isinstance(loaded.engine, TorchEngine)
        self.model, self.labels, self._spec = loaded.name, loaded.labels, loaded.spec
        self.weights_sha256 = loaded.weights_sha256
        self._engine, self.reader = loaded.engine, VideoReader(limits, isolate, fps)
        self._network, self._is_detector = loaded.engine.network.requires_grad_(False), is_detector

    def describe(self) -> str:
        """Backend, version, device and precision, human-readable."""
        return self._engine.describe()

    def __call__(
        self,
        video: str | os.PathLike[str],
        *,
        label: str | None = None,
        start_s: float = 0.0,
        person: PersonAt | None = None,
        is_measured: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Explanation:
        """Explain the score of the clip that a classification with one view takes, or of a person.

        Args:
            video: A path.
            label: Whose score; None: the best one's.
            start_s: Skip this many seconds at the start of the file.
            person: Of detection models: who, and when; the clip is around that time.
            is_measured: Whether the faithfulness of the map is measured; it takes most of the time.
            progress: Called with the number of parts that are done, and of all.
        Raises:
            InputError, LimitExceeded, WorkerDied: The file cannot be used.
            UsageError: No such label, or a time lies behind the end; a detection model needs a person, others
                take none.
        """
        self._check(person)
        indices = None if label is None else [self._index(label)]
        clips, warnings = self._read(Path(video), start_s, None, person, 1)
        made = self._explained(clips[0], indices, video, person, progress or (lambda _done, _of: None))
        if not is_measured:
            return replace(made.explanations[0], warnings=warnings)
        return self._measured(replace(made.explanations[0], warnings=warnings), made)

    def labels_of(
        self,
        video: str | os.PathLike[str],
        labels: Sequence[str],
        *,
        start_s: float | None = None,
        end_s: float | None = None,
        person: PersonAt | None = None,
        num_clips: int = 1,
    ) -> tuple[Explanation, ...]:
        """Explain the scores of several labels in one clip; faithfulness is not measured.

        Args:
            video: A path; of a picture the clip in which nothing moves.
            labels: Whose scores, at least one.
            start_s, end_s: The span in seconds; None: from the first frame, to the last.
            person: Of detection models, see `__call__`; the span is that of their keyframe.
            num_clips: Clips in time over the span; the one in which the first label scores most is explained.
        Returns:
            An explanation for each label.
        Raises:
            InputError, LimitExceeded, WorkerDied, UsageError: See `__call__`.
        """
        self._check(person)
        indices = [self._index(label) for label in labels]
        clips, warnings = self._read(Path(video), start_s, end_s, person, num_clips)
        scored = [float(self._scored(clip, person)[0, indices[0]]) for clip in clips] if clips[1:] else [0.0]
        chosen = clips[int(np.argmax(scored))]
        made = self._explained(chosen, indices, video, person, lambda _done, _of: None)
        return tuple(replace(one, warnings=warnings) for one in made.explanations)

    def _check(self, person: PersonAt | None) -> None:
        """Raises: UsageError: A person is missing, or there is one too many."""
        if self._is_detector == (person is not None):
            return
        needs = (
            "scores people: name a time and a box" if self._is_detector else "scores whole clips, no boxes"
        )
        raise UsageError(f"{self.model} {needs}")

    def _explained(
        self,
        found: Clip,
        indices: list[int] | None,
        video: str | os.PathLike[str],
        person: PersonAt | None,
        report: Callable[[int, int], None],
    ) -> _Made:
        """Where, when and which pathway, for each label; None: for the best one."""
        clip, box = self._normalised(found), self._box(found, person)
        scores = self.scores(clip, box)[0]
        best = int(scores.argmax())
        targets = indices or [best]

        def logits(clips: Tensor) -> Tensor:
            with torch.no_grad():
                return self._logits(clips, box)[:, targets].float()

        def maps_of(target: int) -> dict[str, Map]:
            return class_maps(self._network, clip, lambda clips: self._logits(clips, box)[0, target])

        report(1, 4)
        size: Grid = (clip.shape[2], clip.shape[3], clip.shape[4])
        maps = [maps_of(target) for target in targets]
        report(2, 4)
        losses = over_frames(occlusion_losses(clip, logits), size[0])
        without = without_pathway(self._network, clip, lambda part: self.scores(part, box)[:, targets])
        report(3, 4)
        explanations = [
            Explanation(
                os.fspath(video),
                self.model,
                self.labels[target],
                float(scores[target]),
                self.labels[best],
                float(scores[best]),
                np.asarray(found.times_s, dtype=np.float64),
                maps[i],
                losses[:, i],
                {name: float(values[i]) for name, values in without.items()},
                None,
                self._crop(found),
                None if person is None else person.box_xyxy_px,
                _shares(found, person),
            )
            for i, target in enumerate(targets)
        ]
        return _Made(tuple(explanations), clip, logits, report)

    def _measured(self, explanation: Explanation, made: _Made) -> Explanation:
        """With the faithfulness of its map."""
        found = faithfulness(explanation.maps[WHOLE], made.clip, lambda clips: made.logits(clips)[:, 0])
        made.report(4, 4)
        warnings = explanation.warnings
        if not found.beats_random:
            warnings += ("the map does not mark what the network uses better than a random one does",)
        return replace(explanation, faithfulness=found, warnings=warnings)

    def clip(self, video: str | os.PathLike[str], *, start_s: float = 0.0) -> Tensor:
        """(1, 3, T, H, W) the clip that is explained, normalised, on the device. Raises as `__call__`."""
        return self._normalised(self._read(Path(video), start_s, None, None, 1)[0][0])

    def seen(
        self,
        video: str | os.PathLike[str],
        *,
        start_s: float = 0.0,
        person: PersonAt | None = None,
        most: int = 3,
    ) -> SeenClip:
        """What each stage makes of the clip that is explained: the channels that differ most over it.

        Args:
            video, start_s, person: See `__call__`.
            most: Channels of each stage.
        Raises:
            InputError, LimitExceeded, WorkerDied, UsageError: See `__call__`.
        """
        self._check(person)
        found = self._read(Path(video), start_s, None, person, 1)[0][0]
        clip, box = self._normalised(found), self._box(found, person)
        stages = strongest_channels(self._network, lambda: self._logits(clip, box), most=most)
        assert isinstance(found.frames, ResizedFrames)
        frames = np.clip(np.round(found.frames.pixels[:, 0]), 0, 255).astype(np.uint8)
        return SeenClip(frames, stages)

    def kernels(self) -> tuple[FirstKernels, ...]:
        """The kernels with which each pathway begins."""
        return first_kernels(self._network)

    def scores(self, clips: Tensor, box: Tensor | None = None) -> Tensor:
        """(N, classes) of (N, 3, T, H, W) normalised clips; of detection models for one box (4,) in each."""
        with torch.no_grad():
            return self._network.scores(clips, *_boxes(clips, box)).float()

    def _logits(self, clips: Tensor, box: Tensor | None) -> Tensor:
        logits: Tensor = self._network(clips, *_boxes(clips, box))
        return logits

    def _index(self, label: str) -> int:
        try:
            return self.labels.index(label)
        except ValueError:
            hint = did_you_mean(label, self.labels)
            raise UsageError(f"{self.model} has no label {label!r}{hint}") from None

    def _scored(self, clip: Clip, person: PersonAt | None) -> Tensor:
        return self.scores(self._normalised(clip), self._box(clip, person))

    def _read(
        self, path: Path, start_s: float | None, end_s: float | None, person: PersonAt | None, num_clips: int
    ) -> tuple[list[Clip], tuple[str, ...]]:
        """Clips in time over a span, or the one around the time of a person, resized."""
        if person is None:
            views = LabelledReader(self.reader, self._spec, Views(1, num_clips))
            opened = views.open(LabelledClip(path, (), start_s, end_s))
        else:
            times_s = keyframe_times(
                person.at_s, num_frames=self._spec.num_frames, sampling_rate=self._spec.sampling_rate
            )
            last_s = float(self.reader.frame_times(path)[-1])
            if not 0 <= person.at_s <= last_s + 1:
                raise UsageError(
                    f"{display_path(path)}: the last frame is at {last_s:.2f} s, not {person.at_s:g} s"
                )
            plan = Selections((AtTimes(tuple(np.clip(times_s, 0, last_s).tolist())),))
            opened = self.reader.open(path, plan, self._engine.resize)
        with opened as source:
            clips = list(source)
        return clips, tuple(source.warnings)

    def _normalised(self, clip: Clip) -> Tensor:
        """(1, 3, T, H, W) on the device."""
        assert isinstance(clip.frames, ResizedFrames)
        pixels = torch.from_numpy(clip.frames.pixels[:, 0]).to(self._engine.device)
        normalised: Tensor = self._engine.normalise(pixels[None]).contiguous()
        return normalised

    def _box(self, clip: Clip, person: PersonAt | None) -> Tensor | None:
        """(4,) in pixels of the resized frames, on the device."""
        if person is None:
            return None
        assert isinstance(clip.frames, ResizedFrames)
        boxes = np.array([person.box_xyxy_px], dtype=np.float32)
        return torch.from_numpy(boxes_in_resized(clip.frames, boxes, self._engine.resize)[0]).to(
            self._engine.device
        )

    def _crop(self, clip: Clip) -> tuple[float, float, float, float]:
        """Of the picture, as shares."""
        frames = clip.frames
        assert isinstance(frames, ResizedFrames)
        if self._is_detector:  # sees whole pictures
            return (0.0, 0.0, 1.0, 1.0)
        return crop_shares(self._spec.short_side_px, frames.pixels.shape[2:4], self._spec.resize_px, frames)


class _Made(NamedTuple):
    """Explanations of labels, and what measures them: the clip, and their logits."""

    explanations: tuple[Explanation, ...]
    clip: Tensor
    logits: Callable[[Tensor], Tensor]
    report: Callable[[int, int], None]


def _shares(clip: Clip, person: PersonAt | None) -> tuple[float, float, float, float] | None:
    """A box in shares of the picture's width and height."""
    if person is None:
        return None
    assert isinstance(clip.frames, ResizedFrames)
    x1, y1, x2, y2 = person.box_xyxy_px
    width, height = clip.frames.width_px, clip.frames.height_px
    return (x1 / width, y1 / height, x2 / width, y2 / height)


def _boxes(clips: Tensor, box: Tensor | None) -> tuple[Tensor, ...]:
    """The same box in each clip, as a detection network takes them; nothing for others."""
    if box is None:
        return ()
    numbers = torch.arange(len(clips), device=clips.device, dtype=box.dtype)
    return (torch.cat([numbers[:, None], box.expand(len(clips), 4)], dim=1),)


def crop_shares(
    short_side_px: int,
    crop: Sequence[int],
    resize_px: tuple[int, int] | None,
    frames: ResizedFrames,
) -> tuple[float, float, float, float]:
    """(top, left, height, width) of the centre crop (h, w) of resized pictures, as shares of them."""
    height, width = frames.height_px, frames.width_px
    scale = short_side_px / min(height, width)
    resized = resize_px or (round(height * scale), round(width * scale))
    shares = [crop[i] / resized[i] for i in (0, 1)]
    return ((1 - shares[0]) / 2, (1 - shares[1]) / 2, shares[0], shares[1])
