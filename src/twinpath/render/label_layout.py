"""Label placement: next to the boxes, not on faces, without overlaps, and stable from frame to frame.

    layout = LabelLayout((720, 1280))
    placements = layout.place(requests)    # one per request; None: no space left

Each label has ten candidate positions around its box and, if none is free, smaller versions. The labels of
large boxes are placed first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rectangles = NDArray[np.float32]  # (..., 4) as x1, y1, x2, y2 in pixels

# A position: an anchor point of the box, the point of the label that is aligned with it (both relative to
# their width and height), and its cost. Above the box is preferred.
_POSITIONS: tuple[tuple[tuple[float, float], tuple[float, float], float], ...] = (
    ((0, 0), (0, 1), 0.00),  # above, flush left
    ((1, 0), (1, 1), 0.04),  # above, flush right
    ((1, 0), (0, 0), 0.08),  # to the right, at the top
    ((0, 0), (1, 0), 0.10),  # to the left, at the top
    ((0, 1), (0, 0), 0.12),  # below, flush left
    ((1, 1), (1, 0), 0.14),  # below, flush right
    ((0, 1), (0, 1), 0.30),  # inside at the bottom, left
    ((1, 1), (1, 1), 0.32),  # inside at the bottom, right
    ((1, 1), (0, 1), 0.22),  # to the right, at the bottom
    ((0, 1), (1, 1), 0.24),  # to the left, at the bottom
)
_BOX_POINTS, _LABEL_POINTS, _POSITION_COSTS = (
    np.array(column, dtype=np.float32) for column in zip(*_POSITIONS, strict=True)
)

_FACE_SHARE = 1 / 3  # of a person's box, from its top
_FACE_COST = 4.0  # of a label that covers a whole face, or lies completely on faces
_BODY_COST = 1.0  # of a label that lies completely on other people
_SHIFT_COST = 1.0  # of a label that the frame's border shifts by the label's size
_MAX_COST = 1.0  # above it a smaller version is used, or none
_SMALLER_COST = 0.6  # of each step to a smaller version
_SAME_POSITION_BONUS = 0.2  # for the position in the previous frame
_AREA_MOMENTUM = 0.1  # weight of the current area in a track's moving average


@dataclass(frozen=True)
class LabelRequest:
    """A label to place next to a person's box.

    Attributes:
        track_id: The person's track; the position in the previous frame is preferred.
        box_xyxy_px: The person's box in pixels.
        sizes_px: (width, height) of the label's versions, the preferred one first; at least one.
    """

    track_id: int
    box_xyxy_px: tuple[float, float, float, float]
    sizes_px: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class LabelPlacement:
    """The position of a label.

    Attributes:
        version: Index into the request's `sizes_px`.
        x_px, y_px: Its upper left corner, inside the frame.
    """

    version: int
    x_px: int
    y_px: int


class LabelLayout:
    """Places the labels of successive frames; prefers the positions of the previous frame.

    Args:
        size_px: (height, width) of the frames.
    """

    def __init__(self, size_px: tuple[int, int]) -> None:
        height, width = size_px
        self._frame_wh_px = np.array([width, height], dtype=np.float32)
        self._previous: dict[int, tuple[int, int]] = {}  # (version, position) by track id
        self._areas: dict[int, float] = {}  # smoothed, so that two tracks do not alternate

    def place(
        self,
        requests: Sequence[LabelRequest],
        *,
        occupied_xyxy_px: Sequence[tuple[float, float, float, float]] = (),
    ) -> list[LabelPlacement | None]:
        """Place the labels of one frame.

        Args:
            requests: All labels of the frame.
            occupied_xyxy_px: Rectangles that no label may touch.
        Returns:
            A placement for each request; None: all remaining positions are too costly. Labels do not overlap
            and are inside the frame unless they are larger than the frame.
        """
        if not requests:
            self._previous, self._areas = {}, {}
            return []
        boxes = np.array([request.box_xyxy_px for request in requests], dtype=np.float32)
        candidates, costs = self._candidates(requests, boxes)
        for rectangle in occupied_xyxy_px:
            costs[_intersects(candidates, np.array(rectangle, dtype=np.float32))] = np.inf
        placements: list[LabelPlacement | None] = [None] * len(requests)
        current: dict[int, tuple[int, int]] = {}
        for i in self._largest_first(requests, boxes):
            best = int(np.argmin(costs[i]))
            if not np.isfinite(costs[i, best]):
                continue
            current[requests[i].track_id] = version, _ = divmod(best, len(_POSITIONS))
            x, y = candidates[i, best, :2]
            placements[i] = LabelPlacement(version, round(float(x)), round(float(y)))
            costs[_intersects(candidates, candidates[i, best])] = np.inf
        self._previous = current
        return placements

    def _largest_first(self, requests: Sequence[LabelRequest], boxes: Rectangles) -> list[int]:
        """Indices of the requests by the smoothed areas of their tracks, largest first."""
        areas: dict[int, float] = {}
        for request, box in zip(requests, boxes, strict=True):
            area = float((box[2] - box[0]) * (box[3] - box[1]))
            previous_area = self._areas.get(request.track_id, area)
            areas[request.track_id] = _AREA_MOMENTUM * area + (1 - _AREA_MOMENTUM) * previous_area
        self._areas = areas
        return sorted(
            range(len(requests)), key=lambda i: (-areas[requests[i].track_id], requests[i].track_id)
        )

    def _candidates(
        self, requests: Sequence[LabelRequest], boxes: Rectangles
    ) -> tuple[Rectangles, NDArray[np.float32]]:
        """The candidate rectangles of each request, and their costs.

        Returns:
            (N, versions * positions, 4) rectangles and (N, versions * positions) costs; infinite for
            forbidden candidates.
        """
        versions = max(len(request.sizes_px) for request in requests)
        sizes = np.zeros((len(requests), versions, 1, 2), dtype=np.float32)
        for i, request in enumerate(requests):
            for version, size in enumerate(request.sizes_px):
                sizes[i, version, 0] = size
        points = boxes[:, None, :2] + _BOX_POINTS * (boxes[:, None, 2:] - boxes[:, None, :2])
        unclipped = points[:, None] - _LABEL_POINTS * sizes  # (N, versions, positions, 2)
        clipped = np.round(np.maximum(np.minimum(unclipped, self._frame_wh_px - sizes), 0))
        shifts = np.abs(clipped - unclipped) / np.maximum(sizes, 1)
        costs = _POSITION_COSTS + _SHIFT_COST * shifts.sum(axis=-1)
        costs = costs.reshape(len(requests), -1)
        candidates = np.concatenate([clipped, clipped + sizes], axis=-1).reshape(len(requests), -1, 4)
        costs += _occlusion_costs(candidates, boxes)
        for i, request in enumerate(requests):
            version, position = self._previous.get(request.track_id, (versions, 0))
            if version < versions:
                costs[i, version * len(_POSITIONS) + position] -= _SAME_POSITION_BONUS
            costs[i, len(request.sizes_px) * len(_POSITIONS) :] = np.inf
        costs[costs > _MAX_COST] = np.inf
        costs += np.repeat(_SMALLER_COST * np.arange(versions, dtype=np.float32), len(_POSITIONS))
        return candidates, costs


def _occlusion_costs(candidates: Rectangles, boxes: Rectangles) -> NDArray[np.float32]:
    """(N, C) costs of (N, C, 4) labels of N people, for the faces and the other people that they cover."""
    people, num_candidates = candidates.shape[:2]
    labels = candidates.reshape(-1, 4)
    label_areas = np.maximum(_areas_px(labels), 1)
    faces = boxes.copy()
    faces[:, 3] = boxes[:, 1] + _FACE_SHARE * (boxes[:, 3] - boxes[:, 1])
    on_faces = intersections_px(labels, faces)
    largest_share = (on_faces / np.maximum(_areas_px(faces), 1)).max(axis=1)
    face = np.maximum(largest_share, np.minimum(on_faces.sum(axis=1) / label_areas, 1))
    on_bodies = intersections_px(labels, boxes).reshape(people, num_candidates, people)
    on_bodies[np.arange(people), :, np.arange(people)] = 0  # the person's own box is free
    body = np.minimum(on_bodies.sum(axis=-1).ravel() / label_areas, 1)
    costs: NDArray[np.float32] = (_FACE_COST * face + _BODY_COST * body).reshape(people, num_candidates)
    return costs


def _areas_px(rectangles: Rectangles) -> NDArray[np.float32]:
    areas: NDArray[np.float32] = (rectangles[:, 2] - rectangles[:, 0]) * (rectangles[:, 3] - rectangles[:, 1])
    return areas


def _intersects(rectangles: Rectangles, other: Rectangles) -> NDArray[np.bool_]:
    """(...,) whether (..., 4) rectangles intersect `other`, (4,)."""
    left, top, right, bottom = np.moveaxis(rectangles, -1, 0)
    intersects: NDArray[np.bool_] = (
        (left < other[2]) & (right > other[0]) & (top < other[3]) & (bottom > other[1])
    )
    return intersects


def intersections_px(rectangles: Rectangles, others: Rectangles) -> NDArray[np.float32]:
    """(N, M) areas of intersection of (N, 4) and (M, 4) rectangles, in square pixels."""
    left, top, right, bottom = rectangles.T[..., None]
    widths = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
    heights = np.minimum(bottom, others[:, 3]) - np.maximum(top, others[:, 1])
    intersections: NDArray[np.float32] = np.maximum(widths, 0) * np.maximum(heights, 0)
    return intersections
