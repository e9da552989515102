"""The ONNX Runtime backend: an exported graph on the CPU. It imports no torch.

The graph takes uint8 frames and casts them to float32. Frames are resized already here, and float32: the
type of the input is changed before the graph is loaded, so that nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.base import (
    Boxes,
    Clips,
    box_inputs,
    check_crops,
    last_line,
    paired_boxes,
    resized,
    zero_inputs,
)
from twinpath.engine.config import EngineConfig
from twinpath.errors import LimitExceeded, MissingExtra, UnknownWeightFormat, UsageError, is_out_of_memory
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import Output
from twinpath.paths import display_path

OUTPUT_NAMES: dict[Output, str] = {"scores": "scores", "boxes": "scores", "embed": "embeddings"}
INSTALL = "pip install 'twinpath[onnx]'"


class OnnxEngine:
    """See `Engine`. One clip at a time, on all cores.

    Args:
        graph: An ONNX file as `engine.export` writes it.
        spec: Size and crop of its input.
        output: What is computed.
        num_crops: 1 or 3 crops of each clip in space.
        num_classes: Classes of the network.
        model: Its name, for messages.
        config: Threads.
    Raises:
        MissingExtra: onnx or onnxruntime is not installed.
        UnknownWeightFormat: The file is no such graph.
        UsageError: The device or precision is none that it has.
    """

    name = "onnxruntime"
    batch_clips = 1

    def __init__(
        self,
        graph: Path,
        spec: InputSpec,
        *,
        output: Output = "scores",
        num_crops: int = 1,
        num_classes: int,
        model: str = "the network",
        config: EngineConfig = EngineConfig(),
    ) -> None:
        check_crops(output, num_crops)
        if config.device not in ("auto", "cpu"):
            raise UsageError(f"engine 'onnxruntime' runs on the CPU, not on {config.device}")
        if config.precision not in ("auto", "fp32"):
            raise UsageError(f"engine 'onnxruntime' computes in fp32, not in {config.precision}")
        self.spec, self.output, self.num_crops = spec, output, num_crops
        self.resize = spec.resize(num_crops=num_crops, whole=output == "boxes")
        self._num_classes, self._model = num_classes, model
        self._session = _session(graph, config.threads)
        names = {node.name for node in self._session.get_inputs()}
        wanted = {"frames", "boxes"} if output == "boxes" else {"frames"}
        if names != wanted or OUTPUT_NAMES[output] not in {node.name for node in self._session.get_outputs()}:
            raise UnknownWeightFormat(f"{display_path(graph)} has other inputs or outputs than {model} needs")

    @property
    def num_classes(self) -> int:
        """Classes of the network."""
        return self._num_classes

    def describe(self) -> str:
        """For people: backend, version, device, precision."""
        from twinpath.engine.onnx_import import ort

        return f"{self.name} {ort.__version__}, cpu, fp32"

    def with_crops(self, num_crops: int) -> OnnxEngine:
        """The same graph on 1 or 3 crops of each clip."""
        import copy

        check_crops(self.output, num_crops)
        other = copy.copy(self)
        other.num_crops = num_crops
        other.resize = self.spec.resize(num_crops=num_crops, whole=self.output == "boxes")
        return other

    def warm_up(self, height: int, width: int) -> None:
        """Compute one clip of zeros, so that the first clip of this size is not slower than others."""
        self(*zero_inputs(self.spec, self.output, height, width))

    def __call__(
        self, clips: Clips, boxes_xyxy_px: Sequence[Boxes] | None = None
    ) -> list[NDArray[np.float32]]:
        """Compute the output for some clips; see `Engine`. A clip without boxes costs nothing."""
        boxes = paired_boxes(self.output, clips, boxes_xyxy_px)
        if self.output != "boxes":
            found = (resized(clip, self.resize).pixels for clip in clips)
            return [self._run(frames=np.ascontiguousarray(pixels.swapaxes(0, 1))) for pixels in found]
        return [self._of_boxes(clip, of_clip) for clip, of_clip in zip(clips, boxes, strict=True)]

    def _of_boxes(self, frames: Any, boxes_xyxy_px: Boxes) -> NDArray[np.float32]:
        """(P, classes)."""
        if not len(boxes_xyxy_px):
            return np.zeros((0, self.num_classes), dtype=np.float32)
        pixels, boxes = box_inputs(frames, boxes_xyxy_px, self.resize)
        return self._run(frames=pixels, boxes=boxes)

    def _run(self, **inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            (found,) = self._session.run([OUTPUT_NAMES[self.output]], inputs)
        except Exception as error:
            if is_out_of_memory(error):
                raise LimitExceeded(
                    f"one clip of {self.spec.num_frames} frames needs more memory for {self._model} than "
                    "there is; scale the video down, or free memory"
                ) from error
            raise UsageError(
                f"ONNX Runtime fails to run {self._model} ({last_line(error)}); choose another engine"
            ) from error
        return np.asarray(found, dtype=np.float32)


def _session(graph: Path, threads: int | None) -> Any:
    """The graph, loaded with float32 frames."""
    try:
        import onnx

        from twinpath.engine.onnx_import import ort
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"engine 'onnxruntime' needs the package {error.name}; install it with: {INSTALL}"
        ) from error
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        model = onnx.load(graph)
        for node in model.graph.input:
            node.type.tensor_type.elem_type = onnx.TensorProto.FLOAT  # the cast behind it does nothing then
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UnknownWeightFormat(
            f"{display_path(graph)} is no graph that ONNX Runtime reads: {last_line(error)}"
        ) from error
