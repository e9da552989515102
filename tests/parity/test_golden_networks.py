"""Our networks, given the references' weights in the references' formats, give the references' output."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from golden_weights import GOLDEN, golden, golden_clip, write_caffe2_checkpoint, write_golden_checkpoint
from twinpath.models.layers.resnet import slow_frames
from twinpath.models.registry import ARCHITECTURES, architecture
from twinpath.weights.load import load_weights

NETWORK_OF = {
    "ptv_slow_r50": "slow_r50_8x8",
    "ptv_slowfast_r50": "slowfast_r50_8x8",
    "ptv_slowfast_r101": "slowfast_r101_8x8",
    "ptv_slowfast_16x8_r101_50_50": "slowfast_r101_16x8",
    "psf_Kinetics_SLOW_4x16_R50": "slow_r50_4x16",
    "psf_Kinetics_SLOW_8x8_R50": "slow_r50_8x8",
    "psf_Kinetics_SLOWFAST_4x16_R50": "slowfast_r50_4x16",
    "psf_Kinetics_SLOWFAST_8x8_R50": "slowfast_r50_8x8",
    "psf_Kinetics_SLOWFAST_8x8_R50_stepwise_multigrid": "slowfast_r50_8x8",
    "psf_Kinetics_c2_SLOWFAST_16x8_R101_50_50": "slowfast_r101_16x8",
    "psf_Kinetics_c2_SLOWFAST_8x8_R101_101_101": "slowfast_r101_8x8",
    "psf_Kinetics_c2_SLOWFAST_8x8_R101_50_50": "slowfast_r101_50_50_8x8",
}
CAFFE2 = ("psf_Kinetics_SLOW_4x16_R50", "psf_Kinetics_SLOWFAST_8x8_R50")


def check_against_golden(name: str, checkpoint: Path) -> str:
    """Load, run and compare; give whose names the file had."""
    figures = golden(name)
    model = architecture(NETWORK_OF[name]).build(averaging="scores" if name.startswith("psf") else "logits")
    model.eval()
    report = load_weights(model, checkpoint)
    checkpoint.unlink()
    assert sum(p.numel() for p in model.parameters()) == figures["num_params"]
    assert report.loaded == len(figures["state"])
    with torch.inference_mode():
        clip = golden_clip(figures)
        output = model.scores(clip) if "output_is" in figures else model(clip)
    expected = np.array(figures["output"]).reshape(figures["output_shape"])
    assert output.shape == expected.shape
    assert np.abs(output.numpy() - expected).max() <= 1e-4 * np.abs(expected).max()
    return report.naming


@pytest.mark.parametrize("name", NETWORK_OF)
def test_output_is_the_references(name: str, tmp_path: Path) -> None:
    naming = check_against_golden(name, write_golden_checkpoint(name, tmp_path / "weights.pyth"))
    assert naming == {"ptv": "pytorchvideo", "psf": "pyslowfast"}[name[:3]]


@pytest.mark.parametrize("name", CAFFE2)
def test_output_is_the_references_from_a_caffe2_file(name: str, tmp_path: Path) -> None:
    assert check_against_golden(name, write_caffe2_checkpoint(golden(name), tmp_path / "w.pkl")) == "caffe2"


def test_every_golden_file_is_compared() -> None:
    assert {p.stem for p in (GOLDEN / "models").glob("p*_slow*.json")} <= set(NETWORK_OF)
    assert set(NETWORK_OF.values()) <= set(ARCHITECTURES)


@pytest.mark.parametrize(
    ("num_frames", "alpha", "indices"), json.loads((GOLDEN / "rules" / "slow_pathway.json").read_text())
)
def test_slow_pathway_takes_the_references_frames(num_frames: int, alpha: int, indices: list[int]) -> None:
    assert slow_frames(num_frames, alpha).tolist() == indices
