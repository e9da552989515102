"""What a network learns from a batch, and how right it is: the part of a training that differs between
classification, detection and masked pre-training. The loop does the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.models.network import VideoNetwork
from twinpath.train.augment.mix import ClipMix, soft_cross_entropy
from twinpath.train.log.evaluated import ValidationScores
from twinpath.train.loop.evaluation import evaluate
from twinpath.train.recipe import Recipe

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from twinpath.train.clips.batch import ClipBatch
    from twinpath.train.loop.data import RecipeData


class Objective(Protocol):
    """What the loop asks for. A batch is what the data of the run yields."""

    def clips_of(self, batch: Any) -> ClipBatch:
        """The clips of a batch: frames, indices, and what could not be read."""

    def forward(self, network: nn.Module, clips: Tensor) -> None:
        """Run all that has batch norms on clips, for their statistics."""

    def loss(self, module: nn.Module, clips: Tensor, batch: Any, rng: np.random.Generator) -> Tensor:
        """The loss of a batch.

        Args:
            module: The network, as the processes share it.
            clips: (B, 3, T, H, W) float32, normalised, on the device; the first B of the batch.
            batch: On any device.
            rng: Of this step and process.
        """

    def figures(self, network: nn.Module, data: Any, fabric: Fabric) -> dict[str, float]:
        """Figures of the validation data by name; the same in all processes. Empty: there is none."""


class ClassificationObjective:
    """Classes of clips, one or several of each, with MixUp and CutMix.

    Args:
        recipe: Settings.
        data: Of the run.
        on_scores: Called in the first process with the scores of each evaluation.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: RecipeData,
        *,
        on_scores: Callable[[ValidationScores], None] = lambda _: None,
    ) -> None:
        self._on_scores = on_scores
        self._is_binary = recipe.loss.kind == "binary"
        self._mix = ClipMix.of(recipe.mix, num_classes=data.num_classes, is_multi_label=data.is_multi_label)

    def clips_of(self, batch: ClipBatch) -> ClipBatch:
        return batch

    def forward(self, network: nn.Module, clips: Tensor) -> None:
        network(clips)

    def loss(self, module: nn.Module, clips: Tensor, batch: ClipBatch, rng: np.random.Generator) -> Tensor:
        targets = batch.targets[: len(clips)].to(clips.device)
        if self._mix.is_needed:
            clips, targets = self._mix(clips, targets, rng)
        logits = module(clips.contiguous(memory_format=torch.channels_last_3d)).float()
        if self._is_binary:
            return F.binary_cross_entropy_with_logits(logits, targets)
        return soft_cross_entropy(logits, targets)

    def figures(self, network: nn.Module, data: RecipeData, fabric: Fabric) -> dict[str, float]:
        assert isinstance(network, VideoNetwork)
        return evaluate(network, data, fabric, self._on_scores)
