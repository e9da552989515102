"""Which machine runs a model, and how it gets there: from the cache if it can, without torch if it can."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from twinpath.device import has_cuda_gpu
from twinpath.engine.base import BoxEngine, Engine
from twinpath.engine.compiled_cache import entry_path, read_entry, write_entry
from twinpath.engine.config import EngineConfig, Output
from twinpath.errors import MissingExtra, UsageError
from twinpath.weights.hashes import file_sha256
from twinpath.zoo.create import input_spec, load_network, resolve, weights_path

if TYPE_CHECKING:
    from torch import nn

    from twinpath.engine.openvino_engine import OpenVinoBoxEngine, OpenVinoEngine
    from twinpath.weights.fetch import Progress

logger = logging.getLogger(__name__)

OnStatus = Callable[[str], None]
Compiled = TypeVar("Compiled", "OpenVinoEngine", "OpenVinoBoxEngine")
_INSTALL = "pip install openvino"


def open_engine(
    model: str,
    weights: Path | None = None,
    *,
    output: Output = "scores",
    config: EngineConfig = EngineConfig(),
    progress: Progress | None = None,
    on_status: OnStatus | None = None,
) -> Engine:
    """Get a model ready to run.

    Args:
        model: A network or a record.
        weights: A weight file in place of the record's.
        output: "scores" of classes, or what the classifier sees, "embed".
        config: Machine, device, precision and threads.
        progress: Told the bytes done and expected while weights are downloaded.
        on_status: Told, in a sentence, of work that takes seconds and is done once.
    Raises:
        UsageError: The machine, device or precision cannot be had here, or no weights are published.
        UnknownModel, WeightsError, InputError: see `load_network`.
    """
    on_status = on_status or (lambda sentence: None)
    if _backend(config) == "openvino":
        from twinpath.engine.openvino_engine import OpenVinoEngine

        engine = _openvino(OpenVinoEngine, model, weights, output, config, progress, on_status)
        if engine is not None:
            return engine
    from twinpath.device import choose_device
    from twinpath.engine.torch_engine import TorchEngine

    choose_device(config.device)  # before the load, which takes long
    network = _network(model, weights, output, progress)
    return TorchEngine(network, input_spec(model), output=output, config=config)


def open_box_engine(
    model: str,
    weights: Path | None = None,
    *,
    config: EngineConfig = EngineConfig(),
    progress: Progress | None = None,
    on_status: OnStatus | None = None,
) -> BoxEngine:
    """Get a detection model ready to run; arguments and errors as for `open_engine`."""
    on_status = on_status or (lambda sentence: None)
    if _backend(config) == "openvino":
        from twinpath.engine.openvino_engine import OpenVinoBoxEngine

        engine = _openvino(OpenVinoBoxEngine, model, weights, "boxes", config, progress, on_status)
        if engine is not None:
            return engine
    from twinpath.device import choose_device
    from twinpath.engine.torch_engine import TorchBoxEngine

    choose_device(config.device)  # before the load, which takes long
    return TorchBoxEngine(_network(model, weights, "boxes", progress), input_spec(model), config=config)


def _network(model: str, weights: Path | None, output: Output, progress: Progress | None = None) -> nn.Module:
    """The network with its weights; the head does not matter to embeddings, whatever its classes."""
    from twinpath.weights.converted import HEAD

    return load_network(model, weights, leave_out=(HEAD,) if output == "embed" else (), progress=progress)


def has_openvino() -> bool:
    """Whether it is installed; does not import it."""
    return importlib.util.find_spec("openvino") is not None


def _backend(config: EngineConfig) -> str:
    """Which machine, by what is wished and what is there."""
    on_cpu = config.device == "cpu" or (config.device == "auto" and not has_cuda_gpu())
    if config.engine == "openvino":
        if not has_openvino():
            raise MissingExtra(f"--engine openvino needs OpenVINO: {_INSTALL}")
        if config.device not in ("auto", "cpu"):
            raise UsageError(f"--engine openvino runs on the CPU, not on {config.device}; try --engine torch")
        return "openvino"
    return "openvino" if config.engine == "auto" and on_cpu and has_openvino() else "torch"


def _openvino(
    kind: type[Compiled],
    model: str,
    weights: Path | None,
    output: Output,
    config: EngineConfig,
    progress: Progress | None,
    on_status: OnStatus,
) -> Compiled | None:
    """The model compiled, from the cache or anew; None where OpenVINO cannot run it, which is said."""
    from twinpath.engine import openvino_engine as backend

    _, rec = resolve(model)
    if weights is None:
        if rec is None:
            raise UsageError(f"no weights are published for {model}; give a file with --weights")
        weights = weights_path(rec, progress=progress)
    spec, precision = input_spec(model), backend.choose_precision(config)
    key = {
        "weights": file_sha256(weights),
        "model": model if rec is None else _facts_of(asdict(rec)),
        "spec": asdict(spec),
        "what": output,
        "precision": precision,
        "openvino": backend.version(),
        "cpu": backend.cpu_name(),
        "format": 1,
    }
    path = entry_path(rec.name if rec else model, key)
    entry = read_entry(path)
    if entry is not None:
        if entry.facts.get("not_convertible"):
            _warn_of_fallback(model, entry.facts["not_convertible"])
            return None
        try:
            return kind.from_entry(entry, spec, config=config)
        except RuntimeError as error:
            logger.warning(
                "%s is not taken by OpenVINO (%s) and is made anew", path, str(error).splitlines()[0]
            )
    from twinpath.engine.openvino_convert import NotConvertible, convert

    network = _network(model, weights, output)
    on_status(f"compiling {rec.name if rec else model} for this CPU (once; some seconds) ...")
    num_classes = int(network.get_parameter("head.projection.weight").shape[0])
    facts: dict[str, Any] = {"num_classes": num_classes, "precision": precision}
    try:
        converted = convert(network, spec, output=output)
        compiled = backend.compile_network(converted, precision=precision, config=config)
    except (NotConvertible, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        write_entry(path, b"", {"not_convertible": reason})
        _warn_of_fallback(model, reason)
        return None
    content = compiled.export_model()
    write_entry(path, content if isinstance(content, bytes) else content.getvalue(), facts)
    return kind(compiled, spec, num_classes=num_classes, precision=precision)


def _warn_of_fallback(model: str, reason: str) -> None:
    logger.warning("OpenVINO cannot run %s (%s); torch does, which is slower", model, reason)


def _facts_of(rec: dict[str, Any]) -> dict[str, Any]:
    """What of a record shapes its network; the rest may change without a new compilation."""
    names = ("architecture", "num_classes", "activation", "averaging", "pooling", "options")
    return {name: rec[name] for name in names}


def engine_facts() -> dict[str, Any]:
    """What there is and what would be chosen, for `twinpath doctor`; imports no torch."""
    chosen = _backend(EngineConfig())
    facts: dict[str, Any] = {"cuda_gpu": has_cuda_gpu(), "engine": chosen}
    if not has_openvino():
        return {**facts, "openvino": None}
    from twinpath.engine import openvino_engine as backend

    if chosen == "openvino":
        facts["precision"] = backend.choose_precision(EngineConfig())
    return {**facts, "openvino": backend.version(), "cpu": backend.cpu_name()}
