"""From an exported graph (ONNX, or OpenVINO's IR) to a network to compile. It imports no torch.

An exported graph takes uint8 `frames` (N, T, S, S, 3), which it casts to float32, and for detection `boxes`
(P, 5). Its outputs are `scores` and, for networks of clips, `embeddings`. In this process frames are resized
already and float32: the cast is taken out, so that nothing is rounded.
"""

from __future__ import annotations

from pathlib import Path

from twinpath.engine.base import last_line
from twinpath.engine.openvino_import import ov
from twinpath.errors import UnknownWeightFormat, WeightsMismatch
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import Output
from twinpath.paths import display_path

FRAMES, BOXES = "frames", "boxes"
OUTPUT_NAMES: dict[Output, str] = {"scores": "scores", "boxes": "scores", "embed": "embeddings"}


class NotConvertible(Exception):
    """OpenVINO does not know an operation of this network. The caller goes on with torch."""


def read_graph(path: Path, spec: InputSpec, *, output: Output) -> ov.Model:
    """Read a graph for one clip.

    Args:
        path: The file; of an IR the .xml, beside which its .bin lies.
        spec: Its input.
        output: What is computed; the rest of the graph is left out.
    Returns:
        A model as `openvino_convert.convert` makes it: of float32 frames (1, T, S, S, 3), for the output
        "boxes" of frames (1, T, h, w, 3) and boxes (P, 5).
    Raises:
        UnknownWeightFormat: OpenVINO does not read the file.
        WeightsMismatch: The graph has other inputs or outputs, or does not take clips of this size.
    """
    try:
        model = ov.Core().read_model(path)
    except RuntimeError as error:
        raise UnknownWeightFormat(
            f"{display_path(path)} is no graph that OpenVINO reads: {last_line(error)}"
        ) from error
    names = [FRAMES, BOXES] if output == "boxes" else [FRAMES]
    inputs = {name: node for node in model.inputs for name in node.get_names()}
    outputs = {name: node for node in model.outputs for name in node.get_names()}
    wanted = OUTPUT_NAMES[output]
    if len(model.inputs) != len(names) or not inputs.keys() >= {*names} or wanted not in outputs:
        raise _mismatch(
            path,
            f"it has the inputs {', '.join(sorted(inputs))} and outputs {', '.join(sorted(outputs))}, "
            f"not {' and '.join(names)} and {wanted}",
        )
    side = -1 if output == "boxes" else spec.crop_px
    frames = ov.opset13.parameter([1, spec.num_frames, side, side, 3], ov.Type.f32, FRAMES)
    frames.output(0).set_names({FRAMES})
    try:
        _replace_frames(inputs[FRAMES], frames.output(0))
        parameters = [frames, *(inputs[name].get_node() for name in names[1:])]
        return ov.Model([outputs[wanted].get_node().input_value(0)], parameters, path.stem)
    except (RuntimeError, ValueError) as error:
        raise _mismatch(path, last_line(error)) from error


def with_float_frames(model: ov.Model) -> ov.Model:
    """A graph for one clip with all its outputs, which takes float32 frames; see `read_graph`.

    Args:
        model: An exported graph; it is used up.
    """
    given, *others = model.inputs
    shape = given.get_partial_shape()
    shape[0] = 1
    frames = ov.opset13.parameter(shape, ov.Type.f32, FRAMES)
    frames.output(0).set_names({FRAMES})
    _replace_frames(given, frames.output(0))
    return _of_same_outputs(model, frames, others)


def with_uint8_frames(model: ov.Model) -> ov.Model:
    """The reverse of `with_float_frames`: a graph for any number of clips, which takes uint8 frames.

    Args:
        model: It is not changed.
    """
    model = model.clone()
    given, *others = model.inputs
    shape = given.get_partial_shape()
    shape[0] = -1
    frames = ov.opset13.parameter(shape, ov.Type.u8, FRAMES)
    takers = given.get_target_inputs()
    cast = ov.opset13.convert(frames, "f32")
    for taker in takers:
        taker.replace_source_output(cast.output(0))
    given.get_tensor().set_names(set())
    frames.output(0).set_names({FRAMES})
    return _of_same_outputs(model, frames, others)


def _of_same_outputs(model: ov.Model, frames: ov.Node, others: list[ov.Output]) -> ov.Model:
    """A model with other frames; the rest of the inputs, and the outputs, are those of the first."""
    results = [output.get_node().input_value(0) for output in model.outputs]
    return ov.Model(results, [frames, *(port.get_node() for port in others)], model.get_friendly_name())


def _replace_frames(given: ov.Output, frames: ov.Output) -> None:
    """Give float32 frames to whatever takes the frames of a graph, without the cast of uint8.

    Raises:
        ValueError: Something takes them uncast.
    """
    dtype = given.get_element_type()
    for consumer in given.get_target_inputs():
        node = consumer.get_node()
        kind = node.get_type_name()
        if kind == "Convert" and node.get_element_type() == ov.Type.f32:
            node.output(0).replace(frames)
        elif dtype == ov.Type.f32 or kind == "ShapeOf":
            consumer.replace_source_output(frames)
        else:
            raise ValueError(f"its frames are {dtype.get_type_name()} and go into {kind}, not into a cast")


def _mismatch(path: Path, what: str) -> WeightsMismatch:
    message = f"{display_path(path)} is no graph for this: {what}"
    return WeightsMismatch(message, missing=[], unexpected=[], shape_mismatch=[])
