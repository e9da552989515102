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
    """The people in one picture.

    Attributes:
        boxes_xyxy_px: (N, 4) float32, in pixels of the picture as displayed, inside it.
        scores: (N,) float32, the person detector's, 0 to 1.
        track_ids: (N,) from 1, where the person detector knows who is who; None: a tracker finds out.
    """

    boxes_xyxy_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    track_ids: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls) -> PersonBoxes:
        """Of a picture without people."""
        return cls(np.zeros((0, 4), dtype=np.float32), np.zeros(0, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class Keyframe:
    """One scored keyframe.

    Attributes:
        time_s: Since the video's first frame.
        people: N boxes.
        track_ids: (N,) from 1.
        scores: (N, C) of the actions, 0 to 1.
    """

    time_s: float
    people: PersonBoxes
    track_ids: NDArray[np.int64]
    scores: Scores


@dataclass(frozen=True, eq=False, kw_only=True)
class KeyframeScores:
    """A detection model's scores of a video, all of it or the first part.

    Attributes:
        video: The path as given.
        provenance: What the scores were made from.
        dataset: That the model was trained on, for example "ava2.2".
        engine, person_detector, tracker: What scored actions, found people and followed them.
        width_px, height_px: Of the picture as displayed.
        duration_s: Of the video.
        every_s: From one keyframe to the next.
        labels: C names of actions.
        keyframes: In order of time, from the first of the video on; also those without people.
        keyframes_expected: In the whole video.
        complete: Whether these are the keyframes of the whole video.
        warnings: What the user should know about the video file and the boxes; often empty.
        timing_s: Seconds spent on "decode", "people" and "actions".
        settings: With which the results beside this file were written; empty: they were not yet.
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

    def __len__(self) -> int:
        return len(self.keyframes)

    @property
    def done_s(self) -> float:
        """Up to where the video was scored, in seconds from its start."""
        if self.complete:
            return self.duration_s
        return self.keyframes[-1].time_s if self.keyframes else 0.0

    def with_settings(self, settings: dict[str, Any]) -> KeyframeScores:
        return replace(self, settings=settings)
