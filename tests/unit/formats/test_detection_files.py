"""Detections in files, read back by readers of their own."""

from __future__ import annotations

import csv
import errno
import io
import json
import resource
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinpath.errors import InputError
from twinpath.formats.detections import DETECTION_KINDS, read_detections, write_detection_file
from twinpath.results.classification import Prediction
from twinpath.results.detections import Detections, Track, TrackPoint
from twinpath.results.provenance import FileFacts, Provenance

TALK = Prediction("talk to (e.g., self, a person, a group)", 78, 0.9)
STAND = Prediction("stand", 11, 0.75)
EVIL = Prediction('say "<a> & b" -- -->\n', 3, 0.5)
VIDEO = 'films/a "b", ü & <c>.mp4'
BOX = (64.0, 36.0, 320.0, 360.0)
FPS = 25
FRAME_TIMES_S = np.arange(6 * FPS) / FPS


def person(time_s: float, *actions: Prediction, box: tuple[float, ...] = BOX) -> TrackPoint:
    x1, y1, x2, y2 = box
    return TrackPoint(time_s, (x1, y1, x2, y2), 0.875, actions)


def detections(*tracks: Track, every_s: float = 1.0, **changes: Any) -> Detections:
    """Of a video of 6 s."""
    found = Detections(
        video=VIDEO,
        model="net.weights",
        dataset="ava2.2",
        engine="by hand",
        person_detector="eyes",
        tracker="fingers",
        width_px=640,
        height_px=360,
        duration_s=6.0,
        every_s=every_s,
        keyframes_s=tuple(np.arange(0.0, 6.0, every_s).tolist()),
        tracks=tracks,
        warnings=("hm",),
        timing_s={"decode": 0.25, "people": 1.0, "actions": 2.0},
    )
    return replace(found, **changes)


TWO_PEOPLE = detections(
    Track(1, (person(0.0, TALK, STAND), person(1.0, STAND), person(2.0))),
    Track(4, (person(1.0, EVIL, box=(0.0, 0.0, 640.0, 360.0)), person(3.0, STAND), person(5.0, STAND))),
)


def written(found: Detections, folder: Path, kind: str, frame_times_s: Any = FRAME_TIMES_S) -> str:
    path = folder / f"x.{kind}"
    write_detection_file(found, path, kind, frame_times_s=frame_times_s)
    assert [p.name for p in folder.iterdir()] == [path.name]
    return path.read_bytes().decode("utf-8")


def cvat_boxes(text: str) -> dict[str, list[tuple[int, bool, set[str]]]]:
    """Of each track: frame, outside, and the actions that are ticked."""
    tracks = {}
    for track in ET.fromstring(text).iter("track"):
        assert track.get("label") == "person"
        tracks[track.get("id", "")] = [
            (
                int(box.get("frame", "")),
                box.get("outside") == "1",
                {a.get("name", "") for a in box if a.text == "true"},
            )
            for box in track
        ]
    return tracks


# --- JSON


def test_json_is_read_back_equal(tmp_path: Path) -> None:
    text = written(TWO_PEOPLE, tmp_path, "json")
    assert read_detections(tmp_path / "x.json") == TWO_PEOPLE
    values = json.loads(text)
    assert values.pop("versions")["twinpath"]
    assert values == json.loads(json.dumps(TWO_PEOPLE.to_dict()))
    assert values["tracks"][0]["points"][0]["box_xyxy"] == [0.1, 0.1, 0.5, 1.0]


def test_json_has_a_line_for_each_person_at_a_keyframe(tmp_path: Path) -> None:
    lines = written(TWO_PEOPLE, tmp_path, "json").splitlines()
    assert sum('"time_s"' in line for line in lines) == 6
    assert sum('"track_id"' in line for line in lines) == 2
    assert sum("keyframes_s" in line for line in lines) == 1


def test_json_may_hold_the_provenance(tmp_path: Path) -> None:
    made = Provenance(FileFacts(5, 1.5), "net.weights", None, {"every_s": 1.0})
    place = tmp_path / "x.json"
    write_detection_file(TWO_PEOPLE, place, "json", provenance=made)
    assert Provenance.from_dict(json.loads(place.read_text())["provenance"]) == made
    assert read_detections(place) == TWO_PEOPLE


def test_a_name_that_is_no_text_survives_json(tmp_path: Path) -> None:
    found = replace(TWO_PEOPLE, video="a\udcff\n.mp4")
    written(found, tmp_path, "json")
    assert read_detections(tmp_path / "x.json") == found


def put(*steps: str | int) -> Callable[[dict[str, Any], Any], None]:
    def change(values: Any, value: Any) -> None:
        for step in steps[:-1]:
            values = values[step]
        if value is None:
            del values[steps[-1]]
        else:
            values[steps[-1]] = value

    return change


POINT = ("tracks", 1, "points", 0)


@pytest.mark.parametrize(
    ("change", "value", "words"),
    [
        (put(*POINT, "box_xyxy_px"), [1, 2, 3], "tracks[1].points[0].box_xyxy_px: 3 numbers, not 4"),
        (put(*POINT, "box_xyxy_px"), [9, 2, 3, 4], "tracks[1].points[0].box_xyxy_px: x2 is less than x1"),
        (put(*POINT, "box_xyxy_px", 2), "wide", "tracks[1].points[0].box_xyxy_px[2]: 'wide' is not a number"),
        (put(*POINT, "box_xyxy_px", 2), float("inf"), "points[0].box_xyxy_px[2]: inf is not a finite number"),
        (put(*POINT, "box_xyxy_px", 2), 10**400, "00000… is not a finite number"),
        (put(*POINT, "detection_score"), float("nan"), "detection_score: nan is not a finite number"),
        (put(*POINT, "detection_score"), True, "tracks[1].points[0].detection_score: True is not a number"),
        (put(*POINT, "actions", 0, "index"), 1.5, "actions[0].index: 1.5 is not a whole number"),
        (put(*POINT, "actions", 0, "label"), 3, "tracks[1].points[0].actions[0].label: 3 is not text"),
        (put(*POINT, "actions"), {}, "tracks[1].points[0].actions: {} is not a list"),
        (put("tracks", 1, "points", 1), "she", "tracks[1].points[1]: 'she' is not an object"),
        (put("tracks", 1, "points", 1, "time_s"), 0.5, "tracks[1].points[1].time_s: 0.5 comes after"),
        (put("tracks", 1, "track_id"), 1, "tracks[1].track_id: 1 comes after 1"),
        (put("width_px"), 0, "width_px: 0 is less than 1"),
        (put("duration_s"), -1, "duration_s: -1 is less than 0"),
        (put("timing_s", "decode"), "long", "timing_s.decode: 'long' is not a number"),
        (put("tracker"), None, "'tracker' is missing"),
        (put("tracks"), None, "holds no detections"),
    ],
)  # fmt: skip
def test_a_damaged_value_is_named(tmp_path: Path, change: Any, value: Any, words: str) -> None:
    values = json.loads(written(TWO_PEOPLE, tmp_path, "json"))
    change(values, value)
    place = tmp_path / "x.json"
    place.write_text(json.dumps(values), "utf-8")
    with pytest.raises(InputError) as error:
        read_detections(place)
    assert str(error.value).startswith(f"{place}: ")
    assert words in str(error.value)
    assert str(error.value).isprintable()


def test_a_null_is_named(tmp_path: Path) -> None:
    values = json.loads(written(TWO_PEOPLE, tmp_path, "json"))
    values["tracks"][0]["points"][1]["actions"] = None
    (tmp_path / "x.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"tracks\[0\]\.points\[1\]: 'actions' is null; it must be a list"):
        read_detections(tmp_path / "x.json")


def test_a_number_of_thousands_of_digits(tmp_path: Path) -> None:
    text = written(TWO_PEOPLE, tmp_path, "json").replace('"width_px": 640', f'"width_px": {"9" * 5000}')
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: damaged, or not JSON"):
        read_detections(tmp_path / "x.json")


@pytest.mark.parametrize(
    "content", [b"", b'{"video": ', b"\xff\xfe\x00", b"[" * 100_000, b"[]", b'{"a": 1}', b"7"]
)
def test_a_file_that_holds_something_else(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "x.json"
    place.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json: (damaged, or not JSON|holds no detections)") as error:
        read_detections(place)
    assert str(error.value).isprintable()


# --- AVA


def test_ava_has_a_row_for_each_action(tmp_path: Path) -> None:
    rows = list(csv.reader(io.StringIO(written(TWO_PEOPLE, tmp_path, "csv"))))
    name = 'a "b", ü & <c>'
    half = ["0.10000", "0.10000", "0.50000", "1.00000"]
    assert rows == [
        [name, "0000", *half, "79", "0.90000"],
        [name, "0000", *half, "12", "0.75000"],
        [name, "0001", *half, "12", "0.75000"],
        [name, "0001", "0.00000", "0.00000", "1.00000", "1.00000", "4", "0.50000"],
        [name, "0003", *half, "12", "0.75000"],
        [name, "0005", *half, "12", "0.75000"],
    ]


def test_seconds_have_decimals_where_a_keyframe_lies_between(tmp_path: Path) -> None:
    found = detections(Track(1, (person(1.0, STAND), person(1.5, STAND))), every_s=0.5)
    rows = list(csv.reader(io.StringIO(written(found, tmp_path, "csv"))))
    assert [row[1] for row in rows] == ["1.000", "1.500"]


def test_seconds_as_ava_has_them(tmp_path: Path) -> None:
    found = detections(Track(1, (person(902.0, STAND),)), keyframes_s=(902.0,))
    (row,) = csv.reader(io.StringIO(written(found, tmp_path, "csv")))
    assert row[1] == "0902"


def test_a_name_that_a_spreadsheet_would_run(tmp_path: Path) -> None:
    found = detections(Track(1, (person(1.0, STAND),)), video="films/=cmd.mp4")
    assert written(found, tmp_path, "csv").startswith("'=cmd,0001,")


# --- CVAT


def test_cvat_boxes_at_the_frames_of_the_keyframes(tmp_path: Path) -> None:
    text = written(TWO_PEOPLE, tmp_path, "xml")
    evil = EVIL.label
    assert cvat_boxes(text) == {
        "1": [
            (0, False, {TALK.label, STAND.label}),
            (25, False, {STAND.label}),
            (50, False, set()),
            (51, True, set()),
        ],
        "4": [
            (25, False, {evil}), (26, True, {evil}),  # nobody was seen at 2 s
            (75, False, {STAND.label}), (76, True, {STAND.label}),
            (125, False, {STAND.label}), (126, True, {STAND.label}),
        ],
    }  # fmt: skip
    box = ET.fromstring(text).find("track/box")
    assert box is not None
    assert box.attrib == {
        "frame": "0", "keyframe": "1", "outside": "0", "occluded": "0",
        "xtl": "64.00", "ytl": "36.00", "xbr": "320.00", "ybr": "360.00", "z_order": "0",
    }  # fmt: skip


def test_cvat_is_told_of_the_task(tmp_path: Path) -> None:
    document = ET.fromstring(written(TWO_PEOPLE, tmp_path, "xml"))
    assert document.tag == "annotations"
    assert [child.tag for child in document] == ["version", "meta", "track", "track"]
    assert document.findtext("version") == "1.1"
    task = document.find("meta/task")
    assert task is not None
    texts = {child.tag: child.text for child in task if not len(child)}
    assert texts == {
        "name": 'a "b", ü & <c>', "size": "150", "mode": "interpolation",
        "start_frame": "0", "stop_frame": "149", "source": 'a "b", ü & <c>.mp4',
    }  # fmt: skip
    assert (task.findtext("original_size/width"), task.findtext("original_size/height")) == ("640", "360")
    (label,) = task.findall("labels/label")
    assert label.findtext("name") == "person"
    attributes = [{part.tag: part.text for part in a} for a in label.findall("attributes/attribute")]
    assert [a.pop("name") for a in attributes] == [EVIL.label, STAND.label, TALK.label]  # by index
    checkbox = {"mutable": "True", "input_type": "checkbox", "default_value": "false", "values": "false"}
    assert attributes == [checkbox] * 3


def test_every_box_tells_of_every_action(tmp_path: Path) -> None:
    document = ET.fromstring(written(TWO_PEOPLE, tmp_path, "xml"))
    for box in document.iter("box"):
        assert [a.get("name") for a in box] == [EVIL.label, STAND.label, TALK.label]
        assert {a.text for a in box} <= {"true", "false"}


def test_the_labels_to_paste_into_cvat(tmp_path: Path) -> None:
    text = written(TWO_PEOPLE, tmp_path, "xml")
    comment = text.partition("<!--")[2].partition("-->")[0]
    assert "--" not in comment
    (label,) = json.loads(comment.splitlines()[1])
    assert (label["name"], label["type"]) == ("person", "rectangle")
    names = [attribute.pop("name") for attribute in label["attributes"]]
    assert names == [EVIL.label, STAND.label, TALK.label]
    checkbox = {"mutable": True, "input_type": "checkbox", "default_value": "false", "values": ["false"]}
    assert label["attributes"] == [checkbox] * 3


def test_a_person_who_stays_to_the_last_frame_does_not_leave(tmp_path: Path) -> None:
    found = detections(Track(1, (person(4.0), person(5.0))))
    text = written(found, tmp_path, "xml", FRAME_TIMES_S[: 5 * FPS + 1])
    assert cvat_boxes(text) == {"1": [(100, False, set()), (125, False, set())]}


def test_frames_are_counted_by_their_times(tmp_path: Path) -> None:
    times_s = np.array([0.0, 0.1, 0.9, 1.2, 1.3, 2.0, 3.5, 5.0, 5.5])
    found = detections(Track(1, tuple(person(float(second)) for second in range(6))))
    frames = [box[0] for box in cvat_boxes(written(found, tmp_path, "xml", times_s))["1"]]
    assert frames == [0, 2, 5, 6, 7, 8]  # at 2 s and 3 s the same frame is on screen


def test_of_keyframes_on_one_frame_the_last_stays(tmp_path: Path) -> None:
    seen = (person(0.0, TALK), person(0.5, STAND), person(1.0))
    text = written(detections(Track(1, seen), every_s=0.5), tmp_path, "xml", np.array([0.0, 1.0]))
    assert cvat_boxes(text) == {"1": [(0, False, {STAND.label}), (1, False, set())]}


def test_keyframes_may_share_the_time_of_the_last_frame(tmp_path: Path) -> None:
    seen = (person(0.0), person(0.04), person(0.04, STAND))
    found = detections(Track(1, seen), keyframes_s=(0.0, 0.04, 0.04))
    text = written(found, tmp_path, "xml", FRAME_TIMES_S[:2])
    assert cvat_boxes(text) == {"1": [(0, False, set()), (1, False, {STAND.label})]}
    write_detection_file(found, tmp_path / "x.json", "json")
    assert read_detections(tmp_path / "x.json") == found


def test_what_xml_cannot_hold(tmp_path: Path) -> None:
    action = Prediction("b\x01\ufffe", 1, 0.5)
    found = detections(Track(1, (person(0.0, action),)), video="\x02\udcff.mp4")
    text = written(found, tmp_path, "xml")
    assert cvat_boxes(text)["1"][0] == (0, False, {"b??"})
    assert ET.fromstring(text).findtext("meta/task/name") == "?\\udcff"


# --- all


@pytest.mark.parametrize("kind", DETECTION_KINDS)
@pytest.mark.parametrize("found", [detections(), detections(Track(1, ()))], ids=["nobody", "an empty track"])
def test_nobody_is_a_valid_file_too(tmp_path: Path, kind: str, found: Detections) -> None:
    text = written(found, tmp_path, kind)
    if kind == "json":
        assert read_detections(tmp_path / "x.json") == found
    elif kind == "csv":
        assert text == ""
    else:
        assert [child.tag for child in ET.fromstring(text)] == ["version", "meta"]


@pytest.mark.parametrize("kind", DETECTION_KINDS)
def test_a_full_disk_keeps_the_old_file(tmp_path: Path, kind: str) -> None:
    place = tmp_path / f"x.{kind}"
    place.write_text("old")
    crowd = detections(*(Track(n, TWO_PEOPLE.tracks[0].points) for n in range(1, 200)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="the old file is kept") as error:
            write_detection_file(crowd, place, kind, frame_times_s=FRAME_TIMES_S)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.errno == errno.EFBIG
    assert place.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [place.name]


def test_what_a_programmer_forgot(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs frame_times_s"):
        write_detection_file(TWO_PEOPLE, tmp_path / "x.xml", "xml")
    with pytest.raises(ValueError, match="kind must be one of"):
        write_detection_file(TWO_PEOPLE, tmp_path / "x.txt", "txt")
    assert list(tmp_path.iterdir()) == []
