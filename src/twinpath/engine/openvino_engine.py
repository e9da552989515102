"""The OpenVINO machine: a compiled network on the CPU. It imports no torch: see `convert.py` for that."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.base import Boxes, Clips
from twinpath.engine.compiled_cache import Entry
from twinpath.engine.config import EngineConfig
from twinpath.engine.openvino_import import ov
from twinpath.errors import UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.models.resample import crop_plan, scaled_boxes

HINTS = {"fp32": "f32", "bf16": "bf16"}


class _Compiled:
    """A compiled network: clips of any frame size, one at a time, on all cores; threads wait for each other.

    Args:
        compiled: Takes frames (1, T, H, W, 3), other things perhaps, and the six arrays of a `CropPlan` of
            one crop.
        spec: Size and crop of its input.
        num_crops: 1 or 3 crops of each clip in space, one after the other.
        num_classes: Columns of its output.
        precision: As it was compiled.
    """

    name = "openvino"

    def __init__(
        self,
        compiled: ov.CompiledModel,
        spec: InputSpec,
        *,
        num_crops: int = 1,
        num_classes: int,
        precision: Literal["fp32", "bf16"],
    ) -> None:
        self.spec, self.num_crops, self._num_classes = spec, num_crops, num_classes
        self.precision = precision
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._one_at_a_time = threading.Lock()

    @classmethod
    def from_entry(cls, entry: Entry, spec: InputSpec, *, config: EngineConfig) -> Self:
        """Take a compiled network from the cache.

        Raises:
            RuntimeError: OpenVINO does not take it.
        """
        content = ov.Tensor(np.frombuffer(entry.content, dtype=np.uint8))
        facts = entry.facts
        compiled = _core().import_model(content, "CPU", _hints(facts["precision"], config))
        return cls(compiled, spec, num_classes=facts["num_classes"], precision=facts["precision"])

    @property
    def num_classes(self) -> int:
        """Logits of the network."""
        return self._num_classes

    def describe(self) -> str:
        threads = self._compiled.get_property("INFERENCE_NUM_THREADS")
        return f"openvino {version()}, cpu with {threads} threads, {self.precision}"

    def _infer(self, *given: NDArray[Any]) -> NDArray[np.float32]:
        with self._one_at_a_time:
            result = self._request.infer(list(given))
            return np.array(result[0], dtype=np.float32)  # a copy: the next call overwrites the result


class OpenVinoEngine(_Compiled):
    """Scores, or embeddings, of clips; see `Engine`."""

    batch_clips = 1  # a batch gains nothing: one clip fills all cores

    def with_crops(self, num_crops: int) -> OpenVinoEngine:
        """The same compiled network on 1 or 3 crops of each clip."""
        return OpenVinoEngine(
            self._compiled,
            self.spec,
            num_crops=num_crops,
            num_classes=self._num_classes,
            precision=self.precision,
        )

    def __call__(self, clips_NTHWC: Clips) -> NDArray[np.float32]:
        """Score clips, see `Engine`. Compiled to embed, it gives (N * num_crops, D) embeddings."""
        return np.concatenate([self._one(clip) for clip in clips_NTHWC])

    def warm_up(self, height: int, width: int) -> None:
        self._one(np.zeros((self.spec.num_frames, height, width, 3), dtype=np.uint8))

    def _one(self, clip_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        _, height, width, _ = clip_THWC.shape
        plan = crop_plan(
            height,
            width,
            short_side=self.spec.short_side_px,
            crop=self.spec.crop_px,
            num_crops=self.num_crops,
            resize=self.spec.resize_px,
        )
        frames = np.ascontiguousarray(clip_THWC)[None]
        crops = [[array[k : k + 1] for array in plan.arrays()] for k in range(self.num_crops)]
        return np.concatenate([self._infer(frames, *crop) for crop in crops])


class OpenVinoBoxEngine(_Compiled):
    """Scores of boxes; see `BoxEngine`."""

    batch_clips = 1

    def __call__(self, clips_NTHWC: Clips, boxes_xyxy_px: Sequence[Boxes]) -> list[NDArray[np.float32]]:
        """See `BoxEngine`."""
        return [self._one(clip, boxes) for clip, boxes in zip(clips_NTHWC, boxes_xyxy_px, strict=True)]

    def _one(self, clip_THWC: NDArray[np.uint8], boxes_xyxy_px: Boxes) -> NDArray[np.float32]:
        if not len(boxes_xyxy_px):
            return np.zeros((0, self.num_classes), dtype=np.float32)
        _, height, width, _ = clip_THWC.shape
        short_side = self.spec.short_side_px
        boxes = scaled_boxes(boxes_xyxy_px, height, width, short_side=short_side)
        boxes = np.pad(boxes, ((0, 0), (1, 0)))  # of the only clip, number 0
        plan = crop_plan(height, width, short_side=short_side, crop=None)
        return self._infer(np.ascontiguousarray(clip_THWC)[None], boxes, *plan.arrays())


def compile_network(network: ov.Model, *, precision: Literal["fp32", "bf16"], config: EngineConfig) -> Any:
    """Compile a converted network for this CPU."""
    return _core().compile_model(network, "CPU", _hints(precision, config))


def _hints(precision: Literal["fp32", "bf16"], config: EngineConfig) -> dict[str, Any]:
    """For compiling, and again for what was compiled before: OpenVINO does not keep them with it."""
    hints = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
    return {**hints, **threads_property(config)}


def choose_precision(config: EngineConfig) -> Literal["fp32", "bf16"]:
    """bf16 where this CPU computes in it.

    Raises:
        UsageError: It was asked for something that OpenVINO has not on this CPU, where it would silently
            compute in fp32.
    """
    if config.precision == "fp16":
        raise UsageError("--precision fp16 is for GPUs; on a CPU choose bf16 or fp32")
    has_bf16 = "BF16" in capabilities()
    if config.precision == "bf16" and not has_bf16:
        raise UsageError("--precision bf16: this CPU does not compute in it; leave it out, or choose fp32")
    if config.precision != "auto":
        return config.precision
    return "bf16" if has_bf16 else "fp32"


def capabilities() -> tuple[str, ...]:
    """What OpenVINO says this CPU is good at, for example ("FP32", "BF16", …)."""
    return tuple(_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def cpu_name() -> str:
    """What this CPU calls itself, and what of its abilities compiled code depends on."""
    return f"{_core().get_property('CPU', 'FULL_DEVICE_NAME')} {' '.join(capabilities())}"


def version() -> str:
    """OpenVINO's, for example "2026.4.1"."""
    return str(ov.__version__).split("-")[0]


def threads_property(config: EngineConfig) -> dict[str, int]:
    """How many threads to compute with; nothing where OpenVINO shall choose."""
    if config.threads is not None:
        return {"INFERENCE_NUM_THREADS": config.threads}
    if hasattr(os, "sched_getaffinity"):  # in a container with fewer cores than the machine
        allowed = len(os.sched_getaffinity(0))
        if allowed < (os.cpu_count() or 1):
            return {"INFERENCE_NUM_THREADS": allowed}
    return {}


@cache
def _core() -> ov.Core:
    return ov.Core()
