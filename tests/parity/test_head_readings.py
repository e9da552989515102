"""Checkpoints under a network's bare name give their upstream's figures: nobody says how to read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.golden_weights import INDEX, golden, golden_clip, write_golden_checkpoint
from twinpath.zoo.create import load_network, resolve

NAMES = ("psf_AVA_SLOW_8x8_R50_SHORT", "ptv_slow_r50_detection")


@pytest.mark.parametrize("name", NAMES)
def test_a_detectors_bare_name(name: str, tmp_path: Path) -> None:
    figures, path = golden(name), write_golden_checkpoint(name, tmp_path / "weights.pyth")
    network = load_network(resolve(INDEX[name])[0].name, path).eval()
    path.unlink()
    with torch.inference_mode():
        boxes = torch.tensor(figures["boxes_batchindex_xyxy_px"])
        scores = network.scores(golden_clip(figures), boxes)  # type: ignore[call-arg]
    expected = np.array(figures["output"]).reshape(figures["output_shape"])
    assert network.head.aligned is name.startswith("psf")
    assert np.abs(scores.numpy() - expected).max() <= 1e-4 * np.abs(expected).max()
