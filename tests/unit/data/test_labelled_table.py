"""Lists of videos in CSV, as people and spreadsheets write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.data.labelled.read import read_labelled
from twinpath.data.labelled.table import fits_table, write_label_table
from twinpath.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b c.mp4", "grün.mp4"):
        (tmp_path / name).touch()
    return tmp_path


def read(folder: Path, text: str, encoding: str = "utf-8") -> LabelledData:
    (folder / "list.csv").write_bytes(text.encode(encoding))
    return read_labelled(folder / "list.csv")


def test_all_columns(folder: Path) -> None:
    data = read(
        folder,
        "path,label,start_s,end_s,split,group\n"
        "a.mp4,open door,0,4.2,train,anna\n"
        "a.mp4,close door,4.2,,val,anna\n"
        '"b c.mp4","close, then open",,,test,\n',
    )
    path = folder / "b c.mp4"
    assert data.kind == "CSV"
    assert data.clips == (
        LabelledClip(folder / "a.mp4", ("open door",), 0.0, 4.2, "train", "anna"),
        LabelledClip(folder / "a.mp4", ("close door",), 4.2, None, "validation", "anna"),
        LabelledClip(path, ("close, then open",), None, None, "test", str(path)),
    )
    assert data.classes == ("close door", "close, then open", "open door")
    assert not data.is_multi_label


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path,label,end_s\na.mp4,x,1.5\nb c.mp4,y,\n", "utf-8"),
        ("\ufeffLabel;Path;End_S\r\nx;a.mp4;1,5\r\ny;b c.mp4;\r\n", "utf-8"),  # a spreadsheet's, in German
        ("sep=;\nlabel;path;end_s\nx;a.mp4;1.5\ny;b c.mp4\n", "utf-8"),
        ("label\tpath\tend_s\n\nx\t a.mp4 \t1.5\n\ny\tb c.mp4\t\n", "utf-16"),
    ],
)
def test_delimiters_orders_and_encodings(folder: Path, text: str, encoding: str) -> None:
    clips = read(folder, text, encoding).clips
    assert [(clip.path.name, clip.labels, clip.end_s) for clip in clips] == [
        ("a.mp4", ("x",), 1.5),
        ("b c.mp4", ("y",), None),
    ]


def test_several_labels_as_rows_or_as_a_list(folder: Path) -> None:
    data = read(folder, "path,label\na.mp4,x\nb c.mp4,y|z\na.mp4,y\na.mp4,x\n")
    assert data.is_multi_label
    assert [clip.labels for clip in data.clips] == [("x", "y"), ("y", "z")]
    assert any("rows that repeat another one: 1" in note for note in data.notes)
    assert any("multi-label" in note for note in data.notes)
    data = read(folder, "path,labels\na.mp4,x\nb c.mp4,\n")
    assert [clip.labels for clip in data.clips] == [("x",), ()]


def test_paths_of_other_systems(folder: Path) -> None:
    (folder / "day 1").mkdir()
    (folder / "day 1" / "c.mp4").touch()
    data = read(
        folder, f"path,label\nday 1\\c.mp4,x\ngru\u0308n.mp4,y\n{folder / 'a.mp4'},y\nmissing.mp4,y\n"
    )
    assert [clip.path for clip in data.clips] == [
        folder / "day 1" / "c.mp4",
        folder / "grün.mp4",
        folder / "a.mp4",
        folder / "missing.mp4",  # whoever reads the data reports it
    ]


def test_columns_of_others_are_named(folder: Path) -> None:
    notes = read(folder, "path,label,remarks,rater\na.mp4,x,,\nb c.mp4,y,,\n").notes
    assert any("columns that are not used: remarks, rater" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"list\.csv:1: the file is empty"),
        ("path,label\n", r"list\.csv:1: there are no rows"),
        ("a.mp4,x\nb c.mp4,y\n", r"list\.csv:1: the header is a\.mp4,x; a list of videos needs path,label"),
        ("path,lable\na.mp4,x\n", r":1: the header is path,lable; a list of videos needs path,label"),
        ("path,label,path\na.mp4,x,\n", ":1: two columns are called path"),
        ("path,label\na.mp4,x\nb c.mp4,\n", ":3: 'label' is empty"),
        ("path,label\na.mp4,x\n,y\n", ":3: 'path' is empty"),
        ("path,label\na.mp4,x,y,z\n", ":2: 4 cells, and the header has 2"),
        ("path,label,start_s\na.mp4,x,1:30\n", ":2: 'start_s' is '1:30', not seconds from 0"),
        ("path,label,start_s\na.mp4,x,-1\n", ":2: 'start_s' is '-1', not seconds"),
        ("path,label,start_s,end_s\na.mp4,x,3,2\n", ":2: 'end_s' is 2, not after 'start_s', 3"),
        (
            "path,label,split\na.mp4,x,trian\n",
            r":2: 'split' is 'trian', not train, validation \(val\) or test",
        ),
        (
            "path,label,split\na.mp4,x,train\na.mp4,y,val\n",
            ":3: 'split' is validation, and in line 2, .* train",
        ),
        ("path,label\nno.mp4,x\nnope.mp4,y\n", r":1: not one of the videos exists.*relative to this"),
    ],
)
def test_mistakes_are_named_with_their_line(folder: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(folder, text)


def test_a_table_that_is_not_utf_8(folder: Path) -> None:
    with pytest.raises(InputError, match=r"list\.csv:2: not UTF-8"):
        read(folder, "path,label\ngrün.mp4,y\n", "latin-1")


def test_what_is_written_is_read_again(folder: Path) -> None:
    a, bc = folder / "a.mp4", folder / "b c.mp4"
    clips = (
        LabelledClip(a, ("=open", "wälk; slowly"), 0.0, 1.25, "validation", "+anna"),
        LabelledClip(a, ("sit",), 1.25, None, "train", str(a)),
        LabelledClip(bc, (), None, None, None, str(bc)),
    )
    write_label_table(clips, folder / "out" / "list.csv")
    assert read_labelled(folder / "out" / "list.csv").clips == clips
    assert fits_table(LabelledData(clips, ("=open", "sit")))
    assert not fits_table(LabelledData((), ("a|b",)))


def test_what_the_synthetic_world_writes(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("video,label,label_index\na.mp4,walk,0\nb.mp4,run,1\n")
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    data = read_labelled(tmp_path / "labels.csv")
    assert [(clip.path.name, clip.labels) for clip in data.clips] == [
        ("a.mp4", ("walk",)),
        ("b.mp4", ("run",)),
    ]
    assert data.notes == ()
