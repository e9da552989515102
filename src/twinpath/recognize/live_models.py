"""Models for the windows of a live source: a classifier; a detector with its person detector and tracker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinpath.models.input_spec import InputSpec
from twinpath.people.base import PersonDetector, Tracker
from twinpath.recognize.classifier import Classifier
from twinpath.recognize.detector import MIN_SCORE, Detector, tracks_of
from twinpath.recognize.inference import scores_of
from twinpath.recognize.thresholds import checked_thresholds
from twinpath.results.classification import Prediction
from twinpath.results.detections import Track
from twinpath.results.keyframes import Keyframe

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class WindowResult:
    """What a model says of a window: `predictions` of the whole, or `people`; see `StreamAnswer`."""

    predictions: tuple[Prediction, ...] = ()
    people: tuple[Track, ...] | None = None


class LiveModel(Protocol):
    """Looks at the windows of one live source, one at a time."""

    name: str  # full name of network and weights
    spec: InputSpec

    def predict(self, clip_THWC: Frames, time_s: float) -> WindowResult:
        """The result of a window whose middle lies at a time in seconds since the first picture."""
        ...

    def warm_up(self, height: int, width: int) -> None:
        """Prepare for pictures of this size, in pixels, while the first window fills."""
        ...

    def describe(self) -> str:
        """For people: backend, version, device, precision."""
        ...


class LiveClassifier:
    """A `LiveModel` that classifies whole windows.

    Args:
        classifier: Classifies a window as one clip.
        top_k: How many labels a result has.
        min_score: Leave out labels with a lower score.
        on_warning: Called with each warning, once.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        top_k: int = 5,
        min_score: float = 0.0,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self._classifier, self._top_k, self._min_score = classifier, top_k, min_score
        self._on_warning = on_warning
        self._warned: set[str] = set()
        self.name, self.spec = classifier.model, classifier.spec

    def predict(self, clip_THWC: Frames, time_s: float) -> WindowResult:
        answer = self._classifier(clip_THWC, top_k=self._top_k)
        for warning in answer.warnings:
            if self._on_warning is not None and warning not in self._warned:
                self._warned.add(warning)
                self._on_warning(warning)
        return WindowResult(tuple(p for p in answer.predictions if p.score >= self._min_score))

    def warm_up(self, height: int, width: int) -> None:
        self._classifier.engine(1).warm_up(height, width)

    def describe(self) -> str:
        return self._classifier.describe()


class LiveDetector:
    """A `LiveModel` that tells who does what in the middle picture of a window; scores are not smoothed.

    Args:
        detector: Scores actions.
        people: A name for `people.choose.make_detector`, or your own person detector; no file of boxes,
            which belongs to a video.
        tracker: Tells from window to window who is who.
        min_score: As for `detections_of`.
        top_k: How many actions of a person a result has; None: all that count.
    """

    def __init__(
        self,
        detector: Detector,
        people: str | PersonDetector,
        tracker: Tracker,
        *,
        min_score: float | NDArray[np.floating] = MIN_SCORE,
        top_k: int | None = None,
    ) -> None:
        self._detector, self._people, self._tracker, self._top_k = detector, people, tracker, top_k
        self._min_score = checked_thresholds(min_score, detector.labels)
        self._by_size_px: dict[tuple[int, int], PersonDetector] = {}
        self.name, self.spec = detector.model, detector.spec

    def predict(self, clip_THWC: Frames, time_s: float) -> WindowResult:
        height, width = clip_THWC.shape[1:3]
        (people,) = self._person_detector(height, width)([clip_THWC[len(clip_THWC) // 2]], [time_s])
        (scores,) = scores_of(self._detector.engine, [clip_THWC], [people.boxes_xyxy_px])
        keyframe = Keyframe(time_s, people, self._tracker.update(people, time_s), scores)
        tracks = tracks_of([keyframe], self._detector.labels, min_score=self._min_score, smooth_s=0.0)
        return WindowResult(people=tuple(_with_top_actions(track, self._top_k) for track in tracks))

    def warm_up(self, height: int, width: int) -> None:
        self._person_detector(height, width)

    def describe(self) -> str:
        return self._detector.describe()

    def _person_detector(self, height_px: int, width_px: int) -> PersonDetector:
        """Made when the size of the pictures is known."""
        if not isinstance(self._people, str):
            return self._people
        size_px = (height_px, width_px)
        if size_px not in self._by_size_px:
            self._by_size_px[size_px] = self._detector.person_detector(
                self._people, None, width_px=width_px, height_px=height_px, min_score=None
            )
        return self._by_size_px[size_px]


def _with_top_actions(track: Track, top_k: int | None) -> Track:
    return replace(
        track, points=tuple(replace(point, actions=point.actions[:top_k]) for point in track.points)
    )
