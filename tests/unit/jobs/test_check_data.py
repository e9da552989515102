"""A data set is read before anything is trained: what is broken, the same, odd."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import bad_videos
from tests.support.moving_squares import FPS, HEIGHT, WIDTH, film
from twinpath.data.labelled.check import DataCheck
from twinpath.data.labelled.read import read_labelled
from twinpath.errors import NotAVideo, NoVideoStream
from twinpath.jobs.check_data import DataCheckRun, write_check
from twinpath.recognize.read import VideoReader


def checked(source: Path, reader: VideoReader | None = None) -> DataCheck:
    run = DataCheckRun(read_labelled(source, min_classes=1), reader)
    assert run.check is None
    list(run.outcomes())
    assert run.check is not None
    return run.check


@pytest.fixture
def actions(tmp_path: Path) -> Path:
    """Two classes of three clips, each in a room of its own."""
    folder = tmp_path / "actions"
    for number in range(3):
        film(folder / "open door" / f"{number}.mp4", scene=number, way=number)
        film(folder / "sitzen – später" / f"{number}.mp4", scene=10 + number, way=10 + number)
    return folder


def test_a_good_data_set(actions: Path) -> None:
    check = checked(actions)
    assert check.problems() == ["classes with fewer than 5 clips: open door (3), sitzen – später (3)"]
    assert check.copies == ()
    assert len(check.usable) == 6
    assert check.total_s == pytest.approx(18.0)
    first, second = check.classes
    assert (first.label, first.clips, first.usable, first.groups) == ("open door", 3, 3, 3)
    assert (first.shortest_s, first.median_s, first.longest_s) == pytest.approx((3.0, 3.0, 3.0))
    assert second.parts == {"unsaid": 3}
    video = check.videos[0]
    assert (video.width_px, video.height_px, video.fps, video.codec) == (WIDTH, HEIGHT, FPS, "h264")


def test_every_file_that_cannot_be_read_has_its_reason(actions: Path) -> None:
    (actions / "open door" / "empty.mp4").touch()
    bad_videos.make_text(actions / "open door")
    bad_videos.make_audio_only(actions / "sitzen – später")
    run = DataCheckRun(read_labelled(actions))
    outcomes = list(run.outcomes())
    assert [video.path for video in run.videos] == [outcome.video.path for outcome in outcomes]
    errors = {outcome.video.path.name: outcome.error for outcome in outcomes if outcome.error is not None}
    assert len(errors) == 3
    assert isinstance(errors["empty.mp4"], NotAVideo)
    assert isinstance(errors["text.mp4"], NotAVideo)
    assert sum(isinstance(error, NoVideoStream) for error in errors.values()) == 1
    check = run.check
    assert check is not None
    assert len(check.usable) == 6
    assert check.problems()[0] == "clips that cannot be used: 3 of 9"
    assert [lost.path.name in lost.reason for lost in check.unusable] == [True] * 3
    assert [(c.clips, c.usable) for c in check.classes] == [(5, 3), (4, 3)]


def test_more_than_a_third_broken_is_said(actions: Path) -> None:
    for number in range(4):
        (actions / "open door" / f"broken {number}.mp4").touch()
    assert checked(actions).problems()[0].endswith("4 of 10: more than a third, and so training stops")


def test_equal_files_and_those_cut_again_are_found(actions: Path) -> None:
    shutil.copy(actions / "open door" / "0.mp4", actions / "sitzen – später" / "copy.mp4")
    film(actions / "open door" / "cut.mp4", scene=1, way=1, start=8, frames=30, size=(128, 96))
    exact, alike = checked(actions).copies
    data = read_labelled(actions)
    names = [[data.clips[number].path.name for number in copies.clips] for copies in (exact, alike)]
    assert names == [["0.mp4", "copy.mp4"], ["1.mp4", "cut.mp4"]]
    assert exact.is_exact
    assert exact.contradict
    assert exact.leak
    assert not alike.is_exact
    assert not alike.contradict
    assert alike.leak
    assert alike.later_s == pytest.approx(0.8, abs=0.15)
    problems = checked(actions).problems()
    assert "clips that are the same, and have different labels: 2" in problems
    assert any(p.startswith("clips that are the same, and in no common group") for p in problems)


def test_copies_that_are_one_group_anyway_are_none(actions: Path) -> None:
    film(actions / "open door" / "cut.mp4", scene=1, way=1, start=8)
    rows = ["path,label,group", "open door/1.mp4,a,one", "open door/cut.mp4,a,one", "open door/2.mp4,b,two"]
    (actions / "list.csv").write_text("\n".join(rows))
    assert checked(actions / "list.csv").copies == ()


def test_clips_of_one_room_are_one_group_in_the_table(actions: Path, tmp_path: Path) -> None:
    for number in range(3):
        film(actions / "open door" / f"same room {number}.mp4", scene=50, way=20 + number)
    film(actions / "sitzen – später" / "same room 3.mp4", scene=50, way=30)
    (actions / "open door" / "broken.mp4").touch()
    check = checked(actions)
    assert check.copies == ()
    (scene,) = check.scenes
    assert [check.data.clips[number].path.stem for number in scene] == [f"same room {n}" for n in range(4)]
    assert any(p.endswith("but are in several groups: 4 (scenes: 1)") for p in check.problems())
    *_, table = write_check(check, tmp_path / "out", title="actions")
    data = read_labelled(table)
    groups = {clip.path.stem: clip.group for clip in data.clips if clip.group != str(clip.path)}
    assert groups == {f"same room {n}": "scene 1" for n in range(4)}
    assert len(data.clips) == 10  # without the broken one
    assert data.classes == ("open door", "sitzen – später")
    assert checked(table).scenes == ()


def test_a_data_set_of_one_room_stays_divided(tmp_path: Path) -> None:
    for number in range(6):
        film(tmp_path / "ab"[number % 2] / f"{number}.mp4", scene=0, way=number)
    check = checked(tmp_path)
    assert [len(scene) for scene in check.scenes] == [6]
    assert len({clip.scene for clip in check.corrected().clips}) == 6


def test_spans_are_checked_against_the_video(actions: Path) -> None:
    rows = [
        "path,label,start_s,end_s,split",
        "open door/1.mp4,a,0,1.5,train",
        "open door/1.mp4,b,1.5,9,test",
        "open door/1.mp4,b,4,5,test",
        "open door/2.mp4,b,,,train",
    ]
    (actions / "list.csv").write_text("\n".join(rows))
    check = checked(actions / "list.csv")
    spans = {number: (clip.start_s, clip.end_s) for number, clip in check.usable.items()}
    assert spans == {0: (0.0, 1.5), 1: (1.5, 3.0), 3: (0.0, 3.0)}
    (lost,) = check.unusable
    assert lost.reason.endswith("1.mp4: the clip from 0:04.0 begins behind the end, 0:03.0")
    assert check.videos[0].warnings == ("a clip ends at 0:09.0, behind the end of the video, 0:03.0",)
    assert check.classes[1].parts == {"test": 1, "train": 1}
    assert any("groups with clips both for training and for evaluation" in p for p in check.problems())


def test_names_that_are_alike_and_classes_of_one_group(tmp_path: Path) -> None:
    names = ("open door/v_Open_g01_c01.mp4", "open door/v_Open_g01_c02.mp4", "open_door/x.mp4", "sit/y.mp4")
    for number, name in enumerate(names):
        film(tmp_path / name, scene=number, way=number, frames=8)
    problems = checked(tmp_path).problems()
    assert "names that are likely one class: open door and open_door" in problems
    assert (
        "classes whose clips are all of one group, which cannot be evaluated: open door, open_door, sit"
        in problems
    )


def test_folders_of_frames(tmp_path: Path) -> None:
    for name in ("a/one", "b/two"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(6):
            picture = np.random.default_rng(number + len(name) * ord(name[0])).integers(0, 255, (24, 32, 3))
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / name / f"{number:03d}.png")
    check = checked(tmp_path, VideoReader(fps=10))
    assert [video.container for video in check.videos] == ["frames", "frames"]
    assert check.total_s == pytest.approx(1.2)


def test_isolated_reading_gives_the_same(actions: Path) -> None:
    (actions / "open door" / "empty.mp4").touch()
    assert checked(actions, VideoReader(isolate=True)).to_dict() == checked(actions).to_dict()


def test_the_page_needs_nothing_else(actions: Path, tmp_path: Path) -> None:
    (actions / "open door" / "<b>&.mp4").touch()
    page, values, table = write_check(checked(actions), tmp_path / "out", title="actions <1>")
    text = page.read_text("utf-8")
    assert "actions &lt;1&gt;" in text
    assert "&lt;b&gt;&amp;.mp4" in text
    assert "<b>" not in text
    assert text.count("data:image/jpeg;base64,") == 3 * 6  # three pictures of every clip
    assert "<script" not in text
    assert 'href="http' not in text
    assert 'id="c1"' in text
    assert (values.name, table.name) == ("data.json", "data.csv")


def test_pictures_are_shared_among_many_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinpath.jobs.check_data.MOST_WITH_PICTURES", 4)
    for number in range(5):
        film(tmp_path / "a" / f"{number}.mp4", scene=number, way=number, frames=6)
    film(tmp_path / "b" / "x.mp4", scene=9, way=9, frames=6)
    pictured = [n for n, clip in checked(tmp_path).usable.items() if clip.pictures is not None]
    assert pictured == [0, 4, 5]
