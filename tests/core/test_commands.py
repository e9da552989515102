"""The commands with the embedded models, by their names and as model folders, from an empty cache.

These tests need the core of the package and pytest, nothing else: `make test-core` runs them in an
environment of the core alone; `make test` runs them with everything installed. The answers below are those of
torch in float32; where torch is installed, `test_the_answers_are_those_of_torch` computes them anew.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commands import in_process
from twinpath.data.synthetic import TEST_SEED, labelled_scene, people_scene, truth_of, write_clip
from twinpath.engine.config import EngineConfig
from twinpath.recognize.classifier import Classifier
from twinpath.recognize.detector import Detector
from twinpath.recognize.features import FeatureExtractor
from twinpath.zoo.records import record

MODEL, PEOPLE_MODEL = "slowfast_tiny.synthetic", "slowfast_tiny_det.synthetic"
EXACT = ("--precision", "fp32", "--threads", "1")
HAS_TORCH = importlib.util.find_spec("torch") is not None

# Answers of torch in float32. Encoders of other versions change a few pixels, and scores by less than this.
TOLERANCE = 0.03
LABEL, SCORE = "throw", 0.947
EMBEDDING, LENGTH = (0.457, 0.061, 1.141, 0.191), 9.085  # its first values, and its Euclidean length
ACTIONS = {"jump": 0.995, "punch": 0.934, "sit down": 0.791, "bow": 0.964}  # of four people, after 1 s


@pytest.fixture(scope="module", autouse=True)
def _empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINPATH_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of one figure, a scene of four, and the file of their boxes."""
    made = tmp_path_factory.mktemp("videos")
    write_clip(made / "clip.mp4", labelled_scene(TEST_SEED + 3), height_px=96)
    scene = people_scene(TEST_SEED + 6)
    write_clip(made / "scene.mp4", scene, height_px=180)
    truth = {"video": "scene.mp4", **truth_of(scene, height_px=180)}
    (made / "boxes.jsonl").write_text(json.dumps(truth) + "\n", "utf-8")
    return made


@pytest.fixture(params=["name", "folder"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The embedded model, or a copy of its folder, as `models export` writes one."""
    return MODEL if request.param == "name" else exported(MODEL, tmp_path)


@pytest.fixture(params=["name", "folder"])
def people_model(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same for detection."""
    return PEOPLE_MODEL if request.param == "name" else exported(PEOPLE_MODEL, tmp_path)


def exported(name: str, folder: Path) -> str:
    """A copy of the graph and its record, without the weights that torch would read."""
    source = record(name).embedded_folder
    assert source is not None
    copied = shutil.copytree(source, folder / "exported")
    facts = json.loads((copied / "model.json").read_text("utf-8"))
    del facts["files"]["weights.safetensors"]
    (copied / "weights.safetensors").unlink()
    (copied / "model.json").write_text(json.dumps(facts), "utf-8")
    return str(copied)


def close(value: Any) -> Any:
    return pytest.approx(value, abs=TOLERANCE)


def best_actions(found: dict[str, Any], *, time_s: float) -> dict[str, float]:
    """Label and score of the best action of each person at a keyframe, in the order of tracks."""
    points = [point for track in found["tracks"] for point in track["points"] if point["time_s"] == time_s]
    best = [max(point["actions"], key=lambda action: float(action["score"])) for point in points]
    return {action["label"]: action["score"] for action in best}


def test_demo(tmp_path: Path) -> None:
    clip, people = in_process("demo", "--out", tmp_path / "demo", "--json").objects
    assert clip["engine"].startswith("openvino")
    assert clip["predictions"][0]["label"] == clip["truth"] == "jump"
    assert [*best_actions(people, time_s=1.0)] == [*people["truth"].values()] == [*ACTIONS]
    assert {path.name for path in (tmp_path / "demo").iterdir()} >= {"answer.mp4", "people-answer.mp4"}


def test_classify(folder: Path, model: str) -> None:
    answer = in_process("classify", folder / "clip.mp4", "--model", model, *EXACT, "--json").object
    assert answer["engine"].startswith("openvino")
    assert answer["predictions"][0]["label"] == LABEL
    assert answer["predictions"][0]["score"] == close(SCORE)


def test_detect(folder: Path, people_model: str, tmp_path: Path) -> None:
    given = ("--people", folder / "boxes.jsonl", "--out", tmp_path, "--json", *EXACT)
    found = in_process("detect", folder / "scene.mp4", "--model", people_model, *given).object
    assert best_actions(found, time_s=1.0) == close(ACTIONS)
    assert (tmp_path / "scene.mp4.detect.mp4").is_file()


def test_detect_people_in_motion(folder: Path, tmp_path: Path) -> None:
    """The person detector is OpenCV's, which is an extra of its own."""
    given = ("detect", folder / "scene.mp4", "--model", PEOPLE_MODEL, "--people", "motion", "--out", tmp_path)
    if importlib.util.find_spec("cv2") is None:
        assert "pip install 'twinpath[hog]'" in in_process(*given, code=2).error
        return
    found = in_process(*given, "--json").object
    assert found["person_detector"].startswith("motion")
    actions = (
        action for track in found["tracks"] for point in track["points"] for action in point["actions"]
    )
    assert {action["label"] for action in actions} & ACTIONS.keys()


def test_timeline(folder: Path, model: str, tmp_path: Path) -> None:
    given = ("--model", model, *EXACT, "--out", tmp_path, "--json")
    found = in_process("timeline", folder / "clip.mp4", *given).object
    assert {segment["label"] for segment in found["segments"]} == {LABEL}
    assert (tmp_path / "clip.mp4.timeline.html").is_file()


def test_stream(folder: Path, model: str) -> None:
    events = in_process("stream", folder / "clip.mp4", "--model", model, *EXACT).objects
    (window,) = [event for event in events if event["event"] == "window"]
    assert window["predictions"][0]["label"] == LABEL
    assert window["predictions"][0]["score"] == close(SCORE)


def test_features(folder: Path, model: str, tmp_path: Path) -> None:
    in_process("features", folder / "clip.mp4", "--model", model, *EXACT, "--out", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as arrays:
        first = arrays["embedding"][0]
    assert tuple(first[:4]) == close(EMBEDDING)
    assert np.linalg.norm(first) == close(LENGTH)


def test_evaluate() -> None:
    assert in_process("evaluate", "--clips", "1", "--json", *EXACT).object["top1"] == 1.0


def test_models_and_doctor() -> None:
    listed = {facts["name"] for facts in in_process("models", "list", "--json").objects}
    assert {"slowfast_r50_8x8.ptv_k400", MODEL} <= listed
    assert in_process("models", "info", "x3d_m", "--json").object["params"] > 1e6
    facts = in_process("doctor", "--json").object
    assert facts["engine"] == "openvino"
    assert (facts["torch"] is not None) == HAS_TORCH


def test_the_answers_are_those_of_torch(folder: Path) -> None:
    """Computed by torch where it is installed, and there the same to a millionth."""
    engines = [EngineConfig("openvino", "cpu", "fp32", threads=1)]
    if HAS_TORCH:
        engines.append(EngineConfig("torch", "cpu", "fp32", threads=1))
    found = []
    for config in engines:
        predictions = Classifier(MODEL, config=config)(folder / "clip.mp4").predictions
        assert predictions[0].label == LABEL
        assert predictions[0].score == close(SCORE)
        _, _, embedding = next(iter(FeatureExtractor(MODEL, config=config)(folder / "clip.mp4")))
        assert tuple(embedding[:4]) == close(EMBEDDING)
        detector = Detector(PEOPLE_MODEL, config=config)
        tracks = detector(folder / "scene.mp4", people=str(folder / "boxes.jsonl")).tracks
        actions = [action.score for track in tracks for point in track.points for action in point.actions]
        assert len(tracks) == len(ACTIONS)
        found.append(np.array([*(p.score for p in predictions), *embedding, *actions]))
    for other in found[1:]:
        assert other == pytest.approx(found[0], abs=1e-5)
