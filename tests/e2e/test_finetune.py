"""`twinpath finetune`: a folder of classes to a model folder that every command takes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.commands import in_process, twinpath
from twinpath.data.synthetic import TEST_SEED, write_clip
from twinpath.data.synthetic.scene import make_scene

ACTIONS = ("walk", "wave", "squat")
NAMES = {"walk": "going for a walk", "wave": "wäve hello", "squat": "squat"}
CLIPS = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of each of three actions, one of them twice under another name, and two broken files."""
    folder = tmp_path_factory.mktemp("actions")
    for i in range(CLIPS):
        for action in ACTIONS:
            path = folder / NAMES[action] / f"clip {i}.mp4"
            path.parent.mkdir(exist_ok=True)
            scene = make_scene(TEST_SEED + 5000 + i, action=action)
            write_clip(path, scene, height_px=96, duration_s=1.5)
    shutil.copy(folder / "squat" / "clip 0.mp4", folder / "squat" / "the same.mp4")
    (folder / "squat" / "empty.mp4").touch()
    (folder / "wäve hello" / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(2000))
    return folder


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "my actions"
    done = twinpath(
        "finetune", str(data), "--model", "slowfast_tiny.synthetic", "--out", str(out), "--explain"
    )
    assert "right on" in done.out
    assert "left out" in done.err
    assert "empty.mp4" in done.err
    assert "broken.mp4" in done.err
    assert "nearly the same" in done.err
    assert "the same.mp4" in done.err
    return out


def test_the_report_is_of_clips_that_were_not_seen(model: Path) -> None:
    report = json.loads((model / "report.json").read_text("utf-8"))
    assert report["summary"]["clips"] == len(ACTIONS) * CLIPS + 1
    assert report["summary"]["top1"] >= 0.8
    assert len(report["failed"]) == 2
    parts = {Path(clip["path"]).name: clip["part"] for clip in report["clips"] if "squat" in clip["path"]}
    assert parts["clip 0.mp4"] == parts["the same.mp4"]
    assert len({clip["part"] for clip in report["clips"]}) >= 3
    wrong = {clip["path"] for clip in report["clips"] if clip["answers"][0]["label"] not in clip["truth"]}
    assert {one["path"] for one in report["explained"]} == wrong
    for one in report["explained"]:
        assert one["model"] == "my actions"
        assert len(one["labels"]) == 2
    page = (model / "report.html").read_text("utf-8")
    assert page.count('class="explained"') == len(wrong)
    assert "wäve hello" in page
    assert "broken.mp4" in page


def test_classify_answers_with_own_labels_by_openvino_and_torch(data: Path, model: Path) -> None:
    clip = str(data / "wäve hello" / "clip 1.mp4")
    fast = in_process("classify", clip, "--model", str(model), "--json").object
    assert fast["label"] == "wäve hello"
    assert fast["model"] == "my actions"
    assert {entry["label"] for entry in fast["predictions"]} == set(NAMES.values())
    assert fast["views"] == json.loads((model / "model.json").read_text("utf-8"))["views"]
    slow = in_process("classify", clip, "--model", str(model), "--engine", "torch", "--json").object
    assert slow["predictions"][0]["score"] == pytest.approx(fast["predictions"][0]["score"], abs=0.02)


def test_below_min_score_it_is_unknown(data: Path, model: Path) -> None:
    clip = str(data / "squat" / "clip 1.mp4")
    found = in_process("classify", clip, "--model", str(model), "--min-score", "1", "--json").object
    assert found["label"] == "unknown"
    assert found["predictions"][0]["label"] in NAMES.values()
    shown = in_process("classify", clip, "--model", str(model), "--min-score", "1")
    assert "unknown" in shown.out


def test_models_info_tells_what_it_is(model: Path) -> None:
    shown = in_process("models", "info", str(model)).out
    assert "going for a walk" in shown
    assert "top1" in shown.replace(" ", "").replace("-", "")


def test_the_same_command_again_makes_the_same_weights(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    in_process("finetune", str(data), "--model", "slowfast_tiny.synthetic", "--out", str(out))
    weights = "weights.safetensors"
    assert (out / weights).read_bytes() == (model / weights).read_bytes()


def test_it_can_be_fine_tuned_further(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "further"
    in_process("finetune", str(data), "--model", str(model), "--out", str(out), "--folds", "3")
    assert json.loads((out / "model.json").read_text("utf-8"))["labels"] == sorted(NAMES.values())


def test_more_than_a_third_broken_stops_with_a_list(data: Path, tmp_path: Path) -> None:
    for action in ACTIONS[:2]:
        folder = tmp_path / "data" / action
        folder.mkdir(parents=True)
        shutil.copy(data / NAMES[action] / "clip 0.mp4", folder)
        (folder / "bad.mp4").write_text("this is no video")
    failed = in_process("finetune", str(tmp_path / "data"), "--out", str(tmp_path / "out"), code=4)
    assert "2 of 4 clips cannot be read" in failed.err
    assert failed.err.count("bad.mp4") == 2
    assert not (tmp_path / "out").exists()


def test_one_class_is_an_error(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "squat", tmp_path / "data" / "squat")
    failed = in_process("finetune", str(tmp_path / "data"), "--out", str(tmp_path / "out"), code=3)
    assert "has the one class 'squat'; at least 2 are needed" in failed.err
