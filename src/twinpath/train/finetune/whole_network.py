"""Method "full": the whole network learns from some clips, stops by others, is evaluated on the rest."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinpath.atomic import atomic_path
from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.data.labelled.split import hold_out
from twinpath.device import choose_device
from twinpath.engine.config import EngineConfig
from twinpath.errors import InputError
from twinpath.recognize.labelled import LabelledReader
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.train.finetune.learned import Learned, own_network
from twinpath.train.finetune.linear import best_temperature
from twinpath.train.finetune.parts import Parts, where
from twinpath.zoo.model_card import HeadKind
from twinpath.zoo.model_facts import ModelFacts

if TYPE_CHECKING:
    from twinpath.models.network import VideoNetwork
    from twinpath.train.finetune.full_module import EpochFigures

_VALIDATION = 0.15  # of the clips to learn from: they say which epoch is the best, and how sure scores are
_LEAST_SCORE = 1e-12
_LONG_S = 90.0  # from here on in minutes


@dataclass(frozen=True, kw_only=True)
class WholeNetwork:
    """How and where whole networks are trained.

    Attributes:
        facts: The model to start from.
        head: What the last layer sees.
        views: By which clips are scored.
        flip: Whether clips are mirrored in training.
        seed: Of every random choice.
        folder: For checkpoints and decoded frames; a run that was stopped goes on there.
        resume: Go on with what is there; False: start over.
        config: Device and threads.
        reader: Reads the files.
        progress: Show a bar of each training on stderr.
        on_status: Called with a sentence before each training.
    """

    facts: ModelFacts
    head: HeadKind
    views: str
    flip: bool
    seed: int
    folder: Path
    resume: bool
    config: EngineConfig
    reader: VideoReader
    progress: bool
    on_status: Callable[[str], None]

    def fit(self, parts: Parts, *, all_folds: bool) -> Learned:
        """Train, and score the clips that were not learned from.

        Args:
            parts: The clips.
            all_folds: Train once for each fold, and once more on all clips; False: train once, and keep what
                the first fold was evaluated with.
        Raises:
            See `train_full`.
        """
        if not self.resume:
            shutil.rmtree(self.folder, ignore_errors=True)
        scores = np.full(parts.targets.shape, np.nan, dtype=np.float32)
        if parts.given is not None or not all_folds:
            held_out = parts.given if parts.given is not None else parts.folds == 0
            network = self._trained(parts.data, ~held_out, "all")
            scores[held_out] = self._scores(network, where(parts.data.clips, held_out))
            return Learned(network, scores, self.head)
        numbers = np.unique(parts.folds[parts.folds >= 0])
        for fold in numbers:
            self.on_status(f"training without fold {fold + 1} of {len(numbers)} ...")
            held_out = parts.folds == fold
            kept = self.folder / f"fold{fold + 1}.npy"
            if not kept.exists():
                network = self._trained(parts.data, ~held_out, f"fold{fold + 1}")
                rows = self._scores(network, where(parts.data.clips, held_out))
                with atomic_path(kept) as temporary, temporary.open("wb") as file:
                    np.save(file, rows, allow_pickle=False)
            scores[held_out] = np.load(kept, allow_pickle=False)
        self.on_status("training on all clips ...")
        return Learned(self._trained(parts.data, np.ones(len(scores), dtype=bool), "all"), scores, self.head)

    def _trained(self, data: LabelledData, chosen: NDArray[np.bool_], name: str) -> VideoNetwork:
        """A network that has seen these clips only; a part of them decided when to stop."""
        from twinpath.train.finetune.full import train_full
        from twinpath.train.finetune.full_settings import FullSettings

        train, validation = _divided(replace(data, clips=where(data.clips, chosen)), self.seed)
        network = own_network(
            self.facts, len(data.classes), is_multi_label=data.is_multi_label, head=self.head
        )
        settings = FullSettings.chosen(
            len(train),
            network,
            str(choose_device(self.config.device)),
            flip=self.flip,
            validation_views=self.views,
            seed=self.seed,
        )
        result = train_full(
            network,
            self.facts.spec,
            train,
            validation,
            data.classes,
            is_multi_label=data.is_multi_label,
            settings=settings,
            folder=self.folder / name,
            resume=True,
            progress=self.progress,
            reader=self.reader,
            frames_folder=self.folder / "frames",
            on_epoch=_EpochReport(settings.epochs, self.on_status),
        )
        network.load_state_dict(result.state_dict)
        network = network.to("cpu").eval()
        self._calibrate(network, data, validation)
        return network

    def _calibrate(
        self, network: VideoNetwork, data: LabelledData, validation: Sequence[LabelledClip]
    ) -> None:
        """Divide logits by the temperature that fits the validation clips best."""
        if not validation:
            return
        import torch

        views = self._view_scores(network, validation)
        targets = np.zeros((len(validation), len(data.classes)), dtype=bool)
        for row, clip in zip(targets, validation, strict=True):
            row[list(data.class_indices(clip))] = True
        logits = np.log(np.clip(views, _LEAST_SCORE, 1))
        if data.is_multi_label:
            logits = logits - np.log(np.clip(1 - views, _LEAST_SCORE, 1))
        temperature = best_temperature(logits, targets, is_multi_label=data.is_multi_label)
        last = network.get_classifier()
        with torch.no_grad():
            last.weight.div_(temperature)
            last.bias.div_(temperature)

    def _scores(self, network: VideoNetwork, clips: Sequence[LabelledClip]) -> NDArray[np.float32]:
        """(N, C): the mean over views."""
        mean: NDArray[np.float32] = self._view_scores(network, clips).mean(axis=1).astype(np.float32)
        return mean

    def _view_scores(self, network: VideoNetwork, clips: Sequence[LabelledClip]) -> NDArray[np.float64]:
        """(N, V, C). Raises: InputError, …: a file that was read before cannot be read any more."""
        from twinpath.engine.torch_engine import TorchEngine

        views = Views.parse(self.views)
        engine = TorchEngine(network, self.facts.spec, num_crops=views.space, config=self.config)
        rows = []
        for scored in LabelledReader(self.reader, self.facts.spec, views).infer(engine, clips):
            if scored.error is not None:
                raise scored.error
            rows.append(np.concatenate(scored.scores))
        return np.stack(rows).astype(np.float64)


class _EpochReport:
    """Reports each epoch: how good the network is, and how long it still takes at most.

    Args:
        epochs: At most.
        on_status: Called with a sentence.
    """

    def __init__(self, epochs: int, on_status: Callable[[str], None]) -> None:
        self._epochs, self._on_status = epochs, on_status
        self._began_s, self._done = time.monotonic(), 0

    def __call__(self, figures: EpochFigures) -> None:
        self._done += 1
        epochs_left = self._epochs - figures.epoch - 1
        left_s = (time.monotonic() - self._began_s) / self._done * epochs_left
        right = "" if figures.validation_top1 is None else f", {figures.validation_top1:.0%} right"
        left_text = f"{left_s:.0f} s" if left_s < _LONG_S else f"{left_s / 60:.0f} min"
        left = f"; at most {left_text} left" if epochs_left else ""
        self._on_status(
            f"epoch {figures.epoch + 1} of at most {self._epochs}: loss {figures.train_loss:.3g}{right}{left}"
        )


def _divided(data: LabelledData, seed: int) -> tuple[list[LabelledClip], list[LabelledClip]]:
    """Clips to learn from, and to validate with; none of the latter where groups do not allow it."""
    try:
        parts = hold_out(data, _VALIDATION, seed)
    except InputError:
        return list(data.clips), []
    train = [clip for clip, part in zip(data.clips, parts, strict=True) if part == "train"]
    validation = [clip for clip, part in zip(data.clips, parts, strict=True) if part != "train"]
    return train, validation
