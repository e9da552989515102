"""People and their actions from files of all kinds, as keyframes of a video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commands import in_process
from twinpath.data.labelled.keyframe_folds import keyframe_folds
from twinpath.data.labelled.keyframes import LabelledKeyframe, LabelledKeyframes, read_keyframes
from twinpath.errors import InputError, NotAFile, TwinpathError, UsageError
from twinpath.formats.detections import write_detection_file
from twinpath.results.classification import Prediction
from twinpath.results.detections import Detections, Track, TrackPoint
from twinpath.video.probe import frame_times
from twinpath.video.writer import VideoWriter

FPS = 30


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s of 128 x 96."""
    path = tmp_path_factory.mktemp("videos") / "match.mp4"
    with VideoWriter(path, width=128, height=96, fps=FPS) as writer:
        for _ in range(4 * FPS):
            writer.write(np.zeros((96, 128, 3), dtype=np.uint8))
    return path


def detections(video: Path) -> Detections:
    """Two people, a second apart; the second one leaves after 1 s."""

    def point(time_s: float, x: float, *labels: str) -> TrackPoint:
        actions = tuple(Prediction(label, len(label), 0.75) for label in labels)
        return TrackPoint(time_s, (x, 10.0, x + 20, 90.0), 0.9, actions)

    first = Track(1, tuple(point(float(t), 10.0 * t, *(["run", "wave"] if t else [])) for t in range(4)))
    second = Track(2, (point(0.0, 90.0, "run"), point(1.0, 90.0)))
    return Detections(
        str(video), "m", "d", "e", "p", "t", 128, 96, 4.0, 1.0, (0.0, 1.0, 2.0, 3.0), (first, second), (), {}
    )


def written(video: Path, folder: Path, kind: str) -> Path:
    path = folder / f"match.mp4.detect.{'cvat.' if kind == 'xml' else ''}{kind}"
    write_detection_file(detections(video), path, kind, frame_times_s=frame_times(video))
    return path


def labels(data: LabelledKeyframes) -> dict[float, list[tuple[str, ...]]]:
    return {round(keyframe.time_s, 3): list(keyframe.labels) for keyframe in data.keyframes}


EXPECTED = {
    0.0: [(), ("run",)],
    1.0: [("run", "wave"), ()],
    2.0: [("run", "wave")],
    3.0: [("run", "wave")],
}


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_what_detect_writes_is_read(video: Path, tmp_path: Path, kind: str) -> None:
    data = read_keyframes(written(video, tmp_path, kind), videos=video.parent)
    assert labels(data) == EXPECTED
    assert data.classes == ("run", "wave")
    assert {keyframe.path for keyframe in data.keyframes} == {video}
    assert data.keyframes[1].boxes_xyxy_px.tolist() == [[10, 10, 30, 90], [90, 10, 110, 90]]
    assert data.num_people == 6
    assert data.targets().tolist()[1:3] == [[True, False], [True, True]]


def test_a_check_shows_what_would_be_learned(video: Path, tmp_path: Path) -> None:
    """Around each keyframe a second, with all that somebody in it does."""
    xml = written(video, tmp_path, "xml")
    assert [clip.labels for clip in read_keyframes(xml, videos=video).as_clips().clips] == [
        ("run",), ("run", "wave"), ("run", "wave"), ("run", "wave"),
    ]  # fmt: skip
    done = in_process("data", "check", xml, "--detection", "--videos", video, "--out", tmp_path / "out")
    assert "6 boxes of people on 4 keyframes" in done.err
    values = json.loads((tmp_path / "out" / "data.json").read_text("utf-8"))
    assert {c["label"]: c["usable"] for c in values["classes"]} == {"run": 4, "wave": 3}
    (tmp_path / "broken.xml").write_text("<annotations>")
    broken = in_process(
        "data", "check", xml, tmp_path / "broken.xml", "--detection", "--videos", video, code=4
    )
    assert "broken.xml" in broken.err
    assert broken.err.splitlines()[-1] == "twinpath: 1 file with boxes cannot be used; each is named above"


def test_ava_csv_with_a_label_map(video: Path, tmp_path: Path) -> None:
    csv = written(video, tmp_path, "csv")
    label_map = tmp_path / "labels.pbtxt"
    label_map.write_text("item { name: 'sprint' id: 4 }\nitem { name: 'greet' id: 5 }\n")
    data = read_keyframes(csv, videos=video, label_map=label_map)
    assert [set(found) for found in labels(data)[1.0]] == [{"sprint", "greet"}]
    assert data.classes == ("sprint", "greet")  # in the order of their ids
    assert data.keyframes[0].boxes_xyxy_px[0].tolist() == pytest.approx([90, 10, 110, 90], abs=0.01)
    with pytest.raises(UsageError, match="numbers of actions; give their names with label_map"):
        read_keyframes(csv, videos=video)


def test_json_by_hand(video: Path, tmp_path: Path) -> None:
    """Sizes may be missing, an action may be text, and one may last for a track."""
    point = {"time_s": 0.5, "box_xyxy_px": [0, 0, 64, 96]}
    people: Any = [
        {"track": "a", "action": "sit", "boxes": [{**point, "actions": ["read", {"label": "sit"}]}]},
        {"track": "b", "boxes": [{**point, "box_xyxy_px": [64, 0, 200, 96], "actions": []}]},
    ]
    path = tmp_path / "by hand.json"
    path.write_text(json.dumps({"video": "match.mp4", "people": people}))
    data = read_keyframes(path, videos=video.parent)
    assert labels(data) == {0.5: [("sit", "read"), ()]}
    assert data.keyframes[0].boxes_xyxy_px.tolist() == [[0, 0, 64, 96], [64, 0, 128, 96]]  # clipped
    people[0]["boxes"][0]["actions"] = [5]
    path.write_text(json.dumps({"video": "match.mp4", "people": people}))
    with pytest.raises(InputError, match=r"people\[0\]\.boxes\[0\]\.actions\[0\]: 5 is neither text"):
        read_keyframes(path, videos=video.parent)


def cvat(*tracks: str, size: str = "") -> str:
    head = "<annotations><meta><task><source>match.mp4</source>" + size + "</task></meta>"
    return head + "".join(f'<track label="person">{boxes}</track>' for boxes in tracks) + "</annotations>"


def box(frame: int, action: str = "", *, x: int = 0, keyframe: int = 1, outside: int = 0) -> str:
    facts = f'frame="{frame}" keyframe="{keyframe}" outside="{outside}"'
    sides = f'xtl="{x}" ytl="0" xbr="{x + 20}" ybr="90"'
    return f'<box {facts} {sides}><attribute name="action">{action}</attribute></box>'


def read_xml(tmp_path: Path, video: Path, text: str, **options: Any) -> LabelledKeyframes:
    path = tmp_path / "a.xml"
    path.write_text(text)
    return read_keyframes(path, videos=video, **options)


def test_between_two_boxes_a_person_is_on_the_way(tmp_path: Path, video: Path) -> None:
    """Somebody set two boxes in 3 s; another one is there from 2 s on, and leaves."""
    text = cvat(
        box(0, "go", x=0) + box(90, "stop", x=90) + box(91, outside=1),
        box(60, "sit") + box(70, outside=1),
    )
    data = read_xml(tmp_path, video, text)
    assert labels(data) == {0.0: [("go",)], 1.0: [("go",)], 2.0: [("go",), ("sit",)], 3.0: [("stop",)]}
    assert data.keyframes[1].boxes_xyxy_px.tolist() == [[30, 0, 50, 90]]
    every = read_xml(tmp_path, video, text, every_s=0)
    assert [keyframe.time_s for keyframe in every.keyframes] == [0, 2, 3]  # what somebody set


def test_keyframes_close_to_each_other_are_thinned(tmp_path: Path, video: Path) -> None:
    dense = "".join(box(frame, "go" if frame < 60 else "") for frame in range(0, 120, 3))
    data = read_xml(tmp_path, video, cvat(dense))
    assert [keyframe.time_s for keyframe in data.keyframes] == [0, 1, 2, 3]
    assert len(read_xml(tmp_path, video, cvat(dense), every_s=0.5).keyframes) == 8
    exported = "".join(box(frame, "go", keyframe=int(frame == 0)) for frame in range(120))
    assert labels(read_xml(tmp_path, video, cvat(exported))) == {float(t): [("go",)] for t in range(4)}


def test_boxes_of_another_size_are_scaled(tmp_path: Path, video: Path) -> None:
    size = "<original_size><width>64</width><height>48</height></original_size>"
    data = read_xml(tmp_path, video, cvat(box(0, "go", x=10), size=size))
    assert data.keyframes[0].boxes_xyxy_px.tolist() == [[20, 0, 60, 96]]
    assert not data.notes
    size = "<original_size><width>48</width><height>64</height></original_size>"
    data = read_xml(tmp_path, video, cvat(box(0, "go", x=10), size=size))
    assert any("frames of 48x64, stretched to the 128x96" in note for note in data.notes)


def test_classes_may_be_chosen(tmp_path: Path, video: Path) -> None:
    text = cvat(box(0, "go") + box(30, "stop"), box(0, "sit"))
    data = read_xml(tmp_path, video, text, classes=("stop", "go"))
    assert data.classes == ("stop", "go")
    assert labels(data) == {0.0: [("go",), ()], 1.0: [("stop",)]}
    with pytest.raises(UsageError, match="nobody has the action 'stopp'; did you mean stop"):
        read_xml(tmp_path, video, text, classes=("stopp",))


def test_an_action_between_keyframes_is_named(tmp_path: Path, video: Path) -> None:
    data = read_xml(tmp_path, video, cvat(box(0, "go") + box(10, "hop") + box(15, "go") + box(30, "go")))
    assert data.classes == ("go",)
    assert "in no keyframe that is used, and left out: hop" in data.notes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (cvat(box(120, "go")), "frame 120: the video has 120 frames, numbered from 0"),
        (cvat(box(0, "go", x=128)), "frame 0: (128, 0, 148, 90) is outside the picture of 128x96"),
        (cvat(box(0), box(30)), "no box has an action; tick actions"),
        (cvat(), "nobody is annotated"),
        ("PK\x03\x04", "a ZIP archive; unpack it"),
        ("", "is empty"),
        ('{"images": []}', "neither 'tracks'"),
        ('{"tracks": [{"track_id": 1, "points": [{"time_s": 9, "box_xyxy_px": [0, 0, 9, 9]}]}]}',
         "tracks[0].points[0]: 9 s is not in the video, whose last frame is at 4.0 s"),
        ('{"tracks": [{"track_id": 1, "points": [{"time_s": 1, "box_xyxy_px": [9, 0, 0, 9]}]}]}', "x2 = 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(tmp_path: Path, video: Path, text: str, words: str) -> None:
    with pytest.raises(TwinpathError) as caught:
        read_xml(tmp_path, video, text)
    assert words in str(caught.value)


def test_gone_behind_the_last_frame(tmp_path: Path, video: Path) -> None:
    assert len(read_xml(tmp_path, video, cvat(box(90, "go") + box(120, outside=1))).keyframes) == 1


def test_where_the_video_is(tmp_path: Path, video: Path) -> None:
    xml = tmp_path / "results" / "task.xml"
    xml.parent.mkdir()
    xml.write_text(cvat(box(0, "go")))
    with pytest.raises(
        InputError, match=r"its video 'match.mp4' is not beside it; give the video, or its folder"
    ):
        read_keyframes(xml)
    (tmp_path / "other.mp4").write_bytes(video.read_bytes())
    with pytest.raises(InputError, match=r"is not in "):
        read_keyframes(xml, videos=tmp_path)
    (xml.parent / "match.mp4").symlink_to(video)
    assert read_keyframes(xml).keyframes[0].path == xml.parent / "match.mp4"
    xml.write_text(cvat(box(0, "go")).replace("match.mp4", "MATCH.avi"))
    one = read_keyframes(xml, videos=video)
    assert one.keyframes[0].path == video
    assert any("its people are of 'MATCH.avi'" in note for note in one.notes)


def test_a_folder_of_files(tmp_path: Path, video: Path) -> None:
    """A broken one is reported, and the others are used. A video in two files is an error of the second."""
    written(video, tmp_path, "json")
    xml = written(video, tmp_path, "xml")
    (tmp_path / "broken.xml").write_text("<annotations>")
    data = read_keyframes(tmp_path, videos=video.parent)
    assert labels(data) == EXPECTED  # of the .xml
    assert [one.path.name for one in data.failed] == ["broken.xml"]
    (tmp_path / "z.xml").write_bytes(xml.read_bytes())
    data = read_keyframes(tmp_path, videos=video.parent)
    assert "are in" in data.failed[1].reason
    with pytest.raises(NotAFile, match=r"holds no \.xml"):
        read_keyframes(video.parent)


def test_avas_seconds_count_from_900_where_the_video_is_cut(tmp_path: Path, video: Path) -> None:
    path = tmp_path / "ava.csv"
    path.write_text(
        "match,0902,0.1,0.1,0.5,0.5,11,0\nmatch,0902,0.1,0.1,0.5,0.5,80,0\nmatch,0903,0,0,1,1,80,0\n"
    )
    data = read_keyframes(path, videos=video, label_map=Path("ava"))
    assert labels(data) == {2.0: [("sit", "watch (a person)")], 3.0: [("watch (a person)",)]}
    with pytest.raises(InputError, match="902 s is not in the video"):
        read_keyframes(path, videos=video, label_map=Path("ava"), begins_at_s=0)


def keyframes(*videos: str, every: str = "abab") -> LabelledKeyframes:
    """A keyframe a second; a letter is what its two people do: one does, one does nothing."""
    found = [
        LabelledKeyframe(Path(name), float(t), np.zeros((2, 4), np.float32), ((action,), ()), group=name)
        for name in videos
        for t, action in enumerate(every)
    ]
    return LabelledKeyframes(tuple(found), tuple(sorted(set(every))))


def test_folds_keep_videos_together() -> None:
    data = keyframes(*"uvwxyz")
    folds = keyframe_folds(data, num_folds=3)
    assert folds.how == "3 folds by video"
    assert folds.fold is not None
    by_video = folds.fold.reshape(6, 4)
    assert (by_video == by_video[:, :1]).all()
    assert sorted(by_video[:, 0].tolist()) == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(keyframe_folds(data, num_folds=3).fold, folds.fold)
    of_boxes = folds.of_boxes(data)
    assert of_boxes is not None
    assert of_boxes.tolist() == np.repeat(folds.fold, 2).tolist()


def test_folds_of_one_video_are_stretches_of_time() -> None:
    folds = keyframe_folds(keyframes("x", every="ab" * 20), num_folds=5)
    assert folds.how == "5 folds by stretches of time (one video)"
    assert folds.fold is not None
    assert set(folds.fold.tolist()) == set(range(5))
    assert (folds.fold.reshape(-1, 4) == folds.fold[::4, None]).all()  # neighbours stay together
    only_one = keyframe_folds(keyframes("x", every="a"), num_folds=5)
    assert only_one.fold is None
