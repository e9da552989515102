"""From a torch network to an OpenVINO one, with its preprocessing inside. Done once; imports torch."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout

import torch
from torch import nn

from twinpath.engine.openvino_graph import NotConvertible
from twinpath.engine.openvino_import import ov
from twinpath.models.exportable import Exportable
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import Output


def convert(network: nn.Module, spec: InputSpec, *, output: Output = "scores") -> ov.Model:
    """Convert a network.

    Args:
        network: In evaluation mode from here on.
        spec: Its input.
        output: See `Exportable`.
    Returns:
        A model that takes what `Exportable.forward` takes, for one clip: float32 frames (1, T, S, S, 3); for
        the output "boxes" frames of any height and width, and boxes (P, 5).
    Raises:
        NotConvertible: OpenVINO does not take it; gives the reason.
    """
    module = Exportable(network, spec, output)
    example = module.example_inputs()
    try:
        with torch.no_grad(), warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # about Python numbers in a trace: every other size is fixed
            # Traced here, since OpenVINO's own tracing runs the network five times.
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                module, example, check_trace=False, strict=False
            )
            model: ov.Model = ov.convert_model(traced, example_input=example)
    except Exception as error:  # the frontend raises whatever its parts raise
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise NotConvertible(first) from error
    if output == "boxes":
        model.reshape({0: ov.PartialShape([1, spec.num_frames, -1, -1, 3]), 1: ov.PartialShape([-1, 5])})
    else:
        model.reshape({0: ov.PartialShape(list(example[0].shape))})
    return model
