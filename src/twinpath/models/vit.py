"""ViT for video: tubelets of a clip as tokens, and a plain transformer with attention between all of them.

It is the encoder that masked autoencoders pre-train, with the head of their fine-tuning: the mean of all
tokens but the class token.
Source: Dosovitskiy et al. 2020, An Image is Worth 16x16 Words (arXiv:2010.11929); Feichtenhofer et al. 2022,
Masked Autoencoders As Spatiotemporal Learners (arXiv:2205.09113), section 3 and table 1.

    clip (B, 3, T, H, W)
      patches   T/2, H/16, W/16   C     convolution 2x16x16, stride as the kernel; smaller in the tiny one
      tokens    1 + N             C     a class token in front; positions in space and in time added
      blocks    1 + N             C     norm, attention, shortcut; norm, MLP, shortcut
      head                              mean of N, norm, dropout, projection
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from twinpath.models.layers.attention import (
    NORM_EPS,
    Mlp,
    PooledAttention,
    StochasticDepth,
    drop_path_rates,
    initialise_transformer,
)
from twinpath.models.layers.head import HeadConfig
from twinpath.models.layers.positions import Grid, SeparatePositions
from twinpath.models.mvit import TokenHead
from twinpath.models.network import VideoNetwork

PATCH = (2, 16, 16)
MLP_RATIO = 4
HEAD_SCALE = 1e-3  # of new weights, as in the recipe: fine-tuning starts from almost equal scores


class TransformerBlock(nn.Module):
    """Attention and an MLP, each behind a layer norm and with a shortcut; keeps the number of tokens."""

    def __init__(self, width: int, *, num_heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=NORM_EPS)
        self.attention = PooledAttention(width, width, num_heads=num_heads)
        self.norm_mlp = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = Mlp(width, MLP_RATIO * width, width)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """(B, N, C) to (B, N, C)."""
        y, _ = self.attention(self.norm_attention(x_BNC), grid)
        x = x_BNC + self.drop_path(y)
        return x + self.drop_path(self.mlp(self.norm_mlp(x)))  # type: ignore[no-any-return]


class ViT(VideoNetwork):
    """Patches, blocks, head.

    Args:
        num_classes: Logits.
        num_frames: T of a training clip.
        crop: Side of a training clip in pixels. Tables of positions are made for `num_frames` and `crop`; at
            other sizes they are interpolated.
        patch: Frames, rows and columns of pixels of a token.
        width: C, of a token.
        depth: Blocks.
        num_heads: Of attention.
        drop_path: Rate of stochastic depth at the last block; grows evenly from 0 at the first.
        dropout, head_config: See `Head`.
    Raises:
        ValueError: The training clip does not consist of whole patches, or the width of whole heads.
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        num_frames: int = 16,
        crop: int = 224,
        patch: Grid = PATCH,
        width: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        drop_path: float = 0.1,
        dropout: float = 0.3,
        head_config: HeadConfig = HeadConfig(),
    ) -> None:
        super().__init__()
        self.patch = patch
        grid = self.token_grid(num_frames, crop)
        self.patches = nn.Conv3d(3, width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.empty(width))
        nn.init.trunc_normal_(self.class_token, std=0.02)
        self.positions = SeparatePositions(width, grid=grid, class_token=True)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, num_heads=num_heads, drop_path=rate)
            for rate in drop_path_rates(drop_path, depth)
        )
        self.head = TokenHead(
            width, num_classes, class_token=True, mean_first=True, dropout=dropout, head_config=head_config
        )
        initialise_transformer(self)
        with torch.no_grad():
            self.head.projection.weight.mul_(HEAD_SCALE)

    def token_grid(self, num_frames: int, crop: int) -> Grid:
        """Tokens of a clip in time, height and width.

        Raises:
            ValueError: The clip does not consist of whole patches.
        """
        frames, side, _ = self.patch
        if num_frames % frames or crop % side or num_frames * crop == 0:
            raise ValueError(
                f"a clip of {num_frames} frames of {crop}x{crop} pixels is not made of whole patches"
                f" of {frames} frames of {side}x{side} pixels"
            )
        return num_frames // frames, crop // side, crop // side

    def patch_tokens(self, clip: Tensor) -> tuple[Tensor, Grid]:
        """(B, 3, T, H, W) to a token of each patch that knows no position, (B, N, C), and their grid."""
        maps = self.patches(clip)
        return maps.flatten(2).transpose(1, 2), (maps.shape[2], maps.shape[3], maps.shape[4])

    def placed(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """Tokens of patches with the class token in front and positions added, (B, 1 + N, C)."""
        first = self.class_token.expand(x_BNC.shape[0], 1, -1)
        return torch.cat([first, x_BNC], dim=1) + self.positions(grid)  # type: ignore[no-any-return]

    def encoded(self, x_BNC: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """Placed tokens, all or some of them, through the blocks; and the grid on which all of them lie."""
        for block in self.blocks:
            x_BNC = block(x_BNC, grid)
        return x_BNC, grid

    def forward_features(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to the tokens of the last block, class token first, (B, 1 + N, C), in a tuple."""
        x_BNC, grid = self.patch_tokens(clip)
        return (self.encoded(self.placed(x_BNC, grid), grid)[0],)
