"""Boxes as arrays: areas, overlap, non-maximum suppression, flips and crops. Pure NumPy.

A box is x1, y1, x2, y2. Pixels are areas, not points: the box of a whole frame ends at its width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.floating[Any]]  # (N, 4)


def areas(boxes: Boxes) -> NDArray[np.float64]:
    """(…) areas of (…, 4) boxes."""
    sides = (boxes[..., 2:] - boxes[..., :2]).astype(np.float64)
    area: NDArray[np.float64] = sides[..., 0] * sides[..., 1]
    return area


def iou_matrix(first_N4: Boxes, second_M4: Boxes) -> NDArray[np.float64]:
    """(N, M) intersection over union of all pairs; 0 for boxes without area."""
    return iou(first_N4[:, None], second_M4[None, :])


def iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """(…) intersection over union of (…, 4) and (…, 4) boxes; 0 for boxes without area."""
    shared = _shared_areas(first, second)
    union = areas(first) + areas(second) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def non_max_suppression(
    boxes: Boxes, scores: ArrayLike, *, max_overlap: float, max_inside: float = 1.0
) -> list[int]:
    """Non-maximum suppression: of overlapping boxes, keep the one with the highest score.

    Args:
        boxes: (N, 4) boxes.
        scores: (N,) scores.
        max_overlap: Maximum intersection over union of two kept boxes.
        max_inside: Maximum share of the smaller box's area inside the other one: a box of head and shoulders
            inside a box of the whole person has a small intersection over union.
    Returns:
        Indices of the kept boxes, best first.
    """
    overlap = iou_matrix(boxes, boxes)
    smaller = np.minimum(areas(boxes)[:, None], areas(boxes)[None, :])
    shared = _shared_areas(boxes[:, None], boxes[None, :])
    inside = np.divide(shared, smaller, out=np.zeros_like(overlap), where=smaller > 0)
    conflict = (overlap > max_overlap) | (inside > max_inside)
    kept: list[int] = []
    for i in np.argsort(-np.asarray(scores), kind="stable"):
        if not conflict[i, kept].any():
            kept.append(int(i))
    return kept


def flipped_boxes(boxes_xyxy_px: ArrayLike, *, width: int) -> NDArray[np.float64]:
    """(N, 4) boxes in a horizontally flipped frame.

    A box at the right border is at 0 afterwards. (PySlowFast's `horizontal_flip` uses pixel centres: its
    boxes are one pixel further left.)
    """
    x1, y1, x2, y2 = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4).T
    return np.stack([width - x2, y1, width - x1, y2], axis=1)


def cropped_boxes(
    boxes_xyxy_px: ArrayLike, *, left: int, top: int, width: int, height: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(N, 4) boxes in a crop of a frame.

    Args:
        boxes_xyxy_px: In pixels of the whole frame.
        left, top, width, height: The crop, in pixels.
    Returns:
        All boxes in pixels of the crop, clipped to it, and (N,) whether each has an area there.
    """
    moved = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4) - [left, top, left, top]
    clipped = np.clip(moved, 0, [width, height, width, height])
    return clipped, np.asarray((clipped[:, 2:] > clipped[:, :2]).all(axis=1))


def _shared_areas(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    corner_1 = np.maximum(first[..., :2], second[..., :2])
    corner_2 = np.minimum(first[..., 2:], second[..., 2:])
    sides = np.clip(corner_2 - corner_1, 0, None).astype(np.float64)
    shared: NDArray[np.float64] = sides[..., 0] * sides[..., 1]
    return shared
