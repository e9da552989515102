"""Boxes follow their picture: scaled, clipped, flipped and cropped, also at the borders."""

from __future__ import annotations

import numpy as np
import pytest

from twinpath.boxes import cropped_boxes, flipped_boxes
from twinpath.video.resize import scaled_boxes, scaled_size

WHOLE = np.array([[0.0, 0.0, 320.0, 240.0]])


def test_the_whole_picture_stays_the_whole_picture() -> None:
    assert scaled_size(240, 320, short_side=256) == (256, 341)
    assert scaled_boxes(WHOLE, 240, 320, short_side=256).tolist() == [[0, 0, 340, 255]]
    assert flipped_boxes(WHOLE, width=320).tolist() == WHOLE.tolist()
    boxes, holds = cropped_boxes(WHOLE, left=10, top=20, width=100, height=50)
    assert boxes.tolist() == [[0, 0, 100, 50]]
    assert holds.tolist() == [True]


@pytest.mark.parametrize(("height", "width"), [(240, 320), (320, 240), (97, 333), (256, 256)])
def test_scaled_by_one_factor_and_clipped_to_the_last_pixel(height: int, width: int) -> None:
    scaled_height, scaled_width = scaled_size(height, width, short_side=128)
    box = np.array([[5.0, 7.0, 40.0, 60.0], [-9.0, -9.0, width + 9.0, height + 9.0]])
    small, large = scaled_boxes(box, height, width, short_side=128)
    factor = max(scaled_height, scaled_width) / max(height, width)
    assert small == pytest.approx(box[0] * factor, rel=1e-6)
    assert large.tolist() == [0, 0, scaled_width - 1, scaled_height - 1]


def test_a_box_at_the_left_border_is_at_the_right_border_of_the_mirror_image() -> None:
    picture = np.zeros((240, 320), dtype=np.uint8)
    picture[30:100, 0:25] = 1
    (box,) = flipped_boxes(np.array([[0.0, 30.0, 25.0, 100.0]]), width=320).astype(int)
    assert box.tolist() == [295, 30, 320, 100]
    assert picture[:, ::-1][box[1] : box[3], box[0] : box[2]].all()
    assert picture.sum() == (box[2] - box[0]) * (box[3] - box[1])


def test_boxes_outside_of_a_crop_are_told() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 15, 15], [10, 10, 20, 20], [30, 0, 40, 40]], dtype=float)
    inside, holds = cropped_boxes(boxes, left=10, top=10, width=20, height=20)
    assert holds.tolist() == [False, True, True, False]  # the first and the last only touch it
    assert inside[holds].tolist() == [[0, 0, 5, 5], [0, 0, 10, 10]]


def test_no_boxes() -> None:
    nothing = np.zeros((0, 4))
    assert scaled_boxes(nothing, 240, 320, short_side=256).shape == (0, 4)
    assert flipped_boxes(nothing, width=10).shape == (0, 4)
    assert cropped_boxes(nothing, left=0, top=0, width=5, height=5)[0].shape == (0, 4)
