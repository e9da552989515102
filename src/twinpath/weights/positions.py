"""Interpolate tables of position embeddings to clips of another size; see `models.layers.positions`."""

from __future__ import annotations

import re
from math import isqrt

import torch
from torch import Tensor

from twinpath.models.layers.positions import resample_line, resample_plane

_ALONG_A_LINE = re.compile(r"(.+\.)?(positions\.temporal|relative\.(time|height|width))")
_IN_A_PLANE = re.compile(r"(.+\.)?positions\.(spatial|joint)")


def resize_positions(name: str, tensor: Tensor, like: Tensor) -> Tensor | None:
    """Interpolate a file's table linearly to the size of the network's, without align_corners.

    Args:
        name: Our name of the table.
        tensor: (…, rows, C), the file's table. Frames are assumed to be square; the row of a class token
            stays as it is.
        like: (rows, C), the network's table.
    Returns:
        A tensor of the shape of `like`; None where `name` is no table of positions, or the two differ in more
        than size.
    Source: PySlowFast, load_checkpoint, which interpolates positions in a frame bicubically.
    """
    if like.ndim != 2 or tensor.ndim < 2 or tensor.shape[-1] != like.shape[1]:
        return None
    table, rows = tensor.flatten(0, -2), like.shape[0]
    if _ALONG_A_LINE.fullmatch(name):
        return resample_line(table, rows)
    if not _IN_A_PLANE.fullmatch(name):
        return None
    (side, first), (new_side, new_first) = _square(table.shape[0]), _square(rows)
    if first != new_first or first not in (0, 1):
        return None
    plane = resample_plane(table[first:], (side, side), (new_side, new_side))
    return torch.cat([table[:first], plane])


def _square(rows: int) -> tuple[int, int]:
    """Side of the largest square with at most so many rows, and the number of rows beside it."""
    side = isqrt(rows)
    return side, rows - side**2
