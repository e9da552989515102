"""A network with its preprocessing in one module: the same as both one after the other."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from twinpath.models.exportable import Exportable
from twinpath.models.preprocess import Preprocess
from twinpath.models.registry import Output, architecture
from twinpath.video.resize import scaled_boxes
from twinpath.zoo.create import input_spec

HEIGHT, WIDTH = 72, 130


def inputs(exportable: Exportable, num_frames: int) -> list[torch.Tensor]:
    """Frames of noise in place of zeros."""
    _, *rest = exportable.example_inputs(num_frames, height=HEIGHT, width=WIDTH)
    torch.manual_seed(1)
    return [torch.randint(0, 256, (1, num_frames, HEIGHT, WIDTH, 3), dtype=torch.uint8), *rest]


@pytest.mark.parametrize("output", ["scores", "embed"])
def test_clips(output: Output) -> None:
    torch.manual_seed(0)
    network, spec = architecture("slowfast_tiny").build(), input_spec("slowfast_tiny")
    exportable = Exportable.of(network, spec, output)
    frames, *plan = inputs(exportable, spec.num_frames)
    with torch.inference_mode():
        expected = getattr(network, output)(Preprocess.of(spec)(frames))
        assert torch.equal(exportable(frames, *plan), expected)


def test_boxes() -> None:
    torch.manual_seed(0)
    network, spec = architecture("slowfast_tiny_det").build(), input_spec("slowfast_tiny_det")
    exportable = Exportable.of(network, spec, "boxes")
    frames, _, *plan = inputs(exportable, spec.num_frames)
    boxes = scaled_boxes(np.array([[3.0, 5.0, 60.0, 70.0]]), HEIGHT, WIDTH, short_side=spec.short_side_px)
    boxes_N5 = torch.from_numpy(np.insert(boxes, 0, 0, axis=1))
    with torch.inference_mode():
        expected = network.scores(Preprocess.of(spec, whole=True)(frames), boxes_N5)
        assert torch.equal(exportable(frames, boxes_N5, *plan), expected)


def test_boxes_need_whole_frames() -> None:
    network, spec = architecture("slowfast_tiny_det").build(), input_spec("slowfast_tiny_det")
    for whole, output in ((False, "boxes"), (True, "scores")):
        with pytest.raises(ValueError, match="boxes need the preprocessing of whole frames"):
            Exportable(network, Preprocess.of(spec, whole=whole), output)


def test_it_needs_no_openvino() -> None:
    code = "import sys, twinpath.models.exportable; print('openvino' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
