"""Average precision of boxes in images: the frame mAP by which AVA is measured.

It is the measure of PASCAL VOC as the TensorFlow object detection evaluation computes it. Of each class, in
each image, a found box is matched with the true box that it overlaps most. It is a true positive if they
overlap by at least `iou` and no found box of a higher score was matched with that true box; else a false one,
even if it also overlaps another true box. Precision over recall, made monotone from the right, is integrated
at every point.

The official code orders boxes of equal scores as their rows are, and its figure changes when these are
shuffled. Here boxes of equal scores are one point of the curve. Without equal scores in a class both give the
same figure, to the last bits.
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
    """Boxes in images, true ones or found ones.

    Attributes:
        image: (N,) integers, which image; any numbers, the same for true and found boxes.
        xyxy: (N, 4) x1, y1, x2, y2, in any unit.
        label: (N,) integers, the class.
        score: (N,) of found boxes, finite; None for true ones.
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
        """Some of them, by a mask or by indices."""
        score = None if self.score is None else self.score[chosen]
        return ImageBoxes(self.image[chosen], self.xyxy[chosen], self.label[chosen], score)


@dataclass(frozen=True)
class FrameMap:
    """Average precision over classes.

    Attributes:
        mean: Of the average precisions; NaN where no class has a true box.
        by_class: Average precision, 0 to 1, of each class that has a true box, ascending.
        true_boxes: How many each of these classes has.
    """

    mean: float
    by_class: dict[int, float]
    true_boxes: dict[int, int]


def frame_map(truth: ImageBoxes, found: ImageBoxes, classes: Iterable[int], *, iou: float = 0.5) -> FrameMap:
    """Mean average precision over classes; the order of the rows does not matter.

    Args:
        truth: True boxes.
        found: Boxes of a model, with scores; those without an area are left out, as in the official code.
        classes: That count; boxes of others are ignored. A class without a true box does not count.
        iou: Intersection over union from which on a box is a true positive.
    Raises:
        ValueError: `found` has no scores.
    """
    if found.score is None:
        raise ValueError("found boxes need scores")
    wanted = np.unique(np.asarray(list(classes), dtype=np.int64))
    truth = truth.where(np.isin(truth.label, wanted))
    x1, y1, x2, y2 = found.xyxy.T
    found = found.where(np.isin(found.label, wanted) & (x2 > x1) & (y2 > y1))
    assert found.score is not None
    found = found.where(np.lexsort((-found.score, found.label)))
    is_right = _is_right(truth, found, iou)
    by_class, true_boxes = {}, {}
    for label, count in zip(*np.unique(truth.label, return_counts=True), strict=True):
        first, end = np.searchsorted(found.label, [label, label + 1])
        assert found.score is not None
        by_class[int(label)] = _average_precision(found.score[first:end], is_right[first:end], int(count))
        true_boxes[int(label)] = int(count)
    mean = float(np.mean(list(by_class.values()))) if by_class else float("nan")
    return FrameMap(mean, by_class, true_boxes)


def _is_right(truth: ImageBoxes, found: ImageBoxes, iou: float) -> NDArray[np.bool_]:
    """(N,) for found boxes of each class by descending score: whether each is the first for its true box."""
    truth_place, found_place = _places(truth, found)
    # Also by coordinates: where two true boxes are overlapped equally, the order of rows must not decide.
    order = np.lexsort((*truth.xyxy.T, truth_place))
    truth_place, truth_xyxy = truth_place[order], truth.xyxy[order]
    first = np.searchsorted(truth_place, found_place)
    rivals = np.searchsorted(truth_place, found_place, side="right") - first
    is_right = np.zeros(len(found_place), dtype=bool)
    near = np.flatnonzero(rivals)  # those with a true box of their class in their image
    if not len(near):
        return is_right
    rivals = rivals[near]
    begins = np.cumsum(rivals) - rivals  # of each one's pairs, in a list of all pairs
    pair_truth = np.arange(rivals.sum()) + np.repeat(first[near] - begins, rivals)
    overlap = box_iou(found.xyxy[np.repeat(near, rivals)], truth_xyxy[pair_truth])
    best = np.maximum.reduceat(overlap, begins)
    is_best = np.flatnonzero(overlap == np.repeat(best, rivals))
    best_truth = pair_truth[is_best[np.searchsorted(is_best, begins)]]
    enough = best >= iou
    _, firsts = np.unique(best_truth[enough], return_index=True)
    is_right[near[enough][firsts]] = True
    return is_right


def _places(truth: ImageBoxes, found: ImageBoxes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One number for each pair of image and class, the same for true and found boxes."""
    _, image = np.unique(np.concatenate([truth.image, found.image]), return_inverse=True)
    labels, label = np.unique(np.concatenate([truth.label, found.label]), return_inverse=True)
    place = image.astype(np.int64) * len(labels) + label
    return place[: len(truth.image)], place[len(truth.image) :]


def _average_precision(score: NDArray[np.floating], is_right: NDArray[np.bool_], true_boxes: int) -> float:
    """The area under precision over recall, of boxes by descending score."""
    ends = np.flatnonzero(np.diff(score, append=-np.inf))  # the last of each group of equal scores
    right = np.cumsum(is_right)[ends]
    recall, precision = right / true_boxes, right / (ends + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))
