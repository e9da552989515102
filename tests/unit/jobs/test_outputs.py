"""The names of a job's files, and what is never written over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twinpath.errors import UsageError
from twinpath.jobs.outputs import (
    MOST_NAME_BYTES,
    check_folder,
    check_targets,
    checked_formats,
    name_outputs,
    shortened,
)
from twinpath.video.find import InputVideo, find_inputs


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    for name in ("match.mp4", "match.mov", "sub/match.mp4", "..mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names(arguments: list[Path | str], kind: str = "timeline") -> list[str]:
    videos = find_inputs(arguments)
    files = name_outputs(videos, Path("out"), kind)
    return [files[video].path("json").as_posix() for video in videos]


def test_a_file_is_named_after_the_video_with_its_suffix(clips: Path) -> None:
    assert names([clips / "match.mp4"]) == ["out/match.mp4.timeline.json"]
    assert names([clips / "match.mp4"], "detect") == ["out/match.mp4.detect.json"]


def test_a_name_does_not_depend_on_the_batch(clips: Path) -> None:
    assert names([clips / "match.mov", clips / "match.mp4"]) == [
        "out/match.mov.timeline.json",
        "out/match.mp4.timeline.json",
    ]


def test_videos_of_a_folder_keep_their_path_below_it(clips: Path) -> None:
    assert names([clips]) == [
        "out/match.mov.timeline.json",
        "out/match.mp4.timeline.json",
        "out/sub/match.mp4.timeline.json",
    ]


def test_so_do_the_matches_of_a_pattern(clips: Path) -> None:
    found = ["out/match.mp4.timeline.json", "out/sub/match.mp4.timeline.json"]
    assert names([str(clips / "**" / "match.mp4")]) == found
    assert names([str(clips / "s*" / "*.mp4")]) == found[1:]


def test_two_videos_of_one_name_are_refused_with_the_way_out(clips: Path) -> None:
    both = [clips / "match.mp4", clips / "sub" / "match.mp4"]
    with pytest.raises(UsageError, match=r"have the same name.*give the folder that holds both") as error:
        names([*both])
    assert all(str(path) in str(error.value) for path in both)


def test_a_name_of_points_stays_in_the_folder(clips: Path) -> None:
    assert names([clips / "..mp4"]) == ["out/..mp4.timeline.json"]


@pytest.mark.parametrize("letter", ["a", "ä", "拍", "😀", os.fsdecode(b"\xe9")])
def test_long_names_are_cut_between_characters_and_stay_distinct(letter: str) -> None:
    one, other = (f"{letter * 200}{end}.mp4" for end in "12")
    short = shortened(one)
    assert short != shortened(other)
    assert short.endswith(".mp4")
    assert len(os.fsencode(short)) <= MOST_NAME_BYTES
    assert set(short[:20]) == {letter}
    os.fsencode(short)
    if letter.isprintable():
        short.encode()  # no half of a character


def test_short_names_stay() -> None:
    name = "a" * (MOST_NAME_BYTES - 4) + ".mp4"
    assert shortened(name) == name


def test_formats_come_in_their_order() -> None:
    assert checked_formats([" CSV", "json", "csv"], ("json", "csv", "png")) == ("json", "csv")
    with pytest.raises(UsageError, match="there is no 'pdf'; choose from json, csv"):
        checked_formats(["json", "pdf"], ("json", "csv"))
    with pytest.raises(UsageError, match="nothing is named"):
        checked_formats([""], ("json", "csv"))


def test_a_folder_that_is_a_file_or_lies_below_one(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.touch()
    check_folder(tmp_path / "new" / "deeper")
    for folder in (file, file / "below"):
        with pytest.raises(UsageError, match="is a file; give a folder"):
            check_folder(folder)
    assert list(tmp_path.iterdir()) == [file]


def test_no_input_is_written_over_by_whatever_name(tmp_path: Path) -> None:
    boxes, link, hard = tmp_path / "m.mp4.detect.json", tmp_path / "link.json", tmp_path / "hard.json"
    boxes.write_text("{}")
    link.symlink_to(boxes)
    os.link(boxes, hard)
    other = tmp_path / "other.json"
    other.touch()
    check_targets([other, tmp_path / "absent.json"], [boxes, tmp_path / "missing.mp4"])
    for target in (boxes, link, hard, tmp_path / "." / "x" / ".." / boxes.name):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(UsageError, match="is an input of this run"):
            check_targets([target], [boxes])


def test_a_device_or_a_folder_is_no_target(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target in (Path("/dev/null"), tmp_path, tmp_path / "pipe"):
        with pytest.raises(UsageError, match="is no regular file"):
            check_targets([target], [])


def test_names_of_a_folder_given_as_the_current_one(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clips / "sub")
    assert names(["."]) == names(["../sub"]) == names(["*.mp4"]) == ["out/match.mp4.timeline.json"]
    assert InputVideo.of("../match.mp4").name.as_posix() == "match.mp4"
