"""Detects motion in front of a fixed camera by OpenCV's background subtraction, without a network.

It does not distinguish people from cars, and a person who stands still long enough becomes background.

Source: Zivkovic, "Improved adaptive Gaussian mixture model for background subtraction", ICPR 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.people.base import Frame, people_in
from twinpath.people.opencv import load_opencv
from twinpath.results.keyframes import PersonBoxes

DEFAULT_MIN_SCORE = 0.3

_HEIGHT_PX = 240  # of the scaled frame
_MAX_WIDTH_PX = 960
_HISTORY_FRAMES = 120  # of the background model: two minutes of keyframes a second apart
_MIN_HISTORY_FRAMES = 3  # before motion can be detected
_BACKGROUND_SHARE = 0.6  # of the time that a pixel must show background; a shorter stop counts as motion
_MAX_DISTANCE_SQUARED = 25  # from a background colour: 5 standard deviations
_FOREGROUND = 255  # in OpenCV's mask; 127 is a shadow
_MIN_AREA = 0.002  # moving share of the frame: a person of 1/8 of its height
_MAX_MOVING = 0.5  # share of the frame: more is a cut, a change of light, or a moving camera
_GAP_X, _GAP_Y = 0.015, 0.06  # gaps between parts of one person, relative to the frame height
_SPECK_PX = 3


class MotionDetector:
    """A PersonDetector for fixed cameras.

    All frames of a call update the background model before people are detected in them, so that people can be
    detected in the first frames of a batch, too. Three frames are needed before anything is detected. The
    score is
    the square root of the moving share of the box: 0.6 and more for a body, less for the edge of a shadow.

    Args:
        min_score: Drop the boxes with a lower score.
    Raises:
        MissingExtra: OpenCV is not installed.
    """

    batch_frames = 16

    def __init__(self, *, min_score: float = DEFAULT_MIN_SCORE) -> None:
        self._cv2 = load_opencv(attribute="createBackgroundSubtractorMOG2", needed_by="people='motion'")
        self.name = f"motion (MOG2, OpenCV {self._cv2.__version__})"
        self.min_score = min_score
        self._background: Any = None
        self._learned = 0
        self._size: tuple[int, int] | None = None
        self._has_cut = False

    def __call__(self, frames: Sequence[Frame], times_s: Sequence[float]) -> list[PersonBoxes]:
        """See `PersonDetector`. Another frame size or a cut in the last call resets the background model."""
        small = [self._prepared(frame) for frame in frames]
        if self._has_cut:
            self._background, self._has_cut = None, False
        for frame in small:
            self._learn(frame)
        return [self._detect(frame, original=original) for frame, original in zip(small, frames, strict=True)]

    def _prepared(self, frame: Frame) -> NDArray[np.uint8]:
        """A scaled frame without the noise of single pixels."""
        cv2 = self._cv2
        height, width = frame.shape[:2]
        scale = min(1.0, _HEIGHT_PX / height, _MAX_WIDTH_PX / width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA)
        smooth: NDArray[np.uint8] = cv2.GaussianBlur(small, (5, 5), 0)
        return smooth

    def _learn(self, frame: NDArray[np.uint8]) -> None:
        if self._background is None or frame.shape[:2] != self._size:
            self._background = self._cv2.createBackgroundSubtractorMOG2(
                history=_HISTORY_FRAMES, varThreshold=_MAX_DISTANCE_SQUARED, detectShadows=True
            )
            self._background.setBackgroundRatio(_BACKGROUND_SHARE)
            self._learned, self._size = 0, (frame.shape[0], frame.shape[1])
        self._learned += 1
        self._background.apply(frame, learningRate=1 / min(self._learned, _HISTORY_FRAMES))

    def _detect(self, frame: NDArray[np.uint8], *, original: Frame) -> PersonBoxes:
        """The people in a scaled frame, in pixels of the original frame."""
        if self._learned < _MIN_HISTORY_FRAMES or frame.shape[:2] != self._size:
            return PersonBoxes.none()
        cv2 = self._cv2
        moving = (self._background.apply(frame, learningRate=0) == _FOREGROUND).astype(np.uint8)
        moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, np.ones((_SPECK_PX, _SPECK_PX), np.uint8))
        if moving.mean() > _MAX_MOVING:
            self._has_cut = True
            return PersonBoxes.none()
        boxes, scores = self._blobs(moving)
        height, width = original.shape[:2]
        scale = np.array([width / frame.shape[1], height / frame.shape[0]] * 2)
        return people_in(boxes * scale, scores, width_px=width, height_px=height, min_score=self.min_score)

    def _blobs(self, moving: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Boxes around moving regions, with small gaps closed, and their scores."""
        cv2 = self._cv2
        height = moving.shape[0]
        gap = np.ones((1 + round(_GAP_Y * height), 1 + round(_GAP_X * height)), np.uint8)
        count, labels = cv2.connectedComponents(cv2.dilate(moving, gap), connectivity=8)
        labels = labels * moving  # only moving pixels, without the closed gaps
        boxes, scores = [], []
        for ys, xs in (np.nonzero(labels == label) for label in range(1, count)):
            if len(xs) < _MIN_AREA * moving.size:
                continue
            box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            boxes.append(box)
            scores.append((len(xs) / ((box[2] - box[0]) * (box[3] - box[1]))) ** 0.5)
        return np.array(boxes, dtype=np.float64).reshape(-1, 4), np.array(scores, dtype=np.float64)
