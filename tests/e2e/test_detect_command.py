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
from tests.support.commands import in_process, read_first_line, start, twinpath
from tests.support.golden_weights import write_golden_checkpoint
from tests.support.real_videos import real_video
from twinpath.data.synthetic import ACTIONS, TEST_SEED, people_scene, truth_of, write_clip
from twinpath.formats.detections import read_detections
from twinpath.video.probe import frame_times, probe

TINY = ("--model", "slowfast_tiny_det.synthetic")
KINDS = ("json", "ava.csv", "cvat.xml", "mp4", "keyframes.npz")


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
    assert sorted(answer["files"].values()) == sorted(
        str(tmp_path / f"scene.mp4.detect.{kind}") for kind in KINDS
    )
    found = read_detections(tmp_path / "scene.mp4.detect.json")
    assert len(found.tracks) == len(answer["tracks"]) >= 2
    assert {a.label for track in found.tracks for seen in track.points for a in seen.actions} <= set(ACTIONS)
    drawn, source = tmp_path / "scene.mp4.detect.mp4", scene / "scene.mp4"
    assert frame_times(drawn) == pytest.approx(frame_times(source), abs=0.001)
    assert (probe(drawn).width, probe(drawn).height) == (probe(source).width, probe(source).height)
    with (tmp_path / "scene.mp4.detect.ava.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == sum(len(seen.actions) for track in found.tracks for seen in track.points)
    assert all(row[0] == "scene" and len(row) == 8 for row in rows)
    tracks = ET.parse(tmp_path / "scene.mp4.detect.cvat.xml").getroot().findall("track")
    assert len(tracks) == len(found.tracks)


def test_a_table_for_people(scene: Path, tmp_path: Path) -> None:
    done = in_process(
        "detect", scene / "scene.mp4", *TINY, "--people", "whole", "--formats", "json", "--out", tmp_path
    )
    title, head, row = done.out.splitlines()
    assert title == f"{scene / 'scene.mp4'}  0:02.4, 3 keyframes"
    assert head.split() == ["person", "start", "end", "actions"]
    assert row.split()[0] == "1"
    assert "synthetic world only" in done.err
    assert f"files: {tmp_path / 'scene.mp4.detect.json'}" in done.err
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "scene.mp4.detect.json",
        "scene.mp4.detect.keyframes.npz",
    ]


def test_a_video_with_nobody_in_it(scene: Path, tmp_path: Path) -> None:
    nobody = tmp_path / "nobody.json"
    nobody.write_text('{"images": [], "annotations": []}')
    out = tmp_path / "out"
    done = in_process("detect", scene / "scene.mp4", *TINY, "--people", nobody, "--out", out)
    assert "nobody was found" in done.out
    assert read_detections(out / "scene.mp4.detect.json").tracks == ()
    assert (out / "scene.mp4.detect.ava.csv").read_text() == ""
    assert len(frame_times(out / "scene.mp4.detect.mp4")) == len(frame_times(scene / "scene.mp4"))


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
    done = in_process("detect", *wanted, code=4)
    good, failed = done.objects
    assert good["tracks"]
    assert failed["error"]["type"] == "NotAVideo"
    assert sorted(file.name for file in out.iterdir()) == [
        "scene.mp4.detect.ava.csv",
        "scene.mp4.detect.keyframes.npz",
    ]
    assert done.err.splitlines()[-1] == "twinpath: 1 of 2 videos could not be used; each is named above"


def test_a_later_run_does_what_is_missing(scene: Path, tmp_path: Path) -> None:
    """New videos, changed ones, those without all files, and all where other thresholds are given."""
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    shutil.copy(scene / "scene.mp4", one)
    shutil.copy(scene / "scene.mp4", two)
    out = tmp_path / "out"

    def run(*options: str) -> tuple[list[str], bool, str]:
        """The videos with a new file, whether the model was loaded, and what was printed."""
        before = {path: path.stat().st_mtime_ns for path in out.glob("*.detect.[aj]*")}
        done = in_process(
            *("detect", one, two, *TINY, "--people", "whole", "--formats", "json,csv"),
            *("--out", out, "--json", *options),
        )
        assert [Path(answer["video"]) for answer in done.objects] == [one, two]
        anew = {
            path.name.partition(".")[0]
            for path in out.glob("*.detect.[aj]*")
            if path.stat().st_mtime_ns != before.get(path)
        }
        return sorted(anew), "loaded in" in done.err, done.out

    both, is_loaded, first = run()
    assert (both, is_loaded) == (["one", "two"], True)
    assert run() == ([], False, first)
    os.utime(two, (1, 1))
    assert run()[:2] == (["two"], True)
    (out / "one.mp4.detect.ava.csv").unlink()
    assert run()[:2] == (["one"], False), "the scores are there"
    assert run("--smooth", "0")[:2] == (["one", "two"], False)
    (out / "one.mp4.detect.json").write_text("{}")  # corrected by hand
    assert run("--smooth", "0")[:2] == ([], False)
    with (out / "one.mp4.detect.keyframes.npz").open("r+") as file:
        file.truncate(100)
    wanted = ("detect", one, *TINY, "--people", "whole", "--formats", "json,csv", "--out", out)
    assert "is no valid file of keyframe scores" in in_process(*wanted, code=3).error
    assert run("--smooth", "0", "--no-resume")[:2] == (["one", "two"], True)


def test_labels_and_thresholds_are_taken_from_the_scores(scene: Path, tmp_path: Path) -> None:
    wanted = ("detect", scene / "scene.mp4", *TINY, "--people", scene / "boxes.jsonl", "--formats", "json")
    files = ("--out", tmp_path, "--json")

    def labels(*options: str) -> set[str]:
        tracks = in_process(*wanted, *files, *options).object["tracks"]
        return {action["label"] for t in tracks for point in t["points"] for action in point["actions"]}

    found = labels("--min-score", "0.1")
    assert len(found) > 1
    one = min(found)
    assert labels("--min-score", "0.1", "--labels", one) == {one}
    error = in_process(*wanted, *files, "--labels", "wve", code=2).error
    assert "has no label 'wve'; did you mean wave" in error


def test_ctrl_c_in_a_batch_says_how_to_go_on(scene: Path, tmp_path: Path) -> None:
    videos = [shutil.copy(scene / "scene.mp4", tmp_path / f"{number}.mp4") for number in range(40)]
    wanted = ("detect", *videos, *TINY, "--people", "whole", "--formats", "json", "--out", tmp_path / "out")
    running = start(*wanted)
    assert running.stdout is not None
    running.stdout.readline()  # the first is done
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert re.search(r"stopped with \d+ of 40 videos finished; the same command does the rest", err)
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
        (("--people", ""), "'': no such detector"),
        (("--people", "whole", "--formats", "avi"), "there is no 'avi'"),
        (("--people", "whole", "--every", "0"), "--every must be at least 0.01 s, not 0"),
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


def test_nothing_is_written_over_that_is_no_result(scene: Path, tmp_path: Path) -> None:
    """The video itself, in whose folder the files go; boxes made by hand; the results of another video."""
    video = Path(shutil.copy(scene / "scene.mp4", tmp_path / "scene.mp4"))
    before = video.read_bytes()
    wanted = ("detect", video, *TINY, "--formats", "json", "--out", tmp_path)
    boxes = tmp_path / "scene.mp4.detect.json"
    shutil.copy(scene / "boxes.jsonl", boxes)
    error = in_process(*wanted, "--people", boxes, code=2).error
    assert f"{boxes} would be overwritten, and is an input of this run" in error
    for options in ((), ("--no-resume",)):
        error = in_process(*wanted, "--people", "whole", *options, code=2).error
        assert f"{boxes} is there, and no scores beside it tell" in error
    assert boxes.read_bytes() == (scene / "boxes.jsonl").read_bytes()
    boxes.rename(tmp_path / "scene.json")
    in_process(*wanted, "--people", tmp_path / "scene.json")
    assert (tmp_path / "scene.json").read_bytes() == (scene / "boxes.jsonl").read_bytes()
    assert video.read_bytes() == before
    result = boxes.read_bytes()
    other = tmp_path / "other" / "scene.mp4"
    other.parent.mkdir()
    other.write_bytes(before + b"1")
    error = in_process("detect", other, *wanted[2:], "--people", "whole", code=2).error
    assert "holds the results of another video" in error
    assert boxes.read_bytes() == result


def test_timelines_and_detections_share_a_folder(scene: Path, tmp_path: Path) -> None:
    formats = ("--formats", "json,png", "--out", tmp_path)
    in_process("timeline", scene / "scene.mp4", "--model", "slowfast_tiny.synthetic", *formats)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    in_process("detect", scene / "scene.mp4", *TINY, "--people", "whole", *formats)
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(tmp_path.iterdir())) == 6


def test_results_in_the_folder_of_the_videos_are_no_inputs(scene: Path, tmp_path: Path) -> None:
    (tmp_path / "scene.mp4").write_bytes((scene / "scene.mp4").read_bytes())
    wanted = ("detect", tmp_path, *TINY, "--people", "whole", "--formats", "json,mp4", "--out", tmp_path)
    first = in_process(*wanted, "--json").object
    drawn = tmp_path / "scene.mp4.detect.mp4"
    assert first["files"]["mp4"] == str(drawn)
    pattern = (str(tmp_path / "*.mp4"), *wanted[2:])
    for again in (wanted, ("detect", *pattern)):
        assert in_process(*again, "--json").objects[0]["video"] == str(tmp_path / "scene.mp4")
    assert "is an input of this run" in in_process("detect", drawn, *pattern, code=2).error  # by its own name


def test_an_isolated_run_writes_the_same_files(scene: Path, tmp_path: Path) -> None:
    wanted = ("detect", scene / "scene.mp4", *TINY, "--people", "whole", "--formats", "json,csv,xml,mp4,png")
    isolated = in_process(*wanted, "--isolate", "--json", "--out", tmp_path / "isolated").object
    plain = in_process(*wanted, "--json", "--out", tmp_path / "plain").object
    assert isolated["tracks"] == plain["tracks"]
    assert list(isolated["files"]) == list(plain["files"])
    for kind in ("csv", "png"):
        assert Path(isolated["files"][kind]).read_bytes() == Path(plain["files"][kind]).read_bytes()
    assert probe(isolated["files"]["mp4"]).duration_s == probe(plain["files"]["mp4"]).duration_s


def test_a_reader_that_goes_away_ends_no_file(scene: Path, tmp_path: Path) -> None:
    """`twinpath detect … | head -1`"""
    videos = [shutil.copy(scene / "scene.mp4", tmp_path / f"{number}.mp4") for number in range(3)]
    code, err = read_first_line("detect", *videos, *TINY, "--people", "whole", "--out", tmp_path / "out")
    assert code == 0, err
    assert len(list((tmp_path / "out").iterdir())) == 3 * len(KINDS)


def test_a_complete_result_survives_a_second_run_that_is_stopped(scene: Path, tmp_path: Path) -> None:
    wanted = ("detect", scene / "scene.mp4", *TINY, "--people", "whole", "--formats", "json,csv")
    in_process(*wanted, "--out", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    running = start(*wanted, "--out", tmp_path, "--every", "0.01", "--no-resume")
    assert running.stderr is not None
    running.stderr.readline()  # the model is loaded
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert {path: path.read_bytes() for path in before} == before
    assert "loaded in" not in in_process(*wanted, "--out", tmp_path).err


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
        "twinpath: stopped with 0 of 1 videos finished; the same command does the rest\n",
    } or re.fullmatch(
        r"twinpath: stopped at .*, with 0 of 1 videos finished; the same command does .*\n", err
    )
    left = [file.name for file in (tmp_path / "out").iterdir()] if (tmp_path / "out").exists() else []
    assert all(name.endswith((*KINDS, "partial.npz")) and not name.startswith(".") for name in left)


def test_without_a_name_the_best_detection_network_is_meant(
    scene: Path, tmp_path: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINPATH_MIRROR", "http://127.0.0.1:9")
    options = ("--people", "whole", "--out", tmp_path / "out")
    error = in_process("detect", scene / "scene.mp4", *options, code=5).error
    assert "cannot download slowfast_r50_8x8_det.ptv_ava" in error
    assert str(empty_home) in error


def test_a_real_video_with_golden_weights(tmp_path: Path) -> None:
    """On a CPU, with OpenCV's people detector: nothing is downloaded."""
    video = real_video("basketball.mp4")
    model = "slow_r50_4x16_det.ptv_ava"
    weights = write_golden_checkpoint("ptv_slow_r50_detection", tmp_path / "weights.pyth")
    out = tmp_path / "out"
    done = twinpath(
        *("detect", video, "--model", model, "--weights", weights, "--people", "hog", "--every", "5"),
        *("--min-score", "0.3", "--out", out, "--json"),
        timeout_s=300,
    )
    assert done.object["model"] == model
    assert done.object["tracks"], "HOG finds the player"
    assert frame_times(out / "basketball.mp4.detect.mp4") == pytest.approx(frame_times(video), abs=0.002)
    assert probe(out / "basketball.mp4.detect.mp4").has_audio == probe(video).has_audio
