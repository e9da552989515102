"""Detects upright people by histograms of oriented gradients, with the weights inside OpenCV: no download.

It detects people who stand or walk and are completely visible, and misses those who sit, bend or are
occluded. In nine frames of a basketball clip it detected 8 of 18 players and one false positive; of archers
visible from the knees up, 4 of 18.

Source: Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.boxes import iou_matrix, non_max_suppression
from twinpath.people.base import Frame, people_in
from twinpath.people.opencv import load_opencv
from twinpath.results.keyframes import PersonBoxes

DEFAULT_MIN_SCORE = 0.5

_HEIGHT_PX = 480  # of the scaled frame; detects people of a fifth of the height; costs grow with the area
_MAX_WIDTH_PX = 1280
_MAX_ENLARGEMENT = 2.0  # of small frames: the window is 128 pixels high
_RIM_PX = 32  # padding of the frame, so that a person at its edge fills a window
_WINDOW_PX = (64, 128)
_STRIDE_PX = (8, 8)
_SCALE_STEP = 1.05
_MARGIN_X, _MARGIN_Y = 0.12, 0.04  # margins of a window around its person, relative to the window
_SAME_PERSON = 0.5  # overlap of two windows
_HALF_SUPPORT = 3.5  # maps to a score of 0.5: most boxes above are people


class HogDetector:
    """A PersonDetector with OpenCV's HOG descriptor.

    Many windows detect a person, few a false positive. The score is s / (s + 3.5), where s is the sum of the
    support vector machine's margins of all windows that overlap by half, and the box is their mean.

    Args:
        min_score: Drop the boxes with a lower score.
    Raises:
        MissingExtra: OpenCV is not installed, or version 5, which does not have this detector.
    """

    batch_frames = 1

    def __init__(self, *, min_score: float = DEFAULT_MIN_SCORE) -> None:
        self._cv2 = load_opencv(attribute="HOGDescriptor", needed_by="people='hog'")
        self.name = f"HOG (OpenCV {self._cv2.__version__})"
        self.min_score = min_score
        self._hog: Any = self._cv2.HOGDescriptor()
        self._hog.setSVMDetector(self._cv2.HOGDescriptor_getDefaultPeopleDetector())

    def __call__(self, frames: Sequence[Frame], times_s: Sequence[float]) -> list[PersonBoxes]:
        """See `PersonDetector`. Frames may have any size."""
        return [self._detect(frame) for frame in frames]

    def _detect(self, frame: Frame) -> PersonBoxes:
        height, width = frame.shape[:2]
        scale = min(_HEIGHT_PX / height, _MAX_WIDTH_PX / width, _MAX_ENLARGEMENT)
        if width * scale + 2 * _RIM_PX < _WINDOW_PX[0] or height * scale + 2 * _RIM_PX < _WINDOW_PX[1]:
            return PersonBoxes.none()
        windows, margins = self._hog.detectMultiScale(
            self._prepared(frame, scale), winStride=_STRIDE_PX, scale=_SCALE_STEP, groupThreshold=0
        )
        if len(windows) == 0:
            return PersonBoxes.none()
        boxes, support = _supported(_people_of(windows) - _RIM_PX, np.asarray(margins).reshape(-1))
        kept = non_max_suppression(boxes, support, max_overlap=0.3, max_inside=0.6)
        scores = support / (support + _HALF_SUPPORT)
        return people_in(
            boxes[kept] / scale, scores[kept], width_px=width, height_px=height, min_score=self.min_score
        )

    def _prepared(self, frame: Frame, scale: float) -> NDArray[np.uint8]:
        """A grey, scaled frame, padded by repeating the edge."""
        cv2 = self._cv2
        grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        framed: NDArray[np.uint8] = cv2.copyMakeBorder(grey, *[_RIM_PX] * 4, cv2.BORDER_REPLICATE)
        return framed


def _people_of(windows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Windows (x, y, width, height) to boxes (x1, y1, x2, y2) around the person in each window."""
    corner, size = np.split(np.asarray(windows, dtype=np.float64), 2, axis=1)
    rim = size * [_MARGIN_X, _MARGIN_Y]
    return np.concatenate([corner + rim, corner + size - rim], axis=1)


def _supported(
    boxes: NDArray[np.float64], margins: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each box the mean of all boxes of the same person, weighted by margins, and the weights' sum."""
    weights = (iou_matrix(boxes, boxes) >= _SAME_PERSON) * np.maximum(margins, 1e-6)
    support = weights.sum(axis=1)
    return weights @ boxes / support[:, None], support
