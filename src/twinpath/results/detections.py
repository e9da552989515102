"""Who does what, where and when: the result of action detection, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from twinpath.results.classification import Prediction

BoxPx = tuple[float, float, float, float]


@dataclass(frozen=True)
class TrackPoint:
    """One person at one keyframe.

    Attributes:
        time_s: Of the keyframe, since the video's first frame.
        box_xyxy_px: In pixels of the picture as displayed, inside it.
        detection_score: The person detector's score, 0 to 1.
        actions: The person's actions, best first; only those that reach the threshold, perhaps none.
    """

    time_s: float
    box_xyxy_px: BoxPx
    detection_score: float
    actions: tuple[Prediction, ...]


@dataclass(frozen=True)
class Track:
    """One person through the video.

    Attributes:
        track_id: From 1, in the order in which they appear.
        points: In order of time, at most one for each keyframe.
    """

    track_id: int
    points: tuple[TrackPoint, ...]


def actions_of(track: Track) -> list[tuple[str, float]]:
    """The actions of a track, each with its mean score where it reached the threshold, longest first."""
    scores: dict[str, list[float]] = {}
    for point in track.points:
        for action in point.actions:
            scores.setdefault(action.label, []).append(action.score)
    means = [(label, sum(values) / len(values)) for label, values in scores.items()]
    return sorted(means, key=lambda pair: (-len(scores[pair[0]]), -pair[1]))


@dataclass(frozen=True)
class Detections:
    """Who does what, where and when in a video.

    Attributes:
        video: The path as given.
        model: Full name of network and weights.
        dataset: That it was trained on, for example "ava2.2"; `Prediction.index` counts its labels from 0,
            while AVA's files count actions from 1.
        engine, person_detector, tracker: What scored actions, found people and followed them.
        width_px, height_px: Of the picture as displayed.
        duration_s: Of the video.
        every_s: From one keyframe to the next.
        keyframes_s: Times of all scored keyframes, also of those without people.
        tracks: In the order of their ids.
        warnings: Warnings for the user about this result; often empty.
        timing_s: Seconds spent on "people" and "actions", and on waiting for frames, "decode".
    """

    video: str
    model: str
    dataset: str
    engine: str
    person_detector: str
    tracker: str
    width_px: int
    height_px: int
    duration_s: float
    every_s: float
    keyframes_s: tuple[float, ...]
    tracks: tuple[Track, ...]
    warnings: tuple[str, ...]
    timing_s: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON; each box also as shares of the picture, 0 to 1."""
        values = asdict(self)
        size = (self.width_px, self.height_px) * 2
        for track in values["tracks"]:
            for point in track["points"]:
                box = point["box_xyxy_px"]
                point["box_xyxy"] = [round(side / of, 5) for side, of in zip(box, size, strict=True)]
        return values
