"""What every detector's answer must be, whatever was found."""

from __future__ import annotations

import numpy as np
import pytest

from twinpath.boxes import iou_matrix, non_max_suppression
from twinpath.people.base import MAX_PEOPLE, MIN_SIDE_PX, people_in
from twinpath.people.whole_frame import WholeFrame


def test_boxes_are_cut_at_the_edges_and_the_best_comes_first() -> None:
    people = people_in(
        [[-5, -5, 5, 5], [90, 40, 130, 70], [10, 10, 20, 30]], [0.2, 0.9, 0.5], width_px=100, height_px=50
    )
    np.testing.assert_array_equal(people.boxes_xyxy_px, [[90, 40, 100, 50], [10, 10, 20, 30], [0, 0, 5, 5]])
    np.testing.assert_allclose(people.scores, [0.9, 0.5, 0.2])
    assert people.boxes_xyxy_px.dtype == people.scores.dtype == np.float32


def test_what_is_no_box_in_the_picture_is_left_out() -> None:
    outside, empty, turned = [200, 0, 210, 10], [5, 5, 5, 9], [9, 9, 5, 12]
    boxes = np.array([outside, empty, turned, [np.nan, 0, 5, 5], [0, 0, 5, 5], [0, 0, 6, 6]])
    people = people_in(boxes, [1, 1, 1, 1, np.nan, 0.3], width_px=100, height_px=50, min_score=0.25)
    np.testing.assert_array_equal(people.boxes_xyxy_px, [[0, 0, 6, 6]])


def test_boxes_too_small_for_anybody_are_left_out() -> None:
    narrow, low, sliver = [10, 10, 10.003, 50], [10, 10, 40, 10.4], [99.7, 10, 140, 40]
    smallest = [20.3, 10.3, 20.3 + MIN_SIDE_PX * 1.001, 10.3 + MIN_SIDE_PX * 1.001]
    people = people_in([narrow, low, sliver, smallest], [1, 1, 1, 1], width_px=100, height_px=50)
    np.testing.assert_allclose(people.boxes_xyxy_px, [smallest], rtol=1e-6)


@pytest.mark.parametrize("size_px", [(2, 2), (640, 360), (7680, 4320)])
def test_the_rounding_of_our_files_leaves_every_box_its_sides(size_px: tuple[int, int]) -> None:
    width, height = size_px
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, [width - 0.6, height - 0.6], (300, 2))
    boxes = np.hstack([corners, corners + rng.uniform(0.4, 0.6, (300, 2))])
    people = people_in(boxes, np.ones(300), width_px=width, height_px=height)
    assert 10 < len(people) < 290
    found = people.boxes_xyxy_px.astype(np.float64)
    for rounded in (found.round(2), (found / [width, height, width, height]).round(5)):
        assert (rounded[:, 2:] > rounded[:, :2]).all()


def test_nobody() -> None:
    people = people_in([], [], width_px=100, height_px=50)
    assert len(people) == 0
    assert people.boxes_xyxy_px.shape == (0, 4)


def test_never_more_people_than_a_network_can_take() -> None:
    boxes = np.tile([0, 0, 5, 5], (2000, 1))
    people = people_in(boxes, np.linspace(0, 1, 2000), width_px=100, height_px=50)
    assert len(people) == MAX_PEOPLE
    assert people.scores[0] == 1


def test_overlaps() -> None:
    iou = iou_matrix(
        np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    )
    np.testing.assert_allclose(iou, [[1, 1 / 3, 0]])


def test_non_max_suppression_keeps_one_of_each_person() -> None:
    whole, shifted, head, other = (
        [0.0, 0, 40, 100],
        [4.0, 2, 44, 102],
        [10.0, 0, 30, 25],
        [200.0, 0, 240, 100],
    )
    boxes = np.array([shifted, whole, head, other])
    assert non_max_suppression(boxes, [0.8, 0.9, 0.7, 0.6], max_overlap=0.5, max_inside=0.6) == [1, 3]
    assert non_max_suppression(boxes, [0.8, 0.9, 0.7, 0.6], max_overlap=0.5) == [1, 2, 3]


def test_whole_frame() -> None:
    pictures = [np.zeros((48, 64, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)]
    first, second = WholeFrame()(pictures, [0.0, 1.0])
    np.testing.assert_array_equal(first.boxes_xyxy_px, [[0, 0, 64, 48]])
    np.testing.assert_array_equal(second.boxes_xyxy_px, [[0, 0, 2, 2]])
    assert first.scores == 1
