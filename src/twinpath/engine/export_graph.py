"""From a torch network to the graph of a model folder: ONNX, OpenVINO's IR, or torch.export. Imports torch.

Every graph takes what `ExportedNetwork.forward` takes, for any number of clips: `frames`, and `boxes` of a
detection network. Whether it computes the same is checked afterwards, see `parity`: exporters have been
silently wrong.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twinpath.errors import MissingExtra
from twinpath.models.exportable import ExportedNetwork
from twinpath.zoo.model_folder import ONNX, OPENVINO, TORCH_EXPORT

INPUTS, OUTPUTS = ("frames", "boxes"), ("scores", "embeddings")
INSTALL = "pip install 'twinpath[export]'"
_OPSET = 17  # LayerNormalization as one operator; read by ONNX Runtime since 2022
_SMALL = 64  # tensors of fewer numbers stay float32


def write_onnx(module: ExportedNetwork, folder: Path, *, half: bool) -> None:
    """Write `model.onnx`.

    Args:
        module: The network.
        folder: For the file.
        half: Whether weights are stored as float16, each followed by a cast: the graph computes in float32.
            Batch norms stay apart from convolutions then, so that weights which are float16 already are the
            same to the last bit.
    Raises:
        MissingExtra: onnx is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtra(f"the format 'onnx' needs the package onnx; install it with: {INSTALL}") from error
    inputs = module.example_inputs()
    names = _output_names(module)
    frames = {0: "N", 2: "H", 3: "W"} if module.is_detector else {0: "N"}
    rows = "P" if module.is_detector else "N"
    training = torch.onnx.TrainingMode.PRESERVE if half else torch.onnx.TrainingMode.EVAL
    file = io.BytesIO()
    with _quiet(), torch.no_grad():
        # The exporter of traces. That of torch.export gives the same graphs in three to six times the time.
        torch.onnx.export(
            copy.deepcopy(module),  # it folds batch norms in the tensors of the module itself
            inputs,
            file,  # type: ignore[arg-type]  # takes files, too
            dynamo=False,
            training=training,
            opset_version=_OPSET,
            input_names=list(INPUTS[: len(inputs)]),
            output_names=list(names),
            dynamic_axes={"frames": frames, "boxes": {0: "P"}, **{name: {0: rows} for name in names}},
        )
    model = onnx.load_from_string(file.getvalue())
    if half:
        _store_half(model)
    onnx.checker.check_model(model)
    (folder / ONNX).write_bytes(model.SerializeToString())


def write_openvino(module: ExportedNetwork, folder: Path, *, half: bool) -> None:
    """Write `model.xml` and `model.bin`; `half`: the weights are stored as float16."""
    from twinpath.engine.openvino_import import ov

    inputs, spec = module.example_inputs(), module.spec
    with _quiet(), torch.no_grad():
        traced = torch.jit.trace(module, inputs, check_trace=False, strict=False)  # type: ignore[no-untyped-call]
        model = ov.convert_model(traced, example_input=inputs)
    side = -1 if module.is_detector else spec.crop_px
    shapes = [[-1, spec.num_frames, side, side, 3], [-1, 5]]
    model.reshape({i: ov.PartialShape(shapes[i]) for i in range(len(inputs))})
    for port, name in [
        *zip(model.inputs, INPUTS, strict=False),
        *zip(model.outputs, _output_names(module), strict=True),
    ]:
        port.get_tensor().set_names({name})
        port.get_node().set_friendly_name(name)
    ov.save_model(model, folder / OPENVINO, compress_to_fp16=half)


def write_torch_export(module: ExportedNetwork, folder: Path, *, half: bool = False) -> None:
    """Write `model.pt2`, with float32 weights."""
    inputs = module.example_inputs()
    any_size = torch.export.Dim.DYNAMIC
    frames = {0: any_size, 2: any_size, 3: any_size} if module.is_detector else {0: any_size}
    shapes: dict[str, Any] = {"frames": frames}
    if module.is_detector:
        shapes["boxes"] = {0: any_size}
    with _quiet(), torch.no_grad():
        program = torch.export.export(module, inputs, dynamic_shapes=shapes)
        torch.export.save(program, folder / TORCH_EXPORT)


def _output_names(module: ExportedNetwork) -> tuple[str, ...]:
    return OUTPUTS[:1] if module.is_detector else OUTPUTS


def _store_half(model: Any) -> None:
    """Store the large float32 tensors of an ONNX model as float16, with a cast to float32 behind each.

    A tensor with a number that float16 does not hold stays as it is.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            stored = values.astype(np.float16)
        if values.size < _SMALL or not np.isfinite(stored).all():
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(stored, f"{name}_fp16"))
        casts.append(helper.make_node("Cast", [f"{name}_fp16"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' warnings: about numbers that become constants, and about their own future."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch._export")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def run_torch(module: ExportedNetwork, *inputs: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The outputs of the network itself, to compare with."""
    with torch.inference_mode():
        outputs: tuple[Tensor, ...] = module(*(torch.from_numpy(array) for array in inputs))
    return [output.float().numpy() for output in outputs]
