"""Rewrites that won nothing where they were measured; `python -m benchmarks.rewrites` measures them again."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from twinpath.models.layers.resnet import ResNetStem
from twinpath.models.x3d import InvertedBottleneck


class SpaceToDepthStem(nn.Module):
    """A `ResNetStem` of kernel 7 and stride 2 on blocks of 2 x 2 pixels: 12 channels, kernel 4, stride 1."""

    def __init__(self, stem: ResNetStem) -> None:
        super().__init__()
        conv = fuse_conv_bn_eval(stem.conv, stem.bn)
        weight = F.pad(conv.weight.detach(), (1, 0, 1, 0))  # (O, C, T, 8, 8): output i begins at 2 i - 4
        blocks = torch.unflatten(torch.unflatten(weight, 4, (4, 2)), 3, (4, 2))  # O C T Y y X x
        self.weight = nn.Parameter(blocks.permute(0, 4, 6, 1, 2, 3, 5).flatten(1, 3), requires_grad=False)
        self.bias, self.pool, self.pad_t = conv.bias, stem.pool, int(conv.padding[0])

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        _, channels, num_frames, height, width = (int(size) for size in x_BCTHW.shape)
        x = x_BCTHW.permute(0, 2, 3, 4, 1).reshape(-1, num_frames, height // 2, 2, width // 2, 2, channels)
        x = x.permute(0, 3, 5, 6, 1, 2, 4).flatten(1, 3)
        x = F.conv3d(F.pad(x, (2, 1, 2, 1, self.pad_t, self.pad_t)), self.weight, self.bias)
        return self.pool(F.relu(x))  # type: ignore[no-any-return]


class ShiftedDepthwise(nn.Module):
    """A depthwise 3x3x3 convolution as three in 2D, summed over shifts in time."""

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        conv = self.conv
        num_frames = int(x_BCTHW.shape[2])
        frames = x_BCTHW.permute(0, 2, 1, 3, 4).flatten(0, 1)
        before, now, after = (
            torch.unflatten(
                F.conv2d(
                    frames,
                    conv.weight[:, :, k],
                    stride=conv.stride[1:],
                    padding=conv.padding[1:],  # type: ignore[arg-type]
                    groups=conv.groups,
                ),
                0,
                (-1, num_frames),
            )
            for k in range(3)
        )
        room = (0, 0, 0, 0, 0, 0)
        y = now + F.pad(before[:, :-1], (*room, 1, 0)) + F.pad(after[:, 1:], (*room, 0, 1))
        return y.permute(0, 2, 1, 3, 4)


def with_space_to_depth(network: nn.Module, pathway: str) -> nn.Module:
    """Replace the stem of a pathway."""
    new = copy.deepcopy(network)
    part = getattr(new, pathway)
    part.stem = SpaceToDepthStem(part.stem)
    return new


def with_shifted_depthwise(network: nn.Module) -> nn.Module:
    """Replace the depthwise convolutions of an X3D."""
    new = copy.deepcopy(network)
    for block in list(new.modules()):
        if isinstance(block, InvertedBottleneck):
            block.conv_b = ShiftedDepthwise(block.conv_b)  # type: ignore[assignment]
    return new
