"""S3D: an Inception network whose 3D convolutions are separated into space, then time.

Source: Xie et al. 2018, Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in Video
Classification (arXiv:1712.04851), figure 4; its ancestor is Szegedy et al. 2015, Going Deeper with
Convolutions (arXiv:1409.4842), table 1.

    clip (B, 3, T, H, W)
      stem     T/2, H/4,  W/4      separable 7x7x7 / 2, max pool
      stage2   T/2, H/8,  W/8      1x1x1, separable 3x3x3, max pool
      stage3   T/2, H/8,  W/8      2 Inception blocks
      stage4   T/4, H/16, W/16     max pool, 5 Inception blocks
      stage5   T/8, H/32, W/32     max pool, 2 Inception blocks
      head     average in a window 2x7x7, dropout, projection, average of the windows
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.models.layers.head import HeadConfig, PooledHead
from twinpath.models.layers.resnet import initialise
from twinpath.models.network import VideoNetwork

WINDOW = (2, 7, 7)  # of the head, at every clip length and crop


class Widths(NamedTuple):
    """Channels of an Inception block: inside and out of each branch."""

    pointwise: int
    wide_in: int
    wide: int
    narrow_in: int
    narrow: int
    pooled: int

    @property
    def out(self) -> int:
        return self.pointwise + self.wide + self.narrow + self.pooled


STAGES = (
    (Widths(64, 96, 128, 16, 32, 32), Widths(128, 128, 192, 32, 96, 64)),
    (
        Widths(192, 96, 208, 16, 48, 64),
        Widths(160, 112, 224, 24, 64, 64),
        Widths(128, 128, 256, 24, 64, 64),
        Widths(112, 144, 288, 32, 64, 64),
        Widths(256, 160, 320, 32, 128, 128),
    ),
    (Widths(256, 160, 320, 32, 128, 128), Widths(384, 192, 384, 48, 128, 128)),
)


class Unit(nn.Module):
    """Convolution, batch norm, ReLU. The norm has the eps and the momentum of TensorFlow's."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: tuple[int, int, int] = (1, 1, 1),
        stride: tuple[int, int, int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        t, h, w = (k // 2 for k in kernel)
        self.conv = nn.Conv3d(channels_in, channels_out, kernel, stride=stride, padding=(t, h, w), bias=False)
        self.bn = nn.BatchNorm3d(channels_out, eps=1e-3, momentum=1e-3)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x_BCTHW)), inplace=True)


class Separable(nn.Module):
    """A unit over space, then one over time, each with the stride along its own axes."""

    def __init__(self, channels_in: int, channels_out: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.spatial = Unit(channels_in, channels_out, (1, kernel, kernel), (1, stride, stride))
        self.temporal = Unit(channels_out, channels_out, (kernel, 1, 1), (stride, 1, 1))

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        x: Tensor = self.temporal(self.spatial(x_BCTHW))
        return x


class Inception(nn.Module):
    """Four branches, concatenated: a 1x1x1 convolution, two separable convolutions, a max pool."""

    def __init__(self, channels_in: int, widths: Widths) -> None:
        super().__init__()
        self.pointwise = Unit(channels_in, widths.pointwise)
        self.wide_in = Unit(channels_in, widths.wide_in)
        self.wide = Separable(widths.wide_in, widths.wide)
        self.narrow_in = Unit(channels_in, widths.narrow_in)
        self.narrow = Separable(widths.narrow_in, widths.narrow)
        self.pooled = Unit(channels_in, widths.pooled)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        branches = [
            self.pointwise(x_BCTHW),
            self.wide(self.wide_in(x_BCTHW)),
            self.narrow(self.narrow_in(x_BCTHW)),
            self.pooled(F.max_pool3d(x_BCTHW, 3, stride=1, padding=1)),
        ]
        return torch.cat(branches, dim=1)


def _stage(channels_in: int, blocks: tuple[Widths, ...]) -> nn.Sequential:
    arriving = [channels_in, *(widths.out for widths in blocks[:-1])]
    return nn.Sequential(*(Inception(c, widths) for c, widths in zip(arriving, blocks, strict=True)))


class S3D(VideoNetwork):
    """Stem, four stages, head. A clip needs at least 5 frames and 17 pixels each way.

    The head's window is the same for every clip: `num_frames` and `crop` have no effect.

    Args:
        num_classes: Logits.
        num_frames: T of a training clip.
        crop: Side of a training clip in pixels.
        dropout, head_config: See `PooledHead`.
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        num_frames: int = 128,
        crop: int = 224,
        dropout: float = 0.2,
        head_config: HeadConfig = HeadConfig(),
    ) -> None:
        super().__init__()
        self.stem = Separable(3, 64, kernel=7, stride=2)
        self.stage2 = nn.Sequential()
        self.stage2.add_module("point", Unit(64, 64))
        self.stage2.add_module("separable", Separable(64, 192))
        widths = [blocks[-1].out for blocks in STAGES]
        stages = [_stage(c, blocks) for c, blocks in zip((192, *widths[:2]), STAGES, strict=True)]
        self.stage3, self.stage4, self.stage5 = stages
        self.head = PooledHead(
            [widths[-1]], num_classes, windows=[WINDOW], dropout=dropout, head_config=head_config
        )
        initialise(self)

    def forward_features(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to the map of stage5, (B, 1024, T/8, H/32, W/32), in a tuple of one."""
        x = _shrink_space(self.stem(clip))
        x = _shrink_space(self.stage2(x))
        x = self.stage3(x)
        x = self.stage4(F.max_pool3d(x, 3, stride=2, padding=1))
        x = self.stage5(F.max_pool3d(x, 2, stride=2))
        return (x,)


def _shrink_space(x_BCTHW: Tensor) -> Tensor:
    return F.max_pool3d(x_BCTHW, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
