"""A detection model's scores of the keyframes of a video, with the people and their tracks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.results.provenance import Provenance

Scores = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PersonBoxes:
    """The people in one frame.

    Attributes:
        boxes_xyxy_px: (N, 4) float32, x1, y1, x2, y2 in pixels of the displayed frame, clipped to it.
        scores: (N,) float32, the person detector's scores, 0 to 1.
        track_ids: (N,) from 1, if the person detector also tracks; None: a tracker assigns them.
    """

    boxes_xyxy_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    track_ids: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls) -> PersonBoxes:
        """No people: N = 0."""
        return cls(np.zeros((0, 4), dtype=np.float32), np.zeros(0, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class Keyframe:
    """One scored keyframe.

    Attributes:
        time_s: Time in seconds since the first frame.
        people: N boxes.
        track_ids: (N,) from 1.
        scores: (N, C) scores of the actions, 0 to 1.
    """

    time_s: float
    people: PersonBoxes
    track_ids: NDArray[np.int64]
    scores: Scores


@dataclass(frozen=True, eq=False, kw_only=True)
class KeyframeScores:
    """A detection model's scores of a video, complete or its first part.

    Attributes:
        video: The path as given.
        provenance: File, model, settings and versions that produced the scores.
        dataset: The training data set, for example "ava2.2".
        engine, person_detector, tracker: Names of the engine, the person detector and the tracker.
        width_px, height_px: Size of the displayed frames in pixels.
        duration_s: Duration of the video in seconds.
        first_frame_s: When a player shows the first frame, on its clock; all other times count from there.
        every_s: Distance of the keyframes in seconds.
        labels: The names of the C actions.
        keyframes: In order of time, from the first keyframe of the video on; also those without people.
        keyframes_expected: Number of keyframes in the whole video.
        complete: Whether `keyframes` covers the whole video.
        warnings: Warnings for the user about the video file and the boxes; often empty.
        timing_s: Seconds spent on "decode", "people" and "actions".
        settings: The settings of the output files next to the file of scores; empty: not written yet.
    """

    video: str
    provenance: Provenance
    dataset: str
    engine: str
    person_detector: str
    tracker: str
    width_px: int
    height_px: int
    duration_s: float
    every_s: float
    labels: tuple[str, ...]
    keyframes: tuple[Keyframe, ...]
    keyframes_expected: int
    complete: bool
    warnings: tuple[str, ...]
    timing_s: dict[str, float]
    settings: dict[str, Any]
    first_frame_s: float = 0.0

    def __len__(self) -> int:
        return len(self.keyframes)

    @property
    def done_s(self) -> float:
        """The end of the scored part, in seconds from the start of the video."""
        if self.complete:
            return self.duration_s
        return self.keyframes[-1].time_s if self.keyframes else 0.0

    def with_settings(self, settings: dict[str, Any]) -> KeyframeScores:
        return replace(self, settings=settings)
