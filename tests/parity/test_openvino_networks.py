"""Networks compiled by OpenVINO answer as torch does, on real clips and with golden weights.

The same best label as fp32 torch, and no probability off by 0.01. The slow test does so for every network.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from golden_weights import golden, write_golden_checkpoint
from real_videos import real_video
from twinpath.engine.base import EngineWish
from twinpath.engine.choose import open_engine
from twinpath.engine.openvino_engine import OpenVinoEngine
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


def check(golden_name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINPATH_HOME", str(folder))  # compiled golden weights are of no further use
    model = MODELS[golden_name]
    weights = write_golden_checkpoint(golden_name, folder / "weights.pyth")
    clips = [real_clip(video, model) for video in CLIPS]
    exact = open_engine(model, weights, wish=EngineWish("torch", "cpu"))
    expected = [exact([clip])[0] for clip in clips]
    for precision in ("bf16", "fp32"):
        told: list[str] = []
        engine = open_engine(
            model, weights, wish=EngineWish.parse("openvino", "cpu", precision, None), say=told.append
        )
        assert isinstance(engine, OpenVinoEngine), told
        for clip, scores in zip(clips, expected, strict=True):
            ours = engine([clip])[0]
            assert ours.argmax() == scores.argmax()
            assert np.abs(ours - scores).max() < 0.01


@pytest.mark.parametrize("golden_name", FAST)
def test_network(golden_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(golden_name, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("golden_name", [name for name in MODELS if name not in FAST])
def test_every_other_network(golden_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(golden_name, tmp_path, monkeypatch)
