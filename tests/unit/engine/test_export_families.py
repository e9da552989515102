"""Networks of every family as graphs of ONNX and OpenVINO: each computes what torch computes."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from scripts.check_exports import random_card, randomise
from tests.support.narrow_networks import CROP, narrow, same_when_narrow, small
from twinpath.engine.export import export_network
from twinpath.engine.onnx_import import ort
from twinpath.engine.openvino_import import ov
from twinpath.models.registry import ARCHITECTURES
from twinpath.models.rewrites import slow_frames_first
from twinpath.models.slowfast import SlowFast
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


class _SlowFrames(nn.Module):
    """The frames of the slow pathway, from frames as they come."""

    def __init__(self, network: SlowFast) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames_NTHWC: torch.Tensor) -> torch.Tensor:
        return self.network.pathways(frames_NTHWC.float().permute(0, 4, 1, 2, 3))[0]


@pytest.mark.parametrize("rewrite", [lambda network: network, slow_frames_first], ids=["plain", "rewritten"])
def test_graphs_take_the_same_slow_frames(rewrite: Any) -> None:
    """Of 32 frames, 7 / 7 of the way to the last one was the last but one in exported graphs."""
    lengths = {(a.num_frames, a.options["alpha"]) for a in ARCHITECTURES.values() if "alpha" in a.options}
    assert {(32, 4), (32, 8), (64, 4)} <= lengths
    for num_frames, alpha in lengths:
        network = rewrite(small("slowfast_tiny", num_classes=5, alpha=alpha))
        numbered = torch.arange(num_frames, dtype=torch.uint8)[None, :, None, None, None]
        clip = numbered.expand(1, -1, 2, 2, 3)
        wanted = torch.linspace(0, num_frames - 1, num_frames // alpha).long().tolist()
        module = _SlowFrames(network)
        graphs = {
            "torch": module(clip).numpy(),
            "onnx": _of_onnx(module, clip),
            "openvino": _of_openvino(module, clip),
        }
        for name, frames_NCTHW in graphs.items():
            assert frames_NCTHW[0, 0, :, 0, 0].tolist() == wanted, (name, num_frames, alpha)


def _of_onnx(module: nn.Module, clip: torch.Tensor) -> np.ndarray:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (clip,), file, dynamo=False)  # type: ignore[arg-type]  # takes files, too
    session = ort.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: clip.numpy()})[0])


def _of_openvino(module: nn.Module, clip: torch.Tensor) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, (clip,), check_trace=False)  # type: ignore[no-untyped-call]
        model = ov.convert_model(traced, example_input=(clip,))
    model.reshape(
        list(clip.shape)
    )  # as the engine does: then numbers are computed at compilation, and differ
    return np.asarray(ov.compile_model(model, "CPU")([clip.numpy()])[0])


@pytest.mark.slow
def test_whole_networks() -> None:
    """The script that checks all of them, on small ones."""
    command = [sys.executable, "-W", "ignore", "-m", "scripts.check_exports", "x3d_xs", "slow_r50_4x16_det"]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert [line.split(" ")[1] for line in done.stdout.splitlines()[2:]] == ["x3d_xs", "slow_r50_4x16_det"]
    assert "DIFFERS" not in done.stdout
