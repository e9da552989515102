"""Random erasing of clips: rectangles are drawn where clips are made, and filled where they are normalised.

Noise is drawn after the normalisation, and on the device: clips travel as bytes, and rectangles as numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twinpath.train.sections import AugmentationSection

Rectangles = NDArray[np.int64]  # (E, 4) top, left, height, width in pixels; none: zeros

_LEAST_AREA, _MOST_AREA = 0.02, 1 / 3  # shares of the frame, of all rectangles together
_LEAST_ASPECT = 0.3  # height over width, from this to its inverse
_TRIES = 100


@dataclass(frozen=True)
class Erasing:
    """Rectangles that are erased, the same in all frames of a clip.

    Attributes:
        probability: Of a clip.
        mode: "pixel": standard normal noise, new for each pixel and frame; "color": one colour a frame;
            "zero": the mean of the networks' input.
        most: Rectangles, 1 to this. Of several the first T / `most` frames stay clean, as in the reference.
    Source: Zhong et al. 2017, arXiv:1708.04896; PySlowFast, datasets/random_erasing.py.
    """

    probability: float = 0.0
    mode: Literal["pixel", "color", "zero"] = "pixel"
    most: int = 1

    @classmethod
    def of(cls, section: AugmentationSection) -> Erasing:
        """Of a recipe."""
        return cls(section.erasing, section.erasing_mode, section.erasing_count)

    def draw(self, height: int, width: int, rng: np.random.Generator) -> Rectangles:
        """(`most`, 4) the rectangles of a clip of frames of this size in pixels."""
        rectangles = np.zeros((self.most, 4), dtype=np.int64)
        if rng.random() >= self.probability:
            return rectangles
        count = int(rng.integers(1, self.most, endpoint=True))
        for rectangle in rectangles[:count]:
            for _ in range(_TRIES):
                area = rng.uniform(_LEAST_AREA, _MOST_AREA) * height * width / count
                log_aspect = rng.uniform(math.log(_LEAST_ASPECT), -math.log(_LEAST_ASPECT))
                h = round(math.sqrt(area * math.exp(log_aspect)))
                w = round(math.sqrt(area / math.exp(log_aspect)))
                if h < height and w < width:
                    top = int(rng.integers(0, height - h, endpoint=True))
                    rectangle[:] = (top, int(rng.integers(0, width - w, endpoint=True)), h, w)
                    break
        return rectangles

    def erase_(self, clips_BCTHW: Tensor, rectangles: Tensor, seeds: Tensor) -> Tensor:
        """Fill the rectangles of normalised clips, in place.

        Args:
            clips_BCTHW: (B, 3, T, H, W) float.
            rectangles: (B, E, 4) int64, see `draw`.
            seeds: (B,) int64, of the noise of each clip. It is the same on every device of one kind.
        Returns:
            The clips.
        """
        frames = clips_BCTHW.shape[2]
        first = frames // self.most if self.most > 1 else 0
        drawn = zip(clips_BCTHW, rectangles.tolist(), seeds.tolist(), strict=True)
        for clip, of_clip, seed in drawn:
            generator = torch.Generator(clip.device)
            generator.manual_seed(seed)
            for top, left, height, width in of_clip:
                if height and width:
                    part = clip[:, first:, top : top + height, left : left + width]
                    self._fill_(part, generator)
        return clips_BCTHW

    def _fill_(self, part_CTHW: Tensor, generator: torch.Generator) -> None:
        if self.mode == "zero":
            part_CTHW.zero_()
            return
        shape = part_CTHW.shape if self.mode == "pixel" else (*part_CTHW.shape[:2], 1, 1)
        noise = torch.randn(shape, generator=generator, device=part_CTHW.device, dtype=torch.float32)
        part_CTHW.copy_(noise.to(part_CTHW.dtype).expand_as(part_CTHW))
