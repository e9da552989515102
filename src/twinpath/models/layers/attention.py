"""Pooled attention and other layers of multiscale transformers, for MViT, its reversible form and ViT.

Tokens are (B, N, C): B batch, N tokens, C channels. They lie on a grid (frames, rows, columns), row by row
and frame by frame. A class token, if there is one, comes first and is not on the grid: pooling leaves it as
it is.
Source: Fan et al. 2021, Multiscale Vision Transformers (arXiv:2104.11227), section 3; Li et al. 2022, MViTv2
(arXiv:2112.01526), section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.models.layers.positions import Grid, RelativePositions

NORM_EPS = 1e-6


@dataclass(frozen=True)
class PoolSpec:
    """Kernel and stride of a pooling in (time, height, width); padded by half the kernel."""

    kernel: Grid
    stride: Grid

    @property
    def padding(self) -> Grid:
        return self.kernel[0] // 2, self.kernel[1] // 2, self.kernel[2] // 2

    @property
    def does_nothing(self) -> bool:
        return self.kernel == self.stride == (1, 1, 1)


class PooledAttention(nn.Module):
    """Attention of several heads, with queries, keys and values pooled on the grid after their projection.

    Args:
        channels_in: Channels of the tokens that come in.
        channels: Channels of queries, keys, values and of the tokens that go out.
        num_heads: All share the pooling kernels and the tables of positions.
        pool_q, pool_kv: How to pool; None: not at all, without a norm.
        class_token: Whether the first token is one.
        relative: Sizes of the tables of relative positions; None: there are none.
        residual: Whether the pooled queries are added to the output of attention, but for the class token's.
        qkv_bias: Whether the projection to queries, keys and values has a bias.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        *,
        num_heads: int,
        pool_q: PoolSpec | None = None,
        pool_kv: PoolSpec | None = None,
        class_token: bool = False,
        relative: tuple[int | None, int, int] | None = None,
        residual: bool = False,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f"{channels} channels cannot be shared by {num_heads} heads")
        head = channels // num_heads
        self.num_heads = num_heads
        self.num_class_tokens = int(class_token)
        self.residual = residual
        self.qkv = nn.Linear(channels_in, 3 * channels, bias=qkv_bias)
        self.pool_q, self.pool_k, self.pool_v = (
            None if p is None or p.does_nothing else TokenPool(head, p, class_token=class_token)
            for p in (pool_q, pool_kv, pool_kv)
        )
        self.relative = None if relative is None else RelativePositions(head, sizes=relative)
        self.out = nn.Linear(channels, channels)

    def forward(self, x_BNC: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(B, N, channels_in) to (B, pooled N, channels), and the grid on which these lie."""
        q, k, v = self.qkv(x_BNC).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        q, q_grid = (q, grid) if self.pool_q is None else self.pool_q(q, grid)
        k, k_grid = (k, grid) if self.pool_k is None else self.pool_k(k, grid)
        v, _ = (v, grid) if self.pool_v is None else self.pool_v(v, grid)
        bias = None if self.relative is None else self.relative(q, q_grid, k_grid).to(q.dtype)
        return self.attended(q, k, v, bias), q_grid

    def attended(
        self,
        q_BHNC: Tensor,
        k_BHMC: Tensor,
        v_BHMC: Tensor,
        bias: Tensor | None,
        *,
        more_channels: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Attention of pooled queries, keys and values.

        Args:
            q_BHNC, k_BHMC, v_BHMC: Of each head.
            bias: Added to the products of queries and keys; None: nothing.
            more_channels: (B, H, N, D) of queries and (M, D) of keys, whose products are added, too.
        Returns:
            (B, N, channels).
        """
        q, k, scale = q_BHNC, k_BHMC, None
        if more_channels is not None:
            scale = int(q.shape[3]) ** -0.5  # of the channels of a head, not of more
            of_q, of_k = more_channels
            q = torch.cat([q, of_q / scale], dim=3)
            k = torch.cat([k, of_k.expand(*k.shape[:2], -1, -1)], dim=3)
        y = F.scaled_dot_product_attention(q, k, v_BHMC, attn_mask=bias, scale=scale)
        return self.projected(q_BHNC, y)

    def projected(self, q_BHNC: Tensor, y_BHNC: Tensor) -> Tensor:
        """(B, N, channels): what was attended to, with the queries where they are added, of all heads."""
        if self.residual:
            first = self.num_class_tokens
            y_BHNC = y_BHNC + F.pad(q_BHNC[:, :, first:], (0, 0, first, 0))
        return self.out(y_BHNC.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class TokenPool(nn.Module):
    """A depthwise convolution, then layer norm. A class token skips the convolution, not the norm."""

    def __init__(self, channels: int, pooling: PoolSpec, *, class_token: bool) -> None:
        super().__init__()
        self.class_token = class_token
        self.conv = nn.Conv3d(
            channels,
            channels,
            pooling.kernel,
            stride=pooling.stride,
            padding=pooling.padding,
            groups=channels,
            bias=False,
        )
        self.norm = nn.LayerNorm(channels, eps=NORM_EPS)

    def forward(self, x_BHNC: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(B, heads, N, C) to (B, heads, pooled N, C), and its grid."""
        num_heads = x_BHNC.shape[1]
        x, grid = pool_tokens(self.conv, x_BHNC.flatten(0, 1), grid, class_token=self.class_token)
        x = x.unflatten(0, (-1, num_heads))  # type: ignore[no-untyped-call]  # -1: a trace is for any batch
        return self.norm(x), grid


def pool_tokens(
    pool: Callable[[Tensor], Tensor], x_BNC: Tensor, grid: Grid, *, class_token: bool
) -> tuple[Tensor, Grid]:
    """Pool tokens on their grid; a class token stays as it is.

    Args:
        pool: (B, C, T, H, W) to (B, C, T', H', W').
        x_BNC: Tokens.
        grid: (T, H, W).
        class_token: Whether the first token is one.
    Returns:
        (B, pooled N, C), and (T', H', W').
    """
    first = int(class_token)
    # A view with the channels last in memory: pooling is three to five times as fast.
    maps = x_BNC[:, first:].unflatten(1, grid)  # type: ignore[no-untyped-call]
    pooled = pool(maps.permute(0, 4, 1, 2, 3))
    new_grid = (pooled.shape[2], pooled.shape[3], pooled.shape[4])
    tokens = pooled.flatten(2).transpose(1, 2)
    return (torch.cat([x_BNC[:, :1], tokens], dim=1) if class_token else tokens), new_grid


class Mlp(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, channels_in: int, hidden: int, channels_out: int) -> None:
        super().__init__()
        self.widen = nn.Linear(channels_in, hidden)
        self.narrow = nn.Linear(hidden, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(F.gelu(self.widen(x)))  # type: ignore[no-any-return]


class StochasticDepth(nn.Module):
    """In training drops a branch for whole samples at this rate, and scales it up for the others.

    Source: Huang et al. 2016, Deep Networks with Stochastic Depth (arXiv:1603.09382).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"the rate of stochastic depth must be from 0 to below 1, not {rate}")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        stays = x.new_empty(x.shape[0], *(1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * stays / keep

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def drop_path_rates(last: float, depth: int) -> list[float]:
    """Rates of stochastic depth: from 0 at the first of `depth` blocks evenly to `last` at the last."""
    return [last * i / max(depth - 1, 1) for i in range(depth)]


def initialise_transformer(model: nn.Module) -> None:
    """Initialise for training: a narrow normal distribution for matrices and kernels, biases of 0.

    Tables of positions and class tokens are initialised in their constructors.
    """
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv3d)):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
