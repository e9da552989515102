"""A folder of classes, as people keep their videos. Nothing is decoded: empty files do."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpath.data.labelled.clip import LabelledData
from twinpath.data.labelled.read import read_labelled
from twinpath.errors import InputError, NotAFile


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(data: LabelledData, folder: Path) -> list[tuple[str, tuple[str, ...], str | None]]:
    return [(clip.path.relative_to(folder).as_posix(), clip.labels, clip.part) for clip in data.clips]


def test_every_subfolder_is_a_class_with_all_that_is_below(tmp_path: Path) -> None:
    touch(tmp_path, "open door/b.mp4", "open door/day 1/a.avi", "wälk/c.mkv", "wälk/notes.txt")
    data = read_labelled(tmp_path)
    assert data.kind == "folder of classes"
    assert data.classes == ("open door", "wälk")
    assert not data.is_multi_label
    assert found(data, tmp_path) == [
        ("open door/b.mp4", ("open door",), None),
        ("open door/day 1/a.avi", ("open door",), None),
        ("wälk/c.mkv", ("wälk",), None),
    ]
    assert data.skipped == {".txt": 1}
    assert [data.class_indices(clip) for clip in data.clips] == [(0,), (0,), (1,)]


def test_hidden_folders_and_those_of_the_system_are_no_classes(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/2.mp4", ".cache/3.mp4", "@eaDir/4.mp4", "__MACOSX/5.mp4", "a/.6.mp4")
    assert read_labelled(tmp_path).classes == ("a", "b")
    assert len(read_labelled(tmp_path).clips) == 2


def test_folders_of_frames_are_videos(tmp_path: Path) -> None:
    for clip in ("throw/one", "throw/two", "catch/three"):
        (tmp_path / clip).mkdir(parents=True)
        for number in range(2):
            picture = np.zeros((8, 8, 3), np.uint8)
            Image.fromarray(picture).save(tmp_path / clip / f"img_{number:05d}.jpg")
    assert found(read_labelled(tmp_path), tmp_path) == [
        ("catch/three", ("catch",), None),
        ("throw/one", ("throw",), None),
        ("throw/two", ("throw",), None),
    ]


def test_a_level_of_parts_above_the_classes(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.mp4", "train/b/2.mp4", "Valid/a/3.mp4", "test/b/4.mp4", "annotations/x.xml")
    data = read_labelled(tmp_path)
    assert data.classes == ("a", "b")
    assert found(data, tmp_path) == [
        ("Valid/a/3.mp4", ("a",), "validation"),
        ("test/b/4.mp4", ("b",), "test"),
        ("train/a/1.mp4", ("a",), "train"),
        ("train/b/2.mp4", ("b",), "train"),
    ]


def test_classes_called_train_and_plane(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.mp4", "plane/2.mp4")
    data = read_labelled(tmp_path)
    assert data.classes == ("plane", "train")
    assert data.notes == ()
    touch(tmp_path, "test/day/3.mp4")
    assert any("test is taken for a class" in note for note in read_labelled(tmp_path).notes)


def test_what_is_in_no_class_is_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/2.mp4", "lost.mp4", "c/readme.md")
    notes = " ".join(read_labelled(tmp_path).notes)
    assert "videos directly in" in notes
    assert "folders without videos, which are no classes: c" in notes


def test_names_that_differ_in_how_they_are_encoded_are_one_class(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "öffnen") for form in ("NFC", "NFD"))
    touch(tmp_path, f"{composed}/1.mp4", f"{decomposed}/2.mp4", "b/3.mp4")
    data = read_labelled(tmp_path)
    assert data.classes == ("b", composed)
    assert len(data.clips) == 3


def test_videos_of_known_data_sets_have_the_groups_of_these(tmp_path: Path) -> None:
    names = ("v_Archery_g01_c02.avi", "v_Archery_g01_c03.avi", "v_Archery_g02_c01.avi")
    touch(tmp_path, *(f"Archery/{name}" for name in names), "b/5rTfAjOtgoU_000012_000022.mp4", "b/own.mp4")
    groups = {clip.path.name: clip.group for clip in read_labelled(tmp_path).clips}
    assert groups == {
        "v_Archery_g01_c02.avi": "v_Archery_g01",
        "v_Archery_g01_c03.avi": "v_Archery_g01",
        "v_Archery_g02_c01.avi": "v_Archery_g02",
        "5rTfAjOtgoU_000012_000022.mp4": "5rTfAjOtgoU",
        "own.mp4": str(tmp_path / "b" / "own.mp4"),
    }


def test_what_an_earlier_run_has_drawn_is_no_data(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "a/1.mp4.detect.mp4", "b/2.mp4")
    data = read_labelled(tmp_path, is_result=lambda path: path.name.endswith(".detect.mp4"))
    assert [clip.path.name for clip in data.clips] == ["1.mp4", "2.mp4"]


def test_one_class_is_too_few_to_learn_from_but_not_to_evaluate(tmp_path: Path) -> None:
    touch(tmp_path, "only/1.mp4")
    with pytest.raises(InputError, match=r"the one class 'only'; at least 2 are needed"):
        read_labelled(tmp_path)
    assert read_labelled(tmp_path, min_classes=1).classes == ("only",)


def test_folders_that_are_no_data_say_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no folders with videos"):
        read_labelled(tmp_path)
    touch(tmp_path, "1.mp4", "2.mp4")
    with pytest.raises(InputError, match=r"videos of .* lie directly in it; put each into a folder"):
        read_labelled(tmp_path)
    (tmp_path / "list.csv").write_text("path,label\n1.mp4,a\n2.mp4,b\n")
    with pytest.raises(InputError, match=r"Or give .*list\.csv"):
        read_labelled(tmp_path)
    with pytest.raises(InputError, match="is a video, not a data set"):
        read_labelled(tmp_path / "1.mp4")
    with pytest.raises(NotAFile, match="nowhere does not exist"):
        read_labelled(tmp_path / "nowhere")
    with pytest.raises(NotAFile, match="matches nothing"):
        read_labelled(str(tmp_path / "*.eaf"))


def test_several_folders_are_one_data_set(tmp_path: Path) -> None:
    touch(tmp_path, "mine/a/1.mp4", "yours/a/2.mp4", "yours/b/3.mp4")
    data = read_labelled([tmp_path / "mine", tmp_path / "yours"])
    assert data.classes == ("a", "b")
    assert len(data.clips) == 3
