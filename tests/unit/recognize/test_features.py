"""Embeddings of whole videos, with a network of random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinpath import FeatureExtractor
from twinpath.engine.config import EngineConfig
from twinpath.errors import InputError, MissingExtra, NotAVideo, UnknownModel, UsageError
from twinpath.formats.features import FeatureTable, check_target
from twinpath.models.registry import architecture
from twinpath.results.features import Feature
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
        logits = network(extract.engine.preprocess(torch.from_numpy(clip[None])))
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
    with pytest.raises(UsageError, match="persons in boxes"):
        FeatureExtractor("slow_r50_4x16_det.ptv_ava")
    for every_s in (0.0, -1.0, 1e-9, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="makes no sense"):
            FeatureExtractor("slowfast_tiny", three_class_weights, every_s=every_s)


def test_a_bad_file_is_an_error_of_its_own(extract: FeatureExtractor, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    with pytest.raises(NotAVideo):
        list(extract(tmp_path / "bad.mp4"))


def test_features_that_are_no_numbers_are_none(three_class_weights: Path, noise_video: Path) -> None:
    extract = FeatureExtractor("slowfast_tiny", three_class_weights, config=EngineConfig("torch", "cpu"))
    with torch.no_grad():
        extract.engine.network.get_parameter("slow.stem.bn.weight")[:] = float("nan")
    with pytest.raises(InputError, match="not numbers"):
        list(extract(noise_video))


# files


def table(dtype: str = "float32") -> FeatureTable:
    made = FeatureTable("some.model", dtype)  # type: ignore[arg-type]
    for video, count in (("b.mp4", 2), ("bad\udce9.mp4", 1), ("failed.mp4", 1)):
        for k in range(count):
            made.add(video, Feature(float(k), k + 1.5, np.arange(4, dtype=np.float32) + k))
    made.forget("failed.mp4")
    return made


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_npz_needs_no_pickle(dtype: str, tmp_path: Path) -> None:
    assert (len(table()), table().dim, table().videos) == (3, 4, ("b.mp4", "bad\udce9.mp4"))
    table(dtype).write(tmp_path / "f.npz")
    with np.load(tmp_path / "f.npz", allow_pickle=False) as file:
        assert set(file) == {"embedding", "video", "start_s", "end_s", "model"}
        assert file["embedding"].dtype == dtype
        assert file["embedding"].tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [0, 1, 2, 3]]
        assert file["video"].tolist() == ["b.mp4", "b.mp4", "bad\\udce9.mp4"]
        assert file["start_s"].tolist() == [0, 1, 0]
        assert file["end_s"].tolist() == [1.5, 2.5, 1.5]
        assert file["model"] == "some.model"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_parquet(dtype: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table(dtype).write(tmp_path / "f.parquet")
    read = parquet.read_table(tmp_path / "f.parquet")
    assert read.column_names == ["video", "start_s", "end_s", "embedding"]
    assert read["embedding"].to_pylist() == [[0, 1, 2, 3], [1, 2, 3, 4], [0, 1, 2, 3]]
    assert read["video"].to_pylist() == ["b.mp4", "b.mp4", "bad\\udce9.mp4"]
    assert read.schema.metadata[b"model"] == b"some.model"


def test_a_target_is_looked_at_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    check_target(Path("f.npz"))
    with pytest.raises(UsageError, match=r"something\.npz or something\.parquet"):
        check_target(Path("f.csv"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[features\]'"):
        check_target(Path("f.parquet"))
