"""Engines of detection networks: OpenVINO's scores are torch's, for pictures and boxes of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinpath.engine.base import Engine
from twinpath.engine.config import EngineConfig
from twinpath.engine.open import open_engine
from twinpath.engine.openvino_engine import OpenVinoEngine
from twinpath.engine.torch_engine import TorchEngine
from twinpath.models.preprocess import Preprocess
from twinpath.video.resize import Resize, scaled_boxes

TINY = "slowfast_tiny_det"


@pytest.fixture(scope="module")
def compiled(tiny_detector_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenVinoEngine:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINPATH_HOME", str(tmp_path_factory.mktemp("home")))
        config = EngineConfig("openvino", "cpu", "fp32")
        open_engine(TINY, tiny_detector_weights, output="boxes", config=config)
        engine = open_engine(TINY, tiny_detector_weights, output="boxes", config=config)  # from the cache
    assert isinstance(engine, OpenVinoEngine)
    return engine


@pytest.fixture(scope="module")
def exact(tiny_detector_weights: Path) -> TorchEngine:
    engine = open_engine(TINY, tiny_detector_weights, output="boxes", config=EngineConfig("torch", "cpu"))
    assert isinstance(engine, TorchEngine)
    return engine


def clip(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, height, width, 3), dtype=np.uint8)


def of(engine: Engine, clip_THWC: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Scores of one clip's boxes."""
    (scores,) = engine([clip_THWC], [boxes])
    return scores


@pytest.mark.parametrize(("height", "width"), [(240, 320), (320, 180), (97, 333)])
def test_pictures_of_any_size_and_boxes_at_the_borders(
    compiled: OpenVinoEngine, exact: TorchEngine, height: int, width: int
) -> None:
    boxes = np.array(
        [
            [0, 0, width, height],
            [-5, -5, 30, 40],
            [width - 30, height - 40, width + 9, height + 9],
            [20, 20, 20.5, 20.2],
            [10, 10, 80, 90],
        ]
    )
    scores = of(compiled, clip(height, width), boxes)
    assert scores.shape == (5, compiled.num_classes) == (5, exact.num_classes)
    assert scores == pytest.approx(of(exact, clip(height, width), boxes), abs=1e-4)
    assert scores.std() > 0.05


def test_frames_that_were_resized_before_give_the_same(compiled: OpenVinoEngine, exact: TorchEngine) -> None:
    frames, boxes = clip(500, 700), np.array([[0.0, 0.0, 700.0, 500.0], [200.0, 40.0, 320.0, 470.0]])
    for engine in (compiled, exact):
        (scores,) = engine([engine.resize.of_clip(frames)], [boxes])
        assert np.array_equal(of(engine, frames, boxes), scores)
        other = Resize(short_side_px=64, crop_px=None).of_clip(frames)
        with pytest.raises(ValueError, match=r"resized to \(1, 64, 89, 3\), not to \(1, 128, 179, 3\)"):
            engine([other], [boxes])


def test_each_box_is_scored_by_itself(compiled: OpenVinoEngine) -> None:
    boxes = np.random.default_rng(1).uniform(0, 120, (60, 4))
    boxes[:, 2:] += boxes[:, :2]
    together = of(compiled, clip(240, 320), boxes)
    for i in (0, 17, 59):
        assert of(compiled, clip(240, 320), boxes[i : i + 1])[0] == pytest.approx(together[i], abs=1e-5)


def test_nobody(compiled: OpenVinoEngine, exact: TorchEngine) -> None:
    for engine in (compiled, exact):
        assert of(engine, clip(96, 128), np.zeros((0, 4))).shape == (0, 12)


def test_the_network_is_given_scaled_boxes_and_the_whole_picture(
    tiny_detector_weights: Path, exact: TorchEngine
) -> None:
    """By hand: the same as `model.scores(clip, boxes)` of the resized clip."""
    boxes = np.array([[4.0, 6.0, 100.0, 90.0]])
    frames = clip(120, 200)
    preprocessed = Preprocess.of(exact.spec, whole=True)(torch.from_numpy(frames)[None])
    assert preprocessed.shape == (1, 3, 16, 128, 213)
    given = np.pad(scaled_boxes(boxes, 120, 200, short_side=128), ((0, 0), (1, 0)))
    with torch.inference_mode():
        expected = exact.network.scores(preprocessed, torch.from_numpy(given))  # type: ignore[operator]
    assert of(exact, frames, boxes) == pytest.approx(expected.numpy(), abs=1e-6)


def test_clips_at_once(compiled: OpenVinoEngine, exact: TorchEngine) -> None:
    """Each person is scored in their own clip; some clips have no people, or another size."""
    random = np.random.default_rng(4)
    sizes = [(96, 128), (96, 128), (96, 128), (96, 128), (128, 96), (96, 128)]
    clips = [clip(*size, seed) for seed, size in enumerate(sizes)]
    boxes = [random.uniform(0, 60, (people, 4)) for people in (2, 0, 1, 3, 2, 1)]
    for each in boxes:
        each[:, 2:] += each[:, :2] + 5
    one_by_one = [of(exact, *each) for each in zip(clips, boxes, strict=True)]
    by_threes = TorchEngine(
        exact.network, exact.spec, output="boxes", batch_clips=3, config=EngineConfig("torch", "cpu")
    )
    for engine in (compiled, exact, by_threes):
        found = engine(clips, boxes)
        assert [rows.shape for rows in found] == [(len(each), 12) for each in boxes]
        assert np.concatenate(found) == pytest.approx(np.concatenate(one_by_one), abs=1e-4)
