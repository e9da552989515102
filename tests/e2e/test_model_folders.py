"""An exported model in the commands, and in the example that has neither torch nor Twinpath."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.commands import in_process, twinpath
from twinpath.data.synthetic import TEST_SEED, labelled_scene, write_clip
from twinpath.engine.export import export_model
from twinpath.recognize.classifier import Classifier

TINY = "slowfast_tiny.synthetic"
EXAMPLE = Path(__file__).parents[2] / "examples" / "classify_with_onnxruntime.py"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(path, labelled_scene(TEST_SEED))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "mine"
    export_model(TINY, path, format="onnx")
    return path


def test_classify_takes_a_folder_and_another_folder_is_another_run(
    clip: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    command = ("classify", str(clip), "--model", str(folder), "--out", str(out), "--json")
    found = twinpath(*command).object
    assert found["model"] == "mine"
    wanted = in_process("classify", str(clip), "--model", TINY, "--json").object
    assert found["predictions"][0]["label"] == wanted["predictions"][0]["label"]
    card = folder / "model.json"
    other = tmp_path / "other" / "mine"
    other.parent.mkdir()
    export_model(TINY, other, format="openvino")
    assert json.loads(card.read_text("utf-8"))["files"]
    again = in_process(*command[:3], str(other), *command[4:], code=2)
    assert "the weight file is another one" in again.err


def test_the_example_finds_the_same_label(clip: Path, folder: Path, tmp_path: Path) -> None:
    with av.open(str(clip)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    np.save(tmp_path / "frames.npy", np.stack(frames))
    command = [sys.executable, str(EXAMPLE), str(folder), str(tmp_path / "frames.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    label = done.stdout.splitlines()[0].split("  ")[1]
    assert label == Classifier(TINY)(clip).label


def test_the_example_is_short_and_imports_two_packages() -> None:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    code = [line for line in lines if line.strip()]
    assert len(code) <= 50
    imports = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert imports == {"json", "os", "sys", "pathlib", "numpy", "onnxruntime"}
