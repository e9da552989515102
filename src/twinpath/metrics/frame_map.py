"""Average precision of boxes in images: the frame mAP of AVA.

It is the metric of PASCAL VOC as the TensorFlow object detection evaluation computes it. For each class and
image, a detection is matched with the ground-truth box that it overlaps most. It is a true positive if they
overlap by at least `iou` and no detection with a higher score was matched with that box; else a false
positive, even if it also overlaps another ground-truth box. The precision-recall curve, made monotone from
the right, is integrated at every point.

The official code orders detections with equal scores by their rows, so its result depends on the order of the
rows. Here detections with equal scores are one point of the curve. Without equal scores in a class, both
results are equal to the last bits.
Sources: Gu et al. 2018, AVA (arXiv:1705.08421), section 5; Everingham et al. 2010, The PASCAL VOC Challenge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpath.boxes import iou as box_iou


@dataclass(frozen=True, eq=False)
class ImageBoxes:
    """Boxes in images: ground truth or detections.

    Attributes:
        image: (N,) integers, the image ids; the same for ground truth and detections.
        xyxy: (N, 4) x1, y1, x2, y2, in any unit.
        label: (N,) integers, the classes.
        score: (N,) finite scores of detections; None for ground truth.
    """

    image: NDArray[np.integer]
    xyxy: NDArray[np.floating]
    label: NDArray[np.integer]
    score: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        n = len(self.image)
        columns = (self.label, self.score) if self.score is not None else (self.label,)
        if self.xyxy.shape != (n, 4) or any(column.shape != (n,) for column in columns):
            raise ValueError(f"{n} images, boxes {self.xyxy.shape} and columns of another length")
        if not np.isfinite(self.xyxy).all() or not all(np.isfinite(column).all() for column in columns):
            raise ValueError("boxes and scores must be finite")

    def where(self, chosen: NDArray[np.generic]) -> ImageBoxes:
        """A subset, by a mask or by indices."""
        score = None if self.score is None else self.score[chosen]
        return ImageBoxes(self.image[chosen], self.xyxy[chosen], self.label[chosen], score)


@dataclass(frozen=True)
class FrameMap:
    """Average precision over classes.

    Attributes:
        mean: The mean average precision; NaN if no class has a ground-truth box.
        by_class: The average precision, 0 to 1, of each class with ground-truth boxes, by ascending class.
        true_boxes: The number of ground-truth boxes of each of these classes.
    """

    mean: float
    by_class: dict[int, float]
    true_boxes: dict[int, int]


def frame_map(
    truth: ImageBoxes, detections: ImageBoxes, classes: Iterable[int], *, iou: float = 0.5
) -> FrameMap:
    """Mean average precision over classes; the order of the rows does not matter.

    Args:
        truth: Ground-truth boxes.
        detections: Detected boxes with scores; boxes without an area are ignored, as in the official code.
        classes: The classes to evaluate; a class without a ground-truth box is ignored.
        iou: Minimum intersection over union of a true positive.
    Raises:
        ValueError: `detections` has no scores.
    """
    if detections.score is None:
        raise ValueError("detections need scores")
    evaluated = np.unique(np.asarray(list(classes), dtype=np.int64))
    truth = truth.where(np.isin(truth.label, evaluated))
    x1, y1, x2, y2 = detections.xyxy.T
    detections = detections.where(np.isin(detections.label, evaluated) & (x2 > x1) & (y2 > y1))
    assert detections.score is not None
    detections = detections.where(np.lexsort((-detections.score, detections.label)))
    is_true_positive = _is_true_positive(truth, detections, iou)
    by_class, true_boxes = {}, {}
    for label, count in zip(*np.unique(truth.label, return_counts=True), strict=True):
        first, end = np.searchsorted(detections.label, [label, label + 1])
        assert detections.score is not None
        by_class[int(label)] = _average_precision(
            detections.score[first:end], is_true_positive[first:end], int(count)
        )
        true_boxes[int(label)] = int(count)
    mean = float(np.mean(list(by_class.values()))) if by_class else float("nan")
    return FrameMap(mean, by_class, true_boxes)


def _is_true_positive(truth: ImageBoxes, detections: ImageBoxes, iou: float) -> NDArray[np.bool_]:
    """(N,) whether each detection is a true positive; detections are sorted by class and descending score."""
    truth_group, detection_group = _groups(truth, detections)
    # Also by coordinates: if two boxes overlap equally, the order of the rows must not matter.
    order = np.lexsort((*truth.xyxy.T, truth_group))
    truth_group, truth_xyxy = truth_group[order], truth.xyxy[order]
    first = np.searchsorted(truth_group, detection_group)
    num_candidates = np.searchsorted(truth_group, detection_group, side="right") - first
    is_true_positive = np.zeros(len(detection_group), dtype=bool)
    matchable = np.flatnonzero(num_candidates)  # with a ground-truth box of their class in their image
    if not len(matchable):
        return is_true_positive
    num_candidates = num_candidates[matchable]
    starts = np.cumsum(num_candidates) - num_candidates  # of each detection's pairs in the list of all pairs
    pair_truth = np.arange(num_candidates.sum()) + np.repeat(first[matchable] - starts, num_candidates)
    overlap = box_iou(detections.xyxy[np.repeat(matchable, num_candidates)], truth_xyxy[pair_truth])
    best = np.maximum.reduceat(overlap, starts)
    is_best = np.flatnonzero(overlap == np.repeat(best, num_candidates))
    best_truth = pair_truth[is_best[np.searchsorted(is_best, starts)]]
    is_match = best >= iou
    _, firsts = np.unique(best_truth[is_match], return_index=True)
    is_true_positive[matchable[is_match][firsts]] = True
    return is_true_positive


def _groups(truth: ImageBoxes, detections: ImageBoxes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A number for each pair of image and class, consistent for ground truth and detections."""
    _, image = np.unique(np.concatenate([truth.image, detections.image]), return_inverse=True)
    labels, label = np.unique(np.concatenate([truth.label, detections.label]), return_inverse=True)
    group = image.astype(np.int64) * len(labels) + label
    return group[: len(truth.image)], group[len(truth.image) :]


def _average_precision(
    score: NDArray[np.floating], is_true_positive: NDArray[np.bool_], true_boxes: int
) -> float:
    """The area under the precision-recall curve of boxes sorted by descending score."""
    ends = np.flatnonzero(np.diff(score, append=-np.inf))  # the last of each group of equal scores
    true_positives = np.cumsum(is_true_positive)[ends]
    recall, precision = true_positives / true_boxes, true_positives / (ends + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))
