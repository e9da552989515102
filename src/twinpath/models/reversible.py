"""Reversible transformers: training keeps the last activations only and recomputes the others from them.

Tokens form two streams. A block adds attention of the second stream to the first, then an MLP of the first
stream to the second; so its input can be computed from its output, and memory does not grow with depth. The
first block of a further stage, which pools and widens, is not reversible: it fuses the streams, and keeps its
activations.
Source: Mangalam et al. 2022, Reversible Vision Transformers (arXiv:2302.04869), section 3.

    clip (B, 3, T, H, W)             Rev-ViT (image)   Rev-MViT         an image has T = 1 and keeps it
      patches                        H/16, W/16        T/2, H/4, W/4
      streams   x1 = x2 = tokens
      block     x1 = x1 + attention(norm(x2))
                x2 = x2 + MLP(norm(x1))
      further stages                                   H/8, H/16, H/32 with 2, 4, 8 times the channels
      head      both streams side by side, norm, mean, dropout, projection
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import get_device_states, set_device_states

from twinpath.models.layers.attention import (
    NORM_EPS,
    Mlp,
    PooledAttention,
    PoolSpec,
    StochasticDepth,
    drop_path_rates,
    initialise_transformer,
)
from twinpath.models.layers.head import HeadConfig
from twinpath.models.layers.positions import Grid, JointPositions, SeparatePositions
from twinpath.models.mvit import TokenHead
from twinpath.models.network import VideoNetwork

Fusion = Literal["mean", "mlp"]

MLP_RATIO = 4
FUSION_RATIO = 2  # width inside the MLP that fuses two streams, over that of the two


class Branches(nn.Module):
    """The parts of both kinds of blocks: attention and an MLP, each behind a layer norm.

    Args:
        channels_in, channels: Of the tokens before and after attention.
        num_heads: Of attention.
        pool_q, pool_kv: Of attention; None: not pooled.
        qkv_bias: Whether the projection to queries, keys and values has a bias.
        drop_path: Rate of stochastic depth.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        *,
        num_heads: int,
        pool_q: PoolSpec | None,
        pool_kv: PoolSpec | None,
        qkv_bias: bool,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(channels_in, eps=NORM_EPS)
        self.attention = PooledAttention(
            channels_in, channels, num_heads=num_heads, pool_q=pool_q, pool_kv=pool_kv, qkv_bias=qkv_bias
        )
        self.norm_mlp = nn.LayerNorm(channels, eps=NORM_EPS)
        self.mlp = Mlp(channels, MLP_RATIO * channels, channels)
        self.drop_path = StochasticDepth(drop_path)

    def attend(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """The first branch."""
        y, _ = self.attention(self.norm_attention(x_BNC), grid)
        return self.drop_path(y)  # type: ignore[no-any-return]

    def transform(self, x_BNC: Tensor) -> Tensor:
        """The second branch."""
        return self.drop_path(self.mlp(self.norm_mlp(x_BNC)))  # type: ignore[no-any-return]


class ReversibleBlock(Branches):
    """Adds to each stream a branch of the other."""

    def forward(self, x1_BNC: Tensor, x2_BNC: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        x1 = x1_BNC + self.attend(x2_BNC, grid)
        return x1, x2_BNC + self.transform(x1)


class Transition(Branches):
    """The first block of a further stage: fuses the streams, then pools and widens as a block of MViT.

    Its shortcut passes through the pooling of the queries. In training the upstream drops whole samples here,
    with their shortcut; this block drops branches.

    Args:
        channels: C of each stream; twice as many go out.
        fusion: "mean" of the streams; "mlp": both concatenated, plus an MLP of them.
        pool_q: Of the queries; has a stride.
        num_heads, pool_kv, qkv_bias, drop_path: See `Branches`.
    """

    def __init__(
        self, channels: int, *, fusion: Fusion, pool_q: PoolSpec, num_heads: int, **options: Any
    ) -> None:
        fused = channels if fusion == "mean" else 2 * channels
        super().__init__(fused, 2 * channels, num_heads=num_heads, pool_q=pool_q, **options)
        self.fusion = Mlp(fused, FUSION_RATIO * fused, fused) if fusion == "mlp" else None
        self.shortcut = nn.Linear(fused, 2 * channels) if fused != 2 * channels else nn.Identity()

    def forward(self, x1_BNC: Tensor, x2_BNC: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """Two streams (B, N, C) to one, (B, N / 4, 2 C), and its grid."""
        if self.fusion is None:
            x = (x1_BNC + x2_BNC) / 2
        else:
            x = torch.cat([x1_BNC, x2_BNC], dim=-1)
            x = x + self.fusion(x)
        heads = self.shortcut(x).unflatten(2, (self.attention.num_heads, -1)).transpose(1, 2)
        pool_q = self.attention.pool_q
        assert pool_q is not None, "it strides"
        pooled, new_grid = pool_q(heads, grid)
        y = pooled.transpose(1, 2).flatten(2) + self.attend(x, grid)
        return y + self.transform(y), new_grid


class ReversibleMViT(VideoNetwork):
    """Patches, stages of blocks, head. With one stage and no pooling it is a reversible ViT.

    Args:
        num_classes: Logits.
        num_frames: T of a training clip; 1 for an image network.
        crop: Side of a training clip in pixels. Tables of positions are made for `num_frames` and `crop`; at
            other sizes they are interpolated.
        blocks: Blocks of each stage.
        width: C, channels of a stream in the first stage; each further one has twice as many.
        num_heads: Heads of the first stage; each further one has twice as many.
        image: Patches and pooling kernels have one frame.
        patch, patch_stride: Side of a patch, and from one patch to the next, in pixels.
        kv_stride: Stride in space of the keys and values in the first stage; each further one has half of it.
            None: they are not pooled.
        fusion: How the streams are fused between stages, see `Transition`.
        qkv_bias: Whether the projections to queries, keys and values have a bias.
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
        patch: int = 7,
        patch_stride: int = 4,
        kv_stride: int | None = 8,
        fusion: Fusion = "mean",
        qkv_bias: bool = True,
        drop_path: float = 0.05,
        dropout: float = 0.5,
        head_config: HeadConfig = HeadConfig(),
    ) -> None:
        super().__init__()
        kernel_t, stride_t = (1, 1) if image else (3, 2)
        padding = patch // 2 if patch > patch_stride else 0
        side = (crop + 2 * padding - patch) // patch_stride + 1
        if not blocks or num_frames < 1 or side < 2 ** (len(blocks) - 1):
            raise ValueError(f"no network of {len(blocks)} stages for {num_frames} frames of {crop} pixels")
        self.patches = nn.Conv3d(
            3,
            width,
            (kernel_t, patch, patch),
            stride=(stride_t, patch_stride, patch_stride),
            padding=(kernel_t // 2, padding, padding),
        )
        kind = JointPositions if image else SeparatePositions
        self.positions = kind(width, grid=(-(-num_frames // stride_t), side, side), class_token=False)
        self.blocks = nn.ModuleList()
        rates = iter(drop_path_rates(drop_path, sum(blocks)))
        for stage, num_blocks in enumerate(blocks):
            kv = None if kv_stride is None else _pooling(max(kv_stride // 2**stage, 1), image)
            channels = width * 2**stage
            shared: dict[str, Any] = {"num_heads": num_heads * 2**stage, "pool_kv": kv, "qkv_bias": qkv_bias}
            for i in range(num_blocks):
                given = {**shared, "drop_path": next(rates)}
                self.blocks.append(
                    Transition(channels // 2, fusion=fusion, pool_q=_pooling(2, image), **given)
                    if stage > 0 and i == 0
                    else ReversibleBlock(channels, channels, pool_q=None, **given)
                )
        self.head = TokenHead(
            2 * channels,
            num_classes,
            class_token=False,
            mean_first=False,
            dropout=dropout,
            head_config=head_config,
        )
        initialise_transformer(self)

    def forward_features(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to both streams concatenated, not normalised, (B, N, 2 C), in a tuple of one."""
        x_BCTHW = self.patches(clip)
        grid: Grid = (x_BCTHW.shape[2], x_BCTHW.shape[3], x_BCTHW.shape[4])
        x1_BNC = x2_BNC = x_BCTHW.flatten(2).transpose(1, 2) + self.positions(grid)
        run: list[ReversibleBlock] = []
        for block in self.blocks:
            if isinstance(block, ReversibleBlock):
                run.append(block)
                continue
            x_BNC, new_grid = block(*self._run(run, x1_BNC, x2_BNC, grid), grid)
            x1_BNC, x2_BNC, grid, run = x_BNC, x_BNC, new_grid, []
        return (torch.cat(self._run(run, x1_BNC, x2_BNC, grid), dim=-1),)

    def _run(
        self, blocks: Sequence[ReversibleBlock], x1_BNC: Tensor, x2_BNC: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor]:
        """Reversible blocks in sequence; in training without keeping their activations."""
        if blocks and self.training and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return run_reversibly(blocks, x1_BNC, x2_BNC, grid)
        for block in blocks:
            x1_BNC, x2_BNC = block(x1_BNC, x2_BNC, grid)
        return x1_BNC, x2_BNC


def _pooling(stride: int, image: bool) -> PoolSpec:
    return PoolSpec((1 if image else 3, 3, 3), (1, stride, stride))


def run_reversibly(
    blocks: Sequence[ReversibleBlock], x1_BNC: Tensor, x2_BNC: Tensor, grid: Grid
) -> tuple[Tensor, Tensor]:
    """Run blocks in sequence and keep no activations but the last.

    The backward pass computes each block's input from its output, last block first, and runs its branches
    again with the random numbers and the precision of the forward pass. So training costs a second forward
    pass, and the memory of one block's activations, whatever the depth.

    Args:
        blocks: All keep the grid.
        x1_BNC, x2_BNC: The streams.
        grid: Of their tokens.
    Returns:
        The streams after the last block.
    """
    parameters = [p for block in blocks for p in block.parameters()]
    x1, x2 = _ReversibleRun.apply(blocks, grid, x1_BNC, x2_BNC, *parameters)
    return x1, x2


class _ReversibleRun(torch.autograd.Function):
    """Blocks whose backward pass recomputes their inputs.

    Parameters are arguments, so that autograd passes their gradients on and detects changes in place.
    """

    @staticmethod
    def forward(
        ctx: Any, blocks: Sequence[ReversibleBlock], grid: Grid, x1: Tensor, x2: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.blocks, ctx.grid, ctx.states = blocks, grid, []
        for block in blocks:
            before_attention = _RandomState(x1)
            x1 = x1 + block.attend(x2, grid)
            before_mlp = _RandomState(x1)
            x2 = x2 + block.transform(x1)
            ctx.states.append((before_attention, before_mlp))
        ctx.save_for_backward(x1, x2, *parameters)
        return x1, x2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d1: Tensor, d2: Tensor) -> tuple[Any, ...]:
        x1, x2, *_ = ctx.saved_tensors
        gradients: dict[Tensor, Tensor] = {}
        for block, (before_attention, before_mlp) in zip(
            reversed(ctx.blocks), reversed(ctx.states), strict=True
        ):
            with before_mlp.restored():
                y, dx, of_mlp = _gradients(block.transform, x1, d2, block)
            x2, d1 = x2 - y, d1 + dx
            with before_attention.restored():
                y, dx, of_attention = _gradients(partial(block.attend, grid=ctx.grid), x2, d1, block)
            x1, d2 = x1 - y, d2 + dx
            gradients |= of_mlp | of_attention
        of_parameters = (gradients.get(p) for block in ctx.blocks for p in block.parameters())
        return None, None, d1, d2, *of_parameters


def _gradients(
    branch: Callable[[Tensor], Tensor], x: Tensor, dy: Tensor, block: nn.Module
) -> tuple[Tensor, Tensor, dict[Tensor, Tensor]]:
    """Run a block's branch on `x` again.

    Args:
        dy: Gradient of the branch's output.
    Returns:
        The branch's output, the gradient of `x`, and those of the branch's parameters.
    """
    parameters = [p for p in block.parameters() if p.requires_grad]
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = branch(x)
    dx, *found = torch.autograd.grad(y, (x, *parameters), dy.to(y.dtype), allow_unused=True)
    return y.detach(), dx, {p: d for p, d in zip(parameters, found, strict=True) if d is not None}


class _RandomState:
    """The state of the random generators and of autocast, to run a branch again as it ran."""

    def __init__(self, x: Tensor) -> None:
        kind = self.device_type = x.device.type
        self.state = torch.get_rng_state()
        self.devices, self.device_states = get_device_states(x)
        self.autocast: dict[str, Any] | None = None
        if torch.amp.is_autocast_available(kind):
            self.autocast = {
                "enabled": torch.is_autocast_enabled(kind),
                "dtype": torch.get_autocast_dtype(kind),
                # Weights that the forward pass cast under no_grad would come from the cache without a
                # gradient.
                "cache_enabled": False,
            }

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Restore the state inside the block."""
        autocast = (
            nullcontext() if self.autocast is None else torch.autocast(self.device_type, **self.autocast)
        )
        with torch.random.fork_rng(self.devices, device_type=self.device_type), autocast:
            torch.set_rng_state(self.state)
            set_device_states(self.devices, self.device_states, device_type=self.device_type)
            yield
