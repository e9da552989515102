"""A network and its normalisation in one module: what OpenVINO compiles, and what an export writes."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from twinpath.models.detection import DetectionNetwork
from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork
from twinpath.models.preprocess import Normalise
from twinpath.models.registry import Output

EXAMPLE_BOXES = ((0.0, 8.0, 8.0, 40.0, 60.0), (0.0, 3.0, 9.0, 90.0, 70.0))


class Exportable(nn.Module):
    """Resized frames in, scores or embeddings out.

    Args:
        network: A network of `twinpath.models`; in evaluation mode from here on.
        spec: Its input.
        output: What is computed: "scores" or "embed" of the clip, or scores of "boxes".
    """

    def __init__(self, network: nn.Module, spec: InputSpec, output: Output = "scores") -> None:
        super().__init__()
        self.network, self.spec, self.output = network.eval(), spec, output
        self.normalise = Normalise(mean=spec.mean, std=spec.std)

    def forward(self, frames_NTHWC: Tensor, *boxes: Tensor) -> Tensor:
        """Compute the output.

        Args:
            frames_NTHWC: (N, T, S, S, 3) RGB, 0 to 255, float32 or uint8: crops of the size of the spec. For
                the output "boxes" whole frames (N, T, h, w, 3), resized to the short side of the spec.
            boxes: For the output "boxes" only: (P, 5), index of the clip, x1, y1, x2, y2 in pixels of the
                resized frames.
        Returns:
            float32: (N, classes), (N, D), or (P, classes) for boxes.
        """
        method = "embed" if self.output == "embed" else "scores"
        result: Tensor = getattr(self.network, method)(self.normalise(frames_NTHWC), *boxes)
        return result

    def example_inputs(self, *, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
        """Inputs of `forward` to trace it with: one clip of zeros, and two boxes for the output "boxes"."""
        spec = self.spec
        if self.output != "boxes":
            return (torch.zeros((1, spec.num_frames, spec.crop_px, spec.crop_px, 3), dtype=dtype),)
        side = spec.short_side_px
        frames = torch.zeros((1, spec.num_frames, side, side + side // 3, 3), dtype=dtype)
        return frames, torch.tensor(EXAMPLE_BOXES)


class ExportedNetwork(nn.Module):
    """What an exported graph computes: uint8 frames in; scores and embeddings out, or scores of boxes.

    Args:
        network: A network of `twinpath.models`; in evaluation mode from here on.
        spec: Its input.
    """

    def __init__(self, network: VideoNetwork, spec: InputSpec) -> None:
        super().__init__()
        self.network, self.spec = network.eval(), spec
        self.is_detector = isinstance(network, DetectionNetwork)
        self.normalise = Normalise(mean=spec.mean, std=spec.std)

    def forward(self, frames: Tensor, boxes: Tensor | None = None) -> tuple[Tensor, ...]:
        """Compute all outputs at once.

        Args:
            frames: (N, T, S, S, 3) RGB uint8; of a detection network whole frames (N, T, h, w, 3).
            boxes: Of a detection network: (P, 5), see `Exportable.forward`.
        Returns:
            float32: scores (N, classes) and embeddings (N, D); or scores (P, classes) alone.
        """
        clip = self.normalise(frames.float())  # the cast comes first: engines with float32 frames take it out
        if boxes is not None:
            detector = cast(DetectionNetwork, self.network)
            return (detector.scores(clip, boxes),)
        features = self.network.forward_features(clip)
        return self.network.head.scores(features), self.network.head.embed(features)

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Inputs to trace it with: two clips of zeros, since a batch of one may be taken for a constant."""
        spec = self.spec
        if not self.is_detector:
            return (torch.zeros((2, spec.num_frames, spec.crop_px, spec.crop_px, 3), dtype=torch.uint8),)
        side = spec.short_side_px
        frames = torch.zeros((2, spec.num_frames, side, side + side // 4, 3), dtype=torch.uint8)
        return frames, torch.tensor([*EXAMPLE_BOXES, (1.0, 5.0, 5.0, 60.0, 60.0)])
