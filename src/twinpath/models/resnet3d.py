"""3D ResNets with one pathway: Slow, and Fast alone.

Slow: few frames far apart, full width; looks in time only in res4 and res5.
Fast: many frames close together, an eighth of the width; looks in time everywhere.
Source: Feichtenhofer et al. 2019, SlowFast Networks for Video Recognition (arXiv:1812.03982), table 1
and the ablations of section 4.2.

    clip (B, 3, T, H, W)
      stem   T, H/4,  W/4      conv 7x7 / 2, max pool / 2
      res2   T, H/4,  W/4
      res3   T, H/8,  W/8
      res4   T, H/16, W/16
      res5   T, H/32, W/32
      head   average pool, dropout, projection
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from twinpath.models.layers.head import Activation, Averaging, PooledHead
from twinpath.models.layers.resnet import EXPANSION, Stem, initialise, stage

BLOCKS_R50 = (3, 4, 6, 3)
BLOCKS_R101 = (3, 4, 23, 3)

SLOW_KERNELS = (1, 1, 1, 3, 3)  # frames seen by the stem and by res2 to res5
FAST_KERNELS = (5, 3, 3, 3, 3)


class Pathway(nn.Module):
    """Stem and res2 to res5; a SlowFast has two of them.

    Args:
        blocks: Depth of res2 to res5.
        width: Channels out of the stem; a stage has 4, 8, 16 and 32 times as many.
        temporal_kernels: Frames seen by the stem and by each stage.
        temporal_blocks: Blocks of each stage that look in time; None: all.
        lateral_channels: Channels that arrive from another pathway before each stage.
    """

    def __init__(
        self,
        *,
        blocks: Sequence[int],
        width: int,
        temporal_kernels: Sequence[int],
        temporal_blocks: Sequence[int] | None = None,
        lateral_channels: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        super().__init__()
        self.channels = [width * EXPANSION * 2**i for i in range(4)]  # out of res2 to res5
        self.stem = Stem(width, temporal_kernel=temporal_kernels[0])
        arriving = [width, *self.channels[:3]]
        stages = [
            stage(
                arriving[i] + lateral_channels[i],
                width * 2**i,
                num_blocks=blocks[i],
                num_temporal_blocks=temporal_blocks[i] if temporal_blocks else None,
                temporal_kernel=temporal_kernels[i + 1],
                stride=1 if i == 0 else 2,
            )
            for i in range(4)
        ]
        self.res2, self.res3, self.res4, self.res5 = stages

    def stages(self) -> tuple[nn.Sequential, ...]:
        return self.res2, self.res3, self.res4, self.res5

    def forward(self, clip: Tensor) -> Tensor:
        """(B, 3, T, H, W) to (B, 32 * width, T, H/32, W/32)."""
        x: Tensor = self.stem(clip)
        for stage_ in self.stages():
            x = stage_(x)
        return x


class ResNet3D(nn.Module):
    """One pathway and a head.

    Args:
        num_classes: Logits.
        num_frames: T of a training clip; sets the temporal pooling window.
        blocks, width, temporal_kernels, temporal_blocks: see `Pathway`.
        pool_hw: Side of the spatial pooling window: training crop / 32.
        dropout, activation, averaging: see `PooledHead`.
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        num_frames: int = 8,
        blocks: Sequence[int] = BLOCKS_R50,
        width: int = 64,
        temporal_kernels: Sequence[int] = SLOW_KERNELS,
        temporal_blocks: Sequence[int] | None = None,
        pool_hw: int = 7,
        dropout: float = 0.5,
        activation: Activation = "softmax",
        averaging: Averaging = "logits",
    ) -> None:
        super().__init__()
        self.pathway = Pathway(
            blocks=blocks, width=width, temporal_kernels=temporal_kernels, temporal_blocks=temporal_blocks
        )
        self.head = PooledHead(
            [self.pathway.channels[-1]],
            num_classes,
            windows=[(num_frames, pool_hw, pool_hw)],
            dropout=dropout,
            activation=activation,
            averaging=averaging,
        )
        initialise(self)

    def forward_features(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to the map of the last stage, in a tuple of one."""
        return (self.pathway(clip),)

    def forward(self, clip: Tensor) -> Tensor:
        """(B, 3, T, H, W) to logits (B, num_classes)."""
        logits: Tensor = self.head(self.forward_features(clip))
        return logits

    def scores(self, clip: Tensor) -> Tensor:
        """(B, 3, T, H, W) to what the upstream reports at test time, (B, num_classes)."""
        return self.head.scores(self.forward_features(clip))
