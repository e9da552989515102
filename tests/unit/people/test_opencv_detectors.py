"""PersonBoxes by OpenCV: upright ones by their outline, moving ones before a camera that stands still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.detector_checks import check_on_strange_pictures, check_people
from tests.support.real_videos import real_video
from twinpath.boxes import iou_matrix
from twinpath.data.synthetic.draw import boxes_xyxy, render, width_of
from twinpath.data.synthetic.scene import make_scene
from twinpath.people.hog_detector import HogDetector
from twinpath.people.motion_detector import MotionDetector
from twinpath.results.keyframes import PersonBoxes
from twinpath.video.decode import AtTimes, read_frames

pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def hog() -> HogDetector:
    return HogDetector()


def test_hog_on_strange_pictures(hog: HogDetector) -> None:
    check_on_strange_pictures(hog)


def test_hog_finds_nobody_in_an_empty_picture(hog: HogDetector) -> None:
    assert [len(people) for people in hog([np.full((240, 320, 3), 90, np.uint8)] * 2, [0.0, 1.0])] == [0, 0]


def test_hog_finds_basketball_players(hog: HogDetector) -> None:
    """One player at each time, whose box was drawn by hand."""
    players = {
        0.5: (250, 120, 303, 235), 3.5: (285, 112, 335, 235), 4.5: (229, 100, 270, 195),
        5.5: (169, 95, 216, 205), 8.5: (178, 98, 212, 180),
    }  # fmt: skip
    pictures = read_frames(real_video("basketball.mp4"), [AtTimes(tuple(players))]).clip(0)
    answers = hog(list(pictures), list(players))
    boxes = 0
    for people, picture, player in zip(answers, pictures, players.values(), strict=True):
        check_people(people, picture)
        boxes += len(people)
        assert iou_matrix(people.boxes_xyxy_px, np.array([player])).max() > 0.4
    assert boxes <= 2 * len(players)


def test_hog_scales_boxes_of_large_pictures_back(hog: HogDetector) -> None:
    (small,) = read_frames(real_video("basketball.mp4"), [AtTimes((5.5,))]).clip(0)
    large = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)
    (people,), (people_x4,) = hog([small], [0.0]), hog([large], [0.0])
    assert iou_matrix(people.boxes_xyxy_px[:1] * 4, people_x4.boxes_xyxy_px[:1]) > 0.6


def test_motion_on_strange_pictures() -> None:
    check_on_strange_pictures(MotionDetector())


def test_motion_finds_nobody_where_nothing_moves() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(60, 120, (120, 160, 3))
    noisy = [np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8) for _ in range(8)]
    assert sum(map(len, MotionDetector()(noisy, list(range(8))))) == 0


def passing(times: int, *, at_once: int, height: int = 120) -> list[PersonBoxes]:
    """Two figures of 20 x 60 pixels that walk through a picture, one to each side."""
    rng = np.random.default_rng(0)
    background = rng.integers(60, 120, (height, 320, 3), dtype=np.uint8)
    pictures = []
    for i in range(times):
        picture = background.copy()
        picture[30:90, 10 + 25 * i : 30 + 25 * i] = 230
        picture[40:100, 290 - 25 * i : 310 - 25 * i] = 10
        pictures.append(picture)
    detector = MotionDetector()
    answers = []
    for i in range(0, times, at_once):
        answers += detector(pictures[i : i + at_once], [float(t) for t in range(i, min(times, i + at_once))])
    return answers


@pytest.mark.parametrize("at_once", [1, 4, 10])
def test_motion_finds_who_passes(at_once: int) -> None:
    answers = passing(10, at_once=at_once)
    for i, people in enumerate(answers[:10]):
        if i < 3 and at_once == 1:
            continue  # these only teach
        if 4 <= i <= 6:
            continue  # they pass each other
        expected = np.array([[10 + 25 * i, 30, 30 + 25 * i, 90], [290 - 25 * i, 40, 310 - 25 * i, 100]])
        found = iou_matrix(people.boxes_xyxy_px, expected)
        assert (found.max(axis=0) > 0.6).all(), i
        assert len(people) == 2


def test_the_first_pictures_alone_tell_nothing() -> None:
    assert [len(people) for people in passing(2, at_once=1)] == [0, 0]


def test_motion_after_a_cut_is_nobody() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 256, (120, 160, 3), dtype=np.uint8) for _ in range(2))
    detector = MotionDetector()
    detector([one] * 6, list(range(6)))
    assert [len(people) for people in detector([other], [6.0])] == [0]
    walker = other.copy()
    walker[30:90, 60:80] = 128
    answers = detector([other] * 5 + [walker], [float(t) for t in range(7, 13)])
    assert [len(people) for people in answers] == [0] * 5 + [1]  # the new scene is known by then


def test_motion_starts_anew_with_another_size() -> None:
    detector = MotionDetector()
    detector([np.full((120, 160, 3), 50, np.uint8)] * 4, list(range(4)))
    answers = detector([np.full((200, 160, 3), 200, np.uint8)] * 4, list(range(4, 8)))
    assert [len(people) for people in answers] == [0] * 4


def test_motion_finds_a_walker_of_the_synthetic_world() -> None:
    scene = make_scene(0, action="walk", kind="people", num_people=1)
    across = replace(scene.people[0], heading=0.0, place_xz_m=(-1.8, 0.0))
    camera = replace(scene.camera, shake=0.0, follow=0.0)
    scene = replace(scene, people=(across,), camera=camera)
    times_s, height_px = np.arange(0, 2.4, 0.4), 240
    pictures = render(scene, times_s, height_px=height_px)
    shift = np.array([width_of(scene, height_px) / 2 / height_px, 0.0] * 2)
    (walker,) = (boxes_xyxy(scene, times_s) + shift) * height_px
    answers = MotionDetector()(list(pictures), list(times_s))
    found = [
        iou_matrix(people.boxes_xyxy_px, box[None]).max(initial=0)
        for people, box in zip(answers, walker, strict=True)
    ]
    assert np.mean(np.array(found) > 0.5) > 0.7
