"""A network and its preprocessing in one module: what OpenVINO compiles and what an export writes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from twinpath.models.input_spec import InputSpec
from twinpath.models.preprocess import Preprocess
from twinpath.models.registry import Output

EXAMPLE_BOXES = ((0.0, 8.0, 8.0, 40.0, 60.0), (0.0, 3.0, 9.0, 90.0, 70.0))


class Exportable(nn.Module):
    """uint8 frames of any size in, scores or embeddings out.

    Sizes that depend on the frames come in as arrays beside them (`models.resample.crop_plan`), so that one
    traced graph takes frames of every height and width.

    Args:
        network: A network of `twinpath.models`; in evaluation mode from here on.
        preprocess: Of one crop; for the output "boxes" of whole frames.
        output: What is computed: "scores" or "embed" of the clip, or scores of "boxes".
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess, output: Output = "scores") -> None:
        super().__init__()
        if preprocess.num_crops != 1 or (preprocess.crop is None) != (output == "boxes"):
            raise ValueError("boxes need the preprocessing of whole frames, other outputs that of one crop")
        self.network, self.preprocess, self.output = network.eval(), preprocess, output

    @classmethod
    def of(cls, network: nn.Module, spec: InputSpec, output: Output = "scores") -> Exportable:
        """With the preprocessing that an input needs."""
        return cls(network, Preprocess.of(spec, whole=output == "boxes"), output)

    def forward(self, frames_NTHWC: Tensor, *inputs: Tensor) -> Tensor:
        """Compute the output.

        Args:
            frames_NTHWC: (N, T, H, W, 3) uint8, RGB.
            inputs: For the output "boxes" first (P, 5) boxes: index of the clip, x1, y1, x2, y2 in pixels of
                the resized frames. Then the six arrays of a `CropPlan`, (1, S) each.
        Returns:
            float32: (N, classes), (N, D), or (P, classes) for boxes.
        """
        num_boxes = int(self.output == "boxes")
        clips = self.preprocess.crops(frames_NTHWC, *inputs[num_boxes:])
        method = "embed" if self.output == "embed" else "scores"
        result: Tensor = getattr(self.network, method)(clips, *inputs[:num_boxes])
        return result

    def example_inputs(self, num_frames: int, *, height: int = 240, width: int = 320) -> tuple[Tensor, ...]:
        """Inputs of `forward` to trace it with: one clip of zeros of this size in pixels, and two boxes."""
        frames = torch.zeros((1, num_frames, height, width, 3), dtype=torch.uint8)
        plan = [torch.from_numpy(array) for array in self.preprocess.plan(height, width).arrays()]
        boxes = [torch.tensor(EXAMPLE_BOXES)] if self.output == "boxes" else []
        return frames, *boxes, *plan
