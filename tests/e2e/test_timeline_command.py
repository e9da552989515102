"""`twinpath timeline`: long videos as a user has them."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.commands import (
    TINY,
    environment,
    in_process,
    on_terminal,
    read_first_line,
    start,
    twinpath,
)
from tests.support.timelines import read_srt, read_vtt
from twinpath.data.synthetic import TEST_SEED, make_scene, render
from twinpath.formats.window_scores import load_window_scores
from twinpath.video.writer import VideoWriter

KINDS = ("json", "csv", "srt", "vtt", "eaf", "html", "png", "scores.npz")
CHANGE_S = 8.0
SPAN_S = 64 / 30  # of a window of the embedded model
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""  # runs a command and prints the most memory it had, in kB


def make_film(path: Path, actions: list[tuple[str, float]], *, height_px: int = 96) -> Path:
    """Synthetic actions one after the other, seconds each; longer ones begin again after 2.4 s."""
    writer: VideoWriter | None = None
    for number, (action, seconds) in enumerate(actions):
        scene = make_scene(TEST_SEED + 7 + number, action=action)
        frames = render(scene, np.arange(72) / 30, height_px=height_px)
        left = (frames.shape[2] - height_px) // 2
        frames = frames[:, :, left : left + height_px]
        if writer is None:
            writer = VideoWriter(path, width=height_px, height=height_px, fps=30)
        for frame in range(round(30 * seconds)):
            writer.write(frames[frame % 72])
    assert writer is not None
    writer.close()
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 s: jump, then wave."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return make_film(path, [("jump", CHANGE_S), ("wave", CHANGE_S)])


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_two_actions_one_after_the_other(film: Path, tmp_path: Path) -> None:
    done = twinpath("timeline", film, *TINY, cwd=tmp_path)
    folder = tmp_path / "twinpath-timeline"
    assert files_of(folder) == sorted(f"film.mp4.timeline.{kind}" for kind in KINDS)

    values = json.loads((folder / "film.mp4.timeline.json").read_text())
    assert (values["complete"], values["model"]) == (True, TINY[1])
    assert values["duration_s"] == pytest.approx(2 * CHANGE_S)
    assert [w["start_s"] for w in values["windows"]] == [float(s) for s in range(15)]
    longest = sorted(values["segments"], key=lambda s: s["start_s"] - s["end_s"])[:2]
    (jump, wave) = sorted(longest, key=lambda s: s["start_s"])
    assert (jump["label"], wave["label"]) == ("jump", "wave")
    assert jump["start_s"] == 0.0
    assert jump["end_s"] == pytest.approx(CHANGE_S, abs=SPAN_S / 2)
    assert wave["start_s"] == pytest.approx(CHANGE_S, abs=SPAN_S / 2)
    assert wave["end_s"] == pytest.approx(2 * CHANGE_S)

    with (folder / "film.mp4.timeline.csv").open() as file:
        assert [r["label"] for r in csv.DictReader(file)] == [s["label"] for s in values["segments"]]
    srt = read_srt((folder / "film.mp4.timeline.srt").read_text())
    assert srt == read_vtt((folder / "film.mp4.timeline.vtt").read_text())
    assert srt[0][2][0].startswith("jump ")
    assert srt[-1][2][0].startswith("wave ")
    tiers = {t.get("TIER_ID") for t in ET.parse(folder / "film.mp4.timeline.eaf").iter("TIER")}
    assert tiers == {s["label"] for s in values["segments"]}
    assert "film.mp4" in (folder / "film.mp4.timeline.html").read_text()
    with Image.open(folder / "film.mp4.timeline.png") as picture:
        assert picture.width == 1600

    heading, columns, *rows = done.out.splitlines()
    assert heading == f"{film}  0:16.0, 15 windows"
    assert columns.split() == ["start", "end", "length", "label", "mean", "peak"]
    assert rows[0].split()[:5] == ["0:00.0", f"0:{jump['end_s']:04.1f}", f"{jump['end_s']:.1f}", "s", "jump"]
    assert f"files: {Path('twinpath-timeline/film.mp4.timeline')}.json .csv" in done.err
    assert "synthetic world only" in done.err


def test_json_with_chosen_labels_and_files(film: Path, tmp_path: Path) -> None:
    options = ("--labels", "wave, walk", "--formats", "srt,json", "--out", tmp_path / "o", "--every", "2")
    done = in_process("timeline", film, *TINY, *options, "--json")
    values = done.object
    assert values["settings"]["labels"] == ["wave", "walk"]
    assert {s["label"] for s in values["segments"]} == {"wave"}
    assert "windows" not in values
    assert values["files"]["srt"] == str(tmp_path / "o" / "film.mp4.timeline.srt")
    assert files_of(tmp_path / "o") == [
        "film.mp4.timeline.json",
        "film.mp4.timeline.scores.npz",
        "film.mp4.timeline.srt",
    ]
    windows = json.loads((tmp_path / "o" / "film.mp4.timeline.json").read_text())["windows"]
    assert {top["label"] for w in windows for top in w["top"]} == {"wave", "walk"}


def test_on_a_terminal(film: Path, tmp_path: Path) -> None:
    seen = on_terminal("timeline", film, *TINY, "--out", tmp_path, "--formats", "csv")
    assert "scoring" in seen
    assert "jump" in seen


def test_other_thresholds_need_no_new_scores(film: Path, tmp_path: Path) -> None:
    in_process("timeline", film, *TINY, "--out", tmp_path)
    before = (tmp_path / "film.mp4.timeline.csv").stat().st_mtime_ns
    again = in_process("timeline", film, *TINY, "--out", tmp_path)
    assert "scored" not in again.err
    assert (tmp_path / "film.mp4.timeline.csv").stat().st_mtime_ns == before  # nothing to do
    strict = in_process("timeline", film, *TINY, "--out", tmp_path, "--min-score", "1")
    assert "scored" not in strict.err
    assert "no smoothed score reaches 1 (--min-score); the highest is " in strict.out
    assert (tmp_path / "film.mp4.timeline.csv").read_text().count("\n") == 1


def test_many_videos_some_bad(clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        os.link(clips / name, folder / name)
    (folder / "bad.mp4").write_text("no video")
    (folder / "more").mkdir()
    os.link(clips / "more/c.mp4", folder / "more" / "a.mp4")
    out = tmp_path / "out"
    arguments = ("timeline", folder, *TINY, "--out", out, "--formats", "json", "--json")
    done = in_process(*arguments, code=4)
    names = {Path(o["video"]).relative_to(folder).as_posix(): o for o in done.objects}
    assert list(names) == ["a.mp4", "b.mp4", "bad.mp4", "more/a.mp4"]
    assert names["bad.mp4"]["error"]["type"] == "NotAVideo"
    written = {"a.mp4.timeline.json", "b.mp4.timeline.json", "more/a.mp4.timeline.json"}
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.json")} == written
    assert done.err.splitlines()[-1] == "twinpath: 1 of 4 videos could not be used; each is named above"

    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    (folder / "bad.mp4").unlink()
    os.link(clips / "b.mp4", folder / "bad.mp4")
    again = in_process(*arguments)
    assert all(o["complete"] for o in again.objects)
    assert len(again.objects) == 4
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert (out / "bad.mp4.timeline.json").is_file()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_done(film: Path, tmp_path: Path, signum: signal.Signals, code: int) -> None:
    arguments = ("timeline", film, *TINY, "--every", "0.05", "--formats", "json,srt", "--out", tmp_path)
    running = start(*arguments)
    assert running.stderr is not None
    assert "loaded in" in running.stderr.readline()
    time.sleep(1)
    running.send_signal(signum)
    out, err = running.communicate(timeout=30)
    assert running.returncode == code
    part = json.loads((tmp_path / "film.mp4.timeline.json").read_text())
    assert part["complete"] is False
    assert 0 < len(part["windows"]) < 279
    assert part["done_s"] == part["windows"][-1]["end_s"]
    read_srt((tmp_path / "film.mp4.timeline.srt").read_text())
    assert "unfinished" in out
    words = (
        "stopped" if code == 130 else "terminated",
        "of 0:16.0 of",
        "with 0 of 1 videos finished; the same command does the rest",
    )
    assert all(word in err.splitlines()[-1] for word in words)

    other = in_process(*arguments, "--every", "0.1", code=2)
    assert "--every is 0.1, before 0.05" in other.error
    rest = in_process(*arguments)
    scored = next(line for line in rest.err.splitlines() if line.startswith("scored"))
    assert int(scored.split()[1]) == 279 - len(part["windows"])
    whole = json.loads((tmp_path / "film.mp4.timeline.json").read_text())
    assert whole["complete"] is True
    assert whole["windows"][: len(part["windows"])] == part["windows"]
    assert [w["start_s"] for w in whole["windows"]] == pytest.approx(np.arange(279) * 0.05, abs=1e-3)


def test_damaged_scores_are_an_error_until_the_run_starts_over(film: Path, tmp_path: Path) -> None:
    arguments = ("timeline", film, *TINY, "--every", "4", "--formats", "json", "--out", tmp_path)
    in_process(*arguments)
    scores = tmp_path / "film.mp4.timeline.scores.npz"
    scores.write_bytes(b"damaged")
    assert "is no valid file of window scores" in in_process(*arguments, code=3).error
    in_process(*arguments, "--no-resume")
    assert load_window_scores(scores).complete


def test_a_complete_result_survives_a_second_run_that_is_stopped(film: Path, tmp_path: Path) -> None:
    arguments = ("timeline", film, *TINY, "--formats", "json,csv", "--out", tmp_path)
    in_process(*arguments)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    running = start(*arguments, "--every", "0.05", "--no-resume")
    assert running.stderr is not None
    assert "loaded in" in running.stderr.readline()
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "without --no-resume the same command does the rest" in err
    assert {path: path.read_bytes() for path in before} == before
    again = in_process(*arguments)
    assert "loaded in" not in again.err
    rest = in_process(*arguments, "--every", "0.05")
    assert int(re.findall(r"^scored (\d+) windows", rest.err, re.MULTILINE)[0]) < 279
    assert len(json.loads((tmp_path / "film.mp4.timeline.json").read_text())["windows"]) == 279
    assert sorted(files_of(tmp_path)) == [
        f"film.mp4.timeline.{kind}" for kind in ("csv", "json", "scores.npz")
    ]


def test_a_reader_that_goes_away_ends_no_file(clips: Path, tmp_path: Path) -> None:
    """`twinpath timeline FOLDER | head -1`"""
    code, err = read_first_line("timeline", clips, *TINY, "--out", tmp_path)
    assert code == 0, err
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3 * len(KINDS)


def test_nothing_of_somebody_else_is_written_over(film: Path, clips: Path, tmp_path: Path) -> None:
    """A file made by hand, and the results of another video of that name."""
    out = tmp_path / "out"
    arguments = ("timeline", film, *TINY, "--formats", "json", "--every", "8", "--out", out)
    out.mkdir()
    (out / "film.mp4.timeline.json").write_text("by hand")
    for options in ((), ("--no-resume",)):
        assert "no scores beside it tell" in in_process(*arguments, *options, code=2).error
    assert (out / "film.mp4.timeline.json").read_text() == "by hand"
    (out / "film.mp4.timeline.json").unlink()
    in_process(*arguments)
    before = {path: path.read_bytes() for path in out.iterdir()}
    other = tmp_path / "film.mp4"
    os.link(clips / "a.mp4", other)
    for options in ((), ("--no-resume",)):
        error = in_process("timeline", other, *arguments[2:], *options, code=2).error
        assert f"holds the results of another video, {film}; give another folder" in error
    error = in_process("timeline", film, other, *arguments[2:], code=2).error
    assert "have the same name, and so would their files; give the folder that holds both" in error
    assert {path: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--every", "0"), "--every must be at least 0.01 s, not 0"),
        (("--min-score", "1.5"), "--min-score must be above 0 and at most 1, not 1.5"),
        (("--merge", "-1"), "--merge must be 0 s or more, not -1"),
        (("--formats", "json,pdf"), "there is no 'pdf'; choose from json, csv"),
        (("--formats", ""), "nothing is named"),
        (("--top-k", "0"), "--top-k must be at least 1, not 0"),
        (("--labels", "jumping"), "did you mean jump"),
        (("--model", "slow_r50_4x16_det.ptv_ava"), "is a detection model"),
        (("--out", "film.txt"), "is a file; give a folder"),
    ],
)
def test_a_wrong_argument(film: Path, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    (tmp_path / "film.txt").write_text("")
    done = twinpath("timeline", film, *TINY, *arguments, code=2, cwd=tmp_path)
    assert words in done.err.splitlines()[-1]
    assert files_of(tmp_path) == ["film.txt"]


def test_a_single_bad_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    done = twinpath("timeline", "a.mp4", *TINY, code=3, cwd=tmp_path)
    assert "a.mp4 is a text file, not a video" in done.error
    assert files_of(tmp_path) == ["a.mp4"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """The peak for 30 minutes is within 10 % of that for 3."""
    peaks_kb = []
    for minutes in (3, 30):
        video = make_film(tmp_path / f"{minutes}.mp4", [("jump", 60.0 * minutes)], height_px=64)
        command = [sys.executable, "-m", "twinpath", "timeline", str(video), *TINY, "--out", str(tmp_path)]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *command],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=900,
        )
        peaks_kb.append(int(done.stdout))
    print(f"peak memory: {peaks_kb[0] / 1000:.0f} MB for 3 minutes, {peaks_kb[1] / 1000:.0f} MB for 30")
    assert peaks_kb[1] <= 1.1 * peaks_kb[0]
