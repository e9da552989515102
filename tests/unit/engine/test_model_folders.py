"""Exported models: made, run by every engine that takes them, and never left behind when they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinpath.engine import export
from twinpath.engine.config import EngineConfig
from twinpath.engine.open import open_engine
from twinpath.engine.parity import Tolerance
from twinpath.errors import DamagedWeights, ExportDiffers, LimitExceeded, UsageError
from twinpath.zoo.model_folder import read_model_folder

CLIPS = "slowfast_tiny.synthetic"
BOXES = "slowfast_tiny_det.synthetic"
CLIP = np.random.default_rng(1).integers(0, 256, (16, 120, 160, 3), dtype=np.uint8)
PEOPLE = np.array([[10.0, 10.0, 60.0, 110.0], [90.0, 5.0, 150.0, 100.0]])


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path / "home"))


def answers(model: str, engine: Any, *, output: Any = "scores") -> Any:
    opened = open_engine(model, output=output, config=EngineConfig(engine, "cpu", "fp32"))
    return opened([CLIP], [PEOPLE] if output == "boxes" else None)[0]


@pytest.mark.parametrize(("format", "engine"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
@pytest.mark.parametrize(("model", "output"), [(CLIPS, "scores"), (CLIPS, "embed"), (BOXES, "boxes")])
def test_an_exported_model_answers_as_torch(
    tmp_path: Path, format: Any, engine: str, model: str, output: str
) -> None:
    folder = export.export_model(model, tmp_path / "mine", format=format)
    assert {figure.clips for figure in folder.card.parity} == {1, 2, 5}
    wanted = answers(model, "torch", output=output)
    assert answers(str(tmp_path / "mine"), engine, output=output) == pytest.approx(wanted, abs=2e-4)
    assert answers(str(tmp_path / "mine"), "openvino", output=output) == pytest.approx(wanted, abs=2e-4)


def test_torch_export_and_fp16(tmp_path: Path) -> None:
    folder = export.export_model(CLIPS, tmp_path / "pt2", format="torch-export")
    assert list(folder.card.files) == ["model.pt2"]
    with pytest.raises(UsageError, match=r"pt2 has no file that an engine here runs"):
        open_engine(str(tmp_path / "pt2"))
    small = export.export_model(CLIPS, tmp_path / "half", format="openvino", precision="fp16")
    assert small.card.files["model.bin"].size_bytes < 2_700_000
    with pytest.raises(UsageError, match="keeps float32"):
        export.export_model(CLIPS, tmp_path / "pt2", format="torch-export", precision="fp16")


def test_a_graph_that_differs_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(export.TOLERANCES, "fp32", Tolerance(0.0, 0.0))
    with pytest.raises(ExportDiffers, match="differs from torch at 1 clips of random frames: scores by"):
        export.export_model(CLIPS, tmp_path / "mine", format="onnx")
    assert not (tmp_path / "mine").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == []


@pytest.mark.parametrize(
    ("raised", "error", "message"),
    [
        (
            RuntimeError("no operator\nat a place"),
            UsageError,
            r"synthetic cannot be .* 'onnx' \(no operator\)",
        ),
        (MemoryError(), LimitExceeded, "needs more memory than there is"),
    ],
)
def test_a_failure_of_the_exporter_is_one_line(
    raised: Exception, error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("twinpath.engine.export_graph.write_onnx", fail)
    with pytest.raises(error, match=message):
        export.export_model(CLIPS, tmp_path / "mine", format="onnx")
    assert not (tmp_path / "mine").exists()


def test_a_changed_graph_is_not_run(tmp_path: Path) -> None:
    export.export_model(CLIPS, tmp_path / "mine", format="onnx")
    graph = tmp_path / "mine" / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    for engine in ("onnxruntime", "openvino"):
        with pytest.raises(DamagedWeights, match=r"model\.onnx is not the file"):
            answers(str(tmp_path / "mine"), engine)


def test_the_embedded_folder_runs_on_every_engine() -> None:
    from twinpath.zoo.records import record

    folder = str(record(CLIPS).embedded_folder)
    wanted = answers(CLIPS, "torch")
    for engine in ("torch", "openvino", "onnxruntime"):
        assert answers(folder, engine) == pytest.approx(wanted, abs=1e-4)
    assert answers(CLIPS, "onnxruntime") == pytest.approx(wanted, abs=1e-4)


def test_what_a_folder_does_not_have_is_said(tmp_path: Path) -> None:
    export.export_model(CLIPS, tmp_path / "mine", format="openvino")
    mine = str(tmp_path / "mine")
    for engine in ("torch", "onnxruntime"):
        with pytest.raises(UsageError, match=f"mine has no file for engine '{engine}', only model"):
            answers(mine, engine)
    with pytest.raises(UsageError, match="output 'scores' or 'embed', not 'boxes'"):
        open_engine(mine, output="boxes")
    with pytest.raises(UsageError, match="format 'onnx' first"):
        answers("x3d_xs.ptv_k400", "onnxruntime")
    assert read_model_folder(mine).card.network == CLIPS
