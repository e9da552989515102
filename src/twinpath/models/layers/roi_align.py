"""ROIAlign: the part of a map inside each box, resampled to a fixed grid. In plain PyTorch.

A bin's value is the mean of bilinear samples on a regular grid. The grid, and the weights of a bilinear
sample, are products of one factor for rows and one for columns, so the whole of it is two small matrices
for each box: rows (S, H), columns (S, W), and out = rows @ map @ columnsᵀ.
Source: He et al. 2017, Mask R-CNN (arXiv:1703.06870); equal to torchvision's, see tests/unit/models.
"""

from __future__ import annotations

import torch
from torch import Tensor


def roi_align(
    x_BCHW: Tensor,
    boxes: Tensor,
    *,
    size: int,
    spatial_scale: float,
    sampling_ratio: int = 0,
    aligned: bool = False,
) -> Tensor:
    """Resample a map inside boxes.

    Args:
        x_BCHW: Maps of a batch.
        boxes: (N, 5) batch index, x1, y1, x2, y2, in pixels of the network's input.
        size: S, bins of a side of the output.
        spatial_scale: Cells of the map for a pixel of the input, for example 1/16.
        sampling_ratio: Samples of a bin's side; 0: as many as it has cells, rounded up.
        aligned: Whether pixels are points at the centre of their cell, as in torchvision's `aligned`. Older
            models were trained without: their boxes are half a cell off, and at least one cell large.
    Returns:
        (N, C, S, S).
    Raises:
        ValueError: `boxes` is not (N, 5).
    """
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise ValueError(f"boxes must be (N, 5): batch index, x1, y1, x2, y2; not {tuple(boxes.shape)}")
    index, x1, y1, x2, y2 = boxes.to(torch.float32).unbind(dim=1)
    scaled = [side * spatial_scale - (0.5 if aligned else 0.0) for side in (x1, y1, x2, y2)]
    at_least = 0.0 if aligned else 1.0
    height, width = x_BCHW.shape[2:]
    rows = _weights(scaled[1], (scaled[3] - scaled[1]).clamp(min=at_least), height, size, sampling_ratio)
    columns = _weights(scaled[0], (scaled[2] - scaled[0]).clamp(min=at_least), width, size, sampling_ratio)
    of_boxes_NCHW = x_BCHW.index_select(0, index.long())
    rows_N1SH, columns_N1WS = rows[:, None], columns[:, None].transpose(2, 3)
    return (rows_N1SH.to(x_BCHW.dtype) @ of_boxes_NCHW) @ columns_N1WS.to(x_BCHW.dtype)


def _weights(start_N: Tensor, length_N: Tensor, cells: int, size: int, sampling_ratio: int) -> Tensor:
    """Weight of each cell of a row, or column, for each bin: (N, size, cells)."""
    bin_N = length_N / size
    samples_N = torch.full_like(bin_N, sampling_ratio) if sampling_ratio else bin_N.ceil()
    most = sampling_ratio or _most_samples(samples_N, cells, size)
    bins_S = torch.arange(size, device=start_N.device, dtype=start_N.dtype)
    number_G = torch.arange(most, device=start_N.device, dtype=start_N.dtype)
    taken_NG = number_G < samples_N[:, None]
    step_NG = (number_G + 0.5) * bin_N[:, None] / samples_N.clamp(min=1)[:, None]
    at_NSG = start_N[:, None, None] + bins_S[:, None] * bin_N[:, None, None] + step_NG[:, None]
    inside = (at_NSG >= -1.0) & (at_NSG <= cells) & taken_NG[:, None]
    at_NSG = at_NSG.clamp(0, cells - 1)
    distance = (at_NSG[..., None] - torch.arange(cells, device=start_N.device)).abs()
    weights_NSGL = (1 - distance).clamp(min=0) * inside[..., None]
    return weights_NSGL.sum(dim=2) / samples_N.clamp(min=1)[:, None, None]


def _most_samples(samples_N: Tensor, cells: int, size: int) -> int:
    """Samples of the largest bin; in an exported or traced graph, of a box as large as the map."""
    is_traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if torch.compiler.is_exporting() or is_traced or samples_N.is_meta:
        return -(-cells // size) + 1
    return max(1, int(samples_N.max())) if len(samples_N) else 1
