"""How the parts of a 3D ResNet are laid out, as plain data. No torch: the registry speaks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Middle = Literal["plane", "depthwise", "factorised"]


@dataclass(frozen=True)
class BottleneckPlan:
    """How the bottlenecks of one stage look in time and space.

    Attributes:
        temporal_kernels: Frames seen by the first convolution of block 0, 1 …; repeated to the stage's depth.
        num_temporal_blocks: Only so many blocks, from the first on, look in time; None: all. The networks
            called R101_50_50 look in time in as many blocks as an R50 has.
        temporal_stride, stride: In time and in space, of the first block.
        dilation: In space, of the middle convolution.
        middle: The second convolution: "plane" (1,3,3); "depthwise" (3,3,3), each channel by itself (CSN);
            "factorised" (3,1,1), norm, ReLU, (1,3,3) (R(2+1)D).
    """

    temporal_kernels: Sequence[int] = (1,)
    num_temporal_blocks: int | None = None
    temporal_stride: int = 1
    stride: int = 1
    dilation: int = 1
    middle: Middle = "plane"

    def temporal_kernel(self, block: int) -> int:
        """Frames seen by the first convolution of a block."""
        if self.num_temporal_blocks is not None and block >= self.num_temporal_blocks:
            return 1
        return self.temporal_kernels[block % len(self.temporal_kernels)]


@dataclass(frozen=True)
class NonLocalPlan:
    """Where non-local blocks stand and how they compare positions.

    Attributes:
        after: For each of res2 to res5, the blocks that one follows.
        affinity: "softmax" of the scaled products, or "dot_product": products over the number of positions.
        pool: (t, h, w) by which the positions that are looked at are thinned first.
    """

    after: tuple[tuple[int, ...], ...]
    affinity: Literal["softmax", "dot_product"] = "softmax"
    pool: tuple[int, int, int] = (1, 2, 2)
