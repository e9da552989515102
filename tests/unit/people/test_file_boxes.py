"""Boxes from files: every format by its content, every mistake by its place."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.detector_checks import check_people
from twinpath.data.synthetic.clips import truth_of
from twinpath.data.synthetic.scene import make_scene
from twinpath.errors import InputError, NotAFile, TwinpathError
from twinpath.people.file_boxes import FileBoxes
from twinpath.results.detections import Detections, Track, TrackPoint
from twinpath.results.keyframes import PersonBoxes
from twinpath.video.writer import VideoWriter

WIDTH, HEIGHT = 200, 100
PICTURE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def people_at(
    path: Path, *times_s: float, video: Path = Path("clip.mp4"), min_score: float = 0.0
) -> list[PersonBoxes]:
    detector = FileBoxes(path, video=video, width_px=WIDTH, height_px=HEIGHT, min_score=min_score)
    answers = detector([PICTURE] * len(times_s), times_s)
    for people in answers:
        check_people(people, PICTURE)
    return answers


def boxes_at(path: Path, time_s: float, **options: Any) -> list[list[float]]:
    boxes = people_at(path, time_s, **options)[0].boxes_xyxy_px
    return sorted(boxes.round(3).tolist())


def written(folder: Path, content: object, name: str = "boxes.txt") -> Path:
    """A file whose name says nothing of its format."""
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def fails(path: Path, words: str, *, video: Path = Path("clip.mp4")) -> None:
    """One line, of a user's mistake, that names the file."""
    with pytest.raises(TwinpathError, match=words) as caught:
        people_at(path, 0.0, video=video)
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


# --- AVA CSV ---


def test_ava_rows_of_one_box_are_one_person(tmp_path: Path) -> None:
    path = written(tmp_path, "clip,0902,0.1,0.2,0.5,0.8,12\nclip,0902,0.1,0.2,0.5,0.8,79\n")
    assert boxes_at(path, 902.0) == [[20, 20, 100, 80]]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_ava_with_marks_of_other_systems(start: str, ends: str, tmp_path: Path) -> None:
    text = start + ends.join(["clip,1,0.1,0.2,0.5,0.8", "", "clip,1,0.6,0.2,0.7,0.8", ""])
    path = written(tmp_path, text.encode())
    assert boxes_at(path, 1.0) == [[20, 20, 100, 80], [120, 20, 140, 80]]


def test_ava_predicted_boxes_have_scores(tmp_path: Path) -> None:
    path = written(tmp_path, "clip,1,0.1,0.2,0.5,0.8,,0.31\nclip,1,0.6,0.2,0.7,0.8,,0.996\n")
    (people,) = people_at(path, 1.0)
    np.testing.assert_allclose(people.scores, [0.996, 0.31])
    assert boxes_at(path, 1.0, min_score=0.5) == [[120, 20, 140, 80]]


def test_ava_person_numbers_are_tracks(tmp_path: Path) -> None:
    rows = ["clip,1,0.0,0.2,0.2,0.8,12,7", "clip,2,0.4,0.2,0.6,0.8,12,7", "clip,2,0.8,0.2,0.9,0.8,11,8"]
    path = written(tmp_path, "\n".join(rows))
    assert boxes_at(path, 1.25) == [[20, 20, 60, 80]]  # a quarter of the way; nobody else is near
    assert boxes_at(path, 2.3) == [[80, 20, 120, 80], [160, 20, 180, 80]]


def test_scores_of_zero_and_one_are_no_people(tmp_path: Path) -> None:
    path = written(tmp_path, "clip,1,0.1,0.2,0.5,0.8,,1\nclip,1,0.6,0.2,0.7,0.8,,1\n")
    assert len(boxes_at(path, 1.0)) == 2


def test_boxes_of_the_video_are_chosen_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, "clip,1,0.1,0.2,0.5,0.8\nother,1,0.6,0.2,0.7,bad\n")
    assert boxes_at(path, 1.0, video=Path("some/where/clip.mkv")) == [[20, 20, 100, 80]]
    fails(path, "boxes of 2 videos, but of none called 'clip2'; nearest is 'clip'", video=Path("clip2.mp4"))


def test_a_file_of_one_video_is_taken_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, "other,1,0.1,0.2,0.5,0.8\n")
    assert boxes_at(path, 1.0) == [[20, 20, 100, 80]]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("clip,1,0.1,0.2,0.5", ":2: 5 columns"),
        ("clip,1,0.1,0.2,0.5,0.8,1,1,1", ":2: 9 columns"),
        ("clip,1,0.5,0.2,0.1,0.8", ":2: x2 = 0.1 is not right of x1 = 0.5"),
        ("clip,1,0.1,0.8,0.5,0.2", ":2: y2 = 0.2 is not below y1 = 0.8"),
        ("clip,1,0.1,0.2,0.1,0.8", ":2: x2 = 0.1 is not right of"),
        ("clip,1,0.1,0.2,1.5,0.8", r":2: the box \(0.1, 0.2, 1.5, 0.8\) is not within 0 and 1"),
        ("clip,1,-0.1,0.2,0.5,0.8", ":2: .*is not within 0 and 1"),
        ("clip,1,10,20,50,80", ":2: .*is not within 0 and 1"),
        ("clip,1,nan,0.2,0.5,0.8", ":2: x1 is 'nan', not a number"),
        ("clip,1,0.1,0.2,inf,0.8", ":2: x2 is 'inf', not a number"),
        ("clip,soon,0.1,0.2,0.5,0.8", ":2: second is 'soon', not a number"),
        ("clip,1,,,,", ":2: x1 is '', not a number"),
        ("clip,-1,0.1,0.2,0.5,0.8", ":2: second is -1, before the video"),
        ("clip,0,0.1,0.2,0.5,0.8,3,7", ":2: the same as line 1"),
        ("clip,0,0.2,0.2,0.5,0.8,3,7", ":2: this person has another box at the same time in line 1"),
        ("clip,1,0.1,0.2,0.5,0.8,3,1.5", ":2: '1.5' is no person id"),
        ("clip,1,0.1,0.2,0.5,0.8,3,me", ":2: 'me' is no person id"),
        ("clip,1,0.1,0.2,0.5,0.8,foo,7", ":2: action is 'foo', not a whole number from 1"),
        ("clip,1,0.1,0.2,0.5,0.8,-3,7", ":2: action is '-3', not a whole number from 1"),
        ("clip,1,0.1,0.2,0.5,0.8,0,7", ":2: action is '0', not a whole number from 1"),
        ("clip,1,0.1,0.2,0.5,0.8,1.5,7", ":2: action is '1.5', not a whole number from 1"),
        ("clip,1,0.1,0.2,0.5,0.8,1_2,7", ":2: action is '1_2', not a whole number from 1"),
        ("clip,0_1,0.1,0.2,0.5,0.8", ":2: second is '0_1', not a number"),
        ("clip,1,0_0.1,0.2,0.5,0.8", ":2: x1 is '0_0.1', not a number"),
        ("clip,1,0.1,0.2,0.5,0.8,3,1_0", ":2: '1_0' is no person id"),
        pytest.param("clip,1,0.1,0.2,0.5,0.8,3," + "9" * 5000, ":2: '99* … 99*' is no person id", id="huge"),
        ("video,second,x1,y1,x2,y2,action,person", ":2: second is 'second', not a number; AVA files have no"),
        ("clip,second,x1,y1,x2,y2", ":2: second is 'second', not a number; AVA files have no header"),
    ],
)
def test_mistakes_in_ava_files(row: str, words: str, tmp_path: Path) -> None:
    fails(written(tmp_path, f"clip,0,0.1,0.2,0.5,0.8,3,7\n{row}\n"), words)


@pytest.mark.parametrize("action", ["", " ", "1", "080", "999"])
def test_any_action_from_1_or_none(action: str, tmp_path: Path) -> None:
    assert len(boxes_at(written(tmp_path, f"clip,1,0.1,0.2,0.5,0.8,{action},7\n"), 1.0)) == 1


@pytest.mark.parametrize("score", ["1.5", "-0.1", "nan", "sure", "0_1"])
def test_scores_that_are_none(score: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"clip,1,0.1,0.2,0.5,0.8,,0.9\nclip,2,0.1,0.2,0.5,0.8,,{score}\n")
    fails(path, f":2: '{score}' is neither a person id nor a score")


def test_a_header_is_said_to_be_one(tmp_path: Path) -> None:
    fails(
        written(tmp_path, "video,second,x1,y1,x2,y2\n"),
        ":1: second is 'second', not a number; AVA files have no",
    )


@pytest.mark.parametrize("above", ["", "\n\n"])
def test_a_header_is_no_video(above: str, tmp_path: Path) -> None:
    text = above + "video_id,timestamp,x1,y1,x2,y2,action_id\nclip,1,0.1,0.2,0.5,0.8,4\n"
    place = f":{len(above) + 1}: second is 'timestamp', not a number; AVA files have no header"
    fails(written(tmp_path, text), place)
    fails(written(tmp_path, text), place, video=Path("other.mp4"))


def test_lines_of_spaces_are_no_video(tmp_path: Path) -> None:
    path = written(tmp_path, "other,1,0.1,0.2,0.5,0.8\n   \n")
    assert boxes_at(path, 1.0) == [[20, 20, 100, 80]]


@pytest.mark.parametrize(
    "content", [b"", b" \r\n", b"\xff\xfe\x00\xd8", b"\x00\x00\x00\x18ftypmp42\xb5", b",,,\n"]
)
def test_files_that_hold_no_boxes(content: bytes, tmp_path: Path) -> None:
    fails(written(tmp_path, content), "empty|UTF-8|no boxes")


def test_no_regular_file(tmp_path: Path) -> None:
    with pytest.raises(NotAFile):
        people_at(tmp_path, 0.0)
    with pytest.raises(NotAFile):
        people_at(tmp_path / "missing", 0.0)


# --- between the times of a file ---


def test_boxes_of_no_track_hold_for_half_a_second(tmp_path: Path) -> None:
    path = written(tmp_path, "clip,1,0.1,0.2,0.5,0.8\nclip,3,0.6,0.2,0.7,0.8\n")
    assert [len(p) for p in people_at(path, 0.4, 0.5, 1.0, 1.5, 1.6, 2.4, 2.5, 3.5, 3.6)] == [
        0, 1, 1, 1, 0, 0, 1, 1, 0,
    ]  # fmt: skip


def test_who_left_for_long_is_not_drawn_across(tmp_path: Path) -> None:
    times = [0, 1, 2, 3, 20, 21]
    path = written(tmp_path, "\n".join(f"clip,{t},0.{t // 4},0.2,0.9,0.8,1,5" for t in times))
    assert [len(p) for p in people_at(path, 2.5, 3.5, 10.0, 20.5)] == [1, 1, 0, 1]


def test_who_is_gone_at_the_next_keyframe_does_not_linger(tmp_path: Path) -> None:
    rows = ["clip,1.0,0.1,0.2,0.5,0.8,1,1", "clip,1.0,0.6,0.2,0.7,0.8,1,2", "clip,1.4,0.6,0.2,0.7,0.8,1,2"]
    path = written(tmp_path, "\n".join(rows))
    assert [len(p) for p in people_at(path, 1.0, 1.1, 1.4)] == [2, 2, 1]


# --- COCO ---


def coco(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "images": [
            {"id": 1, "file_name": "000001.jpg", "time_s": 0.0, "width": 400, "height": 200},
            {"id": 2, "file_name": "000002.jpg", "time_s": 1.0, "width": 400, "height": 200},
            {"id": 3, "file_name": "000003.jpg", "time_s": 2.0, "width": 400, "height": 200},
        ],
        "categories": [{"id": 1, "name": "Person"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [40, 40, 160, 120]},
            {"id": 2, "image_id": 1, "category_id": 18, "bbox": [0, 0, 50, 50]},
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [200, 40, 100, 170], "score": 0.5},
            {"id": 4, "image_id": 2, "category_id": 1, "bbox": [0, 0, 400, 200], "iscrowd": 1},
        ],
    }
    return content | changes


def test_coco_people_and_no_dogs(tmp_path: Path) -> None:
    path = written(tmp_path, coco())
    assert boxes_at(path, 0.0) == [[20, 20, 100, 80]]  # half the size of the annotated pictures
    assert boxes_at(path, 1.0) == [[100, 20, 150, 100]]  # cut at the lower edge
    assert boxes_at(path, 2.0) == []
    assert people_at(path, 1.0)[0].scores == 0.5


@pytest.mark.parametrize("none", [{}, {"categories": []}, {"categories": None}])
def test_coco_without_categories(none: dict[str, Any], tmp_path: Path) -> None:
    content = coco()
    del content["categories"]
    content |= none
    assert boxes_at(written(tmp_path, content), 0.0) == [[20, 20, 100, 80]]  # of several, COCO's number 1
    for entry in content["annotations"]:
        entry["category_id"] = 7  # of one only: all
    assert len(boxes_at(written(tmp_path, content), 0.0)) == 2
    content["annotations"][0]["category_id"] = 8
    fails(written(tmp_path, content), "several category_id, and none is 1")
    for entry in content["annotations"]:
        del entry["category_id"]
    assert len(boxes_at(written(tmp_path, content), 0.0)) == 2


def test_coco_with_two_categories_of_people(tmp_path: Path) -> None:
    content = coco(categories=[{"id": 1, "name": "Person"}, {"id": 18, "name": "person"}])
    assert len(boxes_at(written(tmp_path, content), 0.0)) == 2


def test_coco_tracks_are_followed_between_pictures(tmp_path: Path) -> None:
    boxes = [(1, [0, 0, 40, 100]), (2, [200, 0, 40, 100])]
    annotations = [{"image_id": i, "category_id": 1, "bbox": box, "track_id": 9} for i, box in boxes]
    path = written(tmp_path, coco(annotations=annotations))
    assert boxes_at(path, 0.5) == [[50, 0, 70, 50]]


@pytest.fixture(scope="module")
def ten_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of a fifth of a second."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    with VideoWriter(path, width=64, height=48, fps=5) as writer:
        for i in range(10):
            writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    return path


@pytest.mark.parametrize(
    ("images", "times_s"),
    [
        ([{"file_name": "clip/frame_000001.jpg"}, {"file_name": "clip/frame_000006.jpg"}], [0.0, 1.0]),
        ([{"file_name": "img0.png"}, {"file_name": "img5.png"}], [0.0, 1.0]),
        ([{"frame_index": 0}, {"frame_index": 9}], [0.0, 1.8]),
        ([{"frame_index": 2, "file_name": "x.jpg"}, {"time_s": 1.5}], [0.4, 1.5]),
    ],
    ids=["from 1", "from 0", "index", "both"],
)
def test_coco_frames_by_number(
    images: Sequence[dict[str, Any]], times_s: Sequence[float], ten_frames: Path, tmp_path: Path
) -> None:
    content = coco(
        images=[{"id": i, **image} for i, image in enumerate(images)],
        annotations=[
            {"image_id": i, "category_id": 1, "bbox": [10 * i, 0, 20, 40]} for i in range(len(images))
        ],
    )
    path = written(tmp_path, content)
    for i, time_s in enumerate(times_s):
        assert boxes_at(path, time_s, video=ten_frames) == [[10 * i, 0, 10 * i + 20, 40]]


def test_coco_frame_behind_the_end(ten_frames: Path, tmp_path: Path) -> None:
    path = written(tmp_path, coco(images=[{"id": 1, "frame_index": 10}], annotations=[]))
    fails(path, r"images\[0\].frame_index: that is frame 10 from 0, but .* has 10 frames", video=ten_frames)


def test_coco_of_several_videos(tmp_path: Path) -> None:
    images = [
        {"id": 1, "file_name": "clip/000001.jpg", "time_s": 0.0},
        {"id": 2, "file_name": "other/000001.jpg", "time_s": 0.0},
    ]
    annotations = [{"image_id": i, "category_id": 1, "bbox": [0, 0, 10 * i, 10]} for i in (1, 2)]
    path = written(tmp_path, coco(images=images, annotations=annotations))
    assert boxes_at(path, 0.0, video=Path("other.mp4")) == [[0, 0, 20, 10]]
    fails(path, "none called 'third'", video=Path("third.mp4"))
    videos = [{"id": 5, "name": "other"}, {"id": 6, "name": "clip.mp4"}]
    images = [{"id": 1, "video_id": 6, "time_s": 0.0}, {"id": 2, "video_id": 5, "time_s": 0.0}]
    path = written(tmp_path, coco(videos=videos, images=images, annotations=annotations))
    assert boxes_at(path, 0.0) == [[0, 0, 10, 10]]


def test_coco_results(tmp_path: Path, ten_frames: Path) -> None:
    results = [
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 40], "score": 0.9},
        {"image_id": 6, "category_id": 1, "bbox": [10, 0, 20, 40], "score": 0.3},
        {"image_id": 6, "category_id": 62, "bbox": [0, 0, 5, 5], "score": 0.9},
    ]
    path = written(tmp_path, results)
    assert boxes_at(path, 0.0, video=ten_frames) == [[0, 0, 20, 40]]
    assert boxes_at(path, 1.0, video=ten_frames) == [[10, 0, 30, 40]]
    assert boxes_at(path, 1.0, video=ten_frames, min_score=0.5) == []
    assert boxes_at(written(tmp_path, []), 0.0) == []
    timed = [{"time_s": 4.0, "bbox": [0, 0, 20, 40]}]
    assert boxes_at(written(tmp_path, timed), 4.2) == [[0, 0, 20, 40]]


def annotation(**changes: Any) -> dict[str, Any]:
    good = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}
    return coco(annotations=[good, {"image_id": 2, "category_id": 1, "bbox": [0, 0, 10, 10]} | changes])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (annotation(bbox=[0, 0, 10]), r"annotations\[1\].bbox: 3 numbers, not 4"),
        (annotation(bbox=[0, 0, -10, 10]), r"annotations\[1\].bbox: x2 = -10 is not right of x1 = 0"),
        (annotation(bbox=[0, 0, 10, 0]), r"annotations\[1\].bbox: y2 = 0 is not below"),
        (
            annotation(bbox=[0, 0, float("nan"), 10]),
            r"annotations\[1\].bbox\[2\]: nan is not a finite number",
        ),
        (annotation(bbox=[0, "a", 10, 10]), r"annotations\[1\].bbox\[1\]: 'a' is not a number"),
        (annotation(bbox=[0, True, 10, 10]), r"annotations\[1\].bbox\[1\]: True is not a number"),
        (annotation(bbox=[0, 10**400, 10, 10]), r"bbox\[1\]: 1000.*… is not a finite number"),
        (annotation(bbox="0 0 10 10"), r"annotations\[1\].bbox: '0 0 10 10' is not a list"),
        (annotation(bbox=[900, 0, 10, 10]), r"annotations\[1\].bbox: .* outside the frame of 400x200"),
        (annotation(bbox=None), r"annotations\[1\]: 'bbox' is missing"),
        (annotation(image_id=77), r"annotations\[1\].image_id: there is no image 77"),
        (annotation(category_id=77), r"annotations\[1\].category_id: there is no category 77"),
        (annotation(category_id="1"), r"annotations\[1\].category_id: there is no category '1'"),
        (annotation(score=2), r"annotations\[1\].score: 2 is not from 0 to 1"),
        (annotation(image_id=1), r"annotations\[1\]: the same box is there twice at 0 s"),
        (coco(annotations=[3]), r"annotations\[0\]: 3 is not an object"),
        (coco(annotations={"a": 1}), r"annotations: .* is not a list"),
        (
            coco(categories=[{"id": 1, "name": "dog"}]),
            "categories: none of them is called 'person', only dog",
        ),
        (coco(images=[{"id": 1}]), r"images\[0\]: nothing names the frame"),
        (
            coco(images=[{"id": 1, "file_name": "a.jpg"}]),
            r"images\[0\].file_name: 'a.jpg' has no frame number",
        ),
        (coco(images=[{"id": 1, "time_s": -1}]), r"images\[0\].time_s: -1 is not from 0"),
        (
            coco(images=[{"id": 1, "time_s": 0}, {"id": 1, "time_s": 1}]),
            r"images\[1\].id: image 1 is a duplicate",
        ),
        (
            coco(videos=[{"id": 5, "name": "clip"}], images=[{"id": 1, "video_id": 7, "time_s": 0}]),
            r"images\[0\].video_id: there is no video 7",
        ),
        (
            coco(videos=[{"id": 5, "name": "clip"}], images=[{"id": 1, "time_s": 0}]),
            r"images\[0\]: 'video_id' is missing",
        ),
        (
            coco(videos=[{"id": 5, "name": "clip"}, {"id": 5, "name": "other"}]),
            r"videos\[1\].id: video 5 is a duplicate",
        ),
        (
            coco(videos=[{"id": 5, "name": "clip"}, {"id": 6, "name": "clip"}]),
            r"videos\[1\].name: video 'clip' is a duplicate",
        ),
        ([{"time_s": 0, "category_id": 3, "bbox": [0, 0, 1, 1]}, {"category_id": 4}], "none is 1"),
        ({"frames": []}, "an object with frames, but neither 'annotations'"),
        ({}, "an object with nothing"),
        ([1, 2], r"\[0\]: 1 is not an object"),
    ],
)
def test_mistakes_in_coco_files(content: object, words: str, tmp_path: Path) -> None:
    fails(written(tmp_path, content), words)


def test_json_that_is_none(tmp_path: Path) -> None:
    fails(written(tmp_path, '{"images": [\n{"id": 1},\n'), ":3: not JSON")
    fails(written(tmp_path, '{"people": []}\n{"people": [}\n'), ":2: not JSON")
    fails(written(tmp_path, "[" * 100_000), "nested too deeply")


def test_numbers_of_thousands_of_digits(tmp_path: Path) -> None:
    bbox = '{"time_s": 0, "bbox": [0, 0, 1, ' + "9" * 5000 + "]}"
    fails(written(tmp_path, f"[{bbox}]"), "not JSON: a number has too many digits")
    point = '{"people": [{"track": 1, "boxes": [{"time_s": ' + "9" * 5000 + "}]}]}"
    fails(written(tmp_path, f'{{"people": []}}\n{point}\n'), ":2: not JSON: a number has too many digits")


# --- our own ---


def detections() -> Detections:
    def seen(time_s: float, x: float, score: float = 0.9) -> TrackPoint:
        return TrackPoint(time_s, (x, 20.0, x + 60, 160.0), score, ())

    return Detections(
        video="somewhere/clip.mp4", model="m", dataset="ava2.2", engine="e", tracker="iou",
        person_detector="HOG", width_px=400, height_px=200, duration_s=4.0, every_s=1.0,
        keyframes_s=(0.0, 1.0, 2.0, 3.0),
        tracks=(Track(1, (seen(0, 0), seen(1, 100))), Track(2, (seen(1, 300, 0.4),))),
        warnings=(), timing_s={},
    )  # fmt: skip


def test_what_twinpath_detect_wrote(tmp_path: Path) -> None:
    path = written(tmp_path, detections().to_dict())
    assert boxes_at(path, 0.4) == [[20, 10, 50, 80]]  # the other comes at 1 s
    assert boxes_at(path, 1.0) == [[50, 10, 80, 80], [150, 10, 180, 80]]
    assert boxes_at(path, 1.0, min_score=0.5) == [[50, 10, 80, 80]]
    assert boxes_at(path, 2.0) == []  # a keyframe without people


def test_several_answers_line_by_line(tmp_path: Path) -> None:
    answers = [detections(), dataclasses.replace(detections(), video="other.mp4", tracks=())]
    path = written(tmp_path, "\n".join(json.dumps(answer.to_dict()) for answer in answers))
    assert len(boxes_at(path, 1.0)) == 2
    assert boxes_at(path, 1.0, video=Path("other.mkv")) == []
    fails(path, "none called 'third'", video=Path("third.mp4"))


def test_mistakes_in_our_own(tmp_path: Path) -> None:
    content = json.loads(json.dumps(detections().to_dict()))
    content["tracks"][0]["points"][1]["time_s"] = 0
    fails(written(tmp_path, content), r"tracks\[0\].points\[1\]: track 1 has two points at 0 s")
    content["tracks"][0]["points"][1] = {"time_s": 2}
    fails(written(tmp_path, content), r"tracks\[0\].points\[1\]: 'box_xyxy_px' is missing")


def test_a_track_that_is_there_twice(tmp_path: Path) -> None:
    content = json.loads(json.dumps(detections().to_dict()))
    content["tracks"][1]["track_id"] = 1
    fails(written(tmp_path, content), r": tracks\[1\]: track 1 is a duplicate")
    truth = truth_of(make_scene(3, kind="people"), height_px=HEIGHT)
    for person in truth["people"]:
        person["track"] = 0
    lines = [{"video": "other.mp4", "people": []}, {"video": "clip.mp4", **truth}]
    path = written(tmp_path, "\n".join(map(json.dumps, lines)))
    fails(path, r"boxes.txt:2: people\[1\]: track 0 is a duplicate")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tracks": None}, ": 'tracks' is null; it must be a list"),
        ({"tracks": "all"}, ": tracks: 'all' is not a list"),
        ({"tracks": None, "people": []}, ": 'tracks' is null; it must be a list"),
    ],
)
def test_tracks_that_are_no_list(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    content = detections().to_dict() | changes
    fails(written(tmp_path, content), "boxes.txt" + words)
    fails(written(tmp_path, json.dumps(content) + "\n" + json.dumps({"video": "x", "tracks": []})), words)


def test_people_that_are_no_list(tmp_path: Path) -> None:
    content: dict[str, Any] = {"video": "clip.mp4", "people": None}
    fails(written(tmp_path, content), ": 'people' is null; it must be a list")
    fails(written(tmp_path, content | {"people": "HOG"}), ": people: 'HOG' is not a list")
    fails(written(tmp_path, {"video": "clip.mp4", "person_detector": "HOG"}), r"neither .* nor 'tracks'")


def test_truth_of_the_synthetic_world(tmp_path: Path) -> None:
    scene = make_scene(3, kind="people")
    truth = truth_of(scene, height_px=HEIGHT)
    lines = [{"video": "000000.mp4", **truth}, {"video": "000001.mp4", **truth, "people": []}]
    path = written(tmp_path, "\n".join(json.dumps(line) for line in lines) + "\n")
    width = truth["width_px"]
    seen = [box for person in truth["people"] for box in person["boxes"] if box["time_s"] == 0.6]
    picture = np.zeros((HEIGHT, width, 3), np.uint8)
    detector = FileBoxes(path, video=Path("000000.mp4"), width_px=width, height_px=HEIGHT)
    (people,) = detector([picture], [0.6])
    expected = sorted(box["box_xyxy_px"] for box in seen)
    np.testing.assert_allclose(sorted(people.boxes_xyxy_px.tolist()), expected, atol=1e-3)
    assert boxes_at(path, 0.6, video=Path("000001.mp4")) == []


def test_coco_results_of_several_videos(tmp_path: Path) -> None:
    """Told apart by the whole folder of their pictures."""
    entries = [
        {"file_name": f"{folder}/clip/000001.jpg", "bbox": [10 * k, 10, 20, 30], "time_s": 0.0}
        for k, folder in enumerate(("a", "b"), 1)
    ]
    path = written(tmp_path, entries)
    assert boxes_at(path, 0.0, video=Path("a/clip.mp4")) == [[10, 10, 30, 40]]
    assert boxes_at(path, 0.0, video=Path("b/clip.mp4")) == [[20, 10, 40, 40]]
    fails(path, "more than one name matches c/clip.mp4", video=Path("c/clip.mp4"))


def test_lines_of_videos_that_could_not_be_used(tmp_path: Path) -> None:
    """As `twinpath detect --json` prints them."""
    seen = [{"time_s": 0.0, "box_xyxy_px": [10, 10, 30, 40]}]
    lines = [
        {"video": "bad.mp4", "error": {"type": "NotAVideo", "message": "no video"}},
        {"video": "clip.mp4", "tracks": [{"track_id": 1, "points": seen}]},
    ]
    path = written(tmp_path, "".join(json.dumps(line) + "\n" for line in lines))
    assert boxes_at(path, 0.0) == [[10, 10, 30, 40]]
    fails(written(tmp_path, lines[:1], "failed.json"), "has no boxes, only errors of videos that failed")
