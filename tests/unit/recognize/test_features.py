"""Embeddings of whole videos, with a network of random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinpath import FeatureExtractor
from twinpath.engine.config import EngineConfig
from twinpath.errors import InputError, NotAVideo, UnknownModel, UsageError
from twinpath.models.preprocess import Preprocess
from twinpath.models.registry import architecture
from twinpath.video.decode import EvenSpan, read_frames
from twinpath.video.writer import VideoWriter
from twinpath.weights.load import save_weights

SPAN_S = 16 * 4 / 30


@pytest.fixture(scope="module")
def three_class_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(architecture("slowfast_tiny").build(num_classes=3), path)  # not the record's 12
    return path


@pytest.fixture(scope="module")
def extract(three_class_weights: Path) -> FeatureExtractor:
    return FeatureExtractor(
        "slowfast_tiny.synthetic", three_class_weights, config=EngineConfig("torch", "cpu")
    )


@pytest.fixture(scope="module")
def noise_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds of noise that grows brighter."""
    path = tmp_path_factory.mktemp("video") / "brighter.mp4"
    rng = np.random.default_rng(0)
    with VideoWriter(path, width=64, height=48, fps=20) as writer:
        for k in range(100):
            writer.write(rng.integers(k, 2 * k + 1, (48, 64, 3), dtype=np.uint8))
    return path


def test_one_embedding_for_each_clip_of_the_models_length(
    extract: FeatureExtractor, noise_video: Path
) -> None:
    told: list[tuple[int, int]] = []
    features = list(extract(noise_video, progress=lambda done, total: told.append((done, total))))
    assert extract.span_s == pytest.approx(SPAN_S)
    assert [f.start_s for f in features] == pytest.approx([0, SPAN_S, 2 * SPAN_S])
    assert [f.end_s for f in features] == pytest.approx([SPAN_S, 2 * SPAN_S, 5.0])
    assert told == [(2, 3), (3, 3)]  # torch takes two clips at once
    for feature in features:
        assert (feature.embedding.shape, feature.embedding.dtype) == ((768,), np.float32)
    assert not np.allclose(features[0].embedding, features[1].embedding, atol=1e-3)


def test_an_embedding_is_what_the_classifier_sees(extract: FeatureExtractor, noise_video: Path) -> None:
    """Its projection is the logits of the clip that `classify` would look at."""
    second = list(extract(noise_video))[1]
    clip = read_frames(noise_video, [EvenSpan(SPAN_S, SPAN_S, 16)]).clip()
    network = extract.engine.network
    with torch.inference_mode():
        logits = network(Preprocess.of(extract.spec)(torch.from_numpy(clip[None])))
        projected = network.get_classifier()(torch.from_numpy(second.embedding))
    assert torch.allclose(projected, logits[0], atol=1e-5)


def test_every_moves_the_clips(three_class_weights: Path, noise_video: Path) -> None:
    extract = FeatureExtractor("slowfast_tiny", three_class_weights, "cpu", every_s=1.5)
    assert [f.start_s for f in extract(noise_video)] == pytest.approx([0, 1.5, 3.0])


def test_what_cannot_be_made_is_said_at_once(three_class_weights: Path) -> None:
    with pytest.raises(UnknownModel, match="did you mean slowfast_tiny"):
        FeatureExtractor("slowfast_tny")
    with pytest.raises(UsageError, match="no weights are published for fast_r50_8x8"):
        FeatureExtractor("fast_r50_8x8")
    with pytest.raises(UsageError, match="is a detection model, which needs boxes"):
        FeatureExtractor("slow_r50_4x16_det.ptv_ava")
    for every_s in (0.0, -1.0, 1e-9, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="every_s must be at least"):
            FeatureExtractor("slowfast_tiny", three_class_weights, every_s=every_s)


def test_a_bad_file_is_an_error_of_its_own(extract: FeatureExtractor, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    with pytest.raises(NotAVideo):
        list(extract(tmp_path / "bad.mp4"))


def test_features_that_are_no_numbers_are_none(three_class_weights: Path, noise_video: Path) -> None:
    extract = FeatureExtractor("slowfast_tiny", three_class_weights, config=EngineConfig("torch", "cpu"))
    with torch.no_grad():
        extract.engine.network.get_parameter("slow.stem.bn.weight")[:] = float("nan")
    with pytest.raises(InputError, match="produced NaN or Inf"):
        list(extract(noise_video))
