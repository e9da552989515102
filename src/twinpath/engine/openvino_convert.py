"""From a torch network to an OpenVINO one, with its preprocessing inside. Done once; imports torch."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout

import torch
from torch import nn

from twinpath.cores import has_avx512
from twinpath.engine.openvino_engine import CpuPrecision
from twinpath.engine.openvino_graph import NotConvertible
from twinpath.engine.openvino_import import ov
from twinpath.models.exportable import Exportable
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import Output
from twinpath.models.rewrites import rewritten


def convert(
    network: nn.Module, spec: InputSpec, *, output: Output = "scores", precision: CpuPrecision | None = None
) -> ov.Model:
    """Convert a network.

    Args:
        network: In evaluation mode from here on.
        spec: Its input.
        output: See `Exportable`.
        precision: In which this CPU will compute it: it is rewritten for that, see `models.rewrites`. None:
            it is converted as it is.
    Returns:
        A model that takes what `Exportable.forward` takes, for one clip: float32 frames (1, T, S, S, 3); for
        the output "boxes" frames of any height and width, and boxes (P, 5).
    Raises:
        NotConvertible: OpenVINO does not take it; gives the reason.
    """
    network = network.eval()
    if precision is not None:
        network = rewritten(
            network,
            vector_floats=16 if has_avx512() else 8,
            bf16=precision == "bf16",
            is_fixed_size=output != "boxes",
        )
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
