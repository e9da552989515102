"""Weights are checked against what their upstream printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from twinpath.errors import DownloadFailed, NotAVideo, UsageError, WeightsError, WeightsMismatch
from twinpath.evaluate.verify import archery, verify
from twinpath.labels import labels
from twinpath.models.registry import architecture
from twinpath.video.writer import VideoWriter
from twinpath.weights.load import save_weights
from twinpath.zoo.create import create_model
from twinpath.zoo.expected import _table, expected
from twinpath.zoo.records import record


@pytest.fixture(scope="module")
def grey_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "grey.mp4"
    with VideoWriter(path, width=192, height=192, fps=10) as writer:
        for _ in range(30):
            writer.write(np.full((192, 192, 3), 99, dtype=np.uint8))
    return path


def weights_that_answer(name: str, answer: Sequence[str], path: Path) -> Path:
    """A network that says the same of every video."""
    network = create_model(name)
    names = labels("kinetics400")
    with torch.no_grad():
        network.head.projection.weight.zero_()
        for rank, label in enumerate(answer):
            network.head.projection.bias[names.index(label)] = 10.0 - rank
    save_weights(network, path)
    return path


@pytest.mark.parametrize("name", _table())
def test_expected_labels_are_of_a_record(name: str) -> None:
    known = expected(name)
    assert known is not None
    assert set(known.labels) <= set(labels(record(name).dataset))
    assert 1 <= known.compared <= len(known.labels) == 5
    assert known.labels[0] == "archery"
    assert expected("slowfast_tiny.synthetic") is None


def test_the_same_five_labels_in_the_same_order(grey_video: Path, tmp_path: Path) -> None:
    known = expected("slow_r50_8x8.ptv_k400")
    assert known is not None
    weights = weights_that_answer("slow_r50_8x8.ptv_k400", known.labels, tmp_path / "w.safetensors")
    found = verify("slow_r50_8x8.ptv_k400", video=grey_video, weights=weights, device="cpu")
    assert found.agrees is True
    assert tuple(prediction.label for prediction in found.predictions) == known.labels
    assert found.to_dict()["expected"] == list(known.labels)


def test_of_x3d_only_the_first_label_means_something(grey_video: Path, tmp_path: Path) -> None:
    weights = weights_that_answer("x3d_s.ptv_k400", ["archery", "zumba"], tmp_path / "w.safetensors")
    assert verify("x3d_s.ptv_k400", video=grey_video, weights=weights, device="cpu").agrees is True
    weights = weights_that_answer("x3d_s.ptv_k400", ["zumba", "archery"], tmp_path / "w.safetensors")
    assert verify("x3d_s.ptv_k400", video=grey_video, weights=weights, device="cpu").agrees is False


def test_where_nothing_is_known_it_checks_that_scores_are_scores() -> None:
    found = verify("slowfast_tiny", device="cpu")
    assert (found.model, found.agrees, found.video) == ("slowfast_tiny.synthetic", None, None)
    assert found.weights.endswith("slowfast_tiny.synthetic/weights.safetensors")
    assert len(found.predictions) == 5


def test_a_network_that_sees_boxes(tmp_path: Path) -> None:
    name = "slow_r50_4x16_det.ptv_ava"
    save_weights(create_model(name), tmp_path / "w.safetensors")
    found = verify(name, weights=tmp_path / "w.safetensors", device="cpu")
    assert (found.agrees, found.predictions) == (None, ())
    with pytest.raises(UsageError, match="video must be None"):
        verify(name, weights=tmp_path / "w.safetensors", video=tmp_path / "any.mp4")


def test_scores_that_do_not_sum_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from twinpath.models.layers.head import Head

    monkeypatch.setattr(Head, "activate", lambda self, logits: logits.sigmoid())
    with pytest.raises(WeightsError, match="scores that sum to"):
        verify("slowfast_tiny.synthetic", device="cpu")


def test_a_file_of_another_network_is_none(tmp_path: Path) -> None:
    save_weights(architecture("slowfast_tiny").build(num_classes=5), tmp_path / "w.safetensors")
    with pytest.raises(WeightsMismatch):
        verify("slowfast_tiny", weights=tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="nothing to compare with"):
        verify("fast_r50_8x8", weights=tmp_path / "w.safetensors")


def test_offline_it_says_where_the_video_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path))
    monkeypatch.setenv("TWINPATH_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(DownloadFailed) as caught:
        archery()
    assert "http://127.0.0.1:9/pytorchvideo/projects/archery.mp4" in str(caught.value)
    assert str(tmp_path / "videos" / "archery.mp4") in str(caught.value)


def test_a_video_put_there_by_hand_is_used(
    grey_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path))
    (tmp_path / "videos").mkdir()
    there = tmp_path / "videos" / "archery.mp4"
    there.write_bytes(grey_video.read_bytes())
    assert archery() == there
    there.with_name("archery.mp4.json").unlink()
    there.write_text("a web page")
    with pytest.raises(NotAVideo):
        archery()
