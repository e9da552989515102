"""The layers of an OpenVINO network: which are int8, and how far each of these is from float by itself.

To measure that, one network holds both: the float one, and for each int8 operation of the other how far its
output is from that of the same operation in float, when both are given what the float network has there. So
an error is the operation's own, not that of operations before it. One pass measures all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.config import EngineConfig
from twinpath.engine.openvino_engine import compile_network
from twinpath.engine.openvino_import import ov

ops = ov.opset13
_WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")
# They pass on what they are given: behind a quantised value they are int8 themselves.
_PASS_ON = frozenset(
    {"Broadcast", "Concat", "Convert", "Gather", "MaxPool", "Pad", "Reshape", "Slice", "Split", "Squeeze"}
    | {"StridedSlice", "Transpose", "Unsqueeze", "VariadicSplit"}
)
_TINY = 1e-12


def layers(model: ov.Model) -> tuple[int, int]:
    """Numbers of operations with weights that are computed in int8, and of those that are not."""
    constants = _constants(model)
    weighted = [op for op in model.get_ordered_ops() if _has_weights(op, constants)]
    num_int8 = sum(_is_quantised(op) for op in weighted)
    return num_int8, len(weighted) - num_int8


def names_for_float(model: ov.Model) -> tuple[str, ...]:
    """Operations that are never int8.

    Depthwise convolutions of values with a sign: OpenVINO 2026.4 has int8 kernels for them only behind a
    ReLU, and does not compile the others for bf16 (X3D's stem, the pooling of MViT). And what is computed
    from the boxes of a detection network without weights: coordinates in pixels need more than 8 bits.
    """
    constants, of_boxes = _constants(model), {p.get_friendly_name() for p in model.get_parameters()[1:]}
    names = []
    for op in model.get_ordered_ops():
        name, inputs = op.get_friendly_name(), [_source(op, i) for i in range(op.get_input_size())]
        if op.get_type_name() == "GroupConvolution" and inputs[0].get_type_name() != "Relu":
            names.append(name)
        if of_boxes.isdisjoint(source.get_friendly_name() for source in inputs):
            continue
        of_boxes.add(name)
        if not _has_weights(op, constants) and op.get_type_name() != "Result":
            names.append(name)
    return tuple(names)


def layer_errors(
    model: ov.Model, quantized: ov.Model, clips: Iterable[list[NDArray[np.float32]]]
) -> dict[str, float]:
    """The error of each int8 operation by itself.

    Args:
        model: The float network.
        quantized: The same with int8 operations, by NNCF.
        clips: Inputs of the network, at least one.
    Returns:
        For each operation by its name: the squared difference of its output over its square, the mean of the
        clips.
    """
    names, both = _both(model, quantized)
    compiled = compile_network(both, precision="fp32", config=EngineConfig())
    errors = np.mean([[float(value) for value in compiled(inputs).values()] for inputs in clips], axis=0)
    return dict(zip(names, errors.tolist(), strict=True))


def _both(model: ov.Model, quantized: ov.Model) -> tuple[list[str], ov.Model]:
    """Names of the int8 operations, and a network with the error of each as an output."""
    exact, other = model.clone(), quantized.clone()
    exact_ops = {op.get_friendly_name(): op for op in exact.get_ops()}
    constants = _constants(other)
    int8_ops = [
        op
        for op in other.get_ordered_ops()
        if op.get_friendly_name() in exact_ops.keys() - constants
        and op.get_type_name() not in _PASS_ON
        and op.get_output_element_type(0) == ov.Type.f32
        and _is_quantised(op)
    ]
    for op in other.get_ordered_ops():
        if op.get_type_name() == "FakeQuantize" and op.get_friendly_name() not in constants:
            _feed(op, exact_ops)
    for ours, theirs in zip(other.get_parameters(), exact.get_parameters(), strict=True):
        for target in ours.output(0).get_target_inputs():
            target.replace_source_output(theirs.output(0))
    names = [op.get_friendly_name() for op in int8_ops]
    errors = [_relative_error(op.output(0), exact_ops[op.get_friendly_name()].output(0)) for op in int8_ops]
    return names, ov.Model(errors, exact.get_parameters())


def _feed(quantiser: ov.Node, exact_ops: dict[str, ov.Node]) -> None:
    """Give an operation that quantises what the float network has there.

    What NNCF has put before it (the scales of SmoothQuant) stays.
    """
    op = quantiser
    while (source := _source(op, 0)).get_friendly_name() not in exact_ops:
        if not source.get_input_size():
            return
        op = source
    value = op.input_value(0)
    op.input(0).replace_source_output(
        exact_ops[value.get_node().get_friendly_name()].output(value.get_index())
    )


def _relative_error(value: ov.Output, expected: ov.Output) -> ov.Node:
    """The sum of squared differences over the sum of squares."""
    axes = ops.constant(np.arange(expected.get_partial_shape().rank.get_length()))
    difference = ops.subtract(value, expected)
    error = ops.reduce_sum(ops.multiply(difference, difference), axes)
    size = ops.add(ops.reduce_sum(ops.multiply(expected, expected), axes), ops.constant(_TINY, np.float32))
    return ops.result(ops.divide(error, size))


def _constants(model: ov.Model) -> set[str]:
    """Names of the constants, and of what is computed from constants alone, as weights kept in 8 bits are."""
    found: set[str] = set()
    for op in model.get_ordered_ops():
        inputs = [_source(op, i).get_friendly_name() for i in range(op.get_input_size())]
        if op.get_type_name() == "Constant" or (inputs and found.issuperset(inputs)):
            found.add(op.get_friendly_name())
    return found


def _is_quantised(op: ov.Node) -> bool:
    """Whether a value that it computes with is a quantised one."""
    return any(
        source.get_type_name() == "FakeQuantize"
        for i in range(op.get_input_size())
        for source in _behind(_source(op, i))
    )


def _behind(op: ov.Node) -> Iterator[ov.Node]:
    """Where the values of an operation come from, past those that only pass them on."""
    waiting, seen = [op], set()
    while waiting:
        op = waiting.pop()
        if op.get_friendly_name() in seen:
            continue
        seen.add(op.get_friendly_name())
        if op.get_type_name() in _PASS_ON:
            waiting.extend(_source(op, i) for i in range(op.get_input_size()))
        else:
            yield op


def _has_weights(op: ov.Node, constants: set[str]) -> bool:
    return op.get_type_name() in _WEIGHTED and _source(op, 1).get_friendly_name() in constants


def _source(op: ov.Node, i: int) -> ov.Node:
    """The operation that computes input i."""
    return op.input_value(i).get_node()
