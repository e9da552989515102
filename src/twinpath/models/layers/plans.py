"""Layout of the blocks of a 3D ResNet, as plain data. No torch, since the registry uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Middle = Literal["plane", "depthwise", "factorised"]


@dataclass(frozen=True)
class BottleneckPlan:
    """Kernels, strides and dilation of the bottlenecks of one stage.

    Attributes:
        temporal_kernels: Kernel size in time of the first convolution of block 0, 1 …; repeated to the
            stage's depth.
        num_temporal_blocks: Only so many blocks, from the first on, convolve over time; None: all. In
            networks called R101_50_50 they are as many as the blocks of an R50.
        temporal_stride, stride: In time and in space, of the first block.
        dilation: In space, of the middle convolution.
        middle: The second convolution: "plane" (1,3,3); "depthwise" (3,3,3) (CSN); "factorised" (3,1,1),
            norm, ReLU, (1,3,3) (R(2+1)D).
    """

    temporal_kernels: Sequence[int] = (1,)
    num_temporal_blocks: int | None = None
    temporal_stride: int = 1
    stride: int = 1
    dilation: int = 1
    middle: Middle = "plane"

    def temporal_kernel(self, block: int) -> int:
        """Kernel size in time of the first convolution of a block."""
        if self.num_temporal_blocks is not None and block >= self.num_temporal_blocks:
            return 1
        return self.temporal_kernels[block % len(self.temporal_kernels)]


@dataclass(frozen=True)
class NonLocalPlan:
    """Where non-local blocks are and how they compare positions.

    Attributes:
        after: For each of res2 to res5, the blocks that are followed by one.
        affinity: "softmax" of the scaled products, or "dot_product": products divided by the number of
            positions.
        pool: (t, h, w) of a max pool of the keys and values.
    """

    after: tuple[tuple[int, ...], ...]
    affinity: Literal["softmax", "dot_product"] = "softmax"
    pool: tuple[int, int, int] = (1, 2, 2)
