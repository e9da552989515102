"""Networks computed in another way: the same function up to rounding, faster on a CPU.

A compiler sees one operation after the other. It does not see that the stem of a SlowFast has so few channels
that most of each vector is empty, and that frames are transposed before most of them are left out. A rewrite
a network in evaluation mode and returns one that shares its weights; the network that is given is not
changed. What each one wins, and what won nothing: docs/performance.md.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from twinpath.models.detection import BoxEmbedder, DetectionNetwork
from twinpath.models.layers.attention import PooledAttention, TokenPool, pool_tokens
from twinpath.models.layers.positions import Grid, RelativePositions, rows_by_distance
from twinpath.models.layers.resnet import ResNetStem, slow_frames
from twinpath.models.mvit import MViT
from twinpath.models.resnet3d import Pathway
from twinpath.models.slowfast import SlowFast
from twinpath.models.x3d import X3D, InvertedBottleneck, SqueezeExcitation

Module = TypeVar("Module", bound=nn.Module)


def rewritten(network: nn.Module, *, vector_floats: int, bf16: bool, is_fixed_size: bool = True) -> nn.Module:
    """The network as this CPU computes it fastest.

    Args:
        network: Any; in evaluation mode. One without a rewrite is returned as it is.
        vector_floats: float32 values in a vector of this CPU: 16 with AVX-512, 8 with AVX2.
        bf16: Whether it computes in bf16.
        is_fixed_size: Whether the height and width of clips are those with which the network is traced.
    """
    if isinstance(network, BoxEmbedder):
        inner = rewritten(
            network.network, vector_floats=vector_floats, bf16=bf16, is_fixed_size=is_fixed_size
        )
        return BoxEmbedder(cast(DetectionNetwork, inner)).eval()
    if isinstance(network, SlowFast):
        fast = network.fast.stem.conv.out_channels
        network = with_stem(network, "slow", columns=bf16 and is_fixed_size)
        network = with_stem(network, "fast", columns=is_fixed_size, group=max(vector_floats // fast, 1))
        return slow_frames_first(network)
    if isinstance(getattr(network, "pathway", None), Pathway):
        return with_stem(network, "pathway", columns=bf16 and is_fixed_size)
    if isinstance(network, X3D):
        return with_padded_channels(network, 16) if vector_floats >= 16 else network
    return with_heads_last(network) if isinstance(network, MViT) else network


def with_stem(network: Module, pathway: str, *, columns: bool, group: int = 1) -> Module:
    """Compute the stem of a pathway by a `RewrittenStem`, or as it is where that does nothing.

    Args:
        network: With a pathway of this name.
        pathway: Name of the attribute.
        columns, group: See `StemConv`.
    """
    if not columns and group == 1:
        return network
    new = _shallow_copy(network)
    part = _shallow_copy(getattr(network, pathway))
    part.stem = RewrittenStem(part.stem, columns=columns, group=group)
    setattr(new, pathway, part)
    return new


def slow_frames_first(network: SlowFast) -> SlowFast:
    """Choose the slow pathway's frames while the channels are last in memory, as they come.

    Chosen from a transposed clip they force the compiler to transpose the whole clip in memory.
    """
    new = _shallow_copy(network)
    kind = type(network)
    new.__class__ = type(f"ChannelsLast{kind.__name__}", (_ChannelsLast, kind), {})
    return new


class _ChannelsLast(SlowFast):
    """See `slow_frames_first`."""

    def pathways(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        index = slow_frames(int(clip.shape[2]), self.alpha).to(clip.device)
        slow_BTHWC = clip.permute(0, 2, 3, 4, 1).index_select(1, index)
        return slow_BTHWC.permute(0, 4, 1, 2, 3), clip


class StemConv(nn.Module):
    """A convolution of few channels that fills vectors better.

    `columns` moves its stride over columns into channels. Neighbouring columns become one wide pixel, which
    is only a view of frames whose channels are last in memory; the kernel becomes narrower, without stride:

        3 channels, (5, 7, 7), stride (1, 2, 2)    →    6 channels, (5, 7, 4), stride (1, 2, 1)

    `group` computes several output frames at once, as that many times the output channels. The kernel reaches
    over the frames of all of them and has zeros where a frame is not wanted:

        8 channels out, (5, 7, 7)    →    2 x 8 channels out, (6, 7, 7), stride 2 in time

    Args:
        conv: Zero-padded by half of an odd kernel, without groups and dilation; for `group` above 1 without
            stride in time.
        columns, group: As above. A clip whose width or number of frames is no multiple is padded.
    """

    def __init__(self, conv: nn.Conv3d, *, columns: bool, group: int = 1) -> None:
        super().__init__()
        stride_t, stride_h, stride_w = conv.stride
        pad_t, pad_h, pad_w = (int(pad) for pad in conv.padding)
        weight, pads_w = conv.weight.detach(), (pad_w, pad_w)
        self.columns = stride_w if columns else 1  # of a wide pixel
        if columns:
            weight, pads_w = _wide_kernel(weight, stride_w, pad_w)
            stride_w = 1
        self.group, self.channels = group, conv.out_channels
        of_frames = [F.pad(weight, (0, 0, 0, 0, i, group - 1 - i)) for i in range(group)]
        self.weight = nn.Parameter(torch.cat(of_frames), requires_grad=False)
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
        self.bias = nn.Parameter(bias.repeat(group), requires_grad=False)
        self.stride = (stride_t * group, stride_h, stride_w)
        self.pads = (*pads_w, pad_h, pad_h, pad_t, pad_t)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, group * channels out, T / group, H', W'), rounded up."""
        x = self._wide(x_BCTHW) if self.columns > 1 else x_BCTHW
        # A number, not a size that is traced: only constant padding becomes a part of the convolution.
        missing = -int(x.shape[2]) % self.group
        x = F.pad(x, (*self.pads[:5], self.pads[5] + missing))
        return F.conv3d(x, self.weight, self.bias, stride=self.stride)

    def _wide(self, x_BCTHW: Tensor) -> Tensor:
        _, channels, num_frames, height, width = (int(size) for size in x_BCTHW.shape)
        x_BTHWC = x_BCTHW.permute(0, 2, 3, 4, 1)
        if width % self.columns:
            x_BTHWC = F.pad(x_BTHWC, (0, 0, 0, -width % self.columns))
        x_BTHWC = x_BTHWC.reshape(-1, num_frames, height, -(-width // self.columns), channels * self.columns)
        return x_BTHWC.permute(0, 4, 1, 2, 3)

    def ungrouped(self, x_BCTHW: Tensor, num_frames: int) -> Tensor:
        """What came out of `forward`, or of a function of each channel of that, frame after frame.

        (B, group * channels, T / group, h, w) to (B, channels, num_frames, h, w).
        """
        if self.group == 1:
            return x_BCTHW
        x = torch.unflatten(x_BCTHW, 1, (self.group, self.channels))
        x = x.permute(0, 2, 3, 1, 4, 5).flatten(2, 3)
        return x[:, :, :num_frames] if num_frames % self.group else x


def _wide_kernel(weight_OCTHW: Tensor, stride: int, padding: int) -> tuple[Tensor, tuple[int, int]]:
    """A kernel for wide pixels of `stride` columns, and the padding before and after them in wide pixels.

    Output i of the old kernel needs the columns from i * stride - padding on.
    """
    width = weight_OCTHW.shape[4]
    before = -(-padding // stride)
    after = (width - 1 - padding) // stride
    left = before * stride - padding
    right = (before + 1 + after) * stride - left - width
    columns = torch.unflatten(F.pad(weight_OCTHW, (left, right)), 4, (-1, stride))
    return columns.permute(0, 5, 1, 2, 3, 4).flatten(1, 2), (before, after)


class RewrittenStem(nn.Module):
    """A `ResNetStem` that convolves by a `StemConv`, with the batch norm in its weights."""

    def __init__(self, stem: ResNetStem, *, columns: bool, group: int) -> None:
        super().__init__()
        self.conv = StemConv(fuse_conv_bn_eval(stem.conv, stem.bn), columns=columns, group=group)
        self.pool = stem.pool

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """As `ResNetStem.forward`. The frames are put in order after the pool, where they are smaller."""
        x = self.pool(F.relu(self.conv(x_BCTHW)))
        return self.conv.ungrouped(x, int(x_BCTHW.shape[2]))


def _shallow_copy(module: Module) -> Module:
    """The same parts in a new module, so that a part can be replaced."""
    new = copy.copy(module)
    new._modules = dict(module._modules)
    return new


def with_padded_channels(network: Module, multiple: int) -> Module:
    """Make the inner width of each `InvertedBottleneck` a multiple, with channels that are always zero.

    A depthwise convolution of 54 channels takes as long as one of 64, and the parts of vectors cost time.
    """

    def pad(module: nn.Module) -> nn.Module | None:
        return _padded(module, multiple) if isinstance(module, InvertedBottleneck) else None

    return _replaced(network, pad)


def _padded(block: InvertedBottleneck, multiple: int) -> InvertedBottleneck:
    more = -block.conv_b.out_channels % multiple
    if not more:
        return block
    new = _shallow_copy(block)
    new.conv_a = _grown(fuse_conv_bn_eval(block.conv_a, block.bn_a), outputs=more)
    new.conv_b = _grown(fuse_conv_bn_eval(block.conv_b, block.bn_b), outputs=more)
    new.conv_c = _grown(block.conv_c, inputs=more)
    new.add_module("bn_a", nn.Identity())
    new.add_module("bn_b", nn.Identity())
    if isinstance(block.se, SqueezeExcitation):
        squeeze = _shallow_copy(block.se)
        squeeze.reduce = _grown(squeeze.reduce, inputs=more)
        squeeze.expand = _grown(squeeze.expand, outputs=more)
        new.se = squeeze
    return new


def _grown(conv: nn.Conv3d, *, inputs: int = 0, outputs: int = 0) -> nn.Conv3d:
    """With more channels, whose weights are zero; of a depthwise convolution the outputs are the inputs."""
    is_depthwise = conv.groups > 1
    new = nn.Conv3d(
        conv.in_channels + (outputs if is_depthwise else inputs),
        conv.out_channels + outputs,
        _triple(conv.kernel_size),
        stride=_triple(conv.stride),
        padding=_triple(conv.padding),
        groups=conv.groups + outputs if is_depthwise else 1,
        bias=conv.bias is not None,
    )
    weight = F.pad(conv.weight.detach(), (0, 0, 0, 0, 0, 0, 0, inputs, 0, outputs))
    new.weight = nn.Parameter(weight, requires_grad=False)
    if conv.bias is not None:
        new.bias = nn.Parameter(F.pad(conv.bias.detach(), (0, outputs)), requires_grad=False)
    return new.eval()


def with_heads_last(network: Module) -> Module:
    """Compute each `PooledAttention` of an MViT that has a pool by a `HeadsLastAttention`."""

    def replace(module: nn.Module) -> nn.Module | None:
        if not isinstance(module, PooledAttention):
            return None
        has_pool = any(pool is not None for pool in (module.pool_q, module.pool_k, module.pool_v))
        return HeadsLastAttention(module) if has_pool else module

    return _replaced(network, replace)


class HeadsLastAttention(nn.Module):
    """A `PooledAttention` that pools the channels of all heads at once, as they come out of the projection.

    Heads are separated, which transposes the tokens, where pooling has made them few. Relative positions are
    appended to queries and keys as channels.
    """

    def __init__(self, attention: PooledAttention) -> None:
        super().__init__()
        self.attention = attention
        pools = (attention.pool_q, attention.pool_k, attention.pool_v)
        self.pools = nn.ModuleList(
            nn.Identity() if pool is None else _PoolOfHeads(pool, attention.num_heads) for pool in pools
        )
        weights = attention.qkv.weight.detach().chunk(3)
        has_bias = attention.qkv.bias is not None
        biases = attention.qkv.bias.detach().chunk(3) if has_bias else (None, None, None)
        self.projections = nn.ModuleList(_linear(w, b) for w, b in zip(weights, biases, strict=True))

    def forward(self, x_BNC: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """As `PooledAttention.forward`."""
        attention = self.attention
        (q, q_grid), (k, k_grid), (v, _) = (
            self._heads(project(x_BNC), grid, pool)
            for project, pool in zip(self.projections, self.pools, strict=True)
        )
        if attention.relative is None:
            return attention.attended(q, k, v, None), q_grid
        of_q, of_k = _relative_channels(attention.relative, q, q_grid, k_grid, attention.num_class_tokens)
        return attention.attended(q, k, v, None, more_channels=(of_q, of_k)), q_grid

    def _heads(self, x_BNC: Tensor, grid: Grid, pool: nn.Module) -> tuple[Tensor, Grid]:
        """(B, heads, pooled N, C of a head), and its grid."""
        if isinstance(pool, _PoolOfHeads):
            x_BNHC, grid = pool(x_BNC, grid)
        else:
            x_BNHC = torch.unflatten(x_BNC, 2, (self.attention.num_heads, -1))
        return x_BNHC.transpose(1, 2), grid


def _relative_channels(
    relative: RelativePositions, q_BHNC: Tensor, q_grid: Grid, k_grid: Grid, num_class_tokens: int
) -> tuple[Tensor, Tensor]:
    """Channels to append to queries and keys, whose product is the bias of relative positions.

    A query's are its products with the rows for each frame, row and column of keys; a key's are 1 at its own
    frame, row and column and 0 elsewhere. So the bias, as large as all pairs of tokens, is never stored.

    Returns:
        (B, H, queries, t + h + w), and (keys, t + h + w); those of the class token are 0.
    """
    q = torch.unflatten(q_BHNC[:, :, num_class_tokens:], 2, q_grid)  # (B, H, T, h, w, C)
    height = rows_by_distance(relative.height, q_grid[1], k_grid[1]).transpose(1, 2)
    width = rows_by_distance(relative.width, q_grid[2], k_grid[2]).transpose(1, 2)
    products = [q @ height, (q.transpose(3, 4) @ width).transpose(3, 4)]
    sides: Sequence[int] = k_grid[1:]
    if relative.time is not None:
        time = rows_by_distance(relative.time, q_grid[0], k_grid[0]).transpose(1, 2)
        products.insert(0, torch.unflatten(q.flatten(3, 4) @ time, 3, q_grid[1:]))
        sides = k_grid
    of_q = torch.cat(products, dim=-1).flatten(2, 4)
    places = np.indices([int(side) for side in k_grid]).reshape(3, -1)[-len(sides) :]
    ones = [np.eye(int(side), dtype=np.float32)[place] for side, place in zip(sides, places, strict=True)]
    of_k = torch.from_numpy(np.concatenate(ones, axis=1)).to(q)
    before = (0, 0, num_class_tokens, 0)
    return F.pad(of_q, before), F.pad(of_k, before)


class _PoolOfHeads(nn.Module):
    """A `TokenPool` of all heads at once: they share its kernel."""

    def __init__(self, pool: TokenPool, heads: int) -> None:
        super().__init__()
        channels = pool.conv.out_channels * heads
        self.conv = nn.Conv3d(
            channels,
            channels,
            _triple(pool.conv.kernel_size),
            stride=_triple(pool.conv.stride),
            padding=_triple(pool.conv.padding),
            groups=channels,
            bias=False,
        )
        weight = pool.conv.weight.detach().repeat(heads, 1, 1, 1, 1)
        self.conv.weight = nn.Parameter(weight, requires_grad=False)
        self.norm, self.heads, self.class_token = pool.norm, heads, pool.class_token

    def forward(self, x_BNC: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(B, N, heads * C) to (B, pooled N, heads, C), and its grid."""
        x, grid = pool_tokens(self.conv, x_BNC, grid, class_token=self.class_token)
        return self.norm(torch.unflatten(x, 2, (self.heads, -1))), grid


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    linear.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias, requires_grad=False)
    return linear


def _replaced(module: Module, replace: Callable[[nn.Module], nn.Module | None]) -> Module:
    """A module with other parts: what `replace` returns for them, or themselves where it returns None."""
    new = replace(module)
    if new is not None:
        return new  # type: ignore[return-value]  # of another class than the part that it computes
    parts = {name: _replaced(part, replace) for name, part in module.named_children()}
    if all(part is module._modules[name] for name, part in parts.items()):
        return module
    copied = _shallow_copy(module)
    copied._modules.update(parts)
    return copied


def _triple(numbers: Any) -> tuple[int, int, int]:
    """Torch's types do not say that a setting of a 3D convolution has three numbers."""
    t, h, w = numbers
    return int(t), int(h), int(w)
