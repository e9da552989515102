"""The OpenVINO backend: a compiled network on the CPU. It imports no torch: see `openvino_convert.py`."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from twinpath.cores import available_cores
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
from twinpath.engine.compiled_cache import Entry
from twinpath.engine.config import EngineConfig
from twinpath.engine.openvino_import import ov
from twinpath.engine.openvino_streams import StreamChoice, Streams, infer_all, measured_choice
from twinpath.errors import LimitExceeded, UsageError, is_out_of_memory
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import Output
from twinpath.video.resize import ResizedFrames

logger = logging.getLogger(__name__)

CpuPrecision = Literal["fp32", "bf16"]
_ISA_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_WITH_BF16 = ("DEFAULT", "ALL", "BF16", "FP16", "AMX", "AVX10", "AVX2_VNNI_2")  # values of these, or parts
_HINTS: dict[CpuPrecision, str] = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoEngine:
    """See `Engine`. One clip on all cores, or several at once; threads that share it wait for each other.

    Args:
        compiled: From `openvino_convert.convert`.
        spec: Size and crop of its input.
        output: What it was compiled for.
        num_crops: 1 or 3 crops of each clip in space, one after the other.
        num_classes: Classes of the network.
        precision: As it was compiled.
        model: Its name, for messages.
        streams: The same network for several clips at once; None: a batch gains nothing, one clip fills all
            cores.
    """

    name = "openvino"

    def __init__(
        self,
        compiled: ov.CompiledModel,
        spec: InputSpec,
        *,
        output: Output = "scores",
        num_crops: int = 1,
        num_classes: int,
        precision: CpuPrecision,
        model: str = "the network",
        streams: Streams | None = None,
    ) -> None:
        check_crops(output, num_crops)
        self.spec, self.output, self.num_crops = spec, output, num_crops
        self.resize = spec.resize(num_crops=num_crops, whole=output == "boxes")
        self.precision, self._model = precision, model
        self._num_classes = num_classes
        self._compiled = compiled
        self._streams = streams if streams is not None and streams.clips_at_once > 1 else None
        self.batch_clips = self._streams.clips_at_once if self._streams is not None else 1
        self._request = compiled.create_infer_request()
        self._many_requests: list[ov.InferRequest] = []  # for several clips at once, when they are needed
        self._one_at_a_time = threading.Lock()

    @classmethod
    def from_entry(
        cls,
        entry: Entry,
        spec: InputSpec,
        *,
        output: Output,
        config: EngineConfig,
        model: str = "the network",
    ) -> Self:
        """Take a compiled network from the cache.

        Raises:
            RuntimeError: OpenVINO does not take it.
        """
        content = shared_tensor(entry.content)
        facts = entry.facts
        compiled = import_network(content, precision=facts["precision"], config=config)
        return cls(
            compiled,
            spec,
            output=output,
            num_classes=facts["num_classes"],
            precision=facts["precision"],
            model=model,
            streams=Streams(
                StreamChoice.of(facts, threads=compiled.get_property("INFERENCE_NUM_THREADS")),
                partial(_import_streams, content, facts["precision"], config),
            ),
        )

    @property
    def num_classes(self) -> int:
        """Classes of the network."""
        return self._num_classes

    def describe(self) -> str:
        """For people: backend, version, device, precision."""
        threads = self._compiled.get_property("INFERENCE_NUM_THREADS")
        return f"{self.name} {version()}, cpu with {threads} threads, {self.precision}"

    def with_crops(self, num_crops: int) -> OpenVinoEngine:
        """The same compiled network on 1 or 3 crops of each clip."""
        return OpenVinoEngine(
            self._compiled,
            self.spec,
            output=self.output,
            num_crops=num_crops,
            num_classes=self._num_classes,
            precision=self.precision,
            model=self._model,
            streams=self._streams,
        )

    def warm_up(self, height: int, width: int) -> None:
        """Compute one clip of zeros, so that the first clip of this size is not slower than others."""
        self(*zero_inputs(self.spec, self.output, height, width))

    def __call__(
        self, clips: Clips, boxes_xyxy_px: Sequence[Boxes] | None = None
    ) -> list[NDArray[np.float32]]:
        """Compute the output for some clips; see `Engine`. A clip without boxes costs nothing."""
        boxes = paired_boxes(self.output, clips, boxes_xyxy_px)
        if self.output == "boxes":
            return [self._of_boxes(clip, of_clip) for clip, of_clip in zip(clips, boxes, strict=True)]
        step, results = self.batch_clips, []
        for first in range(0, len(clips), step):
            results += self._of_crops([resized(clip, self.resize) for clip in clips[first : first + step]])
        return results

    def _of_crops(self, clips: Sequence[ResizedFrames]) -> list[NDArray[np.float32]]:
        """(num_crops, classes or D) for each clip."""
        crops = [
            np.ascontiguousarray(clip.pixels[:, k])[None] for clip in clips for k in range(self.num_crops)
        ]
        together = len(crops) if len(crops) % self.batch_clips != 1 else len(crops) - 1
        scores = self._infer_together(crops[:together])
        scores += [self._infer(crop) for crop in crops[len(scores) :]]
        return [np.concatenate(scores[i : i + self.num_crops]) for i in range(0, len(scores), self.num_crops)]

    def _infer_together(self, crops: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Several at once; none where that gains nothing."""
        if self._streams is None or not crops:
            return []
        with self._one_at_a_time:
            try:
                self._many_requests = self._many_requests or self._streams.requests()
                return infer_all(self._many_requests, crops)
            except RuntimeError as error:
                self._many_requests = []
                if not is_out_of_memory(error):
                    raise self._failure(error) from error
                logger.warning("%s: no memory for several clips at once; one after the other", self._model)
                self._streams, self.batch_clips = None, 1
                return []

    def _of_boxes(
        self, frames: NDArray[np.uint8] | ResizedFrames, boxes_xyxy_px: Boxes
    ) -> NDArray[np.float32]:
        """(P, classes)."""
        if not len(boxes_xyxy_px):
            return np.zeros((0, self.num_classes), dtype=np.float32)
        return self._infer(*box_inputs(frames, boxes_xyxy_px, self.resize))

    def _infer(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._one_at_a_time:
            try:
                result = self._request.infer(list(inputs), share_inputs=True)
            except RuntimeError as error:
                self._request = self._compiled.create_infer_request()  # what failed may not be used again
                raise self._failure(error) from error
            return np.array(result[0], dtype=np.float32)  # a copy: the next call overwrites the result

    def _failure(self, error: RuntimeError) -> Exception:
        """What an error of OpenVINO means."""
        if is_out_of_memory(error):
            return LimitExceeded(
                f"one clip of {self.spec.num_frames} frames needs more memory for {self._model} than there "
                "is; scale the video down, or free memory"
            )
        return UsageError(f"OpenVINO fails to run {self._model} ({last_line(error)}); choose engine 'torch'")


def compile_network(network: ov.Model, *, precision: CpuPrecision, config: EngineConfig) -> Any:
    """Compile a converted network for this CPU."""
    return _core().compile_model(network, "CPU", _hints(precision, config))


def shared_tensor(content: memoryview) -> ov.Tensor:
    """Bytes that may be written to as OpenVINO takes them, not copied."""
    return ov.Tensor(np.frombuffer(content, dtype=np.uint8), shared_memory=True)


def import_network(
    content: ov.Tensor, *, precision: CpuPrecision, config: EngineConfig, streams: int = 1
) -> ov.CompiledModel:
    """A network that was compiled before.

    Args:
        content: The compiled network.
        precision, config: See `compile_network`.
        streams: Clips that are computed at once, each on its share of the threads.
    Raises:
        RuntimeError: OpenVINO does not take it.
    """
    hints = _hints(precision, config) | ({"NUM_STREAMS": streams} if streams > 1 else {})
    compiled = _core().import_model(content, "CPU", hints)
    compiled.content = content  # not copied: OpenVINO reads weights there for as long as it runs
    return compiled


def choose_streams(
    compiled: ov.CompiledModel,
    content: ov.Tensor,
    *,
    output: Output,
    precision: CpuPrecision,
    config: EngineConfig,
) -> Streams:
    """Measure how several clips are computed fastest; one after the other where that fails.

    Args:
        compiled: For one clip.
        content: The same, exported.
        output, precision, config: As it was compiled. Frames for boxes have many sizes: they are computed one
            after the other.
    """
    again = partial(_import_streams, content, precision, config)
    choice = StreamChoice(1, compiled.get_property("INFERENCE_NUM_THREADS"))
    if output != "boxes":
        try:
            choice = measured_choice(compiled, again)
        except RuntimeError as error:
            logger.warning("clips are computed one after the other: %s", last_line(error))
    return Streams(choice, again)


def _import_streams(
    content: ov.Tensor, precision: CpuPrecision, config: EngineConfig, streams: int
) -> ov.CompiledModel:
    return import_network(content, precision=precision, config=config, streams=streams)


def _hints(precision: CpuPrecision, config: EngineConfig) -> dict[str, Any]:
    """For compiling, and again for what was compiled before: OpenVINO does not keep them with it."""
    hints = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
    return {**hints, **threads_property(config)}


def choose_precision(config: EngineConfig) -> CpuPrecision:
    """bf16 where this CPU computes in it, else fp32, where the precision is "auto".

    Raises:
        UsageError: This CPU does not compute in it; OpenVINO would silently compute in fp32.
    """
    if config.precision == "fp16":
        raise UsageError("precision fp16 is for GPUs; on a CPU choose bf16 or fp32")
    has_bf16 = "BF16" in capabilities()
    if config.precision == "bf16" and not has_bf16:
        raise UsageError("precision bf16: this CPU does not compute in it; choose auto or fp32")
    if config.precision != "auto":
        return config.precision
    return "bf16" if has_bf16 else "fp32"


def capabilities() -> tuple[str, ...]:
    """What OpenVINO finds this CPU to be good at, for example ("FP32", "BF16", …).

    Without bf16 where the environment keeps its library from the instructions for it: OpenVINO does not look
    there, and then finds no way to compute.
    """
    found = tuple(_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    limit = next((os.environ[name] for name in _ISA_LIMITS if os.environ.get(name)), "DEFAULT").upper()
    has_bf16 = any(name in limit for name in _WITH_BF16)
    return found if has_bf16 else tuple(name for name in found if name != "BF16")


def cpu_name() -> str:
    """The CPU's own name, and the abilities that compiled code depends on."""
    return f"{_core().get_property('CPU', 'FULL_DEVICE_NAME')} {' '.join(capabilities())}"


def version() -> str:
    """OpenVINO's, for example "2026.4.1"."""
    return str(ov.__version__).split("-")[0]


def threads_property(config: EngineConfig) -> dict[str, int]:
    """How many threads to compute with; empty where OpenVINO chooses: it knows which cores are physical."""
    if config.threads is not None:
        return {"INFERENCE_NUM_THREADS": config.threads}
    cores = available_cores()
    return {"INFERENCE_NUM_THREADS": cores} if cores < (os.cpu_count() or 1) else {}


@cache
def _core() -> ov.Core:
    return ov.Core()
