"""From a real video to the top 5: decoding, sampling, preprocessing and network, against the reference's run.

The figures are of PyTorchVideo's tutorial with golden weights. Decoders differ in the last bit of colour
conversion: frame means agree within 0.01 and logits within 2 % of their spread.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.golden_weights import GOLDEN, write_golden_checkpoint
from tests.support.real_videos import real_video
from twinpath import Classifier
from twinpath.engine.config import EngineConfig
from twinpath.engine.torch_engine import TorchEngine
from twinpath.models.preprocess import Preprocess
from twinpath.recognize.plan import Views, plan_views
from twinpath.video.decode import read_frames

MODEL_OF = {
    "ptv_slow_r50": "slow_r50_8x8.ptv_k400",
    "ptv_slowfast_r50": "slowfast_r50_8x8.ptv_k400",
    "ptv_x3d_s": "x3d_s.ptv_k400",
}
FIGURES = {
    (row["model"], row["video"]): row
    for row in json.loads((GOLDEN / "rules" / "tutorial_pipeline.json").read_text())
}
VIDEOS = sorted({video for _, video in FIGURES})


@pytest.fixture(scope="module", params=MODEL_OF)
def reference(request: pytest.FixtureRequest) -> str:
    """The reference's name of a network."""
    return str(request.param)


@pytest.fixture(scope="module")
def classifier(reference: str, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    real_video(VIDEOS[0])
    weights = write_golden_checkpoint(reference, tmp_path_factory.mktemp("golden") / "weights.pyth")
    made = Classifier(MODEL_OF[reference], weights, config=EngineConfig("torch", "cpu"))
    weights.unlink()
    return made


@pytest.mark.parametrize("video", VIDEOS)
def test_a_real_video_gives_the_references_figures(
    classifier: Classifier, reference: str, video: str
) -> None:
    figures: dict[str, Any] = FIGURES[reference, video]
    wanted = plan_views(Views.parse("1x1"), classifier.spec, start_s=0.0, info=None).selections
    frames = read_frames(real_video(video), wanted, strict=True).clip()
    engine = classifier.engine()
    assert isinstance(engine, TorchEngine)
    with torch.inference_mode():
        clip = Preprocess.of(classifier.spec)(torch.from_numpy(frames)[None])
        logits = engine.network(clip)[0].numpy()
    assert list(clip.shape[1:]) == figures["clip_shape"]
    assert clip.mean().item() == pytest.approx(figures["clip_mean"], abs=0.01)
    assert clip.std().item() == pytest.approx(figures["clip_std"], abs=0.01)
    assert clip.mean((0, 1, 3, 4)).tolist() == pytest.approx(figures["clip_frame_means"], abs=0.01)
    expected = np.array(figures["logits"])
    assert np.abs(logits - expected).max() <= 0.02 * np.ptp(expected)
    assert np.argsort(-logits)[:5].tolist() == figures["top5"]
