"""The torch backend: a network with its preprocessing on any device that torch has."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twinpath.device import choose_device, mind_fork, use_threads
from twinpath.engine.base import (
    Boxes,
    Clips,
    boxes_in_resized,
    check_crops,
    paired_boxes,
    picture_px,
    resized,
    zero_inputs,
)
from twinpath.engine.config import EngineConfig, Precision
from twinpath.engine.gpu_batch import clips_at_once, clips_that_fit, free_bytes, padded_size, peak_bytes
from twinpath.engine.uploads import Uploads
from twinpath.errors import LimitExceeded, UsageError, is_out_of_memory
from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork
from twinpath.models.preprocess import Normalise
from twinpath.models.registry import Output
from twinpath.video.resize import ResizedFrames

CPU_BATCH_CLIPS: dict[Output, int] = {"scores": 2, "embed": 2, "boxes": 1}
_TYPICAL_BOXES = 8  # persons in a clip, and …
_TYPICAL_SHAPE = 16 / 9  # … width over height of its frames, to measure what a clip with boxes takes
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

Item = TypeVar("Item")


class TorchEngine:
    """See `Engine`.

    On a GPU a call is computed in parts of `step_clips`: the next part is copied there while one is computed.
    Threads that share an engine on a GPU wait for each other.

    Args:
        network: In evaluation mode and on the device from here on.
        spec: Size, crop and normalisation of its input.
        output: What is computed.
        num_crops: 1 or 3 crops of each clip in space.
        batch_clips: Clips that go through the network at once; None: what the device's memory holds. Where it
            turns out to be too many for the memory of a GPU it is halved, and stays so.
        config: Device, precision and threads. "auto" precision is bf16 on a GPU that has it, else fp32. With
            `compile` the network is compiled, on a GPU with CUDA graphs for 1 clip and for `step_clips`:
            minutes once, then faster. cuDNN then searches for the fastest kernels, in the whole process.
    Raises:
        UsageError: The device or the precision cannot be had here.
    """

    name = "torch"

    def __init__(
        self,
        network: VideoNetwork,
        spec: InputSpec,
        *,
        output: Output = "scores",
        num_crops: int = 1,
        batch_clips: int | None = None,
        config: EngineConfig = EngineConfig(),
    ) -> None:
        check_crops(output, num_crops)
        use_threads(config.threads)
        self.device = choose_device(config.device)
        self._made_by = os.getpid()
        self.precision = choose_precision(config.precision, self.device)
        self.spec, self.output, self.num_crops = spec, output, num_crops
        self.network = network.eval().to(self.device)
        if self.precision != "fp32":
            self.network.to(memory_format=torch.channels_last_3d)  # what the fast kernels want
        self.resize = spec.resize(num_crops=num_crops, whole=output == "boxes")
        self.normalise = Normalise(mean=spec.mean, std=spec.std).to(self.device)
        self._uploads = Uploads(self.device)
        self._one_at_a_time = threading.Lock() if self.device.type == "cuda" else nullcontext()
        self._has_graphs = False
        self._compute: Callable[..., Tensor] = self._normalised_and_computed
        self.batch_clips = batch_clips or self._best_batch()
        if config.compile:
            self._has_graphs = self.device.type == "cuda" and output != "boxes"  # whose sizes change
            mode = "reduce-overhead" if self._has_graphs else "default"
            if self._has_graphs:  # with few sizes: the fastest kernels are worth the search
                torch.backends.cudnn.benchmark = True
            self._compute = torch.compile(self._compute, mode=mode)

    @property
    def step_clips(self) -> int:
        """Clips that go through the network at once, at most."""
        if self.device.type != "cuda":
            return self.batch_clips
        clip_bytes = 4 * 3 * self.spec.num_frames * self.spec.short_side_px**2
        return clips_at_once(self.batch_clips, clip_bytes)

    @property
    def num_classes(self) -> int:
        """Classes of the network."""
        return self.network.get_classifier().out_features

    def describe(self) -> str:
        """For people: backend, version, device, precision."""
        where = str(self.device)
        if self.device.type == "cuda":
            where += f" ({torch.cuda.get_device_name(self.device)})"
        return f"{self.name} {torch.__version__.split('+')[0]}, {where}, {self.precision}"

    def with_crops(self, num_crops: int) -> TorchEngine:
        """The same network on 1 or 3 crops of each clip."""
        check_crops(self.output, num_crops)
        other = copy.copy(self)
        other.num_crops = num_crops
        other.resize = self.spec.resize(num_crops=num_crops, whole=self.output == "boxes")
        return other

    def warm_up(self, height: int, width: int) -> None:
        """Compute one clip of zeros, so that the first clip of this size is not slower than others."""
        self(*zero_inputs(self.spec, self.output, height, width))

    @torch.inference_mode()
    def __call__(
        self, clips: Clips, boxes_xyxy_px: Sequence[Boxes] | None = None
    ) -> list[NDArray[np.float32]]:
        """Compute the output for some clips; see `Engine`. A clip without boxes costs nothing."""
        boxes = paired_boxes(self.output, clips, boxes_xyxy_px)
        mind_fork(self._made_by, self.device)
        try:
            with self._one_at_a_time:
                return self._of_boxes(clips, boxes) if self.output == "boxes" else self._of_crops(clips)
        except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is of GPUs only
            if not is_out_of_memory(error):
                raise
            raise LimitExceeded(
                f"one clip of {self.spec.num_frames} frames needs more memory than {self.device} has free"
            ) from error

    def _of_crops(self, clips: Clips) -> list[NDArray[np.float32]]:
        """(num_crops, classes or D) for each clip."""
        found: list[Tensor] = []
        of_network = (resized(clip, self.resize) for clip in clips)
        crops = (clip.pixels[:, k] for clip in of_network for k in range(self.num_crops))
        while batch := list(islice(crops, self.step_clips)):
            found += self._fitting(batch, lambda batch: self._run(self._uploads(batch)))
        if not found:
            return []
        rows: NDArray[np.float32] = torch.cat(found).cpu().numpy()
        return list(rows.reshape(len(clips), self.num_crops, -1))

    def _of_boxes(self, clips: Clips, boxes_xyxy_px: Sequence[Boxes]) -> list[NDArray[np.float32]]:
        """(P, classes) for each clip."""
        scores = [np.zeros((len(boxes), self.num_classes), dtype=np.float32) for boxes in boxes_xyxy_px]

        def compute(indices: list[int]) -> Tensor:
            of_batch = [resized(clips[i], self.resize) for i in indices]
            return self._score_together(of_batch, [boxes_xyxy_px[i] for i in indices])

        computed: list[tuple[list[int], list[Tensor]]] = []
        for indices in self._of_one_size(clips, boxes_xyxy_px):
            remaining = iter(indices)
            while batch := list(islice(remaining, self.step_clips)):
                computed.append((batch, self._fitting(batch, compute)))
        for batch, found in computed:
            ends = np.cumsum([len(scores[i]) for i in batch])
            rows_of_all = torch.cat(found).cpu().numpy()
            for i, rows in zip(batch, np.split(rows_of_all, ends[:-1]), strict=True):
                scores[i] = rows
        return scores

    def _of_one_size(self, clips: Clips, boxes_xyxy_px: Sequence[Boxes]) -> Iterator[list[int]]:
        """Indices of the clips that have boxes, in lists of clips whose resized frames have one size."""
        by_size: dict[tuple[int, ...], list[int]] = {}
        for i, (clip, boxes) in enumerate(zip(clips, boxes_xyxy_px, strict=True)):
            if len(boxes):
                size = self.resize.plan(*picture_px(clip)).shape
                by_size.setdefault((len(clip), *size), []).append(i)
        yield from by_size.values()

    def _score_together(self, clips: list[ResizedFrames], boxes_xyxy_px: Sequence[Boxes]) -> Tensor:
        """Clips whose resized frames have one size to scores (all boxes, classes)."""
        boxes_N5 = [
            np.insert(boxes_in_resized(clip, boxes_px, self.resize), 0, index, axis=1)
            for index, (clip, boxes_px) in enumerate(zip(clips, boxes_xyxy_px, strict=True))
        ]
        boxes_of_all = torch.from_numpy(np.concatenate(boxes_N5)).to(self.device)
        return self._run(self._uploads([clip.pixels[:, 0] for clip in clips]), boxes_of_all)

    def _run(self, frames_BTHWC: Tensor, *boxes: Tensor) -> Tensor:
        """What the network gives for frames with values 0 to 255, float32, on the device."""
        if not self._has_graphs:
            return self._compute(frames_BTHWC, *boxes)
        # A graph is recorded for each size, and its next run overwrites its result.
        count = len(frames_BTHWC)
        padding = padded_size(count, self.step_clips) - count
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        padded = torch.nn.functional.pad(frames_BTHWC, (0, 0) * 4 + (0, padding))
        return self._compute(padded)[:count].clone()

    def _normalised_and_computed(self, frames_BTHWC: Tensor, *boxes: Tensor) -> Tensor:
        name = "embed" if self.output == "embed" else "scores"
        method: Callable[..., Tensor] = getattr(self.network, name)
        clips_BCTHW = self.normalise(frames_BTHWC)
        if self.precision == "fp32":
            return method(clips_BCTHW.contiguous(), *boxes).float()
        clips_BCTHW = clips_BCTHW.contiguous(memory_format=torch.channels_last_3d)  # as it lies already
        with torch.autocast(self.device.type, dtype=_DTYPES[self.precision]):
            return method(clips_BCTHW, *boxes).float()

    def _fitting(self, items: list[Item], compute: Callable[[list[Item]], Tensor]) -> list[Tensor]:
        """Compute a batch at once; where the device's memory does not hold it, in halves, now and later.

        Raises:
            RuntimeError, MemoryError: It does not hold a single item.
        """
        try:
            return [compute(items)]
        except (RuntimeError, MemoryError) as error:
            if len(items) == 1 or not is_out_of_memory(error):
                raise
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        half = (len(items) + 1) // 2
        self.batch_clips = min(self.batch_clips, half)
        return [*self._fitting(items[:half], compute), *self._fitting(items[half:], compute)]

    def _best_batch(self) -> int:
        """Clips at once: on a GPU by what one takes there, and what is free."""
        if self.device.type != "cuda":
            return CPU_BATCH_CLIPS[self.output]
        short_side = self.spec.short_side_px
        height, width = self.spec.crop_px, self.spec.crop_px
        boxes: tuple[Tensor, ...] = ()
        if self.output == "boxes":
            height, width = short_side, round(short_side * _TYPICAL_SHAPE)
            corners = torch.tensor([[0, 0, 0, width, height]] * _TYPICAL_BOXES, device=self.device)
            boxes = (corners.float(),)

        @torch.inference_mode()
        def compute() -> None:
            self._run(torch.zeros(1, self.spec.num_frames, height, width, 3, device=self.device), *boxes)

        clip_bytes = peak_bytes(compute, self.device)
        return clips_that_fit(free_bytes(self.device), clip_bytes)


def choose_precision(precision: Precision, device: torch.device) -> Literal["fp32", "bf16", "fp16"]:
    """bf16 on a GPU that computes in it, else fp32, where `precision` is "auto".

    Raises:
        UsageError: fp16 on a CPU.
    """
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("precision fp16 is for GPUs; on a CPU choose bf16 or fp32")
    if precision != "auto":
        return precision
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
