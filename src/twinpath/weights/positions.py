"""Tables of positions made for clips of one size, brought to the size of another.

A transformer has a row for each place, or for each distance between places; see `models.layers.positions`.
"""

from __future__ import annotations

import re
from math import isqrt

import torch
from torch import Tensor

from twinpath.models.layers.positions import resample_line, resample_plane

_ALONG_A_LINE = re.compile(r"(.+\.)?(positions\.temporal|relative\.(time|height|width))")
_IN_A_PLANE = re.compile(r"(.+\.)?positions\.(spatial|joint)")


def resize_positions(name: str, tensor: Tensor, like: Tensor) -> Tensor | None:
    """A file's table at the size that a network has it, interpolated linearly (no align_corners).

    Args:
        name: Our name of the table.
        tensor: (…, rows, C), as the file has it. Frames are taken to be square; the row of a class token
            stays.
        like: (rows, C), as the network has it.
    Returns:
        A tensor of the shape of `like`; None where the name is not that of a table of positions, or the two
        differ in more than size.
    Source: PySlowFast, load_checkpoint, which takes bicubic interpolation for places in a frame.
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
    """The side of the largest square of so many rows, and how many are left over: a class token's."""
    side = isqrt(rows)
    return side, rows - side**2
