"""Multiscale Vision Transformers: fewer tokens and more channels from stage to stage.

Source: Fan et al. 2021, Multiscale Vision Transformers (arXiv:2104.11227), for v1; Li et al. 2022, MViTv2
(arXiv:2112.01526), for v2; Wei et al. 2022, Masked Feature Prediction (arXiv:2112.09133), for the networks
called maskfeat.

    clip (B, 3, T, H, W)                 an image has T = 1 throughout
      patches  T/2, H/4,  W/4    C       convolution 3x7x7, stride 2x4x4; a class token; positions
      stage 1  T/2, H/4,  W/4    C       attention: keys and values pooled to T/2, H/32, W/32
      stage 2  T/2, H/8,  W/8    2 C     the first block of a stage pools its queries
      stage 3  T/2, H/16, W/16   4 C
      stage 4  T/2, H/32, W/32   8 C
      head     layer norm, the class token or the mean of all, dropout, projection

v1 adds position embeddings to the tokens, and widens them at the end of a stage, in the MLP. v2 has relative
positions in attention, widens at the start of a stage, in attention, pools queries in every block and adds
them to the output of attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.models.layers.attention import (
    NORM_EPS,
    Mlp,
    PooledAttention,
    PoolSpec,
    StochasticDepth,
    drop_path_rates,
    initialise_transformer,
    pool_tokens,
)
from twinpath.models.layers.head import Head, HeadConfig
from twinpath.models.layers.positions import Grid, JointPositions, SeparatePositions
from twinpath.models.network import VideoNetwork

Positions = Literal["separate", "joint", "relative"]

MLP_RATIO = 4


@dataclass(frozen=True)
class MultiscaleBlockPlan:
    """Settings of one block.

    Attributes:
        channels_in, channels, channels_out: Of the input, of attention, and of the output.
        num_heads: Of attention.
        q_stride, kv_stride: In space; queries have a stride in the first block of a stage.
        side: Rows of tokens of the input, for the tables of relative positions.
    """

    channels_in: int
    channels: int
    channels_out: int
    num_heads: int
    q_stride: int
    kv_stride: int
    side: int


@dataclass(frozen=True)
class MultiscaleBlockStyle:
    """Settings of all blocks of a network.

    Attributes:
        relative_frames: Frames of tokens in the tables of relative positions; 0: no table in time, as in an
            image network; None: no relative positions.
        image, pool_side, pool_unstrided, residual_pooling, class_token: See `MViT`.
    """

    image: bool
    pool_side: int | None
    pool_unstrided: bool
    relative_frames: int | None
    residual_pooling: bool
    class_token: bool

    def pooling(self, stride: int, *, unstrided: bool) -> PoolSpec | None:
        """Pooling with a stride in space; None: no pooling. `unstrided`: pool even if the stride is 1."""
        if stride == 1 and not unstrided:
            return None
        if self.pool_side is None:
            return _just_overlapping(stride)
        side = self.pool_side
        return PoolSpec((1 if self.image else side, side, side), (1, stride, stride))

    def relative(self, plan: MultiscaleBlockPlan) -> tuple[int | None, int, int] | None:
        """Sizes of the tables of relative positions of a block."""
        if self.relative_frames is None:
            return None
        # Rounded down, though pooling rounds up: at odd sizes the tables are too short, and are interpolated.
        side = max(plan.side // plan.q_stride, plan.side // plan.kv_stride)
        return self.relative_frames or None, side, side


class MultiscaleBlock(nn.Module):
    """Pooled attention and an MLP, each behind a layer norm and with a shortcut.

    Where the block widens, the shortcut projects the normalised tokens; where it pools, the shortcut has a
    max pool.
    """

    def __init__(self, plan: MultiscaleBlockPlan, style: MultiscaleBlockStyle, *, drop_path: float) -> None:
        super().__init__()
        self.class_token = style.class_token
        self.widens_in_attention = plan.channels != plan.channels_in
        self.norm_attention = nn.LayerNorm(plan.channels_in, eps=NORM_EPS)
        self.attention = PooledAttention(
            plan.channels_in,
            plan.channels,
            num_heads=plan.num_heads,
            pool_q=style.pooling(plan.q_stride, unstrided=style.residual_pooling),
            pool_kv=style.pooling(plan.kv_stride, unstrided=style.pool_unstrided),
            class_token=style.class_token,
            relative=style.relative(plan),
            residual=style.residual_pooling,
        )
        self.norm_mlp = nn.LayerNorm(plan.channels, eps=NORM_EPS)
        self.mlp = Mlp(plan.channels, MLP_RATIO * plan.channels, plan.channels_out)
        widens = plan.channels_in != plan.channels_out
        self.shortcut = nn.Linear(plan.channels_in, plan.channels_out) if widens else None
        self.shortcut_pooling = None if plan.q_stride == 1 else _just_overlapping(plan.q_stride)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x_BNC: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(B, N, channels_in) to (B, pooled N, channels_out), and the grid on which these lie."""
        normed = self.norm_attention(x_BNC)
        y, new_grid = self.attention(normed, grid)
        if self.shortcut is not None and self.widens_in_attention:
            x_BNC = self.shortcut(normed)
        x = self._pooled(x_BNC, grid) + self.drop_path(y)
        normed = self.norm_mlp(x)
        y = self.mlp(normed)
        if self.shortcut is not None and not self.widens_in_attention:
            x = self.shortcut(normed)
        return x + self.drop_path(y), new_grid

    def _pooled(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        if self.shortcut_pooling is None:
            return x_BNC
        p = self.shortcut_pooling
        pool = partial(F.max_pool3d, kernel_size=p.kernel, stride=p.stride, padding=p.padding)
        return pool_tokens(pool, x_BNC, grid, class_token=self.class_token)[0]


class TokenHead(Head):
    """Layer norm, one embedding from all tokens, dropout, projection.

    Args:
        channels: C, of a token.
        num_classes: Logits.
        class_token: Whether the first token is one; it is the embedding then, otherwise the mean of all.
        mean_first: Whether the embedding is the mean of all tokens but the class token, taken before the
            norm.
        dropout, head_config: See `Head`.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        *,
        class_token: bool,
        mean_first: bool,
        dropout: float,
        head_config: HeadConfig,
    ) -> None:
        super().__init__(channels, num_classes, dropout=dropout, head_config=head_config)
        self.class_token = class_token
        self.mean_first = mean_first
        self.norm = nn.LayerNorm(channels, eps=NORM_EPS)

    def pooled(self, features: Sequence[Tensor]) -> Tensor:
        """Tokens (B, N, C), alone in a sequence, to (B, 1, C)."""
        (x_BNC,) = features
        if self.mean_first:
            return self.norm(x_BNC[:, int(self.class_token) :].mean(dim=1, keepdim=True))  # type: ignore[no-any-return]
        if self.class_token:
            return self.norm(x_BNC[:, :1])  # type: ignore[no-any-return]
        return self.norm(x_BNC).mean(dim=1, keepdim=True)  # type: ignore[no-any-return]


class MViT(VideoNetwork):
    """Patches, blocks in stages, and a head.

    Args:
        num_classes: Logits.
        num_frames: T of a training clip; 1 for an image network.
        crop: Side of a training clip in pixels. Tables of positions are made for `num_frames` and `crop`; at
            other sizes they are interpolated.
        blocks: Blocks of each stage.
        width: C, channels of the first stage; each further one has twice as many.
        num_heads: Heads of the first stage; each further one has twice as many.
        image: Patches and pooling kernels have one frame, and there are no relative positions in time.
        kv_stride: Stride in space of the keys and values in the first stage; each further one has half of it.
        pool_side: Side of all pooling kernels; None: one more than the stride, and only in space.
        pool_unstrided: Whether keys and values are pooled where their stride is 1, too. They are, except in
            PySlowFast's files from before August 2021.
        positions: "separate" tables of space and time, or one "joint" table, added to the tokens; or
            "relative" ones in attention.
        residual_pooling: Whether queries are pooled in every block and added to the output of attention.
        widen_in_attention: Whether channels double in attention, in the first block of a stage, or in the
            MLP, in the last block of the stage before.
        class_token: Whether there is one. Without it the head takes the mean of the normalised tokens.
        mean_first: Whether the head takes the mean of the tokens before it normalises.
        drop_path: Rate of stochastic depth at the last block; grows evenly from 0 at the first.
        dropout, head_config: See `Head`.
    Raises:
        ValueError: `num_frames` or `crop` is too small for the patches and stages.
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        num_frames: int = 16,
        crop: int = 224,
        blocks: Sequence[int] = (1, 2, 11, 2),
        width: int = 96,
        num_heads: int = 1,
        image: bool = False,
        kv_stride: int = 8,
        pool_side: int | None = 3,
        pool_unstrided: bool = True,
        positions: Positions = "separate",
        residual_pooling: bool = False,
        widen_in_attention: bool = False,
        class_token: bool = True,
        mean_first: bool = False,
        drop_path: float = 0.0,
        dropout: float = 0.5,
        head_config: HeadConfig = HeadConfig(),
    ) -> None:
        super().__init__()
        kernel, stride = ((1, 7, 7), (1, 4, 4)) if image else ((3, 7, 7), (2, 4, 4))
        self.patches = nn.Conv3d(3, width, kernel, stride=stride, padding=(kernel[0] // 2, 3, 3))
        grid = self.token_grid(num_frames, crop)
        if num_frames < 1 or grid[1] < 2 ** (len(blocks) - 1):
            raise ValueError(f"no network of {len(blocks)} stages for {num_frames} frames of {crop} pixels")
        self.class_token = _new_class_token(width) if class_token else None
        self.positions = _absolute_positions(positions, width, grid=grid, class_token=class_token)
        style = MultiscaleBlockStyle(
            image=image,
            pool_side=pool_side,
            pool_unstrided=pool_unstrided,
            relative_frames=None if positions != "relative" else 0 if image else grid[0],
            residual_pooling=residual_pooling,
            class_token=class_token,
        )
        plans = plan_blocks(
            blocks,
            width=width,
            num_heads=num_heads,
            side=grid[1],
            kv_stride=kv_stride,
            widen_in_attention=widen_in_attention,
        )
        self.blocks = nn.ModuleList(
            MultiscaleBlock(plan, style, drop_path=rate)
            for plan, rate in zip(plans, drop_path_rates(drop_path, len(plans)), strict=True)
        )
        self.head = TokenHead(
            plans[-1].channels_out,
            num_classes,
            class_token=class_token,
            mean_first=mean_first,
            dropout=dropout,
            head_config=head_config,
        )
        initialise_transformer(self)

    def token_grid(self, num_frames: int, crop: int) -> Grid:
        """Tokens of a clip in time, height and width, before the first block."""
        frames, side = self.patches.stride[0], self.patches.stride[1]
        return -(-num_frames // frames), -(-crop // side), -(-crop // side)

    def patch_tokens(self, clip: Tensor) -> tuple[Tensor, Grid]:
        """(B, 3, T, H, W) to a token of each patch that knows no position, (B, N, C), and their grid."""
        x_BCTHW = self.patches(clip)
        grid: Grid = (x_BCTHW.shape[2], x_BCTHW.shape[3], x_BCTHW.shape[4])
        return x_BCTHW.flatten(2).transpose(1, 2), grid

    def placed(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """Tokens of patches with a class token in front and positions added, as far as there are any."""
        if self.class_token is not None:
            x_BNC = torch.cat([self.class_token.expand(x_BNC.shape[0], 1, -1), x_BNC], dim=1)
        return x_BNC if self.positions is None else x_BNC + self.positions(grid)

    def encoded(self, x_BNC: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """Placed tokens through the blocks, and the grid on which these lie."""
        for block in self.blocks:
            x_BNC, grid = block(x_BNC, grid)
        return x_BNC, grid

    def forward_features(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to the tokens of the last block, not normalised, (B, N, C), in a tuple of one."""
        x_BNC, grid = self.patch_tokens(clip)
        return (self.encoded(self.placed(x_BNC, grid), grid)[0],)


def _new_class_token(width: int) -> nn.Parameter:
    token = nn.Parameter(torch.empty(width))
    nn.init.trunc_normal_(token, std=0.02)
    return token


def _absolute_positions(
    kind: Positions, width: int, *, grid: Grid, class_token: bool
) -> SeparatePositions | JointPositions | None:
    """The tables that are added to the tokens; None where positions are relative."""
    if kind == "relative":
        return None
    table = SeparatePositions if kind == "separate" else JointPositions
    return table(width, grid=grid, class_token=class_token)


def plan_blocks(
    blocks: Sequence[int],
    *,
    width: int,
    num_heads: int,
    side: int,
    kv_stride: int,
    widen_in_attention: bool,
) -> list[MultiscaleBlockPlan]:
    """Settings of each block. `side`: rows of tokens of a training clip; other arguments as of `MViT`."""
    plans: list[MultiscaleBlockPlan] = []
    channels_in = width
    for stage, num_blocks in enumerate(blocks):
        channels = width * 2**stage
        for i in range(num_blocks):
            before_a_stage = i == num_blocks - 1 and stage < len(blocks) - 1
            widens_in_mlp = before_a_stage and not widen_in_attention
            q_stride = 2 if stage > 0 and i == 0 else 1
            plans.append(
                MultiscaleBlockPlan(
                    channels_in=channels_in,
                    channels=channels if widen_in_attention else channels_in,
                    channels_out=2 * channels if widens_in_mlp else channels,
                    num_heads=num_heads * 2**stage,
                    q_stride=q_stride,
                    kv_stride=max(kv_stride // 2**stage, 1),
                    side=side,
                )
            )
            channels_in, side = plans[-1].channels_out, side // q_stride
    return plans


def _just_overlapping(stride: int) -> PoolSpec:
    """Pooling with this stride in space and the smallest kernel whose windows overlap."""
    side = stride + 1 if stride > 1 else 1
    return PoolSpec((1, side, side), (1, stride, stride))
