"""Models for live sources: a classifier, and a detector with its person detector and tracker."""

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
from twinpath.video.resize import Picture, Resize, ResizedFrames


@dataclass(frozen=True)
class WindowResult:
    """The result of a window: `predictions` of the whole window, or `people`; see `StreamAnswer`."""

    predictions: tuple[Prediction, ...] = ()
    people: tuple[Track, ...] | None = None


class LiveModel(Protocol):
    """Scores the windows of one live source, one at a time."""

    name: str  # full name of network and weights
    spec: InputSpec
    resize: Resize  # what is made of each frame

    def predict(self, clip: ResizedFrames, middle: Picture, time_s: float) -> WindowResult:
        """The result of a window.

        Args:
            clip: Its frames, resized with `resize`.
            middle: (H, W, 3) uint8, the whole picture of its middle frame.
            time_s: Its middle in seconds since the first frame.
        """
        ...

    def warm_up(self, height: int, width: int) -> None:
        """Prepare for frames of this size in pixels, before the first window is complete."""
        ...

    def describe(self) -> str:
        """Backend, version, device and precision, human-readable."""
        ...


class LiveClassifier:
    """A `LiveModel` that classifies whole windows.

    Args:
        classifier: Classifies a window as one clip.
        top_k: Number of labels of a result.
        min_score: Minimum score of a label.
        on_warning: Called once with each warning.
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
        self.resize = classifier.engine(1).resize

    def predict(self, clip: ResizedFrames, middle: Picture, time_s: float) -> WindowResult:
        answer = self._classifier(clip, top_k=self._top_k)
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
    """A `LiveModel` that detects the people in the middle frame of a window and their actions, unsmoothed.

    Args:
        detector: Scores the actions.
        people: A name for `people.choose.make_detector`, or a `PersonDetector`; not a file of boxes.
        tracker: Tracks people from window to window.
        min_score: See `detections_of`.
        top_k: Maximum number of actions per person; None: no maximum.
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
        self.name, self.spec, self.resize = detector.model, detector.spec, detector.engine.resize

    def predict(self, clip: ResizedFrames, middle: Picture, time_s: float) -> WindowResult:
        (people,) = self._person_detector(clip.height_px, clip.width_px)([middle], [time_s])
        (scores,) = scores_of(self._detector.engine, [clip], [people.boxes_xyxy_px])
        keyframe = Keyframe(time_s, people, self._tracker.update(people, time_s), scores)
        tracks = tracks_of([keyframe], self._detector.labels, min_score=self._min_score, smooth_s=0.0)
        return WindowResult(people=tuple(_with_top_actions(track, self._top_k) for track in tracks))

    def warm_up(self, height: int, width: int) -> None:
        self._person_detector(height, width)

    def describe(self) -> str:
        return self._detector.describe()

    def _person_detector(self, height_px: int, width_px: int) -> PersonDetector:
        """The person detector for frames of this size; created on first use."""
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
