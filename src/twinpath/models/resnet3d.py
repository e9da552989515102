"""3D ResNets with one pathway: C2D, I3D, Slow, Fast alone, CSN, R(2+1)D, and an image ResNet.

They differ in their convolutions over time. C2D has none, but a pool after res2. I3D has them in the stem
and in about every second block, and pools after res2. Slow takes few frames far apart and convolves over time
in res4 and res5 only. Fast takes many frames with an eighth of the width and convolves over time everywhere.
CSN has depthwise 3x3x3 convolutions; R(2+1)D convolves over time, then over space. Any of them may have
non-local blocks. An image ResNet is a C2D for one frame.
Sources: Wang et al. 2018, Non-local Neural Networks (arXiv:1711.07971): C2D, I3D, non-local;
Feichtenhofer et al. 2019, SlowFast Networks (arXiv:1812.03982): Slow, Fast; Tran et al. 2019, Video
Classification with Channel-Separated Convolutional Networks (arXiv:1904.02811): CSN; Tran et al. 2018,
A Closer Look at Spatiotemporal Convolutions (arXiv:1711.11248): R(2+1)D.

    clip (B, 3, T, H, W)
      stem   T, H/4,  W/4      conv 7x7 / 2, max pool / 2
      res2   T, H/4,  W/4      C2D, I3D: then a pool over 2 frames
      res3   T, H/8,  W/8
      res4   T, H/16, W/16
      res5   T, H/32, W/32
      head   average pool, dropout, projection
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from twinpath.models.layers.head import HeadConfig, PooledHead
from twinpath.models.layers.plans import BottleneckPlan, Middle, NonLocalPlan
from twinpath.models.layers.resnet import EXPANSION, ResNetStem, initialise, stage
from twinpath.models.network import VideoNetwork

BLOCKS_R50 = (3, 4, 6, 3)
BLOCKS_R101 = (3, 4, 23, 3)

SLOW_KERNELS = (1, 1, 1, 3, 3)  # kernel sizes in time, of the stem and of res2 to res5
FAST_KERNELS = (5, 3, 3, 3, 3)
STRIDES = (1, 2, 2, 2)  # of res2 to res5


class Pathway(nn.Module):
    """Stem and res2 to res5; a SlowFast has two of them.

    Args:
        blocks: Depth of res2 to res5.
        width: Channels out of the stem; a stage has 4, 8, 16 and 32 times as many.
        temporal_kernels: Kernel sizes in time, of the stem and of each stage: one number, or one for block
            0, 1 …, repeated.
        temporal_blocks: How many blocks of each stage convolve over time; None: all.
        temporal_strides, strides, dilations, middle: Of each stage, see `BottleneckPlan`.
        stem_pool: Whether the stem ends in a max pool.
        pool_after_res2: Kernel and stride in time of a max pool after res2; 1: there is none.
        non_local: Where non-local blocks are; None: nowhere.
        lateral_channels: Channels that arrive from another pathway before each stage.
    """

    def __init__(
        self,
        *,
        blocks: Sequence[int] = BLOCKS_R50,
        width: int = 64,
        temporal_kernels: Sequence[int | Sequence[int]] = SLOW_KERNELS,
        temporal_blocks: Sequence[int] | None = None,
        temporal_strides: Sequence[int] = (1, 1, 1, 1),
        strides: Sequence[int] = STRIDES,
        dilations: Sequence[int] = (1, 1, 1, 1),
        middle: Middle = "plane",
        stem_pool: bool = True,
        pool_after_res2: int = 1,
        non_local: NonLocalPlan | None = None,
        lateral_channels: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        super().__init__()
        kernels = [(k,) if isinstance(k, int) else tuple(k) for k in temporal_kernels]
        self.channels = [width * EXPANSION * 2**i for i in range(4)]  # out of res2 to res5
        self.stem = ResNetStem(width, temporal_kernel=kernels[0][0], pool=stem_pool)
        arriving = [width, *self.channels[:3]]
        stages = [
            stage(
                arriving[i] + lateral_channels[i],
                width * 2**i,
                num_blocks=blocks[i],
                plan=BottleneckPlan(
                    temporal_kernels=kernels[i + 1],
                    num_temporal_blocks=temporal_blocks[i] if temporal_blocks else None,
                    temporal_stride=temporal_strides[i],
                    stride=strides[i],
                    dilation=dilations[i],
                    middle=middle,
                ),
                non_local=non_local,
                non_local_after=non_local.after[i] if non_local else (),
            )
            for i in range(4)
        ]
        self.res2, self.res3, self.res4, self.res5 = stages
        pool = (pool_after_res2, 1, 1)
        self.pool = nn.MaxPool3d(pool, stride=pool) if pool_after_res2 > 1 else nn.Identity()
        # Frames, and pixels along a side, for one position of the last map.
        self.frames_to_one = math.prod(temporal_strides) * pool_after_res2
        self.pixels_to_one = math.prod(strides) * (4 if stem_pool else 2)

    def stages(self) -> tuple[nn.Sequential, ...]:
        return self.res2, self.res3, self.res4, self.res5

    def window(self, num_frames: int, crop: int) -> tuple[int, int, int]:
        """(t, h, w) of the last map for a clip of that size."""
        side = crop // self.pixels_to_one
        return num_frames // self.frames_to_one, side, side

    def forward(self, clip: Tensor) -> Tensor:
        """(B, 3, T, H, W) to (B, 32 * width, T, H/32, W/32)."""
        return self.maps(clip)[-1]

    def maps(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to the maps of res3, res4 and res5."""
        x: Tensor = self.pool(self.res2(self.stem(clip)))
        found = []
        for stage_ in self.stages()[1:]:
            x = stage_(x)
            found.append(x)
        return tuple(found)


class ResNet3D(VideoNetwork):
    """One pathway and a head.

    Args:
        num_classes: Logits.
        num_frames: T of a training clip; sets the temporal pooling window.
        crop: Side of a training clip in pixels; sets the spatial pooling window.
        dropout, head_config: See `PooledHead`.
        pathway: See `Pathway`.
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        num_frames: int = 8,
        crop: int = 224,
        dropout: float = 0.5,
        head_config: HeadConfig = HeadConfig(),
        **pathway: Any,
    ) -> None:
        super().__init__()
        self.pathway = Pathway(**pathway)
        self.head = PooledHead(
            [self.pathway.channels[-1]],
            num_classes,
            windows=[self.pathway.window(num_frames, crop)],
            dropout=dropout,
            head_config=head_config,
        )
        initialise(self)

    def forward_features(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to the map of the last stage, in a tuple of one; or to all that the head takes."""
        return self.pathway.maps(clip) if self.head.takes_stages else (self.pathway(clip),)

    def stage_channels(self) -> list[int]:
        return list(self.pathway.channels[1:])
