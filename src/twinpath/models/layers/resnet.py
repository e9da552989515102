"""Layers of a 3D ResNet: stem, bottleneck, non-local block, stage.

Shapes: B batch, C channels, T frames, H height, W width, N = T * H * W positions.
Sources: He et al. 2016, Deep Residual Learning (arXiv:1512.03385); Feichtenhofer et al. 2019, SlowFast
Networks (arXiv:1812.03982), table 1; Wang et al. 2018, Non-local Neural Networks (arXiv:1711.07971).
The stride sits on the 3x3 convolution, convolutions have no bias except in non-local blocks, batch norm
has eps 1e-5 and momentum 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.models.layers.plans import BottleneckPlan, Middle, NonLocalPlan
from twinpath.video.sampling import linspace_indices

EXPANSION = 4  # channels out of a bottleneck, over its inner width


class ResNetStem(nn.Module):
    """Convolution (k, 7, 7), batch norm, ReLU, max pool: a quarter of the height and width.

    Without the pool, half of them.
    """

    def __init__(self, width: int, *, temporal_kernel: int, pool: bool = True) -> None:
        super().__init__()
        k = temporal_kernel
        self.conv = nn.Conv3d(3, width, (k, 7, 7), stride=(1, 2, 2), padding=(k // 2, 3, 3), bias=False)
        self.bn = nn.BatchNorm3d(width)
        self.pool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)) if pool else nn.Identity()

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        x: Tensor = self.pool(F.relu(self.bn(self.conv(x_BCTHW)), inplace=True))
        return x


class Bottleneck(nn.Module):
    """Residual block: (k,1,1) over time narrows, the middle convolves over space, (1,1,1) widens."""

    def __init__(self, channels_in: int, width: int, *, plan: BottleneckPlan, block: int) -> None:
        super().__init__()
        k, channels_out = plan.temporal_kernel(block), width * EXPANSION
        stride = (plan.temporal_stride, plan.stride, plan.stride) if block == 0 else (1, 1, 1)
        self.conv_a = nn.Conv3d(channels_in, width, (k, 1, 1), padding=(k // 2, 0, 0), bias=False)
        self.bn_a = nn.BatchNorm3d(width)
        self.conv_b = _middle(plan.middle, width, stride=stride, dilation=plan.dilation)
        self.bn_b = nn.BatchNorm3d(width)
        self.conv_c = nn.Conv3d(width, channels_out, 1, bias=False)
        self.bn_c = nn.BatchNorm3d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out or stride != (1, 1, 1):
            self.shortcut = nn.Sequential()
            conv = nn.Conv3d(channels_in, channels_out, 1, stride=stride, bias=False)
            self.shortcut.add_module("conv", conv)
            self.shortcut.add_module("bn", nn.BatchNorm3d(channels_out))

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        y = F.relu(self.bn_a(self.conv_a(x_BCTHW)), inplace=True)
        y = F.relu(self.bn_b(self.conv_b(y)), inplace=True)
        y = self.bn_c(self.conv_c(y))
        return F.relu(y + self.shortcut(x_BCTHW), inplace=True)


def _middle(kind: Middle, width: int, *, stride: tuple[int, int, int], dilation: int) -> nn.Module:
    t, h, w = stride
    if kind == "depthwise":
        return nn.Conv3d(width, width, 3, stride=stride, padding=1, groups=width, bias=False)
    space = nn.Conv3d(
        width,
        width,
        (1, 3, 3),
        stride=(1, h, w),
        padding=(0, dilation, dilation),
        dilation=(1, dilation, dilation),
        bias=False,
    )
    if kind == "plane":
        return space
    factorised = nn.Sequential()
    time = nn.Conv3d(width, width, (3, 1, 1), stride=(t, 1, 1), padding=(1, 0, 0), bias=False)
    factorised.add_module("temporal", time)
    factorised.add_module("bn", nn.BatchNorm3d(width))
    factorised.add_module("relu", nn.ReLU(inplace=True))
    factorised.add_module("spatial", space)
    return factorised


class NonLocal(nn.Module):
    """Adds to each position a mean over all positions, weighted by their affinity."""

    def __init__(self, channels: int, *, plan: NonLocalPlan) -> None:
        super().__init__()
        inner = channels // 2
        self.affinity, self.pool_size = plan.affinity, plan.pool
        self.theta = nn.Conv3d(channels, inner, 1)
        self.phi = nn.Conv3d(channels, inner, 1)
        self.g = nn.Conv3d(channels, inner, 1)
        self.out = nn.Conv3d(inner, channels, 1)
        self.bn = nn.BatchNorm3d(channels)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        thinned = F.max_pool3d(x_BCTHW, self.pool_size, stride=self.pool_size)
        q_BNC = self.theta(x_BCTHW).flatten(2).transpose(1, 2)
        k_BMC = self.phi(thinned).flatten(2).transpose(1, 2)
        v_BMC = self.g(thinned).flatten(2).transpose(1, 2)
        if self.affinity == "softmax":
            y_BNC = F.scaled_dot_product_attention(q_BNC, k_BMC, v_BMC)
        else:  # q (kᵀ v), not (q kᵀ) v: the same without a matrix of positions by positions
            y_BNC = q_BNC @ (k_BMC.transpose(1, 2) @ v_BMC) / k_BMC.shape[1]
        y: Tensor = y_BNC.transpose(1, 2).reshape(x_BCTHW.shape[0], -1, *x_BCTHW.shape[2:])
        return x_BCTHW + self.bn(self.out(y))  # type: ignore[no-any-return]


def stage(
    channels_in: int,
    width: int,
    *,
    num_blocks: int,
    plan: BottleneckPlan,
    non_local: NonLocalPlan | None = None,
    non_local_after: Sequence[int] = (),
) -> nn.Sequential:
    """Build one of res2 to res5.

    Args:
        channels_in: Channels that come in, lateral ones included.
        width: Inner width of the bottlenecks; 4 times as many channels go out.
        num_blocks: Depth of the stage.
        plan: Of its bottlenecks.
        non_local, non_local_after: Non-local blocks, and the blocks that they follow.
    """
    blocks = nn.Sequential()
    for i in range(num_blocks):
        arriving = channels_in if i == 0 else width * EXPANSION
        blocks.add_module(str(i), Bottleneck(arriving, width, plan=plan, block=i))
        if non_local is not None and i in non_local_after:
            blocks.add_module(f"nonlocal{i}", NonLocal(width * EXPANSION, plan=non_local))
    return blocks


def initialise(model: nn.Module) -> None:
    """Initialise for training: He for convolutions, and a zero scale at the end of each residual branch.

    The zero scale follows Goyal et al. 2017 (arXiv:1706.02677), as PySlowFast's recipes do.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm3d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn_c.weight)
        elif isinstance(module, NonLocal):
            nn.init.zeros_(module.bn.weight)


def slow_frames(num_frames: int, alpha: int) -> Tensor:
    """Indices of the slow pathway's frames: evenly from the first frame to the last, not by a stride.

    Args:
        num_frames: T, frames of the clip.
        alpha: Frames of the clip for one of the slow pathway.
    Returns:
        (T // alpha,) int64 indices.
    Raises:
        ValueError: The clip has fewer than `alpha` frames.
    Source: PySlowFast and PyTorchVideo, PackPathway; golden/rules/slow_pathway.json.
    """
    if num_frames < alpha:
        raise ValueError(f"a clip for alpha {alpha} needs at least {alpha} frames, not {num_frames}")
    # Numbers of a trace, not operations: exported, `torch.linspace` rounds in another way, and of 32 frames
    # the last but one was taken for the last.
    return torch.tensor(linspace_indices(0, num_frames - 1, num_frames // alpha).tolist())
