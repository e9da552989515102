"""From frames as they come out of a video to the clip that a network takes.

`Resize` of `video.resize` makes the frames small, outside of the network, for every engine. `Normalise` is in
front of every network and exported with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from twinpath.models.input_spec import InputSpec
from twinpath.video.resize import Resize


class Normalise(nn.Module):
    """RGB frames with values 0 to 255 to a clip: scaled to 0..1, normalised, channels first.

    Args:
        mean, std: Of each channel, for values in 0 to 1.
    """

    def __init__(self, *, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.scale: Tensor
        self.shift: Tensor
        # (x / 255 - mean) / std in one step
        self.register_buffer("scale", 1 / (255 * torch.tensor(std)), persistent=False)
        self.register_buffer("shift", -torch.tensor(mean) / torch.tensor(std), persistent=False)

    def forward(self, frames_NTHWC: Tensor) -> Tensor:
        """Frames (N, T, H, W, 3) to clips (N, 3, T, H, W) float32."""
        return (frames_NTHWC * self.scale + self.shift).permute(0, 4, 1, 2, 3)


class Preprocess(nn.Module):
    """Resize, crop, scale to 0..1, normalise.

    Args:
        resize: Size and crops.
        mean, std: Of each channel, for values in 0 to 1.
    Source: PyTorchVideo's tutorials and torchvision's presets for one crop (bilinear, no antialias, centre
        rounded half to even); PySlowFast's `uniform_crop` for three (centre rounded up).
    """

    def __init__(self, resize: Resize, *, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.resize = resize
        self.normalise = Normalise(mean=mean, std=std)

    @classmethod
    def of(cls, spec: InputSpec, *, num_crops: int = 1, whole: bool = False) -> Preprocess:
        """For a network's input.

        Args:
            spec: The input.
            num_crops: See `Resize`.
            whole: Whole resized frames in place of crops, as detection networks take them.
        """
        return cls(spec.resize(num_crops=num_crops, whole=whole), mean=spec.mean, std=spec.std)

    def forward(self, frames_NTHWC: Tensor) -> Tensor:
        """Frames (N, T, H, W, 3) uint8, RGB, to clips (N * num_crops, 3, T, crop, crop) float32.

        The crops of one video follow each other. Without a crop: (N, 3, T, height, width), resized.
        """
        resized = [self.resize.of_clip(frames).pixels for frames in frames_NTHWC.cpu().numpy()]
        crops_NKTHWC = torch.from_numpy(np.stack(resized)).to(self.normalise.scale.device).transpose(1, 2)
        normalised: Tensor = self.normalise(crops_NKTHWC.flatten(0, 1))
        return normalised.contiguous()
