"""Where the labels of people go: beside their boxes, off faces, off each other, and calm from frame to frame.

    placer = LabelLayout((720, 1280))
    places = placer.place(wishes)          # for each plate where it goes, or None where there is no room

A plate tries places around its box and, where there is no room, smaller versions of itself. People with
large boxes choose first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rectangles = NDArray[np.float32]  # (..., 4) as x1, y1, x2, y2 in pixels

# Corner of the box (as a share of its width and height) on which the plate's corner (as a share of its own)
# lies, and what the place costs for itself. Above comes first: there the eye expects a name.
_SLOTS: tuple[tuple[tuple[float, float], tuple[float, float], float], ...] = (
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
_BOX_SHARE, _PLATE_SHARE, _SLOT_COST = (
    np.array(column, dtype=np.float32) for column in zip(*_SLOTS, strict=True)
)

_FACE_SHARE = 1 / 3  # of a person's box, from its top
_FACE_COST = 4.0  # for a plate that covers a whole face, or lies on faces altogether
_BODY_COST = 1.0  # for a plate that lies on other people altogether
_SHIFT_COST = 1.0  # for a plate that the picture's border shifts by its own size
_MOST_COST = 1.0  # dearer places are not taken: rather a smaller version, or none
_SMALLER_COST = 0.6  # for each step to a smaller version
_STAY_BONUS = 0.2  # for the place of the frame before
_MEMORY = 0.1  # share of a new area in a track's smoothed area


@dataclass(frozen=True)
class Wish:
    """A plate that wants a place beside a person's box.

    Attributes:
        track: Whose; its last place is remembered.
        box_xyxy_px: The person's box.
        sizes_px: (width, height) of its versions, the one wished for first; at least one.
    """

    track: int
    box_xyxy_px: tuple[float, float, float, float]
    sizes_px: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Place:
    """Where a plate goes.

    Attributes:
        version: Index into the wish's `sizes_px`.
        x_px, y_px: Its upper left corner, inside the picture.
    """

    version: int
    x_px: int
    y_px: int


class LabelLayout:
    """Finds places, frame after frame; prefers those of the frame before.

    Args:
        size_px: (height, width) of the pictures.
    """

    def __init__(self, size_px: tuple[int, int]) -> None:
        height, width = size_px
        self._picture = np.array([width, height], dtype=np.float32)
        self._last: dict[int, tuple[int, int]] = {}  # a track's version and slot
        self._areas: dict[int, float] = {}  # smoothed, so that two people do not take turns

    def place(
        self,
        wishes: Sequence[Wish],
        *,
        taken_xyxy_px: Sequence[tuple[float, float, float, float]] = (),
    ) -> list[Place | None]:
        """A place for each plate, or None where all that are left would make a mess.

        Args:
            wishes: Those of one frame.
            taken_xyxy_px: Where nothing may lie.
        Returns:
            For each plate its place. No two overlap, and none lies outside the picture unless it is larger.
        """
        if not wishes:
            self._last, self._areas = {}, {}
            return []
        boxes = np.array([config.box_xyxy_px for config in wishes], dtype=np.float32)
        where, costs = self._candidates(wishes, boxes)
        for rectangle in taken_xyxy_px:
            costs[_touch(where, np.array(rectangle, dtype=np.float32))] = np.inf
        places: list[Place | None] = [None] * len(wishes)
        last: dict[int, tuple[int, int]] = {}
        for i in self._by_importance(wishes, boxes):
            best = int(np.argmin(costs[i]))
            if not np.isfinite(costs[i, best]):
                continue
            last[wishes[i].track] = version, _ = divmod(best, len(_SLOTS))
            places[i] = Place(version, round(float(where[i, best, 0])), round(float(where[i, best, 1])))
            costs[_touch(where, where[i, best])] = np.inf
        self._last = last
        return places

    def _by_importance(self, wishes: Sequence[Wish], boxes: Rectangles) -> list[int]:
        areas: dict[int, float] = {}
        for config, box in zip(wishes, boxes, strict=True):
            area = float((box[2] - box[0]) * (box[3] - box[1]))
            areas[config.track] = _MEMORY * area + (1 - _MEMORY) * self._areas.get(config.track, area)
        self._areas = areas
        return sorted(range(len(wishes)), key=lambda i: (-areas[wishes[i].track], wishes[i].track))

    def _candidates(
        self, wishes: Sequence[Wish], boxes: Rectangles
    ) -> tuple[Rectangles, NDArray[np.float32]]:
        """(N, versions * slots, 4) places for each wish, and what each costs; infinite: not to be taken."""
        versions = max(len(config.sizes_px) for config in wishes)
        sizes = np.zeros((len(wishes), versions, 1, 2), dtype=np.float32)
        for i, config in enumerate(wishes):
            for version, size in enumerate(config.sizes_px):
                sizes[i, version, 0] = size
        corners = boxes[:, None, :2] + _BOX_SHARE * (boxes[:, None, 2:] - boxes[:, None, :2])
        wished = corners[:, None] - _PLATE_SHARE * sizes  # (N, versions, slots, 2)
        inside = np.round(np.maximum(np.minimum(wished, self._picture - sizes), 0))
        there = np.maximum(sizes, 1)
        costs = _SLOT_COST + _SHIFT_COST * (np.abs(inside - wished) / there).sum(axis=-1)
        costs = costs.reshape(len(wishes), -1)
        where = np.concatenate([inside, inside + sizes], axis=-1).reshape(len(wishes), -1, 4)
        costs += _covering(where, boxes)
        for i, config in enumerate(wishes):
            version, slot = self._last.get(config.track, (versions, 0))
            if version < versions:
                costs[i, version * len(_SLOTS) + slot] -= _STAY_BONUS
            costs[i, len(config.sizes_px) * len(_SLOTS) :] = np.inf
        costs[costs > _MOST_COST] = np.inf
        costs += np.repeat(_SMALLER_COST * np.arange(versions, dtype=np.float32), len(_SLOTS))
        return where, costs


def _covering(where: Rectangles, boxes: Rectangles) -> NDArray[np.float32]:
    """What it costs that (N, C, 4) plates of N people lie on any of their faces, and on others' bodies."""
    people, candidates = where.shape[:2]
    plates = where.reshape(-1, 4)
    own = np.maximum(_area(plates), 1)
    faces = boxes.copy()
    faces[:, 3] = boxes[:, 1] + _FACE_SHARE * (boxes[:, 3] - boxes[:, 1])
    on_faces = overlaps_px(plates, faces)
    most = (on_faces / np.maximum(_area(faces), 1)).max(axis=1)
    face = np.maximum(most, np.minimum(on_faces.sum(axis=1) / own, 1))
    on_bodies = overlaps_px(plates, boxes).reshape(people, candidates, people)
    on_bodies[np.arange(people), :, np.arange(people)] = 0
    body = np.minimum(on_bodies.sum(axis=-1).ravel() / own, 1)
    cost: NDArray[np.float32] = (_FACE_COST * face + _BODY_COST * body).reshape(people, candidates)
    return cost


def _area(rectangles: Rectangles) -> NDArray[np.float32]:
    area: NDArray[np.float32] = (rectangles[:, 2] - rectangles[:, 0]) * (rectangles[:, 3] - rectangles[:, 1])
    return area


def _touch(rectangles: Rectangles, other: Rectangles) -> NDArray[np.bool_]:
    """Which of (..., 4) rectangles have an area in common with another one, (4,)."""
    left, top, right, bottom = np.moveaxis(rectangles, -1, 0)
    touch: NDArray[np.bool_] = (left < other[2]) & (right > other[0]) & (top < other[3]) & (bottom > other[1])
    return touch


def overlaps_px(rectangles: Rectangles, others: Rectangles) -> NDArray[np.float32]:
    """Common area of each two of (N, 4) and (M, 4) rectangles: (N, M) square pixels."""
    left, top, right, bottom = rectangles.T[..., None]
    wide = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
    high = np.minimum(bottom, others[:, 3]) - np.maximum(top, others[:, 1])
    common: NDArray[np.float32] = np.maximum(wide, 0) * np.maximum(high, 0)
    return common
