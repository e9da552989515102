"""Person detectors and trackers: a small protocol each, and what all of them share. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinpath.results.keyframes import PersonBoxes

Picture = NDArray[np.uint8]  # (H, W, 3) RGB, as displayed


class PersonDetector(Protocol):
    """Finds people in the pictures of one video, given in order of time. Make one for each video."""

    name: str  # for people, with version or model
    batch_frames: int  # how many pictures a call takes best

    def __call__(self, pictures: Sequence[Picture], times_s: Sequence[float]) -> list[PersonBoxes]:
        """The people of each picture; `times_s` are seconds since the video's first frame."""
        ...


class Tracker(Protocol):
    """Decides which boxes of successive pictures are one person. Make one for each video."""

    name: str

    def update(self, people: PersonBoxes, time_s: float) -> NDArray[np.int64]:
        """(N,) the track id of each person, from 1; an id is never used for another person."""
        ...


MAX_PEOPLE = 300  # in one picture; a network that scores each box would take minutes for more
# Nobody can be recognised in less. And our files round boxes, to 0.01 px or 0.00001 of the picture (0.08 px
# of 8K): each must keep a width and a height, since such a file is also read as a file of boxes.
MIN_SIDE_PX = 0.5
LOST_S = 3.0  # how long a track waits for a person who is not seen …
LOST_KEYFRAMES = 2.5  # … and for how many keyframes at least: at two, of which one may come late


def lost_after_s(every_s: float) -> float:
    """How long a track waits for a person who is not seen, where keyframes are `every_s` seconds apart."""
    return max(LOST_S, LOST_KEYFRAMES * every_s)


def people_in(
    boxes_xyxy_px: ArrayLike,
    scores: ArrayLike,
    *,
    width_px: int,
    height_px: int,
    min_score: float = 0.0,
    track_ids: ArrayLike | None = None,
) -> PersonBoxes:
    """The boxes of a detector, checked: inside the picture, best first, at most `MAX_PEOPLE`.

    Args:
        boxes_xyxy_px: (N, 4) in pixels; may reach over the picture's edge, or lie outside.
        scores: (N,) 0 to 1.
        width_px, height_px: Of the picture.
        min_score: Boxes that score less are left out.
        track_ids: (N,) where the detector knows who is who.
    Returns:
        Boxes at least `MIN_SIDE_PX` wide and high; those of which less lies inside the picture, and those
        that are NaN, are left out.
    """
    boxes = np.asarray(boxes_xyxy_px, dtype=np.float32).reshape(-1, 4)
    sure = np.asarray(scores, dtype=np.float32).reshape(-1)
    boxes = np.clip(boxes, 0, np.array([width_px, height_px] * 2, dtype=np.float32))
    # A NaN compares as False, so it goes too.
    kept = (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE_PX).all(axis=1) & (sure >= np.float32(min_score))
    order = np.flatnonzero(kept)[np.argsort(-sure[kept], kind="stable")[:MAX_PEOPLE]]
    known = None if track_ids is None else np.asarray(track_ids, dtype=np.int64)[order]
    return PersonBoxes(boxes[order], np.clip(sure[order], 0, 1), known)
