"""The parts of a 3D ResNet: stem, bottleneck, stage.

Shapes: B batch, C channels, T frames, H height, W width.
Source: He et al. 2016, Deep Residual Learning (arXiv:1512.03385); Feichtenhofer et al. 2019,
SlowFast Networks (arXiv:1812.03982), table 1. The stride sits on the 3x3 convolution, convolutions
have no bias, batch norm has eps 1e-5 and momentum 0.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EXPANSION = 4  # channels out of a bottleneck, over its inner width


class Stem(nn.Module):
    """Convolution (k, 7, 7), batch norm, ReLU, max pool: a quarter of the height and width."""

    def __init__(self, width: int, *, temporal_kernel: int) -> None:
        super().__init__()
        k = temporal_kernel
        self.conv = nn.Conv3d(3, width, (k, 7, 7), stride=(1, 2, 2), padding=(k // 2, 3, 3), bias=False)
        self.bn = nn.BatchNorm3d(width)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        x = F.relu(self.bn(self.conv(x_BCTHW)), inplace=True)
        return F.max_pool3d(x, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))


class Bottleneck(nn.Module):
    """Residual block: (k,1,1) narrows and looks in time, (1,3,3) looks in space, (1,1,1) widens."""

    def __init__(self, channels_in: int, width: int, *, stride: int, temporal_kernel: int) -> None:
        super().__init__()
        k, channels_out = temporal_kernel, width * EXPANSION
        self.conv_a = nn.Conv3d(channels_in, width, (k, 1, 1), padding=(k // 2, 0, 0), bias=False)
        self.bn_a = nn.BatchNorm3d(width)
        self.conv_b = nn.Conv3d(
            width, width, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False
        )
        self.bn_b = nn.BatchNorm3d(width)
        self.conv_c = nn.Conv3d(width, channels_out, 1, bias=False)
        self.bn_c = nn.BatchNorm3d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out or stride != 1:
            self.shortcut = nn.Sequential()
            self.shortcut.add_module(
                "conv", nn.Conv3d(channels_in, channels_out, 1, stride=(1, stride, stride), bias=False)
            )
            self.shortcut.add_module("bn", nn.BatchNorm3d(channels_out))

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        y = F.relu(self.bn_a(self.conv_a(x_BCTHW)), inplace=True)
        y = F.relu(self.bn_b(self.conv_b(y)), inplace=True)
        y = self.bn_c(self.conv_c(y))
        return F.relu(y + self.shortcut(x_BCTHW), inplace=True)


def stage(
    channels_in: int,
    width: int,
    *,
    num_blocks: int,
    num_temporal_blocks: int | None,
    temporal_kernel: int,
    stride: int,
) -> nn.Sequential:
    """One of res2 to res5: `num_blocks` bottlenecks, of which the first strides.

    Args:
        channels_in: Channels that come in, lateral ones included.
        width: Inner width of the bottlenecks; 4 times as many channels go out.
        num_blocks: Depth of the stage.
        num_temporal_blocks: Only so many blocks, from the first on, look in time; None: all.
            The networks called R101_50_50 look in time in as many blocks as an R50 has.
        temporal_kernel: Frames that a block which looks in time sees.
        stride: In space, of the first block.
    """
    looks = num_blocks if num_temporal_blocks is None else num_temporal_blocks
    return nn.Sequential(
        *(
            Bottleneck(
                channels_in if i == 0 else width * EXPANSION,
                width,
                stride=stride if i == 0 else 1,
                temporal_kernel=temporal_kernel if i < looks else 1,
            )
            for i in range(num_blocks)
        )
    )


def initialise(model: nn.Module) -> None:
    """Weights to start training from: He for convolutions, and residual branches that start as nothing.

    The zero scale at the end of each residual branch follows Goyal et al. 2017 (arXiv:1706.02677),
    as PySlowFast's recipes do.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm3d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn_c.weight)


def slow_frames(num_frames: int, alpha: int) -> Tensor:
    """Which frames of a clip the slow pathway sees: evenly from the first to the last, not by a stride.

    Args:
        num_frames: T, frames of the clip.
        alpha: The slow pathway sees one frame of `alpha`.
    Returns:
        (T // alpha,) int64 indices.
    Raises:
        ValueError: The clip has fewer than `alpha` frames.
    Source: PySlowFast and PyTorchVideo, PackPathway; golden/rules/slow_pathway.json.
    """
    if num_frames < alpha:
        raise ValueError(f"a clip for alpha {alpha} needs at least {alpha} frames, not {num_frames}")
    return torch.linspace(0, num_frames - 1, num_frames // alpha).long()
