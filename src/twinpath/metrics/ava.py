"""The official evaluation of AVA: frame mAP at 0.5 over the actions of a label map."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import InputError
from twinpath.formats.ava import BoxRows
from twinpath.formats.ava_label_map import LabelMap
from twinpath.metrics.frame_map import FrameMap, ImageBoxes, frame_map

IOU = 0.5
_SECONDS = 1 << 31  # above any second of a video


def ava_frame_map(
    truth: BoxRows,
    found: BoxRows,
    label_map: LabelMap,
    *,
    excluded: Set[tuple[str, int]] = frozenset(),
    most_at_a_second: int | None = None,
) -> FrameMap:
    """Compare results with the ground truth.

    A box at a second without annotations is a false positive.

    Args:
        truth, found: Of one or more videos.
        label_map: The actions that count.
        excluded: (video, second) that do not count.
        most_at_a_second: Keep so many found rows at each second, those of highest score. The script for
            AVA's own competition keeps 50; PySlowFast, by which published models are measured, keeps all.
    Raises:
        InputError: No true box is left.
    """
    numbers = {name: i for i, name in enumerate(dict.fromkeys((*truth.videos, *found.videos)))}
    left_out = np.asarray(
        [numbers[video] * _SECONDS + second for video, second in excluded if video in numbers], np.int64
    )
    true_boxes = _boxes(truth, numbers, left_out, label_map)
    if not len(true_boxes.image):
        raise InputError("no true box is left: all are of seconds or actions that do not count")
    found_boxes = _boxes(found, numbers, left_out, label_map)
    if most_at_a_second is not None:
        found_boxes = found_boxes.where(_highest(found_boxes, most_at_a_second))
    return frame_map(true_boxes, found_boxes, label_map.ids, iou=IOU)


def _boxes(
    rows: BoxRows, numbers: dict[str, int], left_out: NDArray[np.int64], label_map: LabelMap
) -> ImageBoxes:
    video = np.asarray([numbers[name] for name in rows.videos], dtype=np.int64)[rows.video]
    boxes = ImageBoxes(video * _SECONDS + rows.second, rows.boxes_xyxy, rows.action_id, rows.score)
    return boxes.where(~np.isin(boxes.image, left_out) & np.isin(boxes.label, label_map.ids))


def _highest(found: ImageBoxes, most: int) -> NDArray[np.int64]:
    """Indices of the rows of highest score of each picture."""
    assert found.score is not None
    # By class and box, too: of equal scores the order of rows must not decide which one stays.
    order = np.lexsort((*found.xyxy.T, found.label, -found.score, found.image))
    _, begins, counts = np.unique(found.image[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(begins, counts)
    best: NDArray[np.int64] = order[rank < most]
    return best
