"""SlowFast: a slow pathway for appearance, a fast one for motion.

Both are 3D ResNets. The fast pathway takes every frame of the clip and has an eighth of the channels; the
slow pathway takes one frame of `alpha`. After the stem and after res2 to res4 a convolution in time brings
the fast pathway's map to the slow one's frame rate, and both are concatenated.
Source: Feichtenhofer et al. 2019, SlowFast Networks for Video Recognition (arXiv:1812.03982).

    clip (B, 3, T, H, W) ─┬─ every frame ────────▶ fast stem ─ res2 ─ res3 ─ res4 ─ res5 ─┐
                          │                            │      │      │      │             ├─ head
                          └─ one frame of alpha ─▶ slow stem ─ res2 ─ res3 ─ res4 ─ res5 ─┘
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.models.layers.head import HeadConfig, PooledHead
from twinpath.models.layers.plans import NonLocalPlan
from twinpath.models.layers.resnet import EXPANSION, initialise, slow_frames
from twinpath.models.network import VideoNetwork
from twinpath.models.resnet3d import BLOCKS_R50, FAST_KERNELS, SLOW_KERNELS, STRIDES, Pathway


class Lateral(nn.Module):
    """Brings the fast map to the slow frame rate: convolution (k,1,1) with stride alpha, norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, *, kernel: int, alpha: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            channels_in,
            channels_out,
            (kernel, 1, 1),
            stride=(alpha, 1, 1),
            padding=(kernel // 2, 0, 0),
            bias=False,
        )
        self.bn = nn.BatchNorm3d(channels_out)

    def forward(self, fast_BCTHW: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(fast_BCTHW)), inplace=True)


class SlowFast(VideoNetwork):
    """Two pathways, four lateral connections, one head.

    Args:
        num_classes: Logits.
        num_frames: T of a training clip at the fast rate; sets the temporal pooling windows.
        alpha: Frames of the fast pathway for one of the slow.
        beta_inv: Channels of the slow pathway for one of the fast.
        fusion_kernel: Kernel size in time of a lateral connection.
        fusion_ratio: Channels out of a lateral connection, over the fast pathway's.
        blocks, width, temporal_blocks, strides, dilations: Of both pathways, see `Pathway`; width is the
            slow one's.
        non_local: Of the slow pathway.
        crop: Side of a training clip in pixels; sets the spatial pooling window.
        dropout, head_config: See `PooledHead`.
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        num_frames: int = 32,
        alpha: int = 4,
        beta_inv: int = 8,
        fusion_kernel: int = 7,
        fusion_ratio: int = 2,
        blocks: Sequence[int] = BLOCKS_R50,
        width: int = 64,
        temporal_blocks: Sequence[int] | None = None,
        strides: Sequence[int] = STRIDES,
        dilations: Sequence[int] = (1, 1, 1, 1),
        non_local: NonLocalPlan | None = None,
        crop: int = 224,
        dropout: float = 0.5,
        head_config: HeadConfig = HeadConfig(),
    ) -> None:
        super().__init__()
        self.alpha = alpha
        fast_width = width // beta_inv
        fusing = [fast_width, *(fast_width * EXPANSION * 2**i for i in range(3))]
        lateral_channels = [c * fusion_ratio for c in fusing]
        shared: dict[str, Any] = {
            "blocks": blocks,
            "temporal_blocks": temporal_blocks,
            "strides": strides,
            "dilations": dilations,
        }
        self.slow = Pathway(
            width=width,
            temporal_kernels=SLOW_KERNELS,
            lateral_channels=lateral_channels,
            non_local=non_local,
            **shared,
        )
        self.fast = Pathway(width=fast_width, temporal_kernels=FAST_KERNELS, **shared)
        self.laterals = nn.ModuleList(
            Lateral(c, out, kernel=fusion_kernel, alpha=alpha)
            for c, out in zip(fusing, lateral_channels, strict=True)
        )
        self.head = PooledHead(
            [self.slow.channels[-1], self.fast.channels[-1]],
            num_classes,
            windows=[self.slow.window(num_frames // alpha, crop), self.fast.window(num_frames, crop)],
            dropout=dropout,
            head_config=head_config,
        )
        initialise(self)

    def pathways(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Split a clip (B, 3, T, H, W) into the slow pathway's frames and the fast one's."""
        index = slow_frames(int(clip.shape[2]), self.alpha).to(clip.device)
        return clip.index_select(2, index), clip

    def stage_channels(self) -> list[int]:
        return [c for both in zip(self.slow.channels[1:], self.fast.channels[1:], strict=True) for c in both]

    def forward_features(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to the last maps: slow (B, C, T/alpha, h, w) and fast (B, C/beta, T, h, w).

        For a head that takes stages: those of res3, res4 and res5.
        """
        x_slow, x_fast = self.pathways(clip)
        x_slow, x_fast = self.slow.stem(x_slow), self.fast.stem(x_fast)
        maps: list[Tensor] = []
        for lateral, slow, fast in zip(self.laterals, self.slow.stages(), self.fast.stages(), strict=True):
            x_slow = torch.cat([x_slow, lateral(x_fast)], dim=1)
            x_slow, x_fast = slow(x_slow), fast(x_fast)
            maps += [x_slow, x_fast]
        return tuple(maps[2:] if self.head.takes_stages else maps[-2:])
