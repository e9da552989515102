"""X3D: a tiny image network expanded step by step, in time, resolution, depth and width.

The network is narrow. The only dense convolutions are 1x1x1; larger kernels are depthwise, and every second
block weighs its channels by squeeze and excitation. There is no stride in time. PyTorchVideo's
Efficient-X3D for mobile CPUs is the same network under other names, with a head that pools the whole map.
Sources: Feichtenhofer 2020, X3D: Expanding Architectures for Efficient Video Recognition
(arXiv:2004.04730), table 1; Hu et al. 2018, Squeeze-and-Excitation Networks (arXiv:1709.01507).

    clip (B, 3, T, H, W)
      stem   T, H/2,  W/2      24 channels   conv 3x3 / 2, then depthwise over 5 frames
      res2   T, H/4,  W/4      24
      res3   T, H/8,  W/8      48
      res4   T, H/16, W/16     96
      res5   T, H/32, W/32    192
      head   conv 432, average pool, conv 2048, dropout, projection
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.models.layers.head import Head, HeadConfig, sliding_mean
from twinpath.models.layers.resnet import initialise
from twinpath.models.network import VideoNetwork

# What the factors of width and depth expand.
BASE_WIDTHS = (12, 12, 24, 48, 96)  # channels out of the stem and of res2 to res5
BASE_DEPTHS = (1, 2, 5, 3)  # blocks of res2 to res5
EMBEDDING = 2048
SQUEEZE = 1 / 16  # width of a squeeze, over its block's inner width


def rounded_width(channels: float) -> int:
    """The multiple of 8 nearest to a width, at least 8 and never more than a tenth below it."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


class X3DStem(nn.Module):
    """Convolution (1, 3, 3) over space, depthwise (5, 1, 1) over time, batch norm, ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_xy = nn.Conv3d(3, width, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1), bias=False)
        self.conv_t = nn.Conv3d(width, width, (5, 1, 1), padding=(2, 0, 0), groups=width, bias=False)
        self.bn = nn.BatchNorm3d(width)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv_t(self.conv_xy(x_BCTHW))), inplace=True)


class SqueezeExcitation(nn.Module):
    """Multiplies each channel by a weight of 0 to 1 that depends on the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = rounded_width(channels * SQUEEZE)
        self.reduce = nn.Conv3d(channels, width, 1)
        self.expand = nn.Conv3d(width, channels, 1)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        mean_BC111 = x_BCTHW.mean(dim=(2, 3, 4), keepdim=True)
        weight_BC111: Tensor = self.expand(F.relu(self.reduce(mean_BC111))).sigmoid()
        return x_BCTHW * weight_BC111


class InvertedBottleneck(nn.Module):
    """Residual block: 1x1x1 widens, a depthwise 3x3x3, 1x1x1 narrows.

    Args:
        channels_in, channels_out: Of the block.
        width: Inner width.
        stride: In space. A block that strides or changes the channels has a shortcut with a convolution.
        squeeze: Whether squeeze and excitation follows the 3x3x3 convolution.
        shortcut_norm: Whether the shortcut's convolution has a batch norm.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        width: int,
        stride: int,
        squeeze: bool,
        shortcut_norm: bool,
    ) -> None:
        super().__init__()
        strides = (1, stride, stride)
        self.conv_a = nn.Conv3d(channels_in, width, 1, bias=False)
        self.bn_a = nn.BatchNorm3d(width)
        self.conv_b = nn.Conv3d(width, width, 3, stride=strides, padding=1, groups=width, bias=False)
        self.bn_b = nn.BatchNorm3d(width)
        self.se = SqueezeExcitation(width) if squeeze else nn.Identity()
        self.conv_c = nn.Conv3d(width, channels_out, 1, bias=False)
        self.bn_c = nn.BatchNorm3d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out or stride != 1:
            self.shortcut = nn.Sequential()
            conv = nn.Conv3d(channels_in, channels_out, 1, stride=strides, bias=False)
            self.shortcut.add_module("conv", conv)
            if shortcut_norm:
                self.shortcut.add_module("bn", nn.BatchNorm3d(channels_out))

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        y = F.relu(self.bn_a(self.conv_a(x_BCTHW)), inplace=True)
        y = F.silu(self.se(self.bn_b(self.conv_b(y))))
        y = self.bn_c(self.conv_c(y))
        return F.relu(y + self.shortcut(x_BCTHW), inplace=True)


class X3DHead(Head):
    """Widens twice, once before and once after the pool, and classifies every position.

    Args:
        channels: Of the last map.
        width: Channels that are pooled.
        num_classes, dropout, head_config: See `Head`.
        window: (t, h, w) of the pooling window at the training size; it slides by 1 on a larger map and
            shrinks to a smaller one.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        num_classes: int,
        *,
        window: tuple[int, int, int],
        dropout: float,
        head_config: HeadConfig,
    ) -> None:
        super().__init__(EMBEDDING, num_classes, dropout=dropout, head_config=head_config)
        self.window = window
        self.conv = nn.Conv3d(channels, width, 1, bias=False)
        self.bn = nn.BatchNorm3d(width)
        self.embedding = nn.Conv3d(width, EMBEDDING, 1, bias=False)

    def pooled(self, features: Sequence[Tensor]) -> Tensor:
        """(B, C, T, H, W), alone in its tuple, to (B, P, D)."""
        (x_BCTHW,) = features
        x = F.relu(self.bn(self.conv(x_BCTHW)), inplace=True)
        x = sliding_mean(x, self.window, whole=self.head_config.pooling == "whole")
        return F.relu(self.embedding(x), inplace=True).flatten(2).transpose(1, 2)


class X3D(VideoNetwork):
    """Stem, res2 to res5, head. Three factors determine width and depth.

    Args:
        num_classes: Logits.
        num_frames: T of a training clip; sets the temporal pooling window.
        crop: Side of a training clip in pixels; sets the spatial pooling window, ceil(crop / 32).
        width: Multiplies the channels of `BASE_WIDTHS`.
        depth: Multiplies the blocks of `BASE_DEPTHS`, rounded up.
        bottleneck: Inner width of a block over its channels.
        res2_shortcut_norm: Whether the shortcut of res2's first block, which strides but keeps its
            channels, has a batch norm. PyTorchVideo's X3D has none there; every other one does.
        dropout, head_config: See `Head`.
    Raises:
        ValueError: A factor is not positive, or the clip has no frames or pixels.
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        num_frames: int = 16,
        crop: int = 224,
        width: float = 2.0,
        depth: float = 2.2,
        bottleneck: float = 2.25,
        res2_shortcut_norm: bool = True,
        dropout: float = 0.5,
        head_config: HeadConfig = HeadConfig(),
    ) -> None:
        super().__init__()
        if min(width, depth, bottleneck) <= 0:
            raise ValueError(f"X3D's factors are above 0, not {width=}, {depth=}, {bottleneck=}")
        if min(num_frames, crop) < 1:
            raise ValueError(f"a clip has at least one frame and one pixel, not {num_frames=}, {crop=}")
        channels = [rounded_width(c * width) for c in BASE_WIDTHS]
        self.stem = X3DStem(channels[0])
        self.res2, self.res3, self.res4, self.res5 = (
            _stage(
                channels[i],
                channels[i + 1],
                width=int(bottleneck * channels[i + 1]),
                num_blocks=math.ceil(depth * BASE_DEPTHS[i]),
                shortcut_norm=res2_shortcut_norm or channels[i] != channels[i + 1],
            )
            for i in range(4)
        )
        self.head = X3DHead(
            channels[-1],
            int(bottleneck * channels[-1]),
            num_classes,
            window=(num_frames, math.ceil(crop / 32), math.ceil(crop / 32)),
            dropout=dropout,
            head_config=head_config,
        )
        initialise(self)
        _silence_residuals(self)

    def forward_features(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to the map of the last stage (B, C, T, H/32, W/32), in a tuple of one."""
        x: Tensor = self.stem(clip)
        for stage in (self.res2, self.res3, self.res4, self.res5):
            x = stage(x)
        return (x,)


def _stage(
    channels_in: int, channels_out: int, *, width: int, num_blocks: int, shortcut_norm: bool
) -> nn.Sequential:
    """One of res2 to res5: the first block strides; the first and every second after it squeeze."""
    return nn.Sequential(
        *(
            InvertedBottleneck(
                channels_in if i == 0 else channels_out,
                channels_out,
                width=width,
                stride=2 if i == 0 else 1,
                squeeze=i % 2 == 0,
                shortcut_norm=shortcut_norm,
            )
            for i in range(num_blocks)
        )
    )


def _silence_residuals(model: X3D) -> None:
    """Zero the last scale of each residual branch, as `layers.resnet.initialise` does for ResNets."""
    for module in model.modules():
        if isinstance(module, InvertedBottleneck):
            nn.init.zeros_(module.bn_c.weight)
