"""A network with its preprocessing in one module: the same as both one after the other."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from twinpath.models.exportable import Exportable
from twinpath.models.preprocess import Preprocess
from twinpath.models.registry import Output, architecture
from twinpath.zoo.create import input_spec


@pytest.mark.parametrize("output", ["scores", "embed"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_clips(output: Output, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network, spec = architecture("slowfast_tiny").build(), input_spec("slowfast_tiny")
    exportable = Exportable(network, spec, output)
    (zeros,) = exportable.example_inputs(dtype=dtype)
    frames = torch.randint(0, 256, zeros.shape, dtype=torch.uint8)
    with torch.inference_mode():
        expected = getattr(network, output)(Preprocess.of(spec)(frames))
        assert torch.allclose(exportable(frames.to(dtype)), expected, atol=1e-6)


def test_boxes() -> None:
    torch.manual_seed(0)
    network, spec = architecture("slowfast_tiny_det").build(), input_spec("slowfast_tiny_det")
    exportable = Exportable(network, spec, "boxes")
    zeros, boxes = exportable.example_inputs()
    assert zeros.shape[2] == spec.short_side_px
    frames = torch.rand(zeros.shape) * 255
    with torch.inference_mode():
        expected = network.scores(exportable.normalise(frames), boxes)
        assert torch.equal(exportable(frames, boxes), expected)
        assert expected.shape == (2, 12)


def test_it_needs_no_openvino() -> None:
    code = "import sys, twinpath.models.exportable; print('openvino' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
