"""From frames as they come out of a video to the clip that a network takes.

One small module in front of every network, exported with it, so that each backend takes uint8 frames of any
size and none has a preprocessing of its own. What depends on the frame's size is computed outside, as arrays
(`resample.py`), and is given beside the frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from twinpath.models.input_spec import InputSpec
from twinpath.models.resample import CropPlan, crop_corners, crop_plan, scaled_size


class Preprocess(nn.Module):
    """Resize the short side, crop, scale to 0..1, normalise.

    Args:
        short_side: Length of the shorter side after resizing, in pixels.
        crop: Side of the square crop in pixels, at most `short_side`; None: whole frames.
        mean, std: Of each channel, for values in 0 to 1.
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
        crop: int | None,
        mean: Sequence[float],
        std: Sequence[float],
        num_crops: int = 1,
        resize: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        if num_crops not in (1, 3):
            raise ValueError(f"1 or 3 spatial crops, not {num_crops}")
        self.short_side, self.crop, self.num_crops, self.resize = short_side, crop, num_crops, resize
        self.scale: Tensor
        self.shift: Tensor
        # (x / 255 - mean) / std in one step
        self.register_buffer("scale", 1 / (255 * torch.tensor(std)), persistent=False)
        self.register_buffer("shift", -torch.tensor(mean) / torch.tensor(std), persistent=False)

    @classmethod
    def of(cls, spec: InputSpec, *, num_crops: int = 1, whole: bool = False) -> Preprocess:
        """For a network's input.

        Args:
            spec: The input.
            num_crops: See `Preprocess`.
            whole: Whole resized frames in place of crops, as detection networks take them.
        """
        return cls(
            short_side=spec.short_side_px,
            crop=None if whole else spec.crop_px,
            mean=spec.mean,
            std=spec.std,
            num_crops=num_crops,
            resize=spec.resize_px,
        )

    def corners(self, height: int, width: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
        """(scaled height, scaled width) and the (top, left) of each crop."""
        if self.crop is None:
            return scaled_size(height, width, short_side=self.short_side), [(0, 0)]
        return crop_corners(
            height,
            width,
            short_side=self.short_side,
            crop=self.crop,
            num_crops=self.num_crops,
            resize=self.resize,
        )

    def plan(self, height: int, width: int) -> CropPlan:
        """How the crops are made of frames of one size."""
        return crop_plan(
            height,
            width,
            short_side=self.short_side,
            crop=self.crop,
            num_crops=self.num_crops,
            resize=self.resize,
        )

    def forward(self, frames_NTHWC: Tensor) -> Tensor:
        """Frames (N, T, H, W, 3) uint8, RGB, to clips (N * num_crops, 3, T, crop, crop) float32.

        The crops of one video follow each other. Without a crop: (N, 3, T, height, width), resized.
        """
        plan = self.plan(frames_NTHWC.shape[2], frames_NTHWC.shape[3])
        return self.crops(frames_NTHWC, *(torch.from_numpy(a).to(frames_NTHWC.device) for a in plan.arrays()))

    def crops(
        self,
        frames_NTHWC: Tensor,
        row_first: Tensor,
        row_second: Tensor,
        row_weight: Tensor,
        column_first: Tensor,
        column_second: Tensor,
        column_weight: Tensor,
    ) -> Tensor:
        """As `forward`, with a plan's arrays, (num_crops, crop) each: what is exported."""
        clips = []
        for k in range(self.num_crops):
            x = _interpolated(frames_NTHWC, 2, row_first[k], row_second[k], row_weight[k].view(-1, 1, 1))
            x = _interpolated(x, 3, column_first[k], column_second[k], column_weight[k].view(-1, 1))
            clips.append((x * self.scale + self.shift).permute(0, 4, 1, 2, 3))
        return torch.stack(clips, dim=1).flatten(0, 1).contiguous()


def _interpolated(x: Tensor, dim: int, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Weighted means of pairs of rows, or of columns; float32."""
    a, b = x.index_select(dim, first).float(), x.index_select(dim, second).float()
    return a + (b - a) * weight
