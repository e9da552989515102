"""Boxes as arrays: areas, intersection over union, non-maximum suppression. Pure NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.floating[Any]]  # (N, 4) x1, y1, x2, y2


def areas(boxes: Boxes) -> NDArray[np.float64]:
    """(N,) width times height."""
    sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    area: NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return area


def overlaps(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """(N, M) intersection over union of each pair; 0 for boxes without area."""
    shared = _shared_areas(first, second)
    union = areas(first)[:, None] + areas(second)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def best_apart(boxes: Boxes, scores: ArrayLike, *, max_overlap: float, max_inside: float = 1.0) -> list[int]:
    """Non-maximum suppression: of boxes that overlap, the one with the highest score.

    Args:
        boxes: (N, 4).
        scores: (N,).
        max_overlap: Intersection over union that two kept boxes may have.
        max_inside: Share of the smaller one's area that may lie in the other: a head and shoulders found once
            more inside a whole person have a small intersection over union.
    Returns:
        Indices of the kept boxes, best first.
    """
    iou = overlaps(boxes, boxes)
    smaller = np.minimum(areas(boxes)[:, None], areas(boxes)[None, :])
    inside = np.divide(_shared_areas(boxes, boxes), smaller, out=np.zeros_like(iou), where=smaller > 0)
    conflict = (iou > max_overlap) | (inside > max_inside)
    kept: list[int] = []
    for i in np.argsort(-np.asarray(scores), kind="stable"):
        if not conflict[i, kept].any():
            kept.append(int(i))
    return kept


def _shared_areas(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    corner_1 = np.maximum(first[:, None, :2], second[None, :, :2])
    corner_2 = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(corner_2 - corner_1, 0, None).astype(np.float64)
    shared: NDArray[np.float64] = sides[..., 0] * sides[..., 1]
    return shared
