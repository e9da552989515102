"""Tracks people by the positions of their boxes: overlap first, then distance. NumPy only.

Designed for keyframes about a second apart: in that time a walking person leaves the last box, which is half
as wide as high. A box that overlaps with no track is therefore matched with a nearby box of similar size, but
only of a track with a detection at the previous keyframe: after a longer gap a person may be anywhere, and
another person or a false positive would continue the track.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpath.boxes import areas, iou_matrix
from twinpath.people.base import LOST_S
from twinpath.results.keyframes import PersonBoxes


@dataclass(frozen=True)
class TrackRules:
    """The rules that match two boxes.

    Attributes:
        min_overlap: Minimum intersection over union of a match by overlap, the largest first.
        reach_per_s: Maximum speed of a box centre between two keyframes, in longer sides of the box per
            second. Walking is 0.8 body lengths per second, running 2 or more. Larger values confuse more
            people in a crowd.
        max_reach: Maximum distance, if keyframes are far apart.
        max_growth: Maximum factor between the areas of two boxes that do not overlap.
        lost_s: Seconds after which a track without a detection ends.
    """

    min_overlap: float = 0.2
    reach_per_s: float = 1.2
    max_reach: float = 1.5
    max_growth: float = 2.0
    lost_s: float = LOST_S


@dataclass
class _LastBox:
    """The last box of a track."""

    track_id: int
    box: NDArray[np.float32]
    time_s: float


class IouTracker:
    """A Tracker without an appearance model: greedy matching, the best pair first.

    Args:
        rules: The rules that match two boxes.
    """

    name = "iou"

    def __init__(self, rules: TrackRules | None = None) -> None:
        self.rules = rules or TrackRules()
        self._last_boxes: list[_LastBox] = []
        self._last_id = 0
        self._last_time_s = 0.0

    def update(self, people: PersonBoxes, time_s: float) -> NDArray[np.int64]:
        """See `Tracker.update`."""
        self._last_boxes = [last for last in self._last_boxes if time_s - last.time_s <= self.rules.lost_s]
        boxes = people.boxes_xyxy_px
        track_ids = np.zeros(len(people), dtype=np.int64)
        if self._last_boxes and len(people):
            last_boxes = np.stack([last.box for last in self._last_boxes])
            is_recent = np.array([last.time_s == self._last_time_s for last in self._last_boxes])
            for track, person in self._pairs(last_boxes, boxes, is_recent, time_s - self._last_time_s):
                track_ids[person] = self._last_boxes[track].track_id
                self._last_boxes[track] = _LastBox(int(track_ids[person]), boxes[person], time_s)
        for person in np.flatnonzero(track_ids == 0).tolist():
            self._last_id += 1
            track_ids[person] = self._last_id
            self._last_boxes.append(_LastBox(self._last_id, boxes[person], time_s))
        self._last_time_s = time_s
        return track_ids

    def _pairs(
        self,
        last_boxes: NDArray[np.float32],
        boxes: NDArray[np.float32],
        is_recent: NDArray[np.bool_],
        step_s: float,
    ) -> list[tuple[int, int]]:
        """(track, box) indices of each match.

        Args:
            last_boxes: (T, 4) the last box of each track.
            boxes: (N, 4) the current boxes.
            is_recent: (T,) whether the track had a detection at the previous keyframe.
            step_s: Seconds since the previous keyframe.
        """
        rules = self.rules
        overlap = iou_matrix(last_boxes, boxes)
        pairs = _best_first(overlap, overlap >= rules.min_overlap)
        distance = _distances(last_boxes, boxes)
        growth = areas(boxes)[None, :] / areas(last_boxes)[:, None]
        reach = min(rules.reach_per_s * max(step_s, 0.0), rules.max_reach)
        near = is_recent[:, None] & (distance <= reach) & (np.maximum(growth, 1 / growth) <= rules.max_growth)
        near[[track for track, _ in pairs], :] = False
        near[:, [person for _, person in pairs]] = False
        return pairs + _best_first(-distance, near)


def _best_first(value: NDArray[np.float64], allowed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Pairs (row, column) of the largest values, each row and each column at most once."""
    rows, columns = np.nonzero(allowed)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for i in np.argsort(-value[rows, columns], kind="stable"):
        row, column = int(rows[i]), int(columns[i])
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return list(pairs.items())


def _distances(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, M) distances of the centres, relative to the mean of the longer sides of both boxes."""
    apart = (first[:, None, :2] + first[:, None, 2:] - second[None, :, :2] - second[None, :, 2:]) / 2
    sides_1, sides_2 = (np.max(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second))
    side = (sides_1[:, None] + sides_2[None, :]) / 2
    distances: NDArray[np.float64] = np.hypot(apart[..., 0], apart[..., 1]).astype(np.float64) / side
    return distances
