"""Cases from the field: files of boxes and scores as other programs write them. Numbers as in README.md."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from twinpath.errors import ConfigError, InputError
from twinpath.formats.boxes import read_boxes
from twinpath.recognize.thresholds import parse_thresholds

ROW = "clip,1.0,0.1,0.1,0.5,0.9\n"
BOX = (0.1, 0.1, 0.5, 0.9)


def read(path: Path, *, video: str = "clip.mp4") -> Any:
    return read_boxes(path, video=Path(video), width_px=128, height_px=96)


def coco(*names: str) -> dict[str, Any]:
    """A data set with one person in each image; the second of its time is the image's number."""
    return {
        "images": [{"id": i, "file_name": name, "width": 128, "height": 96} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 50, 60]} for i in range(len(names))
        ],
        "categories": [{"id": 0, "name": "objects"}, {"id": 1, "name": "person"}],
    }


@pytest.mark.parametrize(
    "names",
    [  # 25
        ("clip_mp4-0010_jpg.rf.1f3a9c81be205d6a3e4c1b7f0d9e8a25.jpg",),
        ("clip-12_jpg.rf.0e8a25be205d6a3e4c1b7f0d9.jpg", "clip-13_jpg.rf.77aa0012cd3b.jpg"),
        ("upload/3f2b8c1d-frame.jpg", "upload/frame-3f2b8c1d.jpg"),
    ],
)
def test_a_hash_at_the_end_of_a_name_is_no_frame_number(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = tmp_path / "roboflow.json"
    path.write_text(json.dumps(coco(*names)))
    with pytest.raises(InputError, match=r"roboflow\.json: images\[\d\]\.file_name: .*time_s"):
        read(path)


def test_names_that_only_look_like_a_hash(tmp_path: Path, good_video: Path) -> None:  # 25
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(coco("frame_00000001.jpg", "facade 26.png", "deadbeef_00000050.jpg")))
    assert read(path, video=str(good_video)).times_s == (0.0, 1.0, 1.96)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_of_macos_and_of_others_are_the_same_name(tmp_path: Path, form: Any) -> None:  # 26
    path = tmp_path / "boxes.csv"
    named = unicodedata.normalize(form, "Übung_é")
    path.write_text(ROW.replace("clip", named) + ROW.replace("clip", "other"), encoding="utf-8")
    for other in ("NFC", "NFD"):
        video = f"videos/{unicodedata.normalize(other, 'Übung_é')}.mp4"  # type: ignore[arg-type]
        assert read(path, video=video).video == named


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_what_powershell_and_excel_write(tmp_path: Path, encoding: str, kind: str) -> None:  # 27
    result = [{"time_s": 0.0, "category_id": 1, "bbox": [10, 10, 50, 60], "score": 0.9}]
    text = ROW.replace("\n", "\r\n") if kind == "csv" else json.dumps(result)
    path = tmp_path / f"boxes.{kind}"
    path.write_bytes(("\ufeff" + text).encode(encoding))
    assert len(read(path).observations) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [  # 28
        (b"clip;0001;0,1;0,1;0,5;0,9;12\nclip;0002;0,1;0,1;0,5;0,9;12\n", ":1: semicolons between"),
        (b"clip\t0001\t0.1\t0.1\t0.5\t0.9\n", ":1: tabs between"),
        (b"PK\x03\x04" + bytes(60), ":1: a workbook of a spreadsheet program; save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(60), "is a workbook"),
        (b"1,1,10,10,50,60,1,-1,-1,-1\n26,1,12,10,50,60,1,-1,-1,-1\n", ":1: frame,id,left,top.* of MOT"),
        (b"1,-1,794.2,47.5,71.2,174.8,67.5\n", "of MOT"),
    ],
)
def test_other_tables_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "boxes.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a;b", "7", "x\ty"])
def test_names_of_videos_are_no_other_table(tmp_path: Path, name: str) -> None:  # 28
    path = tmp_path / "boxes.csv"
    path.write_text(ROW.replace("clip", name))
    assert [o.box for o in read(path).observations] == [BOX]


def test_thresholds_of_a_spreadsheet(tmp_path: Path) -> None:  # 27, 28
    path = tmp_path / "scores.csv"
    path.write_bytes("\ufefflabel,score\r\nwave,0.9\r\n".encode("utf-16-le"))
    assert parse_thresholds(str(path), ["bow", "wave"], default=0.5).tolist() == [0.5, 0.9]
    path.write_text("label;score\nwave;0,9\n")
    with pytest.raises(ConfigError, match=r"scores\.csv:1: semicolons between the fields"):
        parse_thresholds(str(path), ["bow", "wave"], default=0.5)
