"""Write a network as a model folder that runs without torch, and compare it with torch before it is kept.

    export_model("x3d_xs.ptv_k400", "exported", format="onnx")

Imports torch; the folder is used by `engine.open_folder`.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from twinpath import __version__
from twinpath.engine.base import last_line
from twinpath.engine.parity import TOLERANCES, Run, Tolerance, compare
from twinpath.errors import LimitExceeded, MissingExtra, TwinpathError, UsageError, is_out_of_memory
from twinpath.zoo.create import load_network, resolve, weights_path
from twinpath.zoo.load_folder import load_folder_network
from twinpath.zoo.model_card import ModelCard, ParityFigure, StoredPrecision, WeightsSource
from twinpath.zoo.model_facts import facts_of_model
from twinpath.zoo.model_folder import (
    ONNX,
    OPENVINO,
    TORCH_EXPORT,
    ModelFolder,
    check_target,
    new_model_folder,
    read_model_folder,
    write_card,
)

if TYPE_CHECKING:
    import os

    from twinpath.models.exportable import ExportedNetwork
    from twinpath.models.network import VideoNetwork
    from twinpath.weights.callbacks import Progress

GraphFormat = Literal["onnx", "openvino", "torch-export"]
_INSTALL = "pip install 'twinpath[export]'"

#: Changes the files in a folder that holds an fp32 graph, which was compared with torch, and its record; for
#: example quantises them. The record that is returned has the precision and what was measured.
Rewrite = Callable[[Path, ModelCard, "ExportedNetwork"], ModelCard]


def export_model(
    model: str,
    out: str | os.PathLike[str],
    *,
    format: GraphFormat,
    precision: StoredPrecision = "fp32",
    weights: Path | None = None,
    rewrite: Rewrite | None = None,
    progress: Progress | None = None,
    on_status: Callable[[str], None] = lambda _: None,
) -> ModelFolder:
    """Export a model.

    Args:
        model: A network, a record, or a model folder with weights of a network.
        out: The new folder; an older model folder is replaced.
        format: "onnx" runs in ONNX Runtime and OpenVINO, "openvino" in OpenVINO, "torch-export" in torch.
        precision: Of the stored weights. "fp16" halves the files; the graph computes in float32. "int8" needs
            `rewrite`, which quantises.
        weights: A weight file in place of the record's.
        rewrite: See `Rewrite`.
        progress: Told the bytes of a download.
        on_status: Called with a sentence before each step that may take seconds.
    Returns:
        The folder.
    Raises:
        UsageError: No such format or precision, the exporter does not take the network, or `out` is something
            else; or as `load_network`.
        MissingExtra: A package for the format is not installed.
        LimitExceeded: Memory is lacking.
        ExportDiffers: The graph computes something else than torch; nothing is left behind.
        UnknownModel, WeightsError, InputError: See `load_network`.
        OSError: The disk is full or refuses.
    """
    _check_arguments(format, precision, rewrite)
    check_target(out)
    facts_of_model(model, weights=weights)  # its errors come before a sentence about the load
    on_status(f"loading {model} ...")
    card, network = loaded(model, weights, progress)
    return export_network(
        network, card, out, format=format, precision=precision, rewrite=rewrite, on_status=on_status
    )


def export_network(
    network: VideoNetwork,
    card: ModelCard,
    out: str | os.PathLike[str],
    *,
    format: GraphFormat,
    precision: StoredPrecision = "fp32",
    rewrite: Rewrite | None = None,
    on_status: Callable[[str], None] = lambda _: None,
) -> ModelFolder:
    """The same of a network that is there; `card` says all that the network does not. See `export_model`."""
    _check_arguments(format, precision, rewrite)
    from twinpath.models.exportable import ExportedNetwork

    module = ExportedNetwork(network, card.input)
    with new_model_folder(out) as folder:
        on_status(f"writing the graph of {card.name} ...")
        half = precision == "fp16"
        tolerance = TOLERANCES["fp16" if half else "fp32"]
        with _failures_named(card.name, format):
            versions = _write(module, folder, format, half=half)
            parity = check_parity(module, folder, format, tolerance=tolerance, on_status=on_status)
        card = replace(card, precision="fp16" if half else "fp32", versions=versions, parity=parity)
        if rewrite is not None:
            card = rewrite(folder, card, module)
        write_card(folder, card)
    return read_model_folder(out)


@contextlib.contextmanager
def _failures_named(name: str, format: GraphFormat) -> Iterator[None]:
    """Raises what a failure of an exporter or a runtime means; they raise whatever their parts raise."""
    try:
        yield
    except (TwinpathError, OSError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise LimitExceeded(f"exporting {name} needs more memory than there is; free memory") from error
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        reason = last_line(error) if format == "openvino" else first_line
        raise UsageError(
            f"{name} cannot be written in the format {format!r} ({reason}); choose another format"
        ) from error


def check_parity(
    module: ExportedNetwork,
    folder: Path,
    format: GraphFormat,
    *,
    tolerance: Tolerance,
    on_status: Callable[[str], None] = lambda _: None,
) -> tuple[ParityFigure, ...]:
    """Compare the graph in a folder with torch; see `parity.compare`."""
    from twinpath.engine.export_graph import run_torch

    return compare(
        lambda *inputs: run_torch(module, *inputs)[0],
        graph_runner(folder, format),
        module.spec,
        is_detector=module.is_detector,
        is_softmax=module.network.head.head_config.activation == "softmax",
        tolerance=tolerance,
        on_status=on_status,
    )


def graph_runner(folder: Path, format: GraphFormat) -> Run:
    """What runs the graph of a folder as other programs do: uint8 frames, float32 arithmetic, on the CPU."""
    if format == "onnx":
        from twinpath.engine.onnxruntime_import import onnxruntime

        session = onnxruntime.InferenceSession(folder / ONNX, providers=["CPUExecutionProvider"])
        names = [node.name for node in session.get_inputs()]
        return lambda *inputs: session.run(["scores"], dict(zip(names, inputs, strict=True)))[0]
    if format == "openvino":
        from twinpath.engine.openvino_import import ov

        compiled = ov.Core().compile_model(
            folder / OPENVINO, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        )
        return lambda *inputs: compiled(list(inputs))["scores"]
    import torch

    program = torch.export.load(folder / TORCH_EXPORT).module()

    def run(*inputs: Any) -> Any:
        with torch.inference_mode():
            return program(*(torch.from_numpy(array) for array in inputs))[0].numpy()

    return run


def loaded(
    model: str, weights: Path | None = None, progress: Progress | None = None
) -> tuple[ModelCard, VideoNetwork]:
    """A model's record, without files, and its network."""
    facts = facts_of_model(model, weights=weights)
    if facts.folder is not None:
        return replace(facts.folder.card, files={}, parity=(), figures={}), load_folder_network(facts.folder)
    _, record = resolve(model)
    network = load_network(model, weights, progress=progress)
    if weights is None and record is not None:
        path = weights_path(record, progress=progress)
        source = WeightsSource(record.name, _sha256(path), record.url, record.licence)
    else:
        assert weights is not None
        source = WeightsSource(weights.name, _sha256(weights))
    return (
        ModelCard(
            name=facts.name,
            network=facts.name,
            task=facts.task,
            dataset=facts.dataset,
            labels=facts.labels,
            input=facts.spec,
            precision="fp32",
            view_pooling=facts.view_pooling,
            min_person_score=facts.min_person_score,
            weights=source,
        ),
        network,
    )


def _sha256(path: Path) -> str:
    from twinpath.weights.hashes import file_sha256

    return file_sha256(path)


def _check_arguments(format: str, precision: str, rewrite: Rewrite | None) -> None:
    if format not in get_args(GraphFormat):
        raise UsageError(f"format {format!r} is not known; choose one of {', '.join(get_args(GraphFormat))}")
    if precision not in get_args(StoredPrecision):
        known = ", ".join(get_args(StoredPrecision))
        raise UsageError(f"precision {precision!r} is not known; choose one of {known}")
    if precision == "int8" and format != "openvino":
        raise UsageError(f"precision 'int8' is for format='openvino', not {format!r}")
    if precision == "int8" and rewrite is None:
        raise UsageError("precision 'int8' needs clips: see export_int8")
    if format == "torch-export" and precision != "fp32":
        raise UsageError("format 'torch-export' keeps float32 weights; choose precision fp32")
    if format == "onnx":
        for package, module in (("onnx", "onnx"), ("onnxruntime", "twinpath.engine.onnxruntime_import")):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                raise MissingExtra(
                    f"the format 'onnx' needs the package {package}; install it with: {_INSTALL}"
                ) from error


def _write(module: ExportedNetwork, folder: Path, format: GraphFormat, *, half: bool) -> dict[str, str]:
    """Write the graph; versions of the software that did."""
    import torch

    from twinpath.engine import export_graph

    versions = {"twinpath": __version__, "torch": str(torch.__version__)}
    if format == "onnx":
        import onnx

        from twinpath.engine.onnxruntime_import import onnxruntime

        export_graph.write_onnx(module, folder, half=half)
        return versions | {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    if format == "openvino":
        from twinpath.engine.openvino_engine import version

        export_graph.write_openvino(module, folder, half=half)
        return versions | {"openvino": version()}
    export_graph.write_torch_export(module, folder)
    return versions
