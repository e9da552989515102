"""Augmentation of clips for few data: torchvision's transforms, one draw for all frames of a clip.

    frames_THWC = Augmentation(crop_px=96, flip=True)(frames_THWC, seed=stream_seed(seed, epoch, number))

Every random number follows from the seed given, so it is equal in any process and after a resumption.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import v2

GREY = 114  # the mean of the networks' input, 0.45, as a byte: what is erased or comes in from outside


def stream_seed(*numbers: int) -> int:
    """A seed for the random numbers that belong to these: a run's seed, an epoch, a sample …"""
    low, high = np.random.SeedSequence(numbers).generate_state(2).tolist()
    return int(low) | int(high) << 32


@dataclass(frozen=True)
class Augmentation:
    """What is done to a clip in training.

    Attributes:
        crop_px: Side of the square clips.
        smallest_area: A crop has this share of the picture's area at least; sides up to 3 : 4.
        flip: Whether every second clip is mirrored.
        color: Strength of changes of brightness, contrast and saturation; 0: none.
        randaugment: Magnitude, 0 to 30, of two random operations of RandAugment; 0: none.
        erasing: How often a rectangle is made grey, 0 to 1.
    """

    crop_px: int
    smallest_area: float = 0.5
    flip: bool = True
    color: float = 0.4
    randaugment: int = 0
    erasing: float = 0.0

    @cached_property
    def _transform(self) -> v2.Transform:
        steps: list[v2.Transform] = []
        if self.randaugment:
            steps.append(
                v2.RandAugment(
                    num_ops=2,
                    magnitude=self.randaugment,
                    interpolation=v2.InterpolationMode.BILINEAR,
                    fill=GREY,
                )
            )
        steps.append(v2.RandomResizedCrop(self.crop_px, scale=(self.smallest_area, 1.0), antialias=True))
        if self.flip:
            steps.append(v2.RandomHorizontalFlip())
        if self.color:
            # Not the hue: it costs as much as all the rest, and actions have no colour.
            jitter = v2.ColorJitter(brightness=self.color, contrast=self.color, saturation=self.color)
            steps.append(v2.RandomApply([jitter], p=0.8))
        if self.erasing:
            steps.append(v2.RandomErasing(p=self.erasing, scale=(0.02, 0.25), value=GREY))
        return v2.Compose(steps)

    def __call__(self, frames_THWC: NDArray[np.uint8], *, seed: int) -> Tensor:
        """Frames (T, H, W, 3) to (T, crop, crop, 3) uint8."""
        frames_TCHW = torch.from_numpy(frames_THWC).permute(0, 3, 1, 2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            changed: Tensor = self._transform(frames_TCHW)
        return changed.permute(0, 2, 3, 1).contiguous()
