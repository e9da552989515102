"""The official metric of AVA: frame mAP@0.5 over the actions of a label map."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import InputError
from twinpath.formats.ava import BoxRows
from twinpath.formats.ava_label_map import LabelMap
from twinpath.metrics.frame_map import FrameMap, ImageBoxes, frame_map

IOU = 0.5
_SECONDS = 1 << 31  # more than the seconds of any video


def ava_frame_map(
    truth: BoxRows,
    detections: BoxRows,
    label_map: LabelMap,
    *,
    excluded: Set[tuple[str, int]] = frozenset(),
    max_per_second: int | None = None,
) -> FrameMap:
    """The frame mAP of detections.

    A detection at a second without annotations is a false positive.

    Args:
        truth, detections: The boxes of one or more videos.
        label_map: The actions to evaluate.
        excluded: (video, second) pairs that are not evaluated.
        max_per_second: Keep only so many detections per second, those with the highest scores. The script of
            the AVA challenge keeps 50; PySlowFast, which published figures are from, keeps all.
    Raises:
        InputError: No ground-truth box is evaluated.
    """
    numbers = {name: i for i, name in enumerate(dict.fromkeys((*truth.videos, *detections.videos)))}
    excluded_rows = np.asarray(
        [numbers[video] * _SECONDS + second for video, second in excluded if video in numbers], np.int64
    )
    true_boxes = _boxes(truth, numbers, excluded_rows, label_map)
    if not len(true_boxes.image):
        raise InputError("no ground-truth box is left: all seconds or actions are excluded")
    detection_boxes = _boxes(detections, numbers, excluded_rows, label_map)
    if max_per_second is not None:
        detection_boxes = detection_boxes.where(_highest(detection_boxes, max_per_second))
    return frame_map(true_boxes, detection_boxes, label_map.ids, iou=IOU)


def _boxes(
    rows: BoxRows, numbers: dict[str, int], excluded_rows: NDArray[np.int64], label_map: LabelMap
) -> ImageBoxes:
    video = np.asarray([numbers[name] for name in rows.videos], dtype=np.int64)[rows.video]
    boxes = ImageBoxes(video * _SECONDS + rows.second, rows.boxes_xyxy, rows.action_id, rows.score)
    return boxes.where(~np.isin(boxes.image, excluded_rows) & np.isin(boxes.label, label_map.ids))


def _highest(detections: ImageBoxes, max_per_image: int) -> NDArray[np.int64]:
    """Indices of the rows with the highest scores of each image."""
    assert detections.score is not None
    # Also by class and box: with equal scores the order of the rows must not matter.
    order = np.lexsort((*detections.xyxy.T, detections.label, -detections.score, detections.image))
    _, starts, counts = np.unique(detections.image[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    best: NDArray[np.int64] = order[rank < max_per_image]
    return best
