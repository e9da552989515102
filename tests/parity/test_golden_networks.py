"""Our networks, given the references' weights in the references' formats, give the references' output.

One golden file holds one network of one reference. `index.csv` says which network of ours it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.golden_weights import (
    GOLDEN,
    INDEX,
    OTHER_NETWORK,
    golden,
    golden_clip,
    without_first_values,
    write_caffe2_checkpoint,
    write_golden_checkpoint,
)
from twinpath.models.layers.head import HeadConfig
from twinpath.models.layers.resnet import slow_frames
from twinpath.weights.load import load_weights
from twinpath.zoo.create import resolve

NAMING = {"ptv": "pytorchvideo", "psf": "pyslowfast", "tv_": "torchvision"}
ACTIVATED = ("ptv_r2plus1d_r50", "ptv_slow_r50_detection", "ptv_slowfast_r50_detection")
# Compared by `make test-slow` only: `make test` compares the golden that stands behind, which is of the same
# network with fewer frames, or has the same kinds of blocks and the same naming; names and shapes of all of
# them are in tests/unit/models/test_every_network.py.
COVERED_BY = {
    "psf_Kinetics_I3D_8x8_R101": "psf_Kinetics_I3D_8x8_R50",
    "psf_Kinetics_I3D_NLN_8x8_R50": "psf_Kinetics_c2_I3D_NLN_8x8_R50",
    "psf_Kinetics_MVIT_B_32x3_CONV": "psf_Kinetics_MVIT_B_16x4_CONV",
    "psf_Kinetics_MVITv2_B_32x3": "psf_Kinetics_MVITv2_S_16x4",
    "psf_Kinetics_MVITv2_L_40x3_test": "psf_Kinetics_MVITv2_S_16x4",
    "psf_Kinetics_SLOWFAST_8x8_R50_stepwise_multigrid": "psf_Kinetics_SLOWFAST_8x8_R50",
    "psf_Kinetics_X3D_L": "psf_Kinetics_X3D_S",
    "psf_Kinetics_X3D_M": "psf_Kinetics_X3D_S",
    "psf_Kinetics_c2_SLOWFAST_8x8_R101_101_101": "ptv_slowfast_r101",
    "psf_Kinetics_c2_SLOWFAST_8x8_R101_50_50": "psf_AVA_c2_SLOWFAST_32x2_R101_50_50",
    "psf_Kinetics_c2_SLOWFAST_16x8_R101_50_50": "psf_AVA_c2_SLOWFAST_32x2_R101_50_50",
    "psf_Kinetics_c2_SLOWFAST_NLN_16x8_R101_50_50": "psf_Kinetics_SLOWFAST_NLN_8x8_R50",
    "psf_AVA_c2_SLOWFAST_64x2_R101_50_50": "psf_AVA_c2_SLOWFAST_32x2_R101_50_50",
    "ptv_slowfast_16x8_r101_50_50": "psf_AVA_c2_SLOWFAST_32x2_R101_50_50",
    "ptv_mvit_base_32x3": "ptv_mvit_base_16x4",
    "ptv_x3d_l": "ptv_x3d_s",
    "ptv_x3d_m": "ptv_x3d_s",
}
CAFFE2 = (
    "psf_Kinetics_SLOW_4x16_R50",
    "psf_Kinetics_SLOWFAST_8x8_R50",
    "psf_Kinetics_c2_I3D_NLN_8x8_R50",
)


def readout_of(name: str) -> HeadConfig:
    """How this upstream reads its head at test time."""
    activation = "sigmoid" if "AVA" in name or "detection" in name else "softmax"
    return HeadConfig(activation, "scores" if name.startswith("psf") else "logits")


def check_against_golden(name: str, checkpoint: Path) -> str:
    """Load, run and compare; give whose names the file had."""
    figures = golden(name)
    network, record = resolve(OTHER_NETWORK.get(name, INDEX[name]))
    options = {**options_of(figures), **(record.options if record else {})}
    with without_first_values():
        model = network.build(head_config=readout_of(name), **options)
    model.eval()
    report = load_weights(model, checkpoint)
    checkpoint.unlink()
    assert sum(p.numel() for p in model.parameters()) == figures["num_params"]
    inputs = [golden_clip(figures)]
    if "boxes_batchindex_xyxy_px" in figures:
        inputs.append(torch.tensor(figures["boxes_batchindex_xyxy_px"]))
    with torch.inference_mode():
        activated = "output_is" in figures or name in ACTIVATED
        output = model.scores(*inputs) if activated else model(*inputs)
    expected = np.array(figures["output"]).reshape(figures["output_shape"])
    assert output.shape == expected.shape
    assert np.abs(output.numpy() - expected).max() <= 1e-4 * np.abs(expected).max()
    return report.naming


def options_of(figures: dict[str, Any]) -> dict[str, Any]:
    """The golden's classes and frames, where the network's own are others."""
    options = {"num_classes": figures["output_shape"][1], "num_frames": figures["input"]["frames"]}
    if "SHORT" in figures["name"]:
        options["aligned"] = True
    return options


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in COVERED_BY)) for name in INDEX]
)
def test_output_is_the_references(name: str, tmp_path: Path) -> None:
    naming = check_against_golden(name, write_golden_checkpoint(name, tmp_path / "weights.pyth"))
    assert naming == NAMING[name[:3]]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * ("SLOWFAST" in name)) for name in CAFFE2]
)
def test_output_is_the_references_from_a_caffe2_file(name: str, tmp_path: Path) -> None:
    assert check_against_golden(name, write_caffe2_checkpoint(golden(name), tmp_path / "w.pkl")) == "caffe2"


def test_every_golden_file_is_compared() -> None:
    assert {*COVERED_BY, *COVERED_BY.values()} <= set(INDEX)
    assert not {*COVERED_BY} & {*COVERED_BY.values()}
    assert {p.stem for p in (GOLDEN / "models").glob("*.json")} == set(INDEX)


@pytest.mark.parametrize(
    ("num_frames", "alpha", "indices"), json.loads((GOLDEN / "rules" / "slow_pathway.json").read_text())
)
def test_slow_pathway_takes_the_references_frames(num_frames: int, alpha: int, indices: list[int]) -> None:
    assert slow_frames(num_frames, alpha).tolist() == indices
