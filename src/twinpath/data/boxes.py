"""Boxes go where their picture goes: flipped and cropped with it. For scaled ones see `video.resample`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]


def flipped_boxes(boxes_xyxy_px: Boxes, *, width: int) -> Boxes:
    """Boxes (N, 4) in a picture that is mirrored left to right.

    Sides are of pixels as areas, so a box that ends with the picture begins at 0 afterwards. (PySlowFast's
    `horizontal_flip` counts from the middles of pixels: its boxes lie one pixel further left.)
    """
    x1, y1, x2, y2 = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4).T
    return np.stack([width - x2, y1, width - x1, y2], axis=1)


def cropped_boxes(
    boxes_xyxy_px: Boxes, *, left: int, top: int, width: int, height: int
) -> tuple[Boxes, NDArray[np.bool_]]:
    """Boxes (N, 4) in a part of a picture.

    Args:
        boxes_xyxy_px: In pixels of the whole picture.
        left, top, width, height: The part, in pixels.
    Returns:
        All boxes in pixels of the part, clipped to it, and (N,) which of them still hold something.
    """
    moved = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4) - [left, top, left, top]
    clipped = np.clip(moved, 0, [width, height, width, height])
    return clipped, np.asarray((clipped[:, 2:] > clipped[:, :2]).all(axis=1))
