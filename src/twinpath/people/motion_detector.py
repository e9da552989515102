"""Finds what moves before a fixed camera, by OpenCV's background subtraction: no network at all.

It does not tell people from cars, and a person who stands still long enough becomes background.

Source: Zivkovic, "Improved adaptive Gaussian mixture model for background subtraction", ICPR 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.people.base import Picture, people_in
from twinpath.people.opencv import load_opencv
from twinpath.results.keyframes import PersonBoxes

DEFAULT_MIN_SCORE = 0.3

_HEIGHT_PX = 240  # of the scaled picture
_MAX_WIDTH_PX = 960
_MEMORY_PICTURES = 120  # that make the background: two minutes of keyframes a second apart
_TEACHING_PICTURES = 3  # that must be known before anything can move
_BACKGROUND_SHARE = 0.6  # of the time that a place shows background; a shorter stop is movement
_MAX_DISTANCE_SQUARED = 25  # from a background colour, in variances: 5 standard deviations
_FOREGROUND = 255  # in OpenCV's mask; 127 is a shadow
_MIN_AREA = 0.002  # of the picture, moving: a person 1/8 as tall as it
_MAX_MOVING = 0.5  # of the picture: more is a cut, a light switched on, or a camera that moves
_GAP_X, _GAP_Y = 0.015, 0.06  # of the picture's height, between parts of one person: legs lie below a belt
_SPECK_PX = 3


class MotionDetector:
    """A PersonDetector for fixed cameras.

    All pictures of a call are learned before people are searched in them, so that people are found in the
    first ones, too, where several are given at once. Until three pictures are known, nobody is found. The
    score is the square root of the share of the box that moves: 0.6 and more for a body, less for a
    shadow's rim.

    Args:
        min_score: Boxes that score less are left out.
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

    def __call__(self, pictures: Sequence[Picture], times_s: Sequence[float]) -> list[PersonBoxes]:
        """See `PersonDetector`; another size of picture starts anew, and so does the call after a cut."""
        small = [self._prepared(picture) for picture in pictures]
        if self._has_cut:
            self._background, self._has_cut = None, False
        for picture in small:
            self._learn(picture)
        return [self._detect(picture, of=whole) for picture, whole in zip(small, pictures, strict=True)]

    def _prepared(self, picture: Picture) -> NDArray[np.uint8]:
        """Scaled, without the noise of single pixels."""
        cv2 = self._cv2
        height, width = picture.shape[:2]
        scale = min(1.0, _HEIGHT_PX / height, _MAX_WIDTH_PX / width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)
        smooth: NDArray[np.uint8] = cv2.GaussianBlur(small, (5, 5), 0)
        return smooth

    def _learn(self, picture: NDArray[np.uint8]) -> None:
        if self._background is None or picture.shape[:2] != self._size:
            self._background = self._cv2.createBackgroundSubtractorMOG2(
                history=_MEMORY_PICTURES, varThreshold=_MAX_DISTANCE_SQUARED, detectShadows=True
            )
            self._background.setBackgroundRatio(_BACKGROUND_SHARE)
            self._learned, self._size = 0, (picture.shape[0], picture.shape[1])
        self._learned += 1
        self._background.apply(picture, learningRate=1 / min(self._learned, _MEMORY_PICTURES))

    def _detect(self, picture: NDArray[np.uint8], *, of: Picture) -> PersonBoxes:
        """The people in a prepared picture, in pixels of the whole one, `of`."""
        if self._learned < _TEACHING_PICTURES or picture.shape[:2] != self._size:
            return PersonBoxes.none()
        cv2 = self._cv2
        moving = (self._background.apply(picture, learningRate=0) == _FOREGROUND).astype(np.uint8)
        moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, np.ones((_SPECK_PX, _SPECK_PX), np.uint8))
        if moving.mean() > _MAX_MOVING:
            self._has_cut = True
            return PersonBoxes.none()
        boxes, scores = self._blobs(moving)
        height, width = of.shape[:2]
        scale = np.array([width / picture.shape[1], height / picture.shape[0]] * 2)
        return people_in(boxes * scale, scores, width_px=width, height_px=height, min_score=self.min_score)

    def _blobs(self, moving: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Boxes around what moves, parts with small gaps between them together, and their scores."""
        cv2 = self._cv2
        height = moving.shape[0]
        gap = np.ones((1 + round(_GAP_Y * height), 1 + round(_GAP_X * height)), np.uint8)
        count, labels = cv2.connectedComponents(cv2.dilate(moving, gap), connectivity=8)
        labels = labels * moving  # as wide as what moves, without the gaps that were filled
        boxes, scores = [], []
        for ys, xs in (np.nonzero(labels == label) for label in range(1, count)):
            if len(xs) < _MIN_AREA * moving.size:
                continue
            box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            boxes.append(box)
            scores.append((len(xs) / ((box[2] - box[0]) * (box[3] - box[1]))) ** 0.5)
        return np.array(boxes, dtype=np.float64).reshape(-1, 4), np.array(scores, dtype=np.float64)
