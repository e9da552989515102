"""Detectors of transformers, from a folder with a tiny random network. Nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from tests.support.detector_checks import check_on_strange_pictures, check_people
from twinpath.errors import DownloadFailed, UnknownWeightFormat, UsageError
from twinpath.people.transformers_detector import TransformersDetector

transformers: Any = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:transformers")


def save_model(folder: Path, labels: dict[int, str]) -> Path:
    """An RT-DETR of some thousand parameters, as `save_pretrained` writes it."""
    torch.manual_seed(0)
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.RTDetrConfig(
        backbone_config=backbone, id2label=labels, label2id={label: i for i, label in labels.items()},
        d_model=16, encoder_hidden_dim=16, encoder_in_channels=[8, 8, 8], encoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, num_queries=20,
        decoder_layers=1, decoder_attention_heads=2, encoder_layers=1,
    )  # fmt: skip
    transformers.RTDetrForObjectDetection(config).save_pretrained(folder)
    transformers.RTDetrImageProcessor(size={"height": 96, "width": 96}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"), {0: "cat", 1: "Person", 2: "dog"})


@pytest.fixture(scope="module")
def detector(model_folder: Path) -> TransformersDetector:
    return TransformersDetector(str(model_folder), device="cpu", min_score=0.0)


def test_finds_the_class_that_is_called_person(detector: TransformersDetector) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (90, 120, 3), dtype=np.uint8), np.zeros((60, 40, 3), np.uint8)]
    answers = detector(pictures, [0.0, 1.0])
    for people, picture in zip(answers, pictures, strict=True):
        check_people(people, picture)
    assert 0 < sum(map(len, answers)) < 40  # of 20 queries each some are cats and dogs


def test_dfine(tmp_path: Path) -> None:
    """The default detector's family, tiny and random."""
    labels = {0: "cat", 1: "person"}
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 8, 8], stage_in_channels=[8, 16, 16, 16], stage_mid_channels=[8] * 4,
        stage_out_channels=[16] * 4, stage_num_blocks=[1] * 4, stage_numb_of_layers=[1] * 4,
        hidden_sizes=[16] * 4, depths=[1] * 4, out_features=["stage2", "stage3", "stage4"], embedding_size=8,
    )  # fmt: skip
    config = transformers.DFineConfig(
        backbone_config=backbone, id2label=labels, label2id={label: i for i, label in labels.items()},
        d_model=16, encoder_hidden_dim=16, encoder_in_channels=[16] * 3, encoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_in_channels=[16] * 3, decoder_ffn_dim=16, num_queries=20,
        decoder_layers=2, decoder_attention_heads=2, encoder_layers=1, max_num_bins=8,
    )  # fmt: skip
    transformers.DFineForObjectDetection(config).save_pretrained(tmp_path)
    transformers.RTDetrImageProcessor(size={"height": 96, "width": 96}).save_pretrained(tmp_path)
    picture = np.zeros((60, 40, 3), np.uint8)
    (people,) = TransformersDetector(str(tmp_path), device="cpu", min_score=0.0)([picture], [0.0])
    check_people(people, picture)
    assert 0 < len(people) <= 20


def test_strange_pictures(detector: TransformersDetector) -> None:
    check_on_strange_pictures(detector)


def test_scores_below_the_lowest_are_left_out(model_folder: Path) -> None:
    picture = np.zeros((60, 40, 3), np.uint8)
    assert [
        len(people) for people in TransformersDetector(str(model_folder), min_score=0.999)([picture], [0.0])
    ] == [0]


def test_a_model_without_people(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no class 'person' among its 2 \(cat, dog"):
        TransformersDetector(str(save_model(tmp_path, {0: "cat", 1: "dog"})))


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(UnknownWeightFormat, match="holds no detector of transformers") as caught:
        TransformersDetector(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_code_in_a_folder_is_not_run(model_folder: Path, tmp_path: Path) -> None:
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (model_folder / name).exists():
            (tmp_path / name).write_bytes((model_folder / name).read_bytes())
    (tmp_path / "modeling_evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    config = {"model_type": "evil", "auto_map": dict.fromkeys(
        ("AutoConfig", "AutoModelForObjectDetection"), "modeling_evil.Evil"
    )}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnknownWeightFormat):
        TransformersDetector(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_are_not_read(model_folder: Path, tmp_path: Path) -> None:
    for path in model_folder.iterdir():
        if path.suffix == ".json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UnknownWeightFormat, match="safetensors"):
        TransformersDetector(str(tmp_path))


def test_a_name_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadFailed, match="dfine=FOLDER") as caught:
        TransformersDetector("nobody/no-such-detector")
    assert "HF_HUB_OFFLINE" in str(caught.value)
    assert "https://huggingface.co/nobody/no-such-detector" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [404, None])
def test_a_name_that_cannot_be_had_is_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], status: int | None
) -> None:
    """No minutes of retries and no lines of another library: one error, at once."""
    requested = []

    def head(url: str, **_: object) -> httpx.Response:
        requested.append(url)
        if status is None:
            raise httpx.ConnectError("nobody there")
        return httpx.Response(status)

    monkeypatch.setattr(httpx, "head", head)
    with pytest.raises(DownloadFailed, match="nobody there" if status is None else "HTTP 404"):
        TransformersDetector("nobody/no-such-detector")
    assert requested == ["https://huggingface.co/nobody/no-such-detector/resolve/main/config.json"]
    assert capfd.readouterr().err == ""
