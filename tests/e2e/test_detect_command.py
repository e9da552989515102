"""`twinpath detect`, as a user meets it."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.support import bad_videos
from tests.support.commands import in_process, start, twinpath
from tests.support.golden_weights import write_golden_checkpoint
from tests.support.real_videos import real_video
from twinpath.data.synthetic import ACTIONS, TEST_SEED, people_scene, truth_of, write_clip
from twinpath.formats.detections import read_detections
from twinpath.video.probe import frame_times, probe

TINY = ("--model", "slowfast_tiny_det.synthetic")
KINDS = ("json", "ava.csv", "cvat.xml", "mp4")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scene of several people and the file of their true boxes."""
    folder = tmp_path_factory.mktemp("scene")
    made = people_scene(TEST_SEED + 3)
    write_clip(folder / "scene.mp4", made, height_px=180)
    truth = {"video": "scene.mp4", **truth_of(made, height_px=180)}
    (folder / "boxes.jsonl").write_text(json.dumps(truth) + "\n")
    return folder


def test_all_files_of_a_scene(scene: Path, tmp_path: Path) -> None:
    people = scene / "boxes.jsonl"
    done = twinpath(
        "detect",
        scene / "scene.mp4",
        *TINY,
        "--people",
        people,
        "--every",
        "0.5",
        "--out",
        tmp_path,
        "--json",
    )
    answer = done.object
    assert sorted(answer["files"].values()) == sorted(str(tmp_path / f"scene.{kind}") for kind in KINDS)
    found = read_detections(tmp_path / "scene.json")
    assert len(found.tracks) == len(answer["tracks"]) >= 2
    assert {a.label for track in found.tracks for seen in track.points for a in seen.actions} <= set(ACTIONS)
    drawn, source = tmp_path / "scene.mp4", scene / "scene.mp4"
    assert frame_times(drawn) == pytest.approx(frame_times(source), abs=0.001)
    assert (probe(drawn).width, probe(drawn).height) == (probe(source).width, probe(source).height)
    with (tmp_path / "scene.ava.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == sum(len(seen.actions) for track in found.tracks for seen in track.points)
    assert all(row[0] == "scene" and len(row) == 8 for row in rows)
    tracks = ET.parse(tmp_path / "scene.cvat.xml").getroot().findall("track")
    assert len(tracks) == len(found.tracks)


def test_a_table_for_people(scene: Path, tmp_path: Path) -> None:
    done = twinpath(
        "detect", scene / "scene.mp4", *TINY, "--people", "whole", "--formats", "json", "--out", tmp_path
    )
    title, head, row = done.out.splitlines()
    assert title == f"{scene / 'scene.mp4'}  0:02.4, 3 keyframes"
    assert head.split() == ["person", "start", "end", "actions"]
    assert row.split()[0] == "1"
    assert "synthetic world only" in done.err
    assert f"files: {tmp_path / 'scene.json'}" in done.err
    assert [file.name for file in tmp_path.iterdir()] == ["scene.json"]


def test_a_video_with_nobody_in_it(scene: Path, tmp_path: Path) -> None:
    nobody = tmp_path / "nobody.json"
    nobody.write_text('{"images": [], "annotations": []}')
    out = tmp_path / "out"
    done = twinpath("detect", scene / "scene.mp4", *TINY, "--people", nobody, "--out", out)
    assert "nobody was found" in done.out
    assert read_detections(out / "scene.json").tracks == ()
    assert (out / "scene.ava.csv").read_text() == ""
    assert len(frame_times(out / "scene.mp4")) == len(frame_times(scene / "scene.mp4"))


def test_a_batch_with_a_bad_file_gives_the_others(scene: Path, tmp_path: Path) -> None:
    bad = bad_videos.make_random(tmp_path)
    out = tmp_path / "out"
    wanted = (
        scene / "scene.mp4",
        bad,
        *TINY,
        "--people",
        "whole",
        "--formats",
        "csv",
        "--out",
        out,
        "--json",
    )
    done = twinpath("detect", *wanted, code=4)
    good, failed = done.objects
    assert good["tracks"]
    assert failed["error"]["type"] == "NotAVideo"
    assert [file.name for file in out.iterdir()] == ["scene.ava.csv"]
    assert done.err.splitlines()[-1] == "twinpath: 1 of 2 videos could not be used; each is named above"


def test_a_later_run_does_what_is_missing(scene: Path, tmp_path: Path) -> None:
    """New videos, changed ones, those without all files, and all where something else is asked."""
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    shutil.copy(scene / "scene.mp4", one)
    shutil.copy(scene / "scene.mp4", two)
    out = tmp_path / "out"

    def run(*options: str) -> tuple[list[str], str]:
        """Which videos were looked at, and the answer."""
        before = {path: path.stat().st_mtime_ns for path in out.glob("*.json")}
        done = twinpath(
            *("detect", one, two, *TINY, "--people", "whole", "--formats", "json,csv"),
            *("--out", out, "--resume", "--json", *options),
        )
        assert [Path(answer["video"]) for answer in done.objects] == [one, two]
        anew = [path.stem for path in out.glob("*.json") if path.stat().st_mtime_ns != before.get(path)]
        assert ("loaded in" in done.err) == bool(anew), "no model where nothing is to be done"
        return sorted(anew), done.out

    both, first = run()
    assert both == ["one", "two"]
    assert run() == ([], first)
    os.utime(two, (1, 1))
    assert run()[0] == ["two"]
    (out / "one.ava.csv").unlink()
    assert run()[0] == ["one"]
    assert run("--smooth", "0")[0] == ["one", "two"]
    with (out / "one.json").open("r+") as file:
        file.truncate(100)
    assert run("--smooth", "0")[0] == ["one"]


def test_a_later_run_goes_by_the_json(scene: Path) -> None:
    wanted = ("detect", scene / "scene.mp4", *TINY, "--people", "whole", "--formats", "csv", "--resume")
    assert "name json among the --formats" in in_process(*wanted, code=2).error


def test_ctrl_c_in_a_batch_says_how_to_go_on(scene: Path, tmp_path: Path) -> None:
    videos = [shutil.copy(scene / "scene.mp4", tmp_path / f"{number}.mp4") for number in range(40)]
    wanted = ("detect", *videos, *TINY, "--people", "whole", "--formats", "json", "--out", tmp_path / "out")
    running = start(*wanted)
    assert running.stdout is not None
    running.stdout.readline()  # the first is done
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert re.search(r"stopped with \d+ of 40 videos finished; the same command with --resume goes on", err)
    for path in (tmp_path / "out").glob("*.json"):
        read_detections(path)


def test_bad_boxes_are_told_by_file_and_line(scene: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("scene,0001,0.1,0.1,0.4,0.9\nscene,0002,0.5,0.1,0.2,0.9\n")
    error = twinpath("detect", scene / "scene.mp4", *TINY, "--people", boxes, code=3, cwd=tmp_path).error
    assert f"{boxes}:2: " in error
    assert not (tmp_path / "twinpath-detect").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--people", "hgo"), "hog"),
        (("--tracker", "sort"), "ocsort"),
        (("--people", "whole", "--min-score", "wve=0.5"), "wave"),
        (("--people", ""), "no such detector"),
        (("--people", "whole", "--formats", "avi"), "there is no 'avi'"),
        (("--people", "whole", "--every", "0"), "a keyframe every 0 s makes no sense"),
    ],
)
def test_what_makes_no_sense_is_said_before_any_work(
    scene: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    assert words in twinpath("detect", scene / "scene.mp4", *TINY, *options, code=2, cwd=tmp_path).error
    assert list(tmp_path.iterdir()) == []


def test_a_classifier_is_no_detector(scene: Path) -> None:
    error = in_process("detect", scene / "scene.mp4", "--model", "slowfast_tiny.synthetic", code=2).error
    assert "classifies whole clips" in error


def test_a_source_is_not_written_over(scene: Path) -> None:
    before = (scene / "scene.mp4").read_bytes()
    error = in_process(
        "detect", scene / "scene.mp4", *TINY, "--people", "whole", "--out", scene, code=2
    ).error
    assert "which is a source" in error
    assert (scene / "scene.mp4").read_bytes() == before


def test_ctrl_c_leaves_no_half_file(scene: Path, tmp_path: Path) -> None:
    running = start(
        *(
            "detect",
            scene / "scene.mp4",
            *TINY,
            "--people",
            "whole",
            "--every",
            "0.02",
            "--out",
            tmp_path / "out",
        )
    )
    assert running.stderr is not None
    running.stderr.readline()  # the model is loaded
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert err in {
        "",
        "twinpath: stopped with 0 of 1 videos finished; the same command with --resume goes on\n",
    }
    left = [file.name for file in (tmp_path / "out").iterdir()] if (tmp_path / "out").exists() else []
    assert all(name.endswith((*KINDS, "unfinished.npz")) and not name.startswith(".") for name in left)


def test_a_real_video_with_golden_weights(tmp_path: Path) -> None:
    """On a CPU, with OpenCV's people detector: nothing is downloaded."""
    video = real_video("basketball.mp4")
    weights = write_golden_checkpoint("ptv_slowfast_r50_detection", tmp_path / "weights.pyth")
    out = tmp_path / "out"
    done = twinpath(
        *("detect", video, "--weights", weights, "--people", "hog", "--every", "5", "--min-score", "0.3"),
        *("--out", out, "--json"),
        timeout_s=300,
    )
    assert done.object["model"] == "slowfast_r50_8x8_det.ptv_ava"
    assert done.object["tracks"], "HOG finds the player"
    assert frame_times(out / "basketball.mp4") == pytest.approx(frame_times(video), abs=0.002)
    assert probe(out / "basketball.mp4").has_audio == probe(video).has_audio
