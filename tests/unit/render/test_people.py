"""People on a picture: boxes where they are, labels legible, off each other, off faces, and stable."""

from __future__ import annotations

import numpy as np
import pytest

from twinpath.render.label_layout import LabelLayout, LabelRequest, intersections_px
from twinpath.render.people import Hud, PeoplePainter, ShownPerson, colour_of

LABELS = (("wave", 0.93), ("talk to (e.g., self, a person, a group)", 0.41), ("stand", 0.3))


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 120, np.uint8)


def drawn_on(picture: np.ndarray, people: list[ShownPerson], *, hud: Hud | None = None) -> np.ndarray:
    """The picture with people drawn on it."""
    PeoplePainter(picture.shape[:2]).draw(picture, people, hud=hud)
    return picture


def random_requests(rng: np.random.Generator, count: int, size_px: tuple[int, int]) -> list[LabelRequest]:
    height, width = size_px
    requests = []
    for track in range(1, count + 1):
        tall = rng.uniform(0.08, 0.9) * height
        wide = tall * rng.uniform(0.3, 0.7)
        x, y = rng.uniform(-0.1, 0.95) * width, rng.uniform(-0.1, 0.9) * height
        box = (max(x, 0.0), max(y, 0.0), min(x + wide, width), min(y + tall, height))
        requests.append(LabelRequest(track, box, ((130, 51), (90, 17), (14, 17))))
    return requests


def placed(requests: list[LabelRequest], placements: list) -> np.ndarray:
    """(N, 4) rectangles of the labels that were placed."""
    rectangles = [
        (placement.x_px, placement.y_px, placement.x_px + size[0], placement.y_px + size[1])
        for request, placement in zip(requests, placements, strict=True)
        if placement is not None
        for size in [request.sizes_px[placement.version]]
    ]
    return np.array(rectangles, dtype=np.float64).reshape(-1, 4)


def faces_of(requests: list[LabelRequest]) -> np.ndarray:
    boxes = np.array([request.box_xyxy_px for request in requests])
    boxes[:, 3] = boxes[:, 1] + (boxes[:, 3] - boxes[:, 1]) / 3
    return boxes


@pytest.mark.parametrize("count", [1, 3, 8, 20, 60])
def test_labels_overlap_neither_each_other_nor_what_is_taken_and_stay_inside(count: int) -> None:
    rng = np.random.default_rng(count)
    hud = (0.0, 0.0, 100.0, 60.0)
    for _ in range(20):
        requests = random_requests(rng, count, (360, 640))
        placements = LabelLayout((360, 640)).place(requests, occupied_xyxy_px=[hud])
        rectangles = placed(requests, placements)
        overlaps = intersections_px(rectangles, np.concatenate([rectangles, [hud]]))
        np.fill_diagonal(overlaps, 0.0)
        assert overlaps.max(initial=0.0) == 0
        assert (rectangles >= 0).all()
        assert (rectangles[:, 2:] <= (640, 360)).all()


def test_people_apart_have_all_their_lines_beside_their_boxes_and_their_faces_free() -> None:
    requests = [
        LabelRequest(k, (40 + 200 * k, 100, 110 + 200 * k, 330), ((130, 51), (14, 17))) for k in range(3)
    ]
    placements = LabelLayout((360, 640)).place(requests)
    assert [placement.version for placement in placements if placement] == [0, 0, 0]
    assert intersections_px(placed(requests, placements), faces_of(requests)).max() == 0


def test_in_a_crowd_faces_stay_mostly_free_and_large_people_keep_their_lines() -> None:
    rng = np.random.default_rng(7)
    requests = random_requests(rng, 60, (720, 1280))
    placements = LabelLayout((720, 1280)).place(requests)
    faces = faces_of(requests)
    area = (faces[:, 2] - faces[:, 0]) * (faces[:, 3] - faces[:, 1])
    covered = intersections_px(placed(requests, placements), faces).sum(axis=0) / np.maximum(area, 1)
    assert np.median(covered) < 0.1
    largest = sorted(range(60), key=lambda i: -area[i])
    lines = [-1 if placement is None else 2 - placement.version for placement in placements]
    assert np.mean([lines[i] for i in largest[:15]]) > np.mean([lines[i] for i in largest[-15:]])


def test_a_person_who_fills_the_picture_is_labelled_below_the_face() -> None:
    request = LabelRequest(1, (0, 0, 320, 240), ((130, 51), (14, 17)))
    (placement,) = LabelLayout((240, 320)).place([request])
    assert placement is not None
    assert placement.y_px > 80


def test_labels_stay_at_their_side_while_boxes_tremble() -> None:
    rng = np.random.default_rng(3)
    layout = LabelLayout((360, 640))
    requests = random_requests(rng, 12, (360, 640))
    moves = []
    before = None
    for _ in range(30):
        trembling = [
            LabelRequest(w.track_id, tuple(np.array(w.box_xyxy_px) + rng.normal(0, 1, 4)), w.sizes_px)
            for w in requests
        ]
        placements = layout.place(trembling)
        if before is not None:
            moves += [
                np.hypot(now.x_px - old.x_px, now.y_px - old.y_px) if now and old else 100.0 * (now != old)
                for now, old in zip(placements, before, strict=True)
            ]
        before = placements
    assert np.mean(np.array(moves) > 10) < 0.02


def test_a_box_has_its_tracks_colour_at_its_border_and_leaves_its_inside_alone() -> None:
    drawn = drawn_on(grey(240, 320), [ShownPerson(5, (100, 60, 160, 220), ())])
    for y, x in ((61, 130), (218, 130), (140, 101), (140, 158)):
        assert tuple(drawn[y, x]) == colour_of(5)
    assert (drawn[64:216, 104:156] == 120).all()


def test_a_track_has_one_colour_and_the_first_twelve_are_unlike() -> None:
    colours = np.array([colour_of(track) for track in range(1, 13)], dtype=int)
    distances = np.abs(colours[:, None] - colours[None]).sum(axis=-1)
    assert distances[~np.eye(12, dtype=bool)].min() > 60
    assert colour_of(7) == colour_of(7)


def test_labels_are_white_on_dark_beside_the_box() -> None:
    drawn = drawn_on(grey(240, 320), [ShownPerson(1, (100, 90, 160, 220), LABELS)])
    above = drawn[30:89, 80:310]
    assert above.max() > 240
    assert (above.max(axis=-1) < 70).sum() > 1500


@pytest.mark.parametrize("size_px", [(8, 8), (48, 64), (240, 320), (1080, 1920)])
@pytest.mark.parametrize("people", [0, 1, 60])
def test_any_number_of_people_on_any_size_even_beyond_its_border(
    size_px: tuple[int, int], people: int
) -> None:
    height, width = size_px
    rng = np.random.default_rng(0)
    shown = []
    for track in range(1, people + 1):
        x, y = rng.uniform(-0.2, 1) * width, rng.uniform(-0.2, 1) * height
        shown.append(ShownPerson(track, (x, y, x + 0.1 * width, y + 0.3 * height), LABELS))
    drawn = drawn_on(grey(*size_px), shown, hud=Hud(people=people))
    assert drawn.shape == (*size_px, 3)


def test_the_display_shows_what_is_known_in_the_corner_and_no_label_lies_on_it() -> None:
    painter = PeoplePainter((240, 320))
    alone, crowded = grey(240, 320), grey(240, 320)
    hud = Hud(time_s=83.4, people=1, keyframes_per_s=8.2, video_s_per_s=1.7)
    assert [value for _, value in hud.lines()] == ["1:23.4", "1", "8.2 keyframes/s", "1.70 x"]
    painter.draw(alone, [], hud=hud)
    changed = (alone != 120).any(axis=-1)
    assert changed[10, 10]
    assert not changed[100:].any()
    painter.draw(crowded, [ShownPerson(1, (20, 90, 80, 200), LABELS)], hud=hud)
    assert (crowded[:70, :60] == alone[:70, :60]).all()
    assert Hud().lines() == []


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(240, 320, 3\)"):
        PeoplePainter((240, 320)).draw(grey(10, 10), [])
