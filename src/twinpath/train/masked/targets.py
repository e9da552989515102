"""What masked pre-training finds again: the pixels of a token, or the histograms of gradients in it.

A token of a grid (T', H', W') is T / T' frames, its tubelet, of H / H' x W / W' pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from twinpath.models.layers.positions import Grid

BINS = 9  # of 180 degrees
CELL_PX = 8  # side of a cell of histograms
_VARIANCE_EPS = 1e-6


def patches_of(clips_BCTHW: Tensor, grid: Grid) -> Tensor:
    """A view of clips (B, C, T, H, W) by tokens: (B, T', H', W', C, frames, rows, columns)."""
    batch, channels, *sizes = clips_BCTHW.shape
    frames, rows, columns = (n // of for n, of in zip(sizes, grid, strict=True))
    x = clips_BCTHW.view(batch, channels, grid[0], frames, grid[1], rows, grid[2], columns)
    return x.permute(0, 2, 4, 6, 1, 3, 5, 7)


@torch.no_grad()
def pixel_targets(
    clips_BCTHW: Tensor, grid: Grid, *, normalized: bool = True, first_frames_only: bool = True
) -> Tensor:
    """The pixels of each token.

    Args:
        clips_BCTHW: (B, 3, T, H, W) as the network takes them.
        grid: T', H', W' tokens.
        normalized: Less the token's own mean, over its own deviation; then a token says what is in it, and
            not how bright it is. Of the variance, which is unbiased, 1e-6 more is taken.
        first_frames_only: Of the tubelet's frames only the first one.
    Returns:
        (B, N, 3 * frames * rows * columns) float32, in this order.
    Source: He et al. 2021 (arXiv:2111.06377), section 3; PySlowFast, models/masked.py.
    """
    clips = clips_BCTHW.float()
    if first_frames_only:
        clips = clips[:, :, :: clips.shape[2] // grid[0]]
    x = patches_of(clips, grid).flatten(4).flatten(1, 3)  # a copy
    if not normalized:
        return x
    x = x - x.mean(dim=2, keepdim=True)
    variance = torch.linalg.vector_norm(x, dim=2, keepdim=True).square() / (x.shape[2] - 1)
    return x.div_((variance + _VARIANCE_EPS).sqrt())


@torch.no_grad()
def hog_targets(clips_BCTHW: Tensor, grid: Grid) -> Tensor:
    """Histograms of oriented gradients of each token, of the first frame of its tubelet.

    Gradients are Sobel's, of each colour, with mirrored borders. A gradient's magnitude counts in the one of
    9 bins of its angle modulo 180 degrees. Sums over cells of 8x8 pixels are divided by their L2 norm over
    the bins. Not as in Dalal's histograms: nothing is shared between bins or cells.

    Args:
        clips_BCTHW: (B, 3, T, H, W) as the network takes them.
        grid: T', H', W' tokens, of whole cells.
    Returns:
        (B, N, 3 * 9 * cells) float32.
    Source: Wei et al. 2022 (arXiv:2112.09133), section 3.2; PySlowFast, models/operators.py, `HOGLayerC`.
    """
    frames = clips_BCTHW.float()[:, :, :: clips_BCTHW.shape[2] // grid[0]].transpose(1, 2)
    pictures = F.pad(frames.flatten(0, 2)[:, None], (1, 1, 1, 1), mode="reflect")
    across = pictures.new_tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
    d_x, d_y = F.conv2d(pictures, torch.stack([across, across.T])[:, None]).unbind(1)
    bins = (torch.atan2(d_x, d_y) / math.pi * BINS).floor().long() % BINS
    votes = torch.zeros(len(bins), BINS, *bins.shape[1:], device=bins.device)
    votes.scatter_(1, bins[:, None], torch.hypot(d_x, d_y)[:, None])
    cells = F.avg_pool2d(votes, CELL_PX, divisor_override=1)
    maps = F.normalize(cells, dim=1).view(len(clips_BCTHW), grid[0], 3 * BINS, *cells.shape[2:])
    return patches_of(maps.transpose(1, 2), grid).flatten(4).flatten(1, 3)
