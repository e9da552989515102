"""Boxes in a file are taken for the video they belong to, or a caller is told that they may be another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinpath.errors import InputError
from twinpath.people.file_boxes import FileBoxes

WIDTH, HEIGHT = 240, 426  # a video that is shown turned
PICTURE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def opened(
    path: Path, content: object, video: str | Path = "clip.mp4", *, size_px: tuple[int, int] = (WIDTH, HEIGHT)
) -> FileBoxes:
    """Content as text, as one JSON value, or as a list with a line for each of its values."""
    if not isinstance(content, str):
        lines = content if isinstance(content, list) else [content]
        content = "\n".join(json.dumps(line) for line in lines) + "\n"
    path.write_text(content)
    return FileBoxes(path, video=Path(video), width_px=size_px[0], height_px=size_px[1])


def right_edge(boxes: FileBoxes) -> float:
    """Of the only person at 0 s, in pixels."""
    (people,) = boxes([PICTURE], [0.0])
    (box,) = people.boxes_xyxy_px
    return round(float(box[2]), 3)


def truth(video: str | None, right_px: float = 100, **changes: Any) -> dict[str, Any]:
    """An entry in the form of the synthetic world: one person at 0 s."""
    boxes = [{"time_s": 0.0, "box_xyxy_px": [0, 0, right_px, 100]}]
    name = {} if video is None else {"video": video}
    return name | {"people": [{"track": 1, "boxes": boxes}]} | changes


def coco(image: dict[str, Any], **changes: Any) -> dict[str, Any]:
    annotations = [{"image_id": 1, "bbox": [0, 0, 100, 100]}]
    return {"images": [{"id": 1, "time_s": 0.0, **image}], "annotations": annotations, **changes}


# --- several videos in a file ---


@pytest.mark.parametrize(
    ("names", "video", "chosen"),
    [
        (["a/x.mp4", "b/x.mp4"], "b/x.mp4", 1),
        (["a/x.mp4", "b/x.mp4"], "/data/b/x.mp4", 1),
        (["/old/a/x.mp4", "/old/b/x.mp4"], "/new/b/x.mp4", 1),
        (["a\\x.mp4", "b\\x.mp4"], "b/x.mp4", 1),
        (["./a/x.mp4", "./a/../b/x.mp4"], "b/x.mp4", 1),
        (["a/x.mp4", "b/x.mp4"], "b/x.mkv", 1),
        (["c/b/x.mp4", "x.mp4"], "x.mp4", 1),  # the whole path before a longer one that ends alike
        (["x.avi", "x.mp4"], "x.mp4", 1),
        (["x.mp4.bak", "x.mp4"], "x.mp4", 1),
        (["x.v2", "x"], "x.mp4", 1),  # names without suffix, as AVA's
        (["x", "x.v2"], "x.v2.mp4", 1),
        (["other.mp4", "x.mp4"], "far/away/x.mkv", 1),
        (["a/x.mp4", "a/y.mp4"], "b/y.mp4", 1),
    ],
)
def test_the_nearest_path_is_chosen(names: list[str], video: str, chosen: int, tmp_path: Path) -> None:
    entries = [truth(name, 10 * (i + 1)) for i, name in enumerate(names)]
    for content in (entries, entries[::-1]):
        boxes = opened(tmp_path / "boxes.jsonl", content, video)
        assert right_edge(boxes) == 10 * (chosen + 1)
        assert boxes.of_other_video is None


def test_a_relative_path_is_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    assert right_edge(opened(tmp_path / "boxes", [truth("a/x.mp4", 10), truth("b/x.mp4", 20)], "x.mp4")) == 20


@pytest.mark.parametrize(
    ("names", "video"),
    [
        (["a/x.mp4", "b/x.mp4"], "c/x.mp4"),
        (["a/x.mp4", "b/x.mp4"], "/x.mp4"),
        (["x.avi", "x.mov"], "x.mp4"),
        (["x.mp4", "./x.mp4"], "x.mp4"),
    ],
)
def test_several_that_fit_equally_are_named(names: list[str], video: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than one name matches") as caught:
        opened(tmp_path / "boxes.jsonl", [truth(name) for name in [*names, "other.mp4"]], video)
    assert f"boxes.jsonl has boxes of {names[0]!r}, {names[1]!r}, and" in str(caught.value)
    assert str(caught.value).endswith(video)
    assert "\n" not in str(caught.value)


def test_no_more_than_some_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'4/x.mp4', …, and more than one name matches"):
        opened(tmp_path / "boxes.jsonl", [truth(f"{i}/x.mp4") for i in range(999)], "c/x.mp4")


def test_ava_and_coco_choose_alike(tmp_path: Path) -> None:
    ava = "a/x,0,0,0,0.25,1\nb/x,0,0,0,0.5,1\n"
    assert right_edge(opened(tmp_path / "boxes", ava, "b/x.mp4")) == 120
    with pytest.raises(InputError, match="boxes of 'a/x', 'b/x', and more than one name matches"):
        opened(tmp_path / "boxes", ava, "c/x.mp4")
    listed = [{"id": 5, "name": "a/x.mp4"}, {"id": 6, "name": "b/x.mp4"}]
    images = [{"id": 1, "video_id": 5, "time_s": 0}, {"id": 2, "video_id": 6, "time_s": 0}]
    annotations = [{"image_id": i, "bbox": [0, 0, 10 * i, 10]} for i in (1, 2)]
    content = {"videos": listed, "images": images, "annotations": annotations}
    assert right_edge(opened(tmp_path / "boxes", content, "b/x.mp4")) == 20
    with pytest.raises(InputError, match=r"boxes of 'a/x.mp4', 'b/x.mp4', and more than one name matches"):
        opened(tmp_path / "boxes", content, "c/x.mp4")


def test_two_entries_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "ab.jsonl"
    with pytest.raises(InputError, match=r"ab.jsonl:2: video 'x' is a duplicate"):
        opened(path, [truth("x"), truth("x")], "x.mp4")
    with pytest.raises(InputError, match=r"ab.jsonl: \[1\]: video 'x' is a duplicate"):
        opened(path, json.dumps([truth("x"), truth("x"), truth("clip")]))
    with pytest.raises(InputError, match=r"ab.jsonl:2: 'video' is missing"):
        opened(path, [truth("clip"), truth(None)])


# --- a single video in a file ---


@pytest.mark.parametrize(
    ("name", "is_other"),
    [
        ("other.mp4", True),
        ("some/clip/other", True),
        ("clip2.mp4", True),
        ("clip.mp4", False),
        ("clip", False),
        ("else\\where\\Clip.MKV", False),
        ("", False),
    ],
)
def test_a_single_video_is_taken_and_its_other_name_told(name: str, is_other: bool, tmp_path: Path) -> None:
    path = tmp_path / "boxes"
    for content in (
        truth(name),
        {"video": name, "people": "HOG", "tracks": []},
        f"{name},0,0,0,0.5,1\n",
        coco({"video_id": 5}, videos=[{"id": 5, "name": name}]),
        coco({"file_name": f"{name}/000001.jpg"}),
    ):
        boxes = opened(path, content)
        folder = isinstance(content, dict) and "images" in content and "videos" not in content
        told = name.replace("\\", "/") if folder else name  # COCO's pictures lie in it
        assert boxes.of_other_video == (told if is_other else None)


def test_a_file_that_tells_no_name(tmp_path: Path) -> None:
    for content in (
        truth(None),
        coco({"file_name": "000001.jpg"}),
        coco({}),
        coco({}, images=[], annotations=[]),
        '[{"time_s": 0, "bbox": [0, 0, 100, 100]}]',
    ):
        boxes = opened(tmp_path / "boxes", content)
        assert boxes.of_other_video is boxes.mismatched_shape_px is None


# --- another shape ---


@pytest.mark.parametrize(
    ("measured_px", "shown_px", "is_other"),
    [
        ((426, 240), (240, 426), True),  # before it was turned
        ((240, 426), (240, 426), False),
        ((480, 852), (240, 426), False),
        ((213, 120), (426, 240), False),
        ((427, 240), (426, 240), False),  # width rounded up
        ((426, 240), (424, 240), False),
        ((426, 240), (416, 240), True),
        ((720, 576), (1024, 576), True),
    ],
)
def test_boxes_measured_on_another_shape(
    measured_px: tuple[int, int], shown_px: tuple[int, int], is_other: bool, tmp_path: Path
) -> None:
    width, height = measured_px
    wanted = measured_px if is_other else None
    path = tmp_path / "boxes"
    ours = truth("clip", 1, width_px=width, height_px=height)
    assert opened(path, ours, size_px=shown_px).mismatched_shape_px == wanted
    images = coco({"width": width, "height": height})
    assert opened(path, images, size_px=shown_px).mismatched_shape_px == wanted


def test_a_shape_that_no_picture_has(tmp_path: Path) -> None:
    boxes = opened(tmp_path / "boxes", truth("clip", width_px=1e308, height_px=1e308))
    assert boxes.mismatched_shape_px == (round(1e308), round(1e308))


def test_boxes_of_another_shape_are_stretched(tmp_path: Path) -> None:
    boxes = opened(tmp_path / "boxes", truth("clip", 213, width_px=426, height_px=240))
    assert right_edge(boxes) == 120


def test_the_shape_of_nothing_matters_to_nobody(tmp_path: Path) -> None:
    shape = {"width_px": 426, "height_px": 240}
    assert opened(tmp_path / "boxes", truth("clip", people=[], **shape)).mismatched_shape_px is None
    unseen = coco({"width": 426, "height": 240}, annotations=[])
    assert opened(tmp_path / "boxes", unseen).mismatched_shape_px is None
    other_video = [truth("clip"), truth("other", **shape)]
    assert opened(tmp_path / "boxes", other_video).mismatched_shape_px is None
