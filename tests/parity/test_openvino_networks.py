"""Networks compiled by OpenVINO answer as torch does, on real clips and with golden weights.

The same best label as fp32 torch, and no probability off by 0.01: in fp32, and in bf16 where this CPU has it.
On every CPU, torch with all products rounded to bf16 is held to the same. The slow test does all others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from golden_weights import golden, write_golden_checkpoint
from real_videos import real_video
from twinpath.engine.base import EngineWish
from twinpath.engine.choose import open_engine
from twinpath.engine.openvino_engine import OpenVinoEngine, capabilities
from twinpath.recognize.views import Views, selections
from twinpath.video.decode import read_frames
from twinpath.zoo.create import input_spec, resolve

from test_golden_networks import INDEX, OTHER_NETWORK  # isort: skip - beside this file

CLIPS = ("archery.mp4", "arm_wrestling.mp4", "basketball.mp4")
MODELS = {
    golden_name: OTHER_NETWORK.get(golden_name, model)
    for golden_name, model in INDEX.items()
    if not resolve(model)[0].is_detector and golden(golden_name)["output_shape"][1] in (400, 1000)
}
FAST = ("ptv_slowfast_r50", "ptv_x3d_s", "tv_mvit_v2_s", "tv_r2plus1d_18")


@cache
def real_clip(video: str, model: str) -> np.ndarray:
    spec = input_spec(model)
    wanted = selections(Views(1, 1), spec, start_s=0.0, info=None)
    return read_frames(real_video(video), wanted).clip()


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


def check(golden_name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINPATH_HOME", str(folder))  # compiled golden weights are of no further use
    model = MODELS[golden_name]
    weights = write_golden_checkpoint(golden_name, folder / "weights.pyth")
    clips = [real_clip(video, model) for video in CLIPS]
    torch_engine = open_engine(model, weights, wish=EngineWish("torch", "cpu"))
    exact = [torch_engine([clip])[0] for clip in clips]

    def largest_difference(engine: Callable[[list[np.ndarray]], np.ndarray]) -> float:
        scores = [engine([clip])[0] for clip in clips]
        assert [row.argmax() for row in scores] == [row.argmax() for row in exact]
        return float(np.abs(np.stack(scores) - exact).max())

    with InBf16():
        assert 1e-7 < largest_difference(torch_engine) < 0.01
    for precision in ("bf16", "fp32") if "BF16" in capabilities() else ("fp32",):
        told: list[str] = []
        engine = open_engine(
            model, weights, wish=EngineWish.parse("openvino", "cpu", precision, None), say=told.append
        )
        assert isinstance(engine, OpenVinoEngine), told
        assert largest_difference(engine) < 0.01


@pytest.mark.parametrize("golden_name", FAST)
def test_network(golden_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(golden_name, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("golden_name", [name for name in MODELS if name not in FAST])
def test_every_other_network(golden_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(golden_name, tmp_path, monkeypatch)
