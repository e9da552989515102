"""An MViT whose last stage keeps the map of the one before, as MaskFeat pre-trains it: 14x14 tokens in place
of 7x7, for finer targets.

Source: PySlowFast, configs/masked_ssl, MVIT.POOL_Q_STRIDE.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from twinpath.models.layers.attention import TokenPool
from twinpath.models.layers.positions import RelativePositions, resample_line
from twinpath.models.mvit import MultiscaleBlock, MViT

_TABLES = ("height", "width")


class LargerLastStage:
    """The change, and the way back.

    Queries of the last stage are not pooled, so keys and values are by twice as much, and its tables of
    relative positions are those of a map of twice the side.

    Args:
        network: Changed.
    """

    def __init__(self, network: MViT) -> None:
        self._pools: list[tuple[nn.Conv3d, tuple[int, ...]]] = []
        self._tables: list[tuple[RelativePositions, str, int]] = []
        blocks = [block for block in network.blocks if isinstance(block, MultiscaleBlock)]
        starts = [number for number, block in enumerate(blocks) if block.shortcut_pooling is not None]
        self._first = blocks[starts[-1]] if starts else None
        if self._first is None:
            return
        self._shortcut, self._first.shortcut_pooling = self._first.shortcut_pooling, None
        stage = blocks[starts[-1] :]
        self._set_stride(self._first.attention.pool_q, 1)
        for block in stage:
            for pool in (block.attention.pool_k, block.attention.pool_v):
                self._set_stride(pool, 2 * _stride_of(pool))
        of_first = self._first.attention.relative
        for name, relative in _tables_of(stage):
            assert of_first is not None
            table = getattr(relative, name)
            self._tables.append((relative, name, len(table)))
            _resize(relative, name, len(getattr(of_first, name)))

    def undo(self) -> None:
        """The network as it is fine-tuned; its tables are interpolated."""
        if self._first is None:
            return
        self._first.shortcut_pooling = self._shortcut
        for conv, stride in self._pools:
            conv.stride = stride
        for relative, name, length in self._tables:
            _resize(relative, name, length)

    def _set_stride(self, pool: TokenPool | None, stride: int) -> None:
        if pool is not None:
            self._pools.append((pool.conv, tuple(pool.conv.stride)))
            pool.conv.stride = (1, stride, stride)


def _stride_of(pool: TokenPool | None) -> int:
    return 1 if pool is None else pool.conv.stride[1]


def _tables_of(blocks: list[MultiscaleBlock]) -> Iterator[tuple[str, RelativePositions]]:
    for block in blocks:
        if block.attention.relative is not None:
            yield from ((name, block.attention.relative) for name in _TABLES)


def _resize(relative: RelativePositions, name: str, length: int) -> None:
    table = getattr(relative, name)
    if len(table) != length:
        with torch.no_grad():
            setattr(relative, name, nn.Parameter(resample_line(table, length).contiguous()))
