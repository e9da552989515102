"""The 18-layer video ResNets R3D, MC3 and R(2+1)D: one skeleton, three ways to convolve.

R3D has 3D convolutions everywhere. MC3, mixed convolutions, has 2D ones after res2. R(2+1)D convolves over
space, then over time, with a norm and a ReLU between, and has as many parameters as R3D.
Source: Tran et al. 2018, A Closer Look at Spatiotemporal Convolutions for Action Recognition
(arXiv:1711.11248), table 1 and section 3.5; widths as in torchvision's weights.

    clip (B, 3, T, H, W)     R3D, R(2+1)D         MC3
      stem   conv 7x7 / 2    T,   H/2,  W/2       T, H/2,  W/2
      res2                   T,   H/2,  W/2       T, H/2,  W/2
      res3                   T/2, H/4,  W/4       T, H/4,  W/4
      res4                   T/4, H/8,  W/8       T, H/8,  W/8
      res5                   T/8, H/16, W/16      T, H/16, W/16
      head   average of the whole map, dropout, projection
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.models.layers.head import HeadConfig, PooledHead
from twinpath.models.layers.resnet import initialise
from twinpath.models.network import VideoNetwork

Convolution = Literal["3d", "2d", "2+1d"]
CONVOLUTIONS: tuple[Convolution, ...] = ("3d", "2d", "2+1d")

STEM_MIDDLE = 45  # channels between space and time in the stem of R(2+1)D; as published, not `middle_width`


class SpaceThenTime(nn.Module):
    """(1, k, k), batch norm, ReLU, (3, 1, 1): a 3D convolution in two steps."""

    def __init__(
        self, channels_in: int, channels_out: int, *, middle: int, kernel: int, stride: tuple[int, int, int]
    ) -> None:
        super().__init__()
        t, h, w = stride
        self.spatial = nn.Conv3d(
            channels_in,
            middle,
            (1, kernel, kernel),
            stride=(1, h, w),
            padding=(0, kernel // 2, kernel // 2),
            bias=False,
        )
        self.bn = nn.BatchNorm3d(middle)
        self.temporal = nn.Conv3d(
            middle, channels_out, (3, 1, 1), stride=(t, 1, 1), padding=(1, 0, 0), bias=False
        )

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        x: Tensor = self.temporal(F.relu(self.bn(self.spatial(x_BCTHW)), inplace=True))
        return x


def convolve(
    how: Convolution,
    channels_in: int,
    channels_out: int,
    *,
    middle: int,
    kernel: int = 3,
    stride: tuple[int, int, int] = (1, 1, 1),
) -> nn.Module:
    """One convolution of `kernel` x `kernel` pixels and, unless it is 2D, 3 frames.

    Args:
        how: "3d", "2d" or "2+1d".
        channels_in, channels_out: Channels.
        middle: Channels between the two steps of "2+1d".
        kernel: Side in pixels, odd.
        stride: (t, h, w).
    """
    if how == "2+1d":
        return SpaceThenTime(channels_in, channels_out, middle=middle, kernel=kernel, stride=stride)
    k = 3 if how == "3d" else 1
    size, padding = (k, kernel, kernel), (k // 2, kernel // 2, kernel // 2)
    return nn.Conv3d(channels_in, channels_out, size, stride=stride, padding=padding, bias=False)


def middle_width(channels_in: int, channels_out: int) -> int:
    """Channels between space and time with which "2+1d" has the parameters of "3d": section 3.5."""
    return 27 * channels_in * channels_out // (9 * channels_in + 3 * channels_out)


class ResNet18Stem(nn.Module):
    """Convolution 7x7 with stride 2, batch norm, ReLU; no max pool."""

    def __init__(self, how: Convolution, width: int) -> None:
        super().__init__()
        self.conv = convolve(how, 3, width, middle=STEM_MIDDLE, kernel=7, stride=(1, 2, 2))
        self.bn = nn.BatchNorm3d(width)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x_BCTHW)), inplace=True)


class BasicBlock(nn.Module):
    """Residual block of two convolutions; both have the middle width that fits the first.

    "2d" does not stride in time, the others stride in space and time alike.
    """

    def __init__(self, how: Convolution, channels_in: int, width: int, *, stride: int) -> None:
        super().__init__()
        middle = middle_width(channels_in, width)
        strides = (1 if how == "2d" else stride, stride, stride)
        self.conv_a = convolve(how, channels_in, width, middle=middle, stride=strides)
        self.bn_a = nn.BatchNorm3d(width)
        self.conv_b = convolve(how, width, width, middle=middle)
        self.bn_b = nn.BatchNorm3d(width)
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != width or stride != 1:
            self.shortcut = nn.Sequential()
            self.shortcut.add_module("conv", nn.Conv3d(channels_in, width, 1, stride=strides, bias=False))
            self.shortcut.add_module("bn", nn.BatchNorm3d(width))

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        y = F.relu(self.bn_a(self.conv_a(x_BCTHW)), inplace=True)
        y = self.bn_b(self.conv_b(y))
        return F.relu(y + self.shortcut(x_BCTHW), inplace=True)


class ResNet18(VideoNetwork):
    """Stem, four stages of two blocks, head.

    The head averages the whole map, whatever its size, as torchvision's does: `num_frames` and `crop` have no
    effect, except that clips that are too short are refused.

    Args:
        num_classes: Logits.
        num_frames: T of a training clip.
        convolutions: How the stem and res2 to res5 convolve.
        width: Channels of the stem and of res2.
        crop: Side of a training clip in pixels.
        dropout, head_config: See `PooledHead`; the pooling is always "whole".
    Raises:
        ValueError: `convolutions` are not five known ones, or the clip is too small.
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        num_frames: int = 16,
        convolutions: Sequence[Convolution] = ("3d",) * 5,
        width: int = 64,
        crop: int = 112,
        dropout: float = 0.0,
        head_config: HeadConfig = HeadConfig(),
    ) -> None:
        super().__init__()
        if len(convolutions) != 5 or not set(convolutions) <= set(CONVOLUTIONS):
            known = ", ".join(CONVOLUTIONS)
            raise ValueError(f"stem and res2 to res5 need five convolutions of {known}, not {convolutions}")
        how_stem, *how_stages = convolutions
        self.stem = ResNet18Stem(how_stem, width)
        widths = [width * 2**i for i in range(4)]
        arriving = [width, *widths[:3]]
        stages = [
            nn.Sequential(
                BasicBlock(how, arriving[i], widths[i], stride=1 if i == 0 else 2),
                BasicBlock(how, widths[i], widths[i], stride=1),
            )
            for i, how in enumerate(how_stages)
        ]
        self.res2, self.res3, self.res4, self.res5 = stages
        shrinks = sum(how != "2d" for how in how_stages[1:])
        self.head = PooledHead(
            [widths[-1]],
            num_classes,
            windows=[(num_frames // 2**shrinks, crop // 16, crop // 16)],
            dropout=dropout,
            head_config=replace(head_config, pooling="whole"),
        )
        initialise(self)

    def forward_features(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to the map of res5, (B, 8 * width, T', H/16, W/16), in a tuple of one."""
        x: Tensor = self.stem(clip)
        for stage in (self.res2, self.res3, self.res4, self.res5):
            x = stage(x)
        return (x,)
