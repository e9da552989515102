"""What needs torch says so in one line with the command that installs it; the rest imports none."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path

import pytest

import twinpath
from tests.support.commands import in_process
from twinpath import extras
from twinpath.data.synthetic import TEST_SEED, labelled_scene, write_clip
from twinpath.engine import open as engines
from twinpath.engine.config import EngineConfig
from twinpath.errors import MissingExtra
from twinpath.zoo.records import record

INSTALL = "pip install 'twinpath[torch]'"
TINY = "slowfast_tiny.synthetic"
WEIGHTS = record(TINY).embedded_path
# Networks, readers of weight files and what trains: everything else can be imported without torch.
NEEDS_TORCH = (
    "twinpath.engine.export_graph",
    "twinpath.engine.gpu_batch",
    "twinpath.engine.openvino_convert",
    "twinpath.engine.torch_engine",
    "twinpath.engine.uploads",
    "twinpath.explain.",
    "twinpath.models.",
    "twinpath.people.torchvision_detector",
    "twinpath.people.transformers_detector",
    "twinpath.train.",
    "twinpath.weights.",
    "twinpath.zoo.convert",
    "twinpath.zoo.hub",
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_clip(path, labelled_scene(TEST_SEED), height_px=96)
    return path


@pytest.fixture
def _no_torch(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is not installed; where it is, it is not found."""
    find_spec = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> object:
        return None if name in ("torch", "torchvision") else find_spec(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)


@pytest.mark.usefixtures("_no_torch")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("classify", "CLIP", "--model", TINY, "--engine", "torch"), "--engine 'torch' needs torch"),
        (("classify", "CLIP", "--model", TINY, "--device", "cuda"), "--device 'cuda' needs torch"),
        (("classify", "CLIP", "--model", TINY, "--compile"), "--compile needs torch"),
        (
            ("classify", "CLIP", "--model", "slowfast_tiny", "--weights", "WEIGHTS"),
            ".safetensors needs torch once, to be converted for this CPU",
        ),
        (
            ("classify", "CLIP", "--model", "x3d_s.ptv_k400"),  # said before the download
            "x3d_s.ptv_k400 needs torch once, to be converted for this CPU",
        ),
        (("classify", "CLIP"), "its weights need torch once"),
        (("explain", "CLIP", "--model", TINY), "an explanation needs torch"),
        (("evaluate", TINY, "--data", "CLIP", "--out", "OUT", "--explain"), "--explain needs torch"),
        (("models", "convert", "WEIGHTS", "OUT"), "reading weights needs torch"),
        (("models", "verify", "x3d_s.ptv_k400"), "verifying weights needs torch"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_that_needs_torch(
    command: tuple[str, ...], message: str, clip: Path, tmp_path: Path
) -> None:
    paths = {"CLIP": clip, "WEIGHTS": WEIGHTS, "OUT": tmp_path / "out.safetensors"}
    error = in_process(*(paths.get(word, word) for word in command), code=2).error
    assert message in error
    assert INSTALL in error


@pytest.mark.usefixtures("_no_torch")
def test_people_detectors_that_need_torch(clip: Path) -> None:
    given = ("detect", clip, "--model", "slowfast_tiny_det.synthetic")
    assert "pip install 'twinpath[detect]'" in in_process(*given, code=2).error
    assert "pip install 'twinpath[dfine]'" in in_process(*given, "--people", "dfine", code=2).error


@pytest.mark.usefixtures("_no_torch")
def test_functions_that_need_torch() -> None:
    for call in (lambda: twinpath.create_model("x3d_s"), lambda: twinpath.load_weights):
        with pytest.raises(
            MissingExtra, match=r"needs torch; install it with: pip install 'twinpath\[torch\]'"
        ):
            call()


@pytest.mark.usefixtures("_no_torch")
def test_a_gpu_that_only_torch_could_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "has_cuda_gpu", lambda: True)
    assert engines.choose_backend(EngineConfig()) == "openvino"
    assert engines.engine_facts()["engine"] == "openvino"
    with pytest.raises(MissingExtra, match="device 'cuda' needs torch"):
        engines.choose_backend(EngineConfig(device="cuda"))
    monkeypatch.setattr(engines, "has_openvino", lambda: False)
    assert engines.engine_facts()["engine"] is None
    with pytest.raises(MissingExtra, match="needs torch"):
        engines.choose_backend(EngineConfig())


def test_which_modules_import_torch() -> None:
    if extras.has_torch():
        return  # tests/e2e/test_without_torch.py runs this where it is not
    failed = {}
    for module in pkgutil.walk_packages(twinpath.__path__, "twinpath."):
        try:
            importlib.import_module(module.name)
        except (ModuleNotFoundError, MissingExtra) as error:
            failed[module.name] = error
    needs_torch = [name for name in failed if name != "twinpath.engine.onnx_import"]  # needs ONNX Runtime
    assert [name for name in needs_torch if not name.startswith(NEEDS_TORCH)] == []
    assert {"twinpath.models.slowfast", "twinpath.weights.load", "twinpath.train.run"} <= failed.keys()
