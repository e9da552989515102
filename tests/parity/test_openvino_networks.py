"""Networks compiled by OpenVINO answer as torch does, on real clips and with golden weights.

In fp32 the scores are those of torch as closely as those of an export, also of a clip whose frames are all
different: golden weights are random, so a wrong frame of a real clip changes little. In bf16, where this CPU
has it, the best label is the same and no probability off by 0.01. On every CPU, torch with all products
rounded to bf16 is held to that. `make test` tries two networks on
one clip, and tests/unit/engine/test_export_families.py narrow ones of each family; `make test-slow` every
network on three clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.golden_weights import INDEX, OTHER_NETWORK, golden, write_golden_checkpoint
from tests.support.real_videos import real_video
from twinpath.engine import openvino_convert
from twinpath.engine.base import Engine
from twinpath.engine.config import EngineConfig
from twinpath.engine.open import open_engine
from twinpath.engine.openvino_engine import OpenVinoEngine, capabilities
from twinpath.engine.parity import TOLERANCES, made_inputs
from twinpath.recognize.plan import Views, plan_views
from twinpath.video.decode import read_frames
from twinpath.weights.load import load_weights, save_weights
from twinpath.zoo.create import create_model, input_spec, resolve

pytestmark = pytest.mark.usefixtures("_converted_once")

CLIPS = ("archery.mp4", "arm_wrestling.mp4", "basketball.mp4")
MODELS = {name: OTHER_NETWORK.get(name, model) for name, model in INDEX.items()}
DETECTORS = [name for name, model in MODELS.items() if resolve(model)[0].is_detector]
CLASSIFIERS = [
    name for name in MODELS if name not in DETECTORS and golden(name)["output_shape"][1] in (400, 1000)
]
FAST = ("ptv_x3d_s",)
FAST_DETECTOR = "ptv_slow_r50_detection"
BOXES = np.array([[0, 0, 320, 240], [-9, 20, 90, 230], [200, 5, 330, 250], [100, 60, 180, 200]], dtype=float)
# bf16 has 8 bits. Random weights give flat scores, and two labels nearer than this are one to it.
TIE = 5e-4


@cache
def real_clip(video: str, model: str) -> np.ndarray:
    spec = input_spec(model)
    wanted = plan_views(Views(1, 1), spec, start_s=0.0, info=None).selections
    return read_frames(real_video(video), wanted).clip()


def weights_of(golden_name: str, folder: Path) -> Path:
    """A file of golden weights; where the golden figure is of shorter clips, for the network's own."""
    path = write_golden_checkpoint(golden_name, folder / "weights.pyth")
    model = MODELS[golden_name]
    if golden(golden_name)["input"]["frames"] == input_spec(model).num_frames:
        return path
    network = create_model(model)
    load_weights(network, path, resize_positions=True)
    path.unlink()
    save_weights(network, folder / "weights.safetensors")
    return folder / "weights.safetensors"


class InBf16(TorchDispatchMode):
    """Rounds what goes into and comes out of products to bf16, and sums in fp32, as CPUs with bf16 do."""

    PRODUCTS = frozenset(
        {"conv2d", "conv3d", "linear", "matmul", "mm", "bmm", "einsum", "scaled_dot_product_attention"}
    )

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket.__name__ not in self.PRODUCTS:
            return func(*args, **(kwargs or {}))
        return rounded(func(*map(rounded, args), **(kwargs or {})))


def rounded(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(rounded, value))
    is_real = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.bfloat16().float() if is_real else value


def precisions() -> tuple[str, ...]:
    return ("fp32", "bf16") if "BF16" in capabilities() else ("fp32",)


def check(scores: np.ndarray, exact: np.ndarray, precision: str) -> None:
    """Rows of scores: the same best label, and all of them near; in fp32 as near as those of an export."""
    of_named = np.take_along_axis(exact, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
    if precision == "bf16":
        assert np.abs(scores - exact).max() < 0.01
        assert (of_named >= exact.max(axis=1) - TIE).all()
        return
    allowed, logits = TOLERANCES["fp32"], np.log(exact)
    assert np.abs(scores - exact).max() <= allowed.scores
    assert np.abs(np.log(scores) - logits).max() <= allowed.logits * max(1.0, logits.std())
    assert (of_named == exact.max(axis=1)).all()


@pytest.fixture
def _converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each precision is converted once, and stays in a cache of this test alone."""
    done: dict[str, Any] = {}

    def once(*arguments: Any, precision: str, **options: Any) -> Any:
        if precision not in done:
            done[precision] = convert(*arguments, precision=precision, **options)
        return done[precision]

    convert = openvino_convert.convert
    monkeypatch.setattr(openvino_convert, "convert", once)
    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path))


def check_classifier(golden_name: str, folder: Path, videos: Sequence[str]) -> None:
    model, weights = MODELS[golden_name], weights_of(golden_name, folder)
    _, (noise, *_) = next(made_inputs(input_spec(model), is_detector=False))
    clips = [*(real_clip(video, model) for video in videos), noise[0]]

    def scores_of(engine: Engine) -> np.ndarray:
        return np.concatenate(engine(clips))

    torch_engine = open_engine(model, weights, config=EngineConfig("torch", "cpu"))
    exact = scores_of(torch_engine)
    with InBf16():
        in_bf16 = scores_of(torch_engine)
    assert (in_bf16 != exact).any()
    check(in_bf16, exact, "bf16")
    for precision in precisions():
        statuses: list[str] = []
        engine = open_engine(
            model,
            weights,
            config=EngineConfig.parse("openvino", "cpu", precision, None),
            on_status=statuses.append,
        )
        assert isinstance(engine, OpenVinoEngine), statuses
        check(scores_of(engine), exact, precision)


def check_detector(golden_name: str, folder: Path) -> None:
    model, weights = MODELS[golden_name], weights_of(golden_name, folder)
    clip = real_clip(CLIPS[2], model)
    torch_engine = open_engine(model, weights, output="boxes", config=EngineConfig("torch", "cpu"))
    (exact,) = torch_engine([clip], [BOXES])
    for precision in precisions():
        config = EngineConfig.parse("openvino", "cpu", precision, None)
        engine = open_engine(model, weights, output="boxes", config=config)
        assert isinstance(engine, OpenVinoEngine)
        allowed = 0.01 if precision == "bf16" else TOLERANCES["fp32"].scores
        assert np.abs(engine([clip], [BOXES])[0] - exact).max() < allowed
        one_by_one = np.concatenate(engine([clip] * 2, [box[None] for box in BOXES[1:3]]))
        assert np.abs(one_by_one - exact[1:3]).max() < allowed


@pytest.mark.parametrize("golden_name", FAST)
def test_network(golden_name: str, tmp_path: Path) -> None:
    check_classifier(golden_name, tmp_path, CLIPS[:1])


def test_detection_network(tmp_path: Path) -> None:
    check_detector(FAST_DETECTOR, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("golden_name", CLASSIFIERS)
def test_every_network_on_every_clip(golden_name: str, tmp_path: Path) -> None:
    check_classifier(golden_name, tmp_path, CLIPS)


@pytest.mark.slow
@pytest.mark.parametrize("golden_name", [name for name in DETECTORS if name != FAST_DETECTOR])
def test_every_other_detection_network(golden_name: str, tmp_path: Path) -> None:
    check_detector(golden_name, tmp_path)
