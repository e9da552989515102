"""From frames as they come out of a video to the clip that a network takes.

One small module in front of every network, so that each machine that runs networks takes uint8 frames
of any size and none of them has a preprocessing of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.video.sampling import spatial_crops


class Preprocess(nn.Module):
    """Scale to 0..1, resize the short side, crop, normalise.

    Args:
        short_side: Length of the shorter side after resizing, in pixels.
        crop: Side of the square crop in pixels, at most `short_side`.
        mean: Of each channel, of 1.
        std: Of each channel, of 1.
        num_crops: 1 takes the centre; 3 takes left, centre and right (or top, centre, bottom).
        resize: (height, width) in pixels to which frames are resized in place of the short side,
            whatever their proportions.
    Source: PyTorchVideo's tutorials and torchvision's presets for one crop (bilinear, no antialias, centre
        rounded half to even); PySlowFast's `uniform_crop` for three (centre rounded up).
    """

    def __init__(
        self,
        *,
        short_side: int,
        crop: int,
        mean: Sequence[float],
        std: Sequence[float],
        num_crops: int = 1,
        resize: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        if num_crops not in (1, 3):
            raise ValueError(f"1 or 3 spatial crops, not {num_crops}")
        self.short_side, self.crop, self.num_crops, self.resize = short_side, crop, num_crops, resize
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def corners(self, height: int, width: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
        """(scaled height, scaled width) and the (top, left) of each crop."""
        if self.resize is not None:
            height, width = self.resize
        short_side = self.short_side if self.resize is None else min(self.resize)
        scaled, three = spatial_crops(height, width, short_side=short_side, crop=self.crop)
        if self.num_crops == 3:
            return scaled, list(three)
        return scaled, [(round((scaled[0] - self.crop) / 2), round((scaled[1] - self.crop) / 2))]

    def forward(self, frames_NTHWC: Tensor) -> Tensor:
        """Frames (N, T, H, W, 3) uint8, RGB, to clips (N * num_crops, 3, T, crop, crop) float32.

        The crops of one video follow each other.
        """
        n, t, h, w, _ = frames_NTHWC.shape
        (scaled_h, scaled_w), corners = self.corners(h, w)
        x = frames_NTHWC.reshape(n * t, h, w, 3).permute(0, 3, 1, 2).float() / 255
        if (h, w) != (scaled_h, scaled_w):
            x = F.interpolate(x, size=(scaled_h, scaled_w), mode="bilinear", align_corners=False)
        clips = []
        for top, left in corners:
            cut = (x[..., top : top + self.crop, left : left + self.crop] - self.mean) / self.std
            clips.append(cut.view(n, t, 3, self.crop, self.crop).transpose(1, 2))
        return torch.stack(clips, dim=1).flatten(0, 1).contiguous()
