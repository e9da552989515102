"""From a torch network to an OpenVINO one, with its preprocessing inside. Done once; imports torch."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout

import torch
from torch import Tensor, nn

from twinpath.engine.config import Output
from twinpath.engine.openvino_import import ov
from twinpath.models.input_spec import InputSpec
from twinpath.models.preprocess import Preprocess

logger = logging.getLogger(__name__)


class NotConvertible(Exception):
    """OpenVINO does not know an operation of this network. Its caller goes on with torch."""


class _WithPreprocessing(nn.Module):
    """From frames, and boxes where they are asked for, to what the network tells of them."""

    def __init__(self, network: nn.Module, preprocess: Preprocess, output: Output) -> None:
        super().__init__()
        self.network, self.preprocess, self.output = network, preprocess, output

    def forward(self, frames_NTHWC: Tensor, *given: Tensor) -> Tensor:
        *boxes, _, _, _, _, _, _ = given
        clips = self.preprocess.crops(frames_NTHWC, *given[len(boxes) :])
        result: Tensor = getattr(self.network, "embed" if self.output == "embed" else "scores")(clips, *boxes)
        return result


def convert(network: nn.Module, spec: InputSpec, *, output: Output = "scores") -> ov.Model:
    """Convert a network.

    Args:
        network: In evaluation mode from here on.
        spec: Its input.
        output: The method of the network that the graph computes; "boxes": `scores` of a detection network.
    Returns:
        A model that takes uint8 frames (1, T, H, W, 3) of any height and width, and the six arrays of a
        `CropPlan` of one crop; it gives (1, classes or D) float32. For "boxes" the plan is of the whole
        picture; before it come boxes (N, 5) as the network takes them, and it gives (N, classes).
    Raises:
        NotConvertible: OpenVINO does not take it; says why.
    """
    preprocess = Preprocess(
        short_side=spec.short_side_px,
        crop=None if output == "boxes" else spec.crop_px,
        mean=spec.mean,
        std=spec.std,
        resize=spec.resize_px,
    )
    frames = torch.zeros((1, spec.num_frames, 240, 320, 3), dtype=torch.uint8)
    plan = [torch.from_numpy(array) for array in preprocess.plan(240, 320).arrays()]
    boxes = [torch.tensor([[0.0, 8, 8, 40, 60], [0, 3, 9, 90, 70]])] if output == "boxes" else []
    module = _WithPreprocessing(network.eval(), preprocess, output)
    example = (frames, *boxes, *plan)
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
    shapes = [[1, spec.num_frames, -1, -1, 3], *([-1, 5] for _ in boxes)]
    shapes += [[1, -1] if output == "boxes" else list(array.shape) for array in plan]
    model.reshape({model.inputs[i]: ov.PartialShape(shape) for i, shape in enumerate(shapes)})
    return model
