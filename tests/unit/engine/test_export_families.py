"""Networks of every family as graphs of ONNX and OpenVINO: each computes what torch computes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.check_exports import random_card, randomise
from tests.support.narrow_networks import CROP, narrow, same_when_narrow, small
from twinpath.engine.export import export_network
from twinpath.models.registry import ARCHITECTURES
from twinpath.zoo.create import input_spec
from twinpath.zoo.model_card import worst

# `make test` tries these, narrow and for small clips; `make test-slow` all others.
SMALL = {
    "slow_nln_r50_4x16",
    "slowfast_nln_r50_4x16",
    "slow_r50_4x16_det",
    "slowfast_r101_8x8_det",
    "x3d_xs",
    "mvit_v1_b",
    "mvit_v2_s_16x4",
    "vit_b_16x4",
    "rev_mvit_b_16x4",
    "mc3_18",
    "s3d",
}
OTHERS = {names[0] for names in same_when_narrow().values() if not SMALL & {*names}}


@pytest.mark.parametrize(
    "name", [*sorted(SMALL), *(pytest.param(name, marks=pytest.mark.slow) for name in sorted(OTHERS))]
)
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_a_narrow_network_computes_what_torch_computes(name: str, format: Any, tmp_path: Path) -> None:
    network = small(name, num_classes=5, **narrow(name)).eval()
    randomise(network)
    frames = min(ARCHITECTURES[name].num_frames, 8)
    spec = replace(input_spec(name), num_frames=frames, short_side_px=CROP, crop_px=CROP, resize_px=None)
    made = export_network(network, random_card(name, network, spec), tmp_path / "out", format=format)
    assert {figure.clips for figure in made.card.parity} == {1, 2, 5}
    scores, _, same = worst(made.card.parity)
    assert scores <= 1e-4
    assert same


def test_every_family_is_tried() -> None:
    assert {ARCHITECTURES[name].family for name in SMALL} == {a.family for a in ARCHITECTURES.values()}


@pytest.mark.slow
def test_whole_networks() -> None:
    """The script that checks all of them, on small ones."""
    command = [sys.executable, "-W", "ignore", "-m", "scripts.check_exports", "x3d_xs", "slow_r50_4x16_det"]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert [line.split(" ")[1] for line in done.stdout.splitlines()[2:]] == ["x3d_xs", "slow_r50_4x16_det"]
    assert "DIFFERS" not in done.stdout
