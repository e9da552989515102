"""Blocks that keep no activations in training: the backward pass computes them again, which is less memory
for a third more time.

    recompute_blocks(network)

A block stays what it is, in its place and with the same names, so weights, averages of them and changes of
its batch norms do not know of it. It computes again with the same random numbers, and its batch norms learn
from a batch once. Source: Chen et al. 2016 (arXiv:1604.06174), with torch's own non-reentrant checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from twinpath.errors import ConfigError
from twinpath.models.layers.resnet import Bottleneck, NonLocal
from twinpath.models.mvit import MultiscaleBlock
from twinpath.models.resnet18 import BasicBlock
from twinpath.models.reversible import ReversibleMViT, Transition
from twinpath.models.s3d import Inception
from twinpath.models.vit import TransformerBlock
from twinpath.models.x3d import InvertedBottleneck

#: Of a reversible network only those between stages: the others keep nothing as it is.
BLOCKS = (
    Bottleneck,
    NonLocal,
    InvertedBottleneck,
    BasicBlock,
    Inception,
    MultiscaleBlock,
    TransformerBlock,
    Transition,
)


def recompute_blocks(network: nn.Module) -> None:
    """Let each block of a network compute its activations again in the backward pass, in place.

    Raises:
        ConfigError: It has no blocks that can.
    """
    blocks: list[nn.Module] = [module for module in network.modules() if isinstance(module, BLOCKS)]
    if not blocks and not isinstance(network, ReversibleMViT):
        raise ConfigError(f"model.checkpoint_blocks: {type(network).__name__} has no blocks; leave it out")
    for block in blocks:
        block.__class__ = _recomputed(type(block))  # type: ignore[arg-type]


@cache
def _recomputed(kind: type[nn.Module]) -> type[nn.Module]:
    """A class of the same block. Not a wrapped `forward` of the object: a copy would call the original's."""

    def forward(self: nn.Module, *inputs: Any) -> Any:
        compute = partial(kind.forward, self)
        if not (self.training and torch.is_grad_enabled()):
            return compute(*inputs)
        return checkpoint(compute, *inputs, use_reentrant=False, context_fn=partial(_contexts, self))

    return type(f"Recomputed{kind.__name__}", (kind,), {"forward": forward})


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Around the first and around the second computation."""
    return nullcontext(), _statistics_stay(block)


@contextmanager
def _statistics_stay(block: nn.Module) -> Iterator[None]:
    """Batch norms normalise by their batch, and do not count it: they have seen it."""
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # of the batch in the running statistics
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
