"""Which machine runs a model, and how it gets there: from the cache if it can, without torch if it can."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from twinpath.engine.base import BoxEngine, Engine, EngineWish, What
from twinpath.engine.compiled import entry_path, read_entry, write_entry
from twinpath.errors import MissingExtra, UsageError
from twinpath.weights.hashes import file_sha256
from twinpath.zoo.create import input_spec, load_network, resolve, weights_path

if TYPE_CHECKING:
    from torch import nn

    from twinpath.engine.openvino_engine import OpenVinoBoxEngine, OpenVinoEngine
    from twinpath.weights.fetch import Progress

logger = logging.getLogger(__name__)

Say = Callable[[str], None]
Compiled = TypeVar("Compiled", "OpenVinoEngine", "OpenVinoBoxEngine")
_INSTALL = "pip install openvino"


def open_engine(
    model: str,
    weights: Path | None = None,
    *,
    what: What = "scores",
    wish: EngineWish = EngineWish(),
    progress: Progress | None = None,
    say: Say | None = None,
) -> Engine:
    """Get a model ready to run.

    Args:
        model: A network or a record.
        weights: A weight file in place of the record's.
        what: "scores" of classes, or what the classifier sees, "embed".
        wish: Machine, device, precision and threads.
        progress: Told the bytes done and expected while weights are downloaded.
        say: Told, in a sentence, of work that takes seconds and is done once.
    Raises:
        UsageError: The machine, device or precision cannot be had here, or no weights are published.
        UnknownModel, WeightsError, InputError: see `load_network`.
    """
    say = say or (lambda sentence: None)
    if _machine(wish) == "openvino":
        from twinpath.engine.openvino_engine import OpenVinoEngine

        engine = _openvino(OpenVinoEngine, model, weights, what, wish, progress, say)
        if engine is not None:
            return engine
    from twinpath.engine.torch_engine import TorchEngine, choose_device

    choose_device(wish.device)  # before the load, which takes long
    network = _network(model, weights, what, progress)
    return TorchEngine(network, input_spec(model), what=what, wish=wish)


def open_box_engine(
    model: str,
    weights: Path | None = None,
    *,
    wish: EngineWish = EngineWish(),
    progress: Progress | None = None,
    say: Say | None = None,
) -> BoxEngine:
    """Get a detection model ready to run; arguments and errors as for `open_engine`."""
    say = say or (lambda sentence: None)
    if _machine(wish) == "openvino":
        from twinpath.engine.openvino_engine import OpenVinoBoxEngine

        engine = _openvino(OpenVinoBoxEngine, model, weights, "boxes", wish, progress, say)
        if engine is not None:
            return engine
    from twinpath.engine.torch_engine import TorchBoxEngine, choose_device

    choose_device(wish.device)  # before the load, which takes long
    return TorchBoxEngine(_network(model, weights, "boxes", progress), input_spec(model), wish=wish)


def _network(model: str, weights: Path | None, what: What, progress: Progress | None = None) -> nn.Module:
    """The network with its weights; the head does not matter to embeddings, whatever its classes."""
    from twinpath.weights.translated import HEAD

    return load_network(model, weights, leave_out=(HEAD,) if what == "embed" else (), progress=progress)


def has_openvino() -> bool:
    """Whether it is installed; does not import it."""
    return importlib.util.find_spec("openvino") is not None


@cache
def has_cuda_gpu() -> bool:
    """Whether the NVIDIA driver sees a GPU, asked without torch."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
        count = ctypes.c_int(0)
        found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (OSError, AttributeError):
        return False
    return found and count.value > 0


def _machine(wish: EngineWish) -> str:
    """Which machine, by what is wished and what is there."""
    on_cpu = wish.device == "cpu" or (wish.device == "auto" and not has_cuda_gpu())
    if wish.engine == "openvino":
        if not has_openvino():
            raise MissingExtra(f"--engine openvino needs OpenVINO: {_INSTALL}")
        if wish.device not in ("auto", "cpu"):
            raise UsageError(f"--engine openvino runs on the CPU, not on {wish.device}; try --engine torch")
        return "openvino"
    return "openvino" if wish.engine == "auto" and on_cpu and has_openvino() else "torch"


def _openvino(
    kind: type[Compiled],
    model: str,
    weights: Path | None,
    what: What,
    wish: EngineWish,
    progress: Progress | None,
    say: Say,
) -> Compiled | None:
    """The model compiled, from the cache or anew; None where OpenVINO cannot run it, which is said."""
    from twinpath.engine import openvino_engine as machine

    _, rec = resolve(model)
    if weights is None:
        if rec is None:
            raise UsageError(f"no weights are published for {model}; give a file with --weights")
        weights = weights_path(rec, progress=progress)
    spec, precision = input_spec(model), machine.choose_precision(wish)
    key = {
        "weights": file_sha256(weights),
        "model": model if rec is None else _facts_of(asdict(rec)),
        "spec": asdict(spec),
        "what": what,
        "precision": precision,
        "openvino": machine.version(),
        "cpu": machine.cpu_name(),
        "format": 1,
    }
    path = entry_path(rec.name if rec else model, key)
    entry = read_entry(path)
    if entry is not None:
        if entry.facts.get("not_convertible"):
            _warn_of_fallback(model, entry.facts["not_convertible"])
            return None
        try:
            return kind.from_entry(entry, spec, wish=wish)
        except RuntimeError as error:
            logger.warning(
                "%s is not taken by OpenVINO (%s) and is made anew", path, str(error).splitlines()[0]
            )
    from twinpath.engine.convert import NotConvertible, convert

    network = _network(model, weights, what)
    say(f"compiling {rec.name if rec else model} for this CPU (once; some seconds) ...")
    num_classes = int(network.get_parameter("head.projection.weight").shape[0])
    facts: dict[str, Any] = {"num_classes": num_classes, "precision": precision}
    try:
        converted = convert(network, spec, what=what)
        compiled = machine.compile_network(converted, precision=precision, wish=wish)
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
    chosen = _machine(EngineWish())
    facts: dict[str, Any] = {"cuda_gpu": has_cuda_gpu(), "engine": chosen}
    if not has_openvino():
        return {**facts, "openvino": None}
    from twinpath.engine import openvino_engine as machine

    if chosen == "openvino":
        facts["precision"] = machine.choose_precision(EngineWish())
    return {**facts, "openvino": machine.version(), "cpu": machine.cpu_name()}
