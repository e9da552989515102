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
        time_s: Time of the keyframe in seconds since the first frame.
        box_xyxy_px: x1, y1, x2, y2 in pixels of the displayed frame, clipped to it.
        detection_score: The person detector's score, 0 to 1.
        actions: The actions whose scores reach the threshold, best first; may be empty.
    """

    time_s: float
    box_xyxy_px: BoxPx
    detection_score: float
    actions: tuple[Prediction, ...]


@dataclass(frozen=True)
class Track:
    """One person through the video.

    Attributes:
        track_id: From 1, in order of appearance.
        points: In order of time, at most one per keyframe.
    """

    track_id: int
    points: tuple[TrackPoint, ...]


def actions_of(track: Track) -> list[tuple[str, float]]:
    """The actions of a track with their mean score over the points that have them; most points first."""
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
        dataset: The training data set, for example "ava2.2"; `Prediction.index` counts its labels from 0,
            while AVA's files count actions from 1.
        engine, person_detector, tracker: Names of the engine, the person detector and the tracker.
        width_px, height_px: Size of the displayed frames in pixels.
        duration_s: Duration of the video in seconds.
        every_s: Distance of the keyframes in seconds.
        keyframes_s: Times of all scored keyframes in seconds, also of those without people.
        tracks: In order of their ids.
        warnings: Warnings for the user about this result; often empty.
        timing_s: Seconds spent on "people" and "actions", and on waiting for frames, "decode".
        first_frame_s: When a player shows the first frame, on its clock; all other times count from there.
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
    first_frame_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; each box also in relative coordinates, 0 to 1."""
        values = asdict(self)
        size = (self.width_px, self.height_px) * 2
        for track in values["tracks"]:
            for point in track["points"]:
                box = point["box_xyxy_px"]
                point["box_xyxy"] = [round(side / of, 5) for side, of in zip(box, size, strict=True)]
        return values
