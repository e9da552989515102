"""Boxes as arrays: overlap, the best of many that overlap, and what every detector's answer must be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinpath.people.base import People

MAX_PEOPLE = 300  # in one picture; a network that scores each box would be busy for minutes with more
# Nobody can be recognised in less. And our files round boxes, to 0.01 px or 0.00001 of the picture (0.08 px
# of 8K): each must keep a width and a height, since an answer is read again with `--people`.
MIN_SIDE_PX = 0.5

Boxes = NDArray[np.floating[Any]]  # (N, 4) x1, y1, x2, y2


def people_in(
    boxes_xyxy_px: ArrayLike,
    scores: ArrayLike,
    *,
    width_px: int,
    height_px: int,
    min_score: float = 0.0,
    numbers: ArrayLike | None = None,
) -> People:
    """What a detector found, made fit to hand on: inside the picture, best first, at most `MAX_PEOPLE`.

    Args:
        boxes_xyxy_px: (N, 4) in pixels; may reach over the picture's edge, or lie outside.
        scores: (N,) 0 to 1.
        width_px, height_px: Of the picture.
        min_score: What scores less is left out.
        numbers: (N,) who each is, where the detector knows.
    Returns:
        Boxes at least `MIN_SIDE_PX` wide and high; those of which less lies inside the picture, or that are
        no numbers, are left out.
    """
    boxes = np.asarray(boxes_xyxy_px, dtype=np.float32).reshape(-1, 4)
    sure = np.asarray(scores, dtype=np.float32).reshape(-1)
    boxes = np.clip(boxes, 0, np.array([width_px, height_px] * 2, dtype=np.float32))
    # A NaN compares as False, so it goes too.
    kept = (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE_PX).all(axis=1) & (sure >= np.float32(min_score))
    order = np.flatnonzero(kept)[np.argsort(-sure[kept], kind="stable")[:MAX_PEOPLE]]
    known = None if numbers is None else np.asarray(numbers, dtype=np.int64)[order]
    return People(boxes[order], np.clip(sure[order], 0, 1), known)


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
