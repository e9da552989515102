"""The round trip: a timeline is written, somebody corrects a file of it, and it is data to learn from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.timelines import scores_by_hand
from twinpath.data.labelled.clip import LabelledClip
from twinpath.data.labelled.read import read_labelled
from twinpath.errors import InputError, NotAFile
from twinpath.formats.timelines import write_timeline_file
from twinpath.recognize.timeline import timeline_of
from twinpath.results.segments import SegmentRules

FIRST_FRAME_S = 0.5  # when a player shows it
KINDS = ("json", "csv", "eaf")
RULES = SegmentRules(smooth_s=0, merge_s=0)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    path = tmp_path / "videos" / "day 1 – wälk.mp4"
    path.touch()
    return path


@pytest.fixture
def out(video: Path) -> Path:
    """The folder of a timeline: three windows of "wave", then "=jump"."""
    folder = video.parent / "twinpath-timeline"
    folder.mkdir()
    scores = [[0.9, 0], [0.9, 0], [0.9, 0], [0, 0], [0, 0.8], [0, 0.8]]
    windows = scores_by_hand(scores, ("wave", "=jump"), video=str(video), first_frame_s=FIRST_FRAME_S)
    timeline = timeline_of(windows, RULES)
    assert [segment.label for segment in timeline.segments] == ["wave", "=jump"]
    for kind in KINDS:
        write_timeline_file(timeline, folder / f"{video.name}.timeline.{kind}", kind)
    (folder / f"{video.name}.timeline.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nwave\n")
    return folder


def file_of(out: Path, kind: str) -> Path:
    (path,) = out.glob(f"*.timeline.{kind}")
    return path


def change(out: Path, kind: str, old: str, new: str) -> None:
    path = file_of(out, kind)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def seen(clip: LabelledClip) -> tuple[str, float, float]:
    """Label and span since the first frame."""
    assert clip.start_s is not None
    assert clip.end_s is not None
    later_s = FIRST_FRAME_S if clip.clock == "player" else 0.0
    return *clip.labels, round(clip.start_s - later_s, 3), round(clip.end_s - later_s, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_read_as_it_was_written(out: Path, video: Path, kind: str) -> None:
    data = read_labelled(file_of(out, kind))
    assert data.kind == "segments"
    assert data.classes == ("=jump", "wave")
    assert [seen(clip) for clip in data.clips] == [("wave", 0.0, 3.5), ("=jump", 4.5, 7.0)]
    assert {clip.clock for clip in data.clips} == {"player" if kind == "eaf" else "video"}
    for clip in data.clips:
        assert clip.path.samefile(video)
        assert clip.group == str(clip.path)  # segments of a video stay together


def test_formats_that_agree_are_read_once(out: Path) -> None:
    assert len(read_labelled(out).clips) == 2
    assert read_labelled(out).notes == ()
    assert len(read_labelled(str(out / "*.eaf")).clips) == 2


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("json", '"label": "wave"', '"label": "greet"'),
        ("csv", "wave", "greet"),
        ("eaf", "<ANNOTATION_VALUE>wave", "<ANNOTATION_VALUE>greet"),
    ],
)
def test_the_format_that_was_corrected_counts(out: Path, kind: str, old: str, new: str) -> None:
    change(out, kind, old, new)
    data = read_labelled(out)
    assert data.classes == ("=jump", "greet")
    assert len(data.clips) == 2
    (note,) = data.notes
    assert f"timeline.{kind} was changed by hand" in note


def test_of_two_that_differ_the_later_one_counts(out: Path) -> None:
    file_of(out, "csv").unlink()
    change(out, "eaf", "<ANNOTATION_VALUE>wave", "<ANNOTATION_VALUE>greet")
    with pytest.raises(InputError, match="say different things of one video; give the one that counts"):
        read_labelled(out)
    os.utime(file_of(out, "json"), (1e9, 1e9))
    assert read_labelled(out).classes == ("=jump", "greet")


def test_two_corrections_that_differ_are_an_error(out: Path) -> None:
    change(out, "eaf", "<ANNOTATION_VALUE>wave", "<ANNOTATION_VALUE>greet")
    change(out, "csv", "wave", "beckon")
    with pytest.raises(InputError, match="say different things"):
        read_labelled(out)
    assert read_labelled(file_of(out, "csv")).classes == ("=jump", "beckon")


def test_a_row_that_somebody_added_needs_times_and_a_label(out: Path) -> None:
    path = file_of(out, "csv")
    path.write_text(path.read_text("utf-8") + "7,7.75,,sit\n", "utf-8")
    assert seen(read_labelled(path).clips[-1]) == ("sit", 7.0, 7.75)


def test_times_in_a_table_are_those_since_the_first_frame(out: Path) -> None:
    path = file_of(out, "csv")
    lines = path.read_text("utf-8").splitlines()
    lines[1] = "1.0," + lines[1].partition(",")[2]
    path.write_text("\n".join(lines), "utf-8")
    data = read_labelled(path)
    assert seen(data.clips[0]) == ("wave", 1.0, 3.5)
    lines.append(lines[1])
    path.write_text("label,player_start_s,player_end_s\nwave,1,2\n=jump,2,3\n", "utf-8")
    data = read_labelled(path)
    assert [(clip.clock, clip.start_s) for clip in data.clips] == [("player", 1.0), ("player", 2.0)]


def test_an_annotation_of_elan_without_text_has_the_name_of_its_tier(out: Path) -> None:
    change(out, "eaf", "<ANNOTATION_VALUE>wave</ANNOTATION_VALUE>", "<ANNOTATION_VALUE />")
    assert read_labelled(file_of(out, "eaf")).classes == ("=jump", "wave")
    change(out, "eaf", "<ANNOTATION_VALUE />", "<ANNOTATION_VALUE>=jump</ANNOTATION_VALUE>")
    path = file_of(out, "eaf")
    with pytest.raises(InputError, match="the one class '=jump'"):
        read_labelled(path)
    (*_, note) = read_labelled(path, min_classes=1).notes
    assert "text is the name of another tier, and counts: 1" in note


def test_segments_of_one_span_are_a_clip_of_several_classes(out: Path) -> None:
    path = file_of(out, "csv")
    path.write_text("start_s,end_s,label\n0,2,wave\n0,2,sit\n1,3,jump\n", "utf-8")
    data = read_labelled(path)
    assert data.is_multi_label
    assert [clip.labels for clip in data.clips] == [("wave", "sit"), ("jump",)]
    assert "segments that overlap with one of another class: 1" in data.notes


def test_the_video_is_found_where_the_folder_was_moved(out: Path, video: Path, tmp_path: Path) -> None:
    """The files name a path of another computer; the video lies beside the folder, or in it."""
    elsewhere = tmp_path / "moved"
    elsewhere.mkdir()
    video = video.rename(elsewhere / video.name)
    out = out.rename(elsewhere / "corrected")
    for kind in KINDS:
        assert read_labelled(file_of(out, kind)).clips[0].path.samefile(video)
    beside = video.rename(out / video.name)
    for kind in KINDS:
        assert read_labelled(file_of(out, kind)).clips[0].path.samefile(beside)
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "match.csv").write_text("start_s;end_s;label\n0;1,5;a\n2;3;b\n")
    (alone / "match.MP4").touch()
    assert read_labelled(alone / "match.csv").clips[0].path == alone / "match.MP4"


def test_a_video_that_is_missing(out: Path, video: Path) -> None:
    video.unlink()
    for kind in KINDS:
        with pytest.raises(NotAFile, match=rf"timeline\.{kind}: its video, .*, does not exist; put it"):
            read_labelled(file_of(out, kind))


def test_of_many_a_video_that_is_missing_is_left_to_whoever_reads_it(out: Path, video: Path) -> None:
    (out / "other.timeline.csv").write_text("start_s,end_s,label\n0,1,wave\n")
    data = read_labelled(out)
    assert [clip.path.exists() for clip in data.clips] == [True, True, False]
    assert any("other.timeline.csv: its video, " in note for note in data.notes)


@pytest.mark.parametrize(
    ("kind", "old", "new", "message"),
    [
        ("json", '"end_s": 3.5', '"end_s": 0.0', r"segments\[0\]: 'end_s' is 0, not after 'start_s', 0"),
        ("json", '"label": "wave"', '"label": " "', r"segments\[0\]: the label is empty"),
        ("json", '"start_s": 0.0', '"start": 0.0', r"segments\[0\]: 'start_s' is missing"),
        ("json", '"segments"', '"tracks"', "detections, not segments"),
        ("csv", "0.0,3.5", "3.5,0.0", ":2: 'end_s' is 0, not after 'start_s', 3.5"),
        ("csv", "0.0,3.5", "soon,3.5", ":2: 'start_s' is 'soon', not seconds"),
        ("csv", "0.0,3.5", ",3.5", ":2: 'start_s' is empty"),
        ("csv", ",wave,", ",,", ":2: 'label' is empty"),
        ("eaf", 'TIME_VALUE="4000"', 'TIME_VALUE="100"', "annotation a1 ends at 100 ms, not after its start"),
        ("eaf", 'TIME_VALUE="4000"', 'TIME_VALUE="4.5"', "time slot ts2 is '4.5', not a whole number"),
        ("eaf", 'TIME_SLOT_ID="ts2"', 'TIME_SLOT_ID="x"', "annotation a1 names the time slot 'ts2', which"),
        ("eaf", "ANNOTATION_DOCUMENT", "annotations", r"XML of another program \(annotations\)"),
        ("eaf", "milliseconds", "PAL-frames", "times in PAL-frames, not milliseconds"),
        ("eaf", "</TIER>", "", "not XML: mismatched tag"),
        ("eaf", "<ANNOTATION_DOC", '<!DOCTYPE x [<!ENTITY e "">]><ANNOTATION_DOC', ":2: a document type"),
    ],
)
def test_mistakes_are_named(out: Path, kind: str, old: str, new: str, message: str) -> None:
    change(out, kind, old, new)
    path = file_of(out, kind)
    with pytest.raises(InputError, match=message) as caught:
        read_labelled(path)
    assert str(caught.value).startswith(str(path))


def test_the_lines_of_a_batch_are_read_together(out: Path, video: Path) -> None:
    """As the command prints them: a line for each video, also for those that failed."""
    text = file_of(out, "json").read_text("utf-8").replace("\n", " ")
    path = out.parent / "lines.jsonl"
    path.write_text(f'{text}\n{{"video": "x.mp4", "error": {{"type": "NotAVideo"}}}}\n', "utf-8")
    data = read_labelled(path)
    assert len(data.clips) == 2
    assert any("videos that had failed, and have no segments: 1" in note for note in data.notes)


FOREIGN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" FORMAT="2.8" VERSION="2.8">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/lab/day%201.wav" MIME_TYPE="audio/x-wav"/>
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/lab/day%201.mp4" MIME_TYPE="video/mp4"
      RELATIVE_MEDIA_URL="../films/day%201.mp4" TIME_ORIGIN="500"/>
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/lab/side.mp4" MIME_TYPE="video/mp4"/>
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="2500"/>
    <TIME_SLOT TIME_SLOT_ID="ts3"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="4000"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="act" TIER_ID="activity">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>  pick  up </ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
      <ANNOTATION_VALUE>open</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts4">
      <ANNOTATION_VALUE>put down</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="note" PARENT_REF="activity" TIER_ID="notes">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1">
      <ANNOTATION_VALUE>left hand</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  </TIER>
</ANNOTATION_DOCUMENT>
"""


def test_a_file_that_elan_made_of_somebody_elses_recordings(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "day 1.mp4").touch()
    (tmp_path / "notes").mkdir()
    path = tmp_path / "notes" / "session.eaf"
    path.write_text(FOREIGN, "utf-8")
    data = read_labelled(path)
    assert [(clip.labels, clip.start_s, clip.end_s) for clip in data.clips] == [
        (("pick up",), 1.5, 3.0),
        (("put down",), 3.0, 4.5),
    ]
    assert data.clips[0].path.samefile(tmp_path / "films" / "day 1.mp4")
    assert [note.partition("session.eaf: ")[2] for note in data.notes] == [
        "of its 2 videos the first is used",
        "annotations without times, left out: 1",
        "annotations that refer to others, left out: 1",
    ]
