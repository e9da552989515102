"""MixUp and CutMix of a batch, soft targets, and what goes with them. One draw for a batch.

    mix = ClipMix(recipe.mix, num_classes=400)
    clips, targets = mix(clips, targets, rng)
    loss = soft_cross_entropy(model(clips), targets)

Better than the reference: the whole clip is mixed before it is split into pathways, so all of them show what
the targets say. There only the slow pathway is mixed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from twinpath.errors import ConfigError, UsageError
from twinpath.train.sections import MixSection


@dataclass(frozen=True)
class ClipMix:
    """Mixes each clip of a batch with the one that mirrors it in the batch.

    Attributes:
        section: Of a recipe.
        num_classes: C.
    Source: PySlowFast, datasets/mixup.py; arXiv:1710.09412, arXiv:1905.04899.
    """

    section: MixSection
    num_classes: int

    @classmethod
    def of(cls, section: MixSection, *, num_classes: int, is_multi_label: bool) -> ClipMix:
        """Of a recipe and its data.

        Raises:
            ConfigError: Several labels a clip: mixing and smoothing are for one.
        """
        mix = cls(section, num_classes)
        if is_multi_label and mix.is_needed:
            raise ConfigError("mix is for data with one label a clip; remove the section")
        return mix

    @property
    def mixes(self) -> bool:
        """Whether batches are mixed at all."""
        section = self.section
        return section.probability > 0 and (section.mixup_alpha > 0 or section.cutmix_alpha > 0)

    @property
    def is_needed(self) -> bool:
        """Whether it changes clips or targets."""
        return self.mixes or self.section.label_smoothing > 0

    def __call__(self, clips: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Mix a batch.

        Args:
            clips: (B, …, H, W), float.
            targets: (B, C) float, 1 for the one class of each clip.
            rng: Random numbers.
        Returns:
            The mixed clips, and (B, C) soft targets. The clips given are not changed.
        Raises:
            UsageError: A batch of one clip, or targets of another number of classes.
        """
        if targets.shape[-1] != self.num_classes:
            raise UsageError(f"targets of {targets.shape[-1]} classes for a network of {self.num_classes}")
        smooth = smoothed(targets, self.section.label_smoothing)
        if not self.mixes:
            return clips, smooth
        if len(clips) < 2:
            raise UsageError("a batch of one clip cannot be mixed; raise run.batch_size to 2 at least")
        share, is_cut = self._draw(rng)
        if share == 1.0:
            return clips, smooth
        if is_cut:
            clips, share = _cut(clips, share, rng)
        else:
            clips = clips.flip(0).lerp_(clips, share)
        return clips, smooth.flip(0).lerp(smooth, share)

    def _draw(self, rng: np.random.Generator) -> tuple[float, bool]:
        """The share of each clip itself, and whether it is CutMix."""
        section = self.section
        if rng.random() >= section.probability:
            return 1.0, False
        is_cut = section.cutmix_alpha > 0
        if section.mixup_alpha > 0 and section.cutmix_alpha > 0:
            is_cut = bool(rng.random() < section.cutmix_share)
        alpha = section.cutmix_alpha if is_cut else section.mixup_alpha
        return float(rng.beta(alpha, alpha)), is_cut


def _cut(clips: Tensor, share: float, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Paste a rectangle of the mirrored clips; the share that is left of each clip's own."""
    height, width = clips.shape[-2:]
    sides = [int(side * math.sqrt(1.0 - share)) for side in (height, width)]
    centres = [int(rng.integers(0, side)) for side in (height, width)]
    (top, bottom), (left, right) = (
        (max(centre - side // 2, 0), min(centre + side // 2, whole))
        for centre, side, whole in zip(centres, sides, (height, width), strict=True)
    )
    mixed = clips.clone()
    mixed[..., top:bottom, left:right] = clips.flip(0)[..., top:bottom, left:right]
    return mixed, 1.0 - (bottom - top) * (right - left) / (height * width)


def smoothed(targets: Tensor, smoothing: float) -> Tensor:
    """(B, C) targets of one class a clip: s / C for the others, 1 - s + s / C for it."""
    return targets * (1.0 - smoothing) + smoothing / targets.shape[-1] if smoothing else targets


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over clips of -sum(target * log-softmax); targets are not normalised.

    Args:
        logits, targets: (B, C).
    """
    return F.cross_entropy(logits, targets)


def scores_for_accuracy(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """What an accuracy in training is counted from, with soft targets.

    The class with the largest target is right; a network that names the second one is right, too: its score
    counts for the first.

    Args:
        scores, targets: (B, C).
    Returns:
        (B, C) scores and (B,) the right classes.
    Source: PySlowFast, tools/train_net.py.
    """
    if targets.shape[-1] < 2:
        return scores, targets.argmax(-1)
    first, second = targets.topk(2, dim=-1).indices.unbind(-1)
    counted = scores.detach().clone()
    second_scores = counted.gather(-1, second[:, None])
    counted.scatter_add_(-1, first[:, None], second_scores)
    counted.scatter_(-1, second[:, None], 0.0)
    return counted, first
