"""The figures in the embedded models' cards are what the command prints. Minutes: `make test-slow`."""

from __future__ import annotations

from pathlib import Path

import pytest

import twinpath as package
from tests.support.commands import twinpath
from twinpath.zoo.records import record

ASSETS = Path(package.__file__).parent / "assets"
CLASSIFIER, DETECTOR = "slowfast_tiny.synthetic", "slowfast_tiny_det.synthetic"


@pytest.mark.slow
def test_the_embedded_model_is_as_good_as_its_card_says() -> None:
    measured = twinpath("evaluate", "--clips", "1000", "--json", timeout_s=1800).object
    assert measured["top1"] >= 0.95
    # Other processors round otherwise: a clip or two may fall the other way.
    assert 100 * measured["top1"] == pytest.approx(record(CLASSIFIER).top1, abs=0.3)


@pytest.mark.slow
def test_the_embedded_detection_model_is_as_good_as_its_card_says() -> None:
    measured = twinpath("evaluate", DETECTOR, "--clips", "200", "--json", timeout_s=1800).object
    assert measured["frame_map"] >= 0.85
    assert 100 * measured["frame_map"] == pytest.approx(record(DETECTOR).map, abs=0.5)


def test_cards_and_records_state_the_same_accuracy() -> None:
    assert f"**{record(CLASSIFIER).top1} % top-1**" in (ASSETS / f"{CLASSIFIER}.md").read_text()
    assert f"**{record(DETECTOR).map} % frame mAP@0.5**" in (ASSETS / f"{DETECTOR}.md").read_text()


def test_embedded_files_are_small() -> None:
    for name in (CLASSIFIER, DETECTOR):
        assert (ASSETS / name / "weights.safetensors").stat().st_size <= 4_000_000
        assert (ASSETS / name / "model.onnx").stat().st_size <= 4_000_000
