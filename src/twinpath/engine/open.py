"""From a model's name to an engine: choose the backend, get the weights, compile once and keep the result.

On a CPU with OpenVINO a compiled network comes from the cache, without torch; see `compiled_cache`. A network
that OpenVINO does not take runs on torch, and a warning is logged. Where torch is not installed, an error of
one line says what needs it, before anything is downloaded.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from twinpath.cores import cpu_abilities
from twinpath.device import choose_device, has_cuda_gpu
from twinpath.engine.base import Engine, last_line
from twinpath.engine.compiled_cache import Entry, entries, entry_path, read_entry, write_entry
from twinpath.engine.config import Backend, EngineConfig
from twinpath.errors import LimitExceeded, MissingExtra, UsageError, is_out_of_memory
from twinpath.extras import INSTALL_TORCH, check_torch, has_torch
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import Output
from twinpath.paths import display_path
from twinpath.weights.hashes import file_sha256, known_sha256
from twinpath.zoo.create import input_spec, load_network, resolve, weights_path
from twinpath.zoo.facts import where
from twinpath.zoo.load_folder import has_network, load_folder_network
from twinpath.zoo.model_folder import (
    ONNX,
    OPENVINO,
    OPENVINO_WEIGHTS,
    WEIGHTS,
    ModelFolder,
    is_model_folder,
    read_model_folder,
)

if TYPE_CHECKING:
    from twinpath.engine.openvino_engine import CpuPrecision, OpenVinoEngine
    from twinpath.engine.torch_engine import TorchEngine
    from twinpath.models.detection import DetectionNetwork
    from twinpath.models.network import VideoNetwork
    from twinpath.weights.callbacks import HashOf, Progress
    from twinpath.zoo.records import Record

logger = logging.getLogger(__name__)

OnStatus = Callable[[str], None]


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
        model: A network or a record of `list_models()`, or a model folder; a network alone means its best
            record.
        weights: A weight file in place of the record's; see `load_network`.
        output: "scores" of the classes of a clip; "embed": what the classifier sees, a feature vector for a
            clip; "boxes": scores of the actions in boxes, for detection networks only, and the only output
            that these have here.
        config: Backend, device, precision and threads.
        progress: Called with the bytes done and expected while weights are downloaded.
        on_status: Called with a sentence before work that takes seconds and is done once.
    Raises:
        UsageError: The backend, device or precision cannot be had here, the model has no such output, or no
            weights are published for it and none are given.
        MissingExtra: torch is needed, on a CPU once for a weight file, and is not installed.
        UnknownModel, WeightsError, InputError: See `load_network`.
    """
    if is_model_folder(model):
        if weights is not None:
            raise UsageError(f"{model} is a model folder, which has its own weights; give no weight file")
        return _open_folder(read_model_folder(model), output, config, on_status or _ignore)
    architecture, record = resolve(model)
    if config.engine == "onnxruntime":
        embedded = record.embedded_folder if record is not None and weights is None else None
        if embedded is None:
            raise UsageError(
                f"engine 'onnxruntime' runs exported models; export {model} in the format 'onnx' first"
            )
        return _open_folder(read_model_folder(embedded), output, config, on_status or _ignore)
    if architecture.is_detector != (output == "boxes"):
        outputs = "output='boxes'" if architecture.is_detector else "output='scores' or 'embed'"
        raise UsageError(f"{model} is a network for {architecture.task}: {outputs}, not {output!r}")
    if weights is None and record is not None:
        model = record.name  # which says how its head computes scores; a file that is given may say otherwise
    if choose_backend(config) == "openvino":
        if weights is None and record is None:
            raise UsageError(f"no weights are published for {model}; give a weight file (weights=…)")

        def weight_file(sha256: HashOf) -> Path:
            return weights or _published(cast("Record", record), progress, sha256)

        try:
            return _openvino_engine(model, weight_file, output, config, on_status or _ignore)
        except _NotTaken as error:
            if config.engine == "openvino":
                raise UsageError(f"OpenVINO cannot run {model} ({error}); choose engine 'torch'") from error
            check_torch(f"OpenVINO cannot run {model} ({error}), and the other engine")
            logger.warning("OpenVINO cannot run %s (%s); torch does, which is slower", model, error)
    from twinpath.engine.torch_engine import TorchEngine

    choose_device(config.device)  # before the load, which takes long
    network = _network(model, weights, output, progress)
    return TorchEngine(network, input_spec(model), output=output, config=config)


def open_box_embedder(
    network: DetectionNetwork,
    spec: InputSpec,
    *,
    name: str,
    identity: str,
    config: EngineConfig = EngineConfig(),
    on_status: OnStatus | None = None,
) -> OpenVinoEngine | TorchEngine:
    """What the last layer of a detection network sees in boxes, as an engine with the output "boxes".

    Arguments and errors as of `open_network`.
    """
    from twinpath.models.detection import BoxEmbedder

    embedder = BoxEmbedder(network)
    return open_network(
        embedder, spec, output="boxes", name=name, identity=identity, config=config, on_status=on_status
    )


def open_network(
    network: VideoNetwork,
    spec: InputSpec,
    *,
    output: Output,
    name: str,
    identity: str,
    config: EngineConfig = EngineConfig(),
    on_status: OnStatus | None = None,
) -> OpenVinoEngine | TorchEngine:
    """An engine for a network that is in memory.

    Args:
        network: The network, with its weights.
        spec: Its input.
        output: What is computed.
        name: For people.
        identity: What tells it from networks that compute something else: the compiled network is kept by it.
        config: See `open_engine`; any backend but ONNX Runtime.
        on_status: See `open_engine`.
    Raises:
        UsageError, MissingExtra: See `choose_backend`.
    """
    backend = choose_backend(config)
    if backend == "onnxruntime":
        raise UsageError(
            "engine 'onnxruntime' runs exported models, which give scores only; choose another one"
        )
    if backend == "openvino":
        load = partial(_load_network, network, spec, output)
        try:
            _load_openvino()
            compilation = _Compilation._of(name, spec, output, config, {"network": identity}, load)
            return compilation.engine(read_entry(compilation.path), on_status or _ignore)
        except _NotTaken as error:
            logger.warning("OpenVINO cannot run %s (%s); torch does, which is slower", name, error)
    from twinpath.engine.torch_engine import TorchEngine

    return TorchEngine(network, spec, output=output, config=config)


def has_openvino() -> bool:
    """Whether it is installed; does not import it."""
    return importlib.util.find_spec("openvino") is not None


def choose_backend(config: EngineConfig) -> Backend:
    """The backend that a configuration means on this machine.

    Raises:
        UsageError: The engine is OpenVINO and the device no CPU.
        MissingExtra: The engine is not installed.
    """
    on_cpu = config.device == "cpu" or (config.device == "auto" and not has_cuda_gpu())
    if config.engine == "openvino":
        if not has_openvino():
            raise MissingExtra("engine 'openvino' needs OpenVINO: pip install openvino")
        if config.device not in ("auto", "cpu"):
            raise UsageError(f"engine 'openvino' runs on the CPU, not on {config.device}; choose 'torch'")
        return "openvino"
    if config.engine == "onnxruntime":
        return "onnxruntime"
    if config.engine == "auto" and not config.compile and has_openvino():
        if on_cpu or (config.device == "auto" and not has_torch()):
            return "openvino"
        check_torch(f"device {config.device!r}")
    check_torch("compile=True" if config.compile else "engine 'torch'")
    return "torch"


def _published(record: Record, progress: Progress | None, sha256: HashOf) -> Path:
    """The file to convert: the graph inside this package, else the weights, downloaded if necessary."""
    if record.embedded_graph is not None and record.embedded_graph.is_file():
        return record.embedded_graph
    if where(record) is None:
        _check_can_convert(record.name)  # before a download in vain
    return weights_path(record, progress=progress, sha256=sha256)


def _check_can_convert(weights: str) -> None:
    """Raises: MissingExtra: torch, which converts weights, is not installed."""
    if not has_torch():
        raise MissingExtra(
            f"{weights} needs torch once, to be converted for this CPU; install it with: {INSTALL_TORCH}"
        )


class _NotTaken(Exception):
    """OpenVINO does not run a network here; gives the reason."""


def _openvino_engine(
    model: str,
    weight_file: Callable[[HashOf], Path],
    output: Output,
    config: EngineConfig,
    on_status: OnStatus,
) -> OpenVinoEngine:
    """The engine. A weight file is hashed where its bytes are used: what is in the cache needs its name only.

    Raises:
        _NotTaken
        UsageError: See `choose_precision`.
    """
    _load_openvino()
    compilation = _Compilation.plan(model, weight_file, output, config, known_sha256)
    entry = read_entry(compilation.path)
    if entry is None:
        compilation = _Compilation.plan(model, weight_file, output, config, file_sha256)
        entry = read_entry(compilation.path)
    return compilation.engine(entry, on_status)


def _load_openvino() -> None:
    """Import OpenVINO. Raises: _NotTaken: Its installation is broken, or has no plugin for the CPU."""
    try:
        from twinpath.engine import openvino_engine as backend

        backend.capabilities()
    except (ImportError, OSError, RuntimeError) as error:
        raise _NotTaken(f"it does not load: {last_line(error)}") from error


def _ignore(sentence: str) -> None:
    pass


def _network(
    model: str, weights: Path | None, output: Output, progress: Progress | None = None
) -> VideoNetwork:
    """The network with its weights. Embeddings do not need the head, so its classes may be others."""
    from twinpath.weights.state_dict import HEAD

    return load_network(model, weights, leave_out=(HEAD,) if output == "embed" else (), progress=progress)


def _open_folder(folder: ModelFolder, output: Output, config: EngineConfig, on_status: OnStatus) -> Engine:
    """A model folder on the backend that is named, or the fastest that takes its files.

    Raises:
        UsageError: It has no such output, or no file for the backend.
    """
    card, shown = folder.card, display_path(folder.path)
    if output not in card.outputs:
        outputs = " or ".join(repr(one) for one in card.outputs)
        raise UsageError(f"{shown} is a model for {card.task}: output {outputs}, not {output!r}")
    backend = _backend_of_folder(folder, config)
    if backend == "onnxruntime":
        from twinpath.engine.onnx_engine import OnnxEngine

        return OnnxEngine(
            folder.checked(ONNX),
            card.input,
            output=output,
            num_classes=len(card.labels),
            model=folder.name,
            config=config,
        )
    if backend == "torch":
        from twinpath.engine.torch_engine import TorchEngine

        choose_device(config.device)
        return TorchEngine(load_folder_network(folder), card.input, output=output, config=config)
    try:
        _load_openvino()
        compilation = _Compilation.of_folder(folder, output, config)
        return compilation.engine(read_entry(compilation.path), on_status)
    except _NotTaken as error:
        raise UsageError(f"OpenVINO cannot run {shown} ({error}); choose another engine") from error


def _backend_of_folder(folder: ModelFolder, config: EngineConfig) -> Backend:
    """Raises: UsageError: The folder has no file for the backend; MissingExtra: It is not installed."""
    shown, names = display_path(folder.path), ", ".join(folder.card.files)
    takes: dict[Backend, bool] = {
        "openvino": folder.has(ONNX) or folder.has(OPENVINO) or has_network(folder),
        "onnxruntime": folder.has(ONNX),
        "torch": has_network(folder),
    }
    if config.engine != "auto" or config.compile:
        backend = choose_backend(config)
    elif not takes["openvino"]:
        raise UsageError(
            f"{shown} has no file that an engine here runs, only {names}; a .pt2 is for torch.export.load"
        )
    elif config.device not in ("auto", "cpu") or (config.device == "auto" and has_cuda_gpu() and has_torch()):
        backend = "torch" if takes["torch"] or config.device != "auto" else "openvino"
    else:
        backend = "openvino" if has_openvino() or not takes["onnxruntime"] else "onnxruntime"
    if not takes[backend]:
        raise UsageError(f"{shown} has no file for engine {backend!r}, only {names}; choose another engine")
    return choose_backend(replace(config, engine=backend))


@dataclass(frozen=True)
class _Compilation:
    """A network to be compiled by OpenVINO, and where the compiled network is kept.

    Attributes:
        name: For people.
        spec: Its input.
        precision: In which it computes.
        path: In the cache.
        load: Gives for a precision what converts the network for OpenVINO, and its number of classes.
    """

    name: str
    spec: InputSpec
    output: Output
    config: EngineConfig
    precision: CpuPrecision
    path: Path
    load: Callable[[CpuPrecision], tuple[Callable[[], Any], int]]

    @classmethod
    def plan(
        cls,
        model: str,
        weight_file: Callable[[HashOf], Path],
        output: Output,
        config: EngineConfig,
        sha256: HashOf,
    ) -> _Compilation:
        """Find the place in the cache; its name has a hash of all that the compiled network depends on."""
        weights = weight_file(sha256)
        _, record = resolve(model)
        spec = input_spec(model)
        key = {
            "weights": sha256(weights),
            "model": model if record is None else _network_facts(asdict(record)),
            "spec": asdict(spec),
            "head": "record" if record is None or model == record.name else "file",
        }
        load = partial(_load_zoo, model, weights, output)
        return cls._of(record.name if record else model, spec, output, config, key, load)

    @classmethod
    def of_folder(cls, folder: ModelFolder, output: Output, config: EngineConfig) -> _Compilation:
        """The same of a model folder; its files are compared with their hashes when they are read."""
        card = folder.card
        key = {
            "folder": folder.sha256,
            "network": card.network,
            "classes": len(card.labels),
            "spec": asdict(card.input),
        }
        return cls._of(folder.name, card.input, output, config, key, partial(_load_folder, folder, output))

    @classmethod
    def _of(
        cls,
        name: str,
        spec: InputSpec,
        output: Output,
        config: EngineConfig,
        key: dict[str, Any],
        load: Callable[[CpuPrecision], tuple[Callable[[], Any], int]],
    ) -> _Compilation:
        from twinpath.engine import openvino_engine as backend

        precision = backend.choose_precision(config)
        key |= {
            "output": output,
            "precision": precision,
            "openvino": backend.version(),
            "cpu": [backend.cpu_name(), cpu_abilities()],
            "format": 6,
        }
        return cls(name, spec, output, config, precision, entry_path(name, key), load)

    def engine(self, entry: Entry | None, on_status: OnStatus) -> OpenVinoEngine:
        """From the cache, or compiled now. Raises: _NotTaken: OpenVINO does not take the network."""
        from twinpath.engine.openvino_engine import OpenVinoEngine

        if entry is None:
            return self._compiled(on_status)
        if entry.facts.get("not_convertible"):
            raise _NotTaken(entry.facts["not_convertible"])
        try:
            return OpenVinoEngine.from_entry(
                entry, self.spec, output=self.output, config=self.config, model=self.name
            )
        except RuntimeError as error:
            logger.warning("%s is not taken by OpenVINO (%s) and is made anew", self.path, last_line(error))
        return self._compiled(on_status)

    def _compiled(self, on_status: OnStatus) -> OpenVinoEngine:
        """Convert and compile; keep the result, or the reason why there is none.

        Raises:
            _NotTaken: There is none.
            LimitExceeded: The memory does not suffice; nothing is kept then.
        """
        from twinpath.engine import openvino_engine as backend
        from twinpath.engine.openvino_graph import NotConvertible

        convert, num_classes = self.load(self.precision)
        on_status(f"compiling {self.name} for this CPU (once; some seconds) ...")
        try:
            compiled = backend.compile_network(convert(), precision=self.precision, config=self.config)
        except (NotConvertible, RuntimeError, MemoryError) as error:
            if is_out_of_memory(error.__cause__ or error):
                raise LimitExceeded(f"compiling {self.name} needs more memory than there is") from error
            reason = last_line(error)
            write_entry(self.path, b"", {"not_convertible": reason})
            raise _NotTaken(reason) from error
        exported = compiled.export_model()
        content = memoryview(bytearray(exported)) if isinstance(exported, bytes) else exported.getbuffer()
        streams = backend.choose_streams(
            compiled,
            backend.shared_tensor(content),
            output=self.output,
            precision=self.precision,
            config=self.config,
        )
        facts = {"num_classes": num_classes, "precision": self.precision, **streams.choice.facts()}
        write_entry(self.path, content, facts)
        return backend.OpenVinoEngine(
            compiled,
            self.spec,
            output=self.output,
            num_classes=num_classes,
            precision=self.precision,
            model=self.name,
            streams=streams,
        )


def _load_network(
    network: VideoNetwork, spec: InputSpec, output: Output, precision: CpuPrecision
) -> tuple[Callable[[], Any], int]:
    """What converts a network that is there."""
    from twinpath.engine.openvino_convert import convert

    converting = partial(convert, network, spec, output=output, precision=precision)
    return converting, network.get_classifier().out_features


def _load_zoo(
    model: str, weights: Path, output: Output, precision: CpuPrecision
) -> tuple[Callable[[], Any], int]:
    """What converts a network for OpenVINO, and its number of classes. A graph needs no torch."""
    _, record = resolve(model)
    spec = input_spec(model)
    if record is not None and weights == record.embedded_graph:
        from twinpath.engine.openvino_graph import read_graph

        return partial(read_graph, weights, spec, output=output), record.num_classes
    _check_can_convert(display_path(weights))
    network = _network(model, weights, output)
    from twinpath.engine.openvino_convert import convert

    converting = partial(convert, network, spec, output=output, precision=precision)
    return converting, network.get_classifier().out_features


def _load_folder(
    folder: ModelFolder, output: Output, precision: CpuPrecision
) -> tuple[Callable[[], Any], int]:
    """The same of a model folder."""
    spec, num_classes = folder.card.input, len(folder.card.labels)
    if folder.has(OPENVINO) or folder.has(ONNX):
        from twinpath.engine.openvino_graph import read_graph

        if folder.has(OPENVINO):
            folder.checked(OPENVINO_WEIGHTS)
        path = folder.checked(OPENVINO if folder.has(OPENVINO) else ONNX)
        return partial(read_graph, path, spec, output=output), num_classes
    _check_can_convert(display_path(folder.path / WEIGHTS))
    network = load_folder_network(folder)
    from twinpath.engine.openvino_convert import convert

    converting = partial(convert, network, spec, output=output, precision=precision)
    return converting, num_classes


def _network_facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """What of a record shapes its network; the rest may change without a new compilation."""
    names = ("architecture", "num_classes", "activation", "averaging", "pooling", "options")
    return {name: record[name] for name in names}


def engine_facts() -> dict[str, Any]:
    """What is installed and what "auto" chooses here, as plain values; imports no torch."""
    chosen = choose_backend(EngineConfig()) if has_openvino() or has_torch() else None
    facts: dict[str, Any] = {"cuda_gpu": has_cuda_gpu(), "engine": chosen}
    if not has_openvino():
        return {**facts, "openvino": None}
    try:
        _load_openvino()
    except _NotTaken as error:
        return {**facts, "engine": "torch" if has_torch() else None, "openvino": str(error)}
    from twinpath.engine import openvino_engine as backend

    if chosen == "openvino":
        facts["precision"] = backend.choose_precision(EngineConfig())
    facts["streams"] = [
        {"model": model, "precision": kept["precision"], **kept["streams"]}
        for model, kept in entries()
        if kept.get("streams", {}).get("alone_ms") is not None
    ]
    return {**facts, "openvino": backend.version(), "cpu": backend.cpu_name()}
