"""Colours of a clip, all frames alike: jitter, grey, blur, lighting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional

from twinpath.train.sections import AugmentationSection

#: Of the colours of ImageNet, RGB: shares of the deviation, and the axes in columns. Source: PySlowFast,
#: DATA.TRAIN_PCA_EIGVAL and TRAIN_PCA_EIGVEC.
EIGENVALUES = (0.225, 0.224, 0.229)
EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))

_BLUR_SIGMA_PX = (0.1, 2.0)


@dataclass(frozen=True)
class ColorChanges:
    """Changes of colours: jitter, then grey, then blur, each as often as wanted.

    Attributes:
        brightness, contrast, saturation: Factors are drawn from 1 - value to 1 + value, at least 0.
        hue: The hue turns by up to this share of a circle.
        probability: Of the jitter.
        grayscale: How often a clip is grey.
        blur: How often a clip is blurred. Better than the reference: frame by frame, where it blurs a tall
            picture of all frames, in which their borders mix.
    Source: PySlowFast, `color_jitter_video_ssl`; SimCLR and MoCo v2.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    probability: float = 1.0
    grayscale: float = 0.0
    blur: float = 0.0

    @classmethod
    def of(cls, section: AugmentationSection) -> ColorChanges:
        """Of a recipe."""
        return cls(
            section.brightness,
            section.contrast,
            section.saturation,
            section.hue,
            section.color_probability,
            section.grayscale,
            section.blur,
        )

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        jitters = any((self.brightness, self.contrast, self.saturation, self.hue)) and self.probability > 0
        return jitters or self.grayscale > 0 or self.blur > 0

    def __call__(self, frames_THWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Frames (T, H, W, 3) uint8 to the same, changed."""
        # All frames one below the other: the contrast is about the grey of the whole clip.
        frames, height, width, _ = frames_THWC.shape
        tall = torch.from_numpy(frames_THWC).reshape(frames * height, width, 3).permute(2, 0, 1)
        if rng.random() < self.probability:
            tall = self._jittered(tall, rng)
        if rng.random() < self.grayscale:
            tall = functional.rgb_to_grayscale(tall, num_output_channels=3)
        changed = tall.permute(1, 2, 0).reshape(frames, height, width, 3)
        if rng.random() < self.blur:
            changed = _blurred(changed, rng.uniform(*_BLUR_SIGMA_PX))
        return np.ascontiguousarray(changed.numpy())

    def _jittered(self, tall_CHW: Tensor, rng: np.random.Generator) -> Tensor:
        """The four changes in random order."""
        changes: list[tuple[Any, float]] = [
            (functional.adjust_brightness, self.brightness),
            (functional.adjust_contrast, self.contrast),
            (functional.adjust_saturation, self.saturation),
            (functional.adjust_hue, self.hue),
        ]
        for i in rng.permutation(len(changes)).tolist():
            adjust, strength = changes[i]
            if strength:
                middle = 0.0 if adjust is functional.adjust_hue else 1.0
                value = rng.uniform(middle - strength, middle + strength)
                tall_CHW = adjust(tall_CHW, value if middle == 0.0 else max(value, 0.0))
        return tall_CHW


def _blurred(frames_THWC: Tensor, sigma_px: float) -> Tensor:
    """Each frame for itself."""
    size = 2 * math.ceil(3 * sigma_px) + 1
    _, height, width, _ = frames_THWC.shape
    size = min(size, 2 * (min(height, width) - 1) + 1)  # the border is a mirror
    blurred: Tensor = functional.gaussian_blur(frames_THWC.permute(0, 3, 1, 2), [size, size], [sigma_px] * 2)
    return blurred.permute(0, 2, 3, 1)


def lighting_shift(deviation: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(3,) what is added to red, green and blue of a clip, of values 0 to 1: a random step along the axes of
    natural colours, in units of their own deviations.

    Source: AlexNet; PySlowFast, `lighting_jitter`.
    """
    if not deviation:
        return np.zeros(3, dtype=np.float32)
    steps = rng.normal(0.0, deviation, size=3) * np.array(EIGENVALUES)
    shift: NDArray[np.float32] = (np.array(EIGENVECTORS) @ steps).astype(np.float32)
    return shift
