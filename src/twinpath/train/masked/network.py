"""A network that finds again what is hidden of clips: an encoder to keep, and what is put on it for that.

    masked = masked_network(recipe, network, num_frames=16)
    loss = masked(clips, torch.from_numpy(masked.masks.draw(len(clips), rng)))
    masked.finished()                       # the encoder, as it is fine-tuned

With a decoder only the visible tokens pass through the encoder, a tenth of them, and the decoder's few narrow
blocks see mask tokens in the others' places (MAE). Without one a mask token takes the place of each hidden
token before the encoder, and a linear layer is on its last block (MaskFeat).
Sources: Feichtenhofer et al. 2022, Masked Autoencoders As Spatiotemporal Learners (arXiv:2205.09113); Wei et
al. 2022, Masked Feature Prediction (arXiv:2112.09133); PySlowFast, models/masked.py and head_helper.py.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.errors import ConfigError
from twinpath.models.layers.attention import NORM_EPS, PooledAttention, initialise_transformer
from twinpath.models.layers.positions import Grid, JointPositions, SeparatePositions
from twinpath.models.mvit import MViT, TokenHead
from twinpath.models.network import VideoNetwork
from twinpath.models.vit import TransformerBlock, ViT
from twinpath.train.masked.last_stage import LargerLastStage
from twinpath.train.masked.masks import TokenMasks
from twinpath.train.masked.targets import BINS, CELL_PX, hog_targets, patches_of, pixel_targets
from twinpath.train.recipe import Recipe
from twinpath.train.sections import MaskSection

Target = Literal["masked_pixels", "masked_hog"]

UNLABELLED_CLASSES = ("unlabelled",)  # of an encoder before it is fine-tuned: a folder needs one

_HEAD_CHANNELS = 64  # of the decoder's attention


class MaskDecoder(nn.Module):
    """Blocks that see the encoded visible tokens and a mask token in each hidden one's place.

    Args:
        channels_in: Of the encoder's tokens.
        width: C, of its own.
        depth: Blocks.
        grid: Tokens of a clip.
        num_values: To predict of each token.
        separate_positions: A table for space and one for time, in place of one row for each token.
    """

    def __init__(
        self,
        channels_in: int,
        *,
        width: int,
        depth: int,
        grid: Grid,
        num_values: int,
        separate_positions: bool,
    ) -> None:
        super().__init__()
        self.narrow = nn.Linear(channels_in, width)
        self.mask_token = nn.Parameter(torch.empty(width))
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        # One table for all tokens: they are those of a single high frame to it.
        self.table_grid = grid if separate_positions else (1, grid[0] * grid[1], grid[2])
        table = SeparatePositions if separate_positions else JointPositions
        self.positions = table(width, grid=self.table_grid, class_token=True)
        num_heads = max(width // _HEAD_CHANNELS, 1)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, num_heads=num_heads, drop_path=0.0) for _ in range(depth)
        )
        self.head = _prediction(width, num_values)
        initialise_transformer(self.blocks)

    def forward(self, x_BKC: Tensor, hidden_BN: Tensor, grid: Grid) -> Tensor:
        """Predict the hidden tokens.

        Args:
            x_BKC: Encoded: a class token, and the visible ones in their order.
            hidden_BN: Which tokens are not among them.
            grid: Of all tokens.
        Returns:
            (number of hidden tokens in the batch, num_values), clip by clip.
        """
        x_BKC = self.narrow(x_BKC)
        x_BNC = self.mask_token.to(x_BKC.dtype).expand(*hidden_BN.shape, -1)
        x_BNC = x_BNC.masked_scatter(~hidden_BN[..., None], x_BKC[:, 1:])
        x_BNC = torch.cat([x_BKC[:, :1], x_BNC], dim=1) + self.positions(self.table_grid)
        for block in self.blocks:
            x_BNC = block(x_BNC, grid)
        return self.head(x_BNC[:, 1:][hidden_BN])  # type: ignore[no-any-return]


class MaskedNetwork(nn.Module):
    """An encoder with a task for videos without labels.

    Args:
        encoder: Changed: its classifier does not learn, and an MViT has a larger last stage.
        section: Settings.
        target: What is predicted.
        num_frames, crop_px: Of the clips.
    Attributes:
        encoder: The network.
        masks: That are drawn for its clips.
        grid: Tokens to predict.
    Raises:
        ConfigError: Such clips have no whole cells of gradients or no whole blocks of hidden tokens; or an
            encoder that pools tokens is to have a decoder.
    """

    def __init__(
        self, encoder: ViT | MViT, section: MaskSection, target: Target, *, num_frames: int, crop_px: int
    ) -> None:
        super().__init__()
        if section.decoder_depth and not isinstance(encoder, ViT):
            raise ConfigError(
                "mask.decoder_depth: only a ViT encodes the visible tokens alone; with pooling it is 0"
            )
        self.encoder = encoder
        self._larger = LargerLastStage(encoder) if isinstance(encoder, MViT) else None
        self._section, self._target = section, target
        self.grid = _output_grid(encoder, num_frames, crop_px)
        self.masks = TokenMasks(section.shape, section.ratio, self._mask_grid())
        num_values = self._num_values(num_frames, crop_px)
        channels = encoder.head.projection.in_features
        if section.decoder_depth:
            self.decoder: MaskDecoder | None = MaskDecoder(
                channels,
                width=section.decoder_width,
                depth=section.decoder_depth,
                grid=self.grid,
                num_values=num_values,
                separate_positions=section.decoder_separate_positions,
            )
        else:
            self.decoder = None
            self.mask_token = nn.Parameter(torch.empty(encoder.patches.out_channels))
            nn.init.trunc_normal_(self.mask_token, std=0.02)
            self.prediction = _prediction(channels, num_values)
        for name, parameter in encoder.head.named_parameters():
            # A decoder sees what the head's norm makes of tokens.
            parameter.requires_grad = self.decoder is not None and name.startswith("norm.")

    def forward(self, clips: Tensor, hidden_BTHW: Tensor) -> Tensor:
        """The loss: the mean squared error of hidden tokens' values, in float32.

        Args:
            clips: (B, 3, T, H, W).
            hidden_BTHW: (B, *masks.grid) bool, of each clip as many.
        """
        hidden = _spread(hidden_BTHW, self.grid).flatten(1)
        if self.decoder is not None:
            predicted = self.decoder(self.encoded_visible(clips, hidden), hidden, self.grid)
        else:
            predicted = self.prediction(self._encoded_with_mask_tokens(clips, hidden_BTHW)[hidden])
        return F.mse_loss(predicted.float(), self.targets(clips)[hidden])

    def targets(self, clips: Tensor) -> Tensor:
        """(B, 3, T, H, W) to the values of each token, (B, N, num_values), in float32 whatever the network
        computes in."""
        with torch.autocast(clips.device.type, enabled=False):
            if self._target == "masked_hog":
                return hog_targets(clips, self.grid)
            return pixel_targets(
                clips,
                self.grid,
                normalized=self._section.normalized_pixels,
                first_frames_only=self._section.first_frames_only,
            )

    def encoded_visible(self, clips: Tensor, hidden_BN: Tensor) -> Tensor:
        """The class token and the visible tokens of clips after the last block and a norm, (B, 1 + K, C).

        As the encoder has it, but for what is hidden: not even its patches are embedded.
        """
        encoder = self.encoder
        assert isinstance(encoder, ViT)
        assert isinstance(encoder.head, TokenHead)
        seen = ~hidden_BN
        pixels = patches_of(clips, self.grid)[seen.unflatten(1, self.grid)].flatten(1)  # type: ignore[no-untyped-call]
        tokens = F.linear(pixels, encoder.patches.weight.flatten(1), encoder.patches.bias)
        table = encoder.positions(self.grid)
        tokens = (tokens + table[1:][seen.nonzero()[:, 1]]).unflatten(0, (len(clips), -1))
        first = (encoder.class_token + table[0]).to(tokens.dtype).expand(len(clips), 1, -1)
        encoded, _ = encoder.encoded(torch.cat([first, tokens], dim=1), self.grid)
        return encoder.head.norm(encoded)  # type: ignore[no-any-return]

    def _encoded_with_mask_tokens(self, clips: Tensor, hidden_BTHW: Tensor) -> Tensor:
        """(B, N, C) tokens of the last block, without a class token."""
        x_BNC, grid = self.encoder.patch_tokens(clips)
        hidden = _spread(hidden_BTHW, grid).flatten(1)[..., None]
        x_BNC = torch.where(hidden, self.mask_token.to(x_BNC.dtype), x_BNC)
        tokens, _ = self.encoder.encoded(self.encoder.placed(x_BNC, grid), grid)
        return tokens[:, -math.prod(self.grid) :]

    def finished(self) -> VideoNetwork:
        """The encoder as it is fine-tuned; this network is of no more use."""
        if self._larger is not None:
            self._larger.undo()
        return self.encoder.requires_grad_(True)

    def _mask_grid(self) -> Grid:
        """Of masks: the tokens to predict, or the window of blocks."""
        window = self._section.window
        if self._section.shape != "cube":
            return self.grid
        if any(tokens % of for tokens, of in zip(self.grid, window, strict=True)):
            raise ConfigError(f"mask.window: {window} does not divide the clip's {self.grid} tokens")
        return window

    def _num_values(self, num_frames: int, crop_px: int) -> int:
        frames, rows, _ = self.grid
        tokens = self.encoder.token_grid(num_frames, crop_px)
        if (
            num_frames % frames
            or crop_px % rows
            or any(n % of for n, of in zip(tokens, self.grid, strict=True))
        ):
            raise ConfigError(
                f"clip.crop_px: {num_frames} frames of {crop_px} pixels are no {self.grid} equal tokens"
            )
        side = crop_px // rows
        if self._target == "masked_pixels":
            return 3 * side * side * (1 if self._section.first_frames_only else num_frames // frames)
        if side % CELL_PX:
            raise ConfigError(
                f"loss.kind: gradients are of cells of {CELL_PX} pixels, and a token has {side} in a row; "
                "take 'masked_pixels'"
            )
        return 3 * BINS * (side // CELL_PX) ** 2


def masked_network(recipe: Recipe, network: VideoNetwork, *, num_frames: int, crop_px: int) -> MaskedNetwork:
    """The network of a masked recipe, of which its own network is the encoder.

    New weights are drawn from torch's global random numbers.

    Args:
        recipe: Settings.
        network: A ViT or MViT.
        num_frames, crop_px: Of the clips.
    Raises:
        ConfigError: See `MaskedNetwork`.
    """
    assert isinstance(network, (ViT, MViT)), "check_recipe refuses others"
    assert recipe.loss.kind in ("masked_pixels", "masked_hog")
    try:
        return MaskedNetwork(network, recipe.mask, recipe.loss.kind, num_frames=num_frames, crop_px=crop_px)
    except ValueError as error:
        raise ConfigError(f"clip: {error}") from error


def _prediction(channels: int, num_values: int) -> nn.Sequential:
    head = nn.Sequential(nn.LayerNorm(channels, eps=NORM_EPS), nn.Linear(channels, num_values))
    initialise_transformer(head)
    return head


def _output_grid(encoder: ViT | MViT, num_frames: int, crop_px: int) -> Grid:
    """Tokens after the last block."""
    frames, rows, columns = encoder.token_grid(num_frames, crop_px)
    for attention in encoder.modules():
        if isinstance(attention, PooledAttention) and attention.pool_q is not None:
            t, h, w = attention.pool_q.conv.stride
            frames, rows, columns = -(-frames // t), -(-rows // h), -(-columns // w)
    return frames, rows, columns


def _spread(mask_BTHW: Tensor, grid: Grid) -> Tensor:
    """A mask on a grid that is a multiple of its own."""
    for axis, tokens in enumerate(grid, 1):
        mask_BTHW = mask_BTHW.repeat_interleave(tokens // mask_BTHW.shape[axis], dim=axis)
    return mask_BTHW
