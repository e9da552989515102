"""The protocols of person detectors and trackers, and their common functions. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinpath.errors import UsageError
from twinpath.results.keyframes import PersonBoxes

Frame = NDArray[np.uint8]  # (H, W, 3) RGB, as displayed


class PersonDetector(Protocol):
    """Detects people in the frames of one video, in order of time. Create one for each video."""

    name: str  # human-readable, with version or model
    batch_frames: int  # preferred number of frames per call

    def __call__(self, frames: Sequence[Frame], times_s: Sequence[float]) -> list[PersonBoxes]:
        """The people in each frame; `times_s` are seconds since the video's first frame."""
        ...


class Tracker(Protocol):
    """Assigns track ids to the boxes of successive frames. Create one for each video."""

    name: str

    def update(self, people: PersonBoxes, time_s: float) -> NDArray[np.int64]:
        """(N,) the track id of each person, from 1; ids are never reused."""
        ...


MAX_PEOPLE = 300  # in one frame; scoring more boxes would take minutes
# No person can be recognised in a smaller box. Files round boxes to 0.01 px, or to 0.00001 in relative
# coordinates (0.08 px of 8K), and a box must keep an area, since it can be read back from a file.
MIN_SIDE_PX = 0.5
LOST_S = 3.0  # a track without a detection ends after this time …
LOST_KEYFRAMES = 2.5  # … but not before two keyframes, of which one may be late


def lost_after_s(every_s: float) -> float:
    """Seconds after which a track without a detection ends, for keyframes `every_s` seconds apart."""
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
    """Filter a detector's boxes: clipped to the frame, best first, at most `MAX_PEOPLE`.

    Args:
        boxes_xyxy_px: (N, 4) in pixels; may be partly or completely outside the frame.
        scores: (N,) scores, 0 to 1.
        width_px, height_px: Size of the frame in pixels.
        min_score: Drop the boxes with a lower score.
        track_ids: (N,) if the detector also tracks.
    Returns:
        Boxes whose part inside the frame is at least `MIN_SIDE_PX` wide and high; boxes with NaN are dropped.
    """
    boxes = np.clip(np.asarray(boxes_xyxy_px).reshape(-1, 4), 0, [width_px, height_px] * 2).astype(np.float32)
    sure = np.asarray(scores, dtype=np.float32).reshape(-1)
    # A NaN compares as False, so it goes too.
    kept = (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE_PX).all(axis=1) & (sure >= np.float32(min_score))
    order = np.flatnonzero(kept)[np.argsort(-sure[kept], kind="stable")[:MAX_PEOPLE]]
    known = None if track_ids is None else np.asarray(track_ids, dtype=np.int64)[order]
    return PersonBoxes(boxes[order], np.clip(sure[order], 0, 1), known)


def checked_people(
    found: Sequence[PersonBoxes], frames: Sequence[Frame], *, detector: str
) -> list[PersonBoxes]:
    """What a person detector found, whoever wrote it, with the properties that `PersonBoxes` states.

    Args:
        found: For each frame.
        frames: Given to the detector.
        detector: Its name, for messages.
    Returns:
        The same; where boxes are empty, not finite, outside the frame or too many, filtered by `people_in`.
    Raises:
        UsageError: Not one result for each frame, or not one score and one track id for each box.
    """
    if len(found) != len(frames):
        raise UsageError(f"the person detector {detector} answered {len(found)} of {len(frames)} frames")
    return [
        _checked(people, frame.shape[1], frame.shape[0], detector)
        for people, frame in zip(found, frames, strict=True)
    ]


def _checked(people: PersonBoxes, width_px: int, height_px: int, detector: str) -> PersonBoxes:
    boxes, scores, track_ids = people.boxes_xyxy_px, people.scores, people.track_ids
    num_ids = len(scores) if track_ids is None else len(track_ids)
    if boxes.shape != (len(scores), 4) or num_ids != len(scores):
        raise UsageError(
            f"the person detector {detector} gave boxes {boxes.shape}, {len(scores)} scores and {num_ids} "
            "track ids; they must be (N, 4), N and N"
        )
    is_inside = (boxes >= 0) & (boxes <= [width_px, height_px] * 2)  # False for NaN
    has_area = boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE_PX
    if is_inside.all() and has_area.all() and np.isfinite(scores).all() and len(scores) <= MAX_PEOPLE:
        return people
    return people_in(boxes, scores, width_px=width_px, height_px=height_px, track_ids=track_ids)
