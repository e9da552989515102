"""The torch machine: runs a network with its preprocessing on any device that torch has.

The interface that every machine has: frames uint8 (N, T, H, W, 3) in, scores (N * crops, classes) out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twinpath.device import choose_device
from twinpath.engine.base import Boxes, Clips
from twinpath.engine.config import EngineConfig, Output, Precision
from twinpath.errors import UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.models.preprocess import Preprocess
from twinpath.models.resample import scaled_boxes
from twinpath.prefetch import batches


class _OnDevice:
    """A network and its preprocessing on one device.

    Args:
        network: In evaluation mode from here on.
        spec: Size, crop and normalisation of its input.
        crop: Side of the crop in pixels; None: the whole picture.
        num_crops: 1 or 3 crops of each clip in space.
        output: The method of the network that is computed: "scores", or "embed" for feature vectors.
        config: Device, precision and threads. "auto" precision is bf16 on a GPU that has it, else fp32. With
            `compile` the network is compiled, on a GPU with CUDA graphs: minutes once, then faster.
    Raises:
        UsageError: The device or the precision cannot be had here.
    """

    name = "torch"

    def __init__(
        self,
        network: nn.Module,
        spec: InputSpec,
        *,
        crop: int | None,
        num_crops: int = 1,
        output: str = "scores",
        config: EngineConfig,
    ) -> None:
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        self.device = choose_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.spec, self.config = spec, config
        self.network = network.eval().to(self.device)
        if self.precision != "fp32":
            self.network.to(memory_format=torch.channels_last_3d)  # what the fast kernels want
        self._compute: Callable[..., Tensor] = getattr(self.network, output)
        if config.compile:
            mode = "reduce-overhead" if self.device.type == "cuda" else "default"
            self._compute = torch.compile(self._compute, mode=mode)
        self.preprocess = Preprocess(
            short_side=spec.short_side_px,
            crop=crop,
            mean=spec.mean,
            std=spec.std,
            num_crops=num_crops,
            resize=spec.resize_px,
        ).to(self.device)

    @property
    def num_classes(self) -> int:
        """Logits of the network."""
        return int(self.network.get_parameter("head.projection.weight").shape[0])

    def describe(self) -> str:
        """For people: machine, device, precision."""
        where = str(self.device)
        if self.device.type == "cuda":
            where += f" ({torch.cuda.get_device_name(self.device)})"
        return f"{self.name} {torch.__version__.split('+')[0]}, {where}, {self.precision}"

    def _run(self, clips_BCTHW: Tensor, *boxes: Tensor) -> Tensor:
        if self.precision == "fp32":
            return self._compute(clips_BCTHW, *boxes)
        clips_BCTHW = clips_BCTHW.contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(self.device.type, dtype=_DTYPES[self.precision]):
            return self._compute(clips_BCTHW, *boxes)


class TorchEngine(_OnDevice):
    """Scores, or embeddings, of clips; see `Engine`.

    Args:
        network, spec, num_crops, output, config: See `_OnDevice`.
        batch_clips: Clips that go through the network at once.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: InputSpec,
        *,
        num_crops: int = 1,
        output: Output = "scores",
        batch_clips: int = 2,
        config: EngineConfig = EngineConfig(),
    ) -> None:
        super().__init__(network, spec, crop=spec.crop_px, num_crops=num_crops, output=output, config=config)
        self.batch_clips, self.output = batch_clips, output

    def with_crops(self, num_crops: int) -> TorchEngine:
        """The same network on 1 or 3 crops of each clip."""
        options = {"output": self.output, "batch_clips": self.batch_clips, "config": self.config}
        return TorchEngine(self.network, self.spec, num_crops=num_crops, **options)  # type: ignore[arg-type]

    def warm_up(self, height: int, width: int) -> None:
        """Run once on nothing, so that the first clip of that size does not pay for it."""
        self([np.zeros((self.spec.num_frames, height, width, 3), dtype=np.uint8)])

    @torch.inference_mode()
    def __call__(self, clips_NTHWC: Clips) -> NDArray[np.float32]:
        """Compute scores, or embeddings.

        Args:
            clips_NTHWC: N clips (T, H, W, 3), RGB, all of one size.
        Returns:
            (N * num_crops, classes or D) float32; the crops of one clip follow each other.
        """
        found: list[Tensor] = []
        for first in range(0, len(clips_NTHWC), self.batch_clips):
            batch = torch.from_numpy(np.stack(clips_NTHWC[first : first + self.batch_clips]))
            crops = self.preprocess(batch.to(self.device)).split(self.batch_clips)
            found += [self._run(crop).float().cpu() for crop in crops]
        return torch.cat(found).numpy()


class TorchBoxEngine(_OnDevice):
    """Scores of boxes; see `BoxEngine`.

    Args:
        network, spec, config: See `_OnDevice`.
        batch_clips: Clips that go through the network at once; None: some on a GPU, one on a CPU.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: InputSpec,
        *,
        batch_clips: int | None = None,
        config: EngineConfig = EngineConfig(),
    ) -> None:
        super().__init__(network, spec, crop=None, config=config)
        self.batch_clips = batch_clips or (4 if self.device.type == "cuda" else 1)

    @torch.inference_mode()
    def __call__(self, clips_NTHWC: Clips, boxes_xyxy_px: Sequence[Boxes]) -> list[NDArray[np.float32]]:
        """See `BoxEngine`. A clip without people costs nothing."""
        people = [len(boxes) for _, boxes in zip(clips_NTHWC, boxes_xyxy_px, strict=True)]
        scores = [np.zeros((count, self.num_classes), dtype=np.float32) for count in people]
        peopled = [i for i, rows in enumerate(scores) if len(rows)]
        for _, same_size in groupby(peopled, key=lambda i: clips_NTHWC[i].shape):
            for batch in batches(same_size, self.batch_clips):
                found = self._at_once([clips_NTHWC[i] for i in batch], [boxes_xyxy_px[i] for i in batch])
                ends = np.cumsum([len(scores[i]) for i in batch])
                for i, rows in zip(batch, np.split(found, ends[:-1]), strict=True):
                    scores[i] = rows
        return scores

    def _at_once(self, clips_NTHWC: Clips, boxes_xyxy_px: Sequence[Boxes]) -> NDArray[np.float32]:
        """Scores (all people, classes)."""
        boxes_N5, resized = [], []
        for number, (clip, boxes_px) in enumerate(zip(clips_NTHWC, boxes_xyxy_px, strict=True)):
            _, height, width, _ = clip.shape
            boxes = scaled_boxes(boxes_px, height, width, short_side=self.spec.short_side_px)
            boxes_N5.append(np.insert(boxes, 0, number, axis=1))
            # One by one: as numbers, frames in full size take four times their bytes.
            frames = torch.from_numpy(np.ascontiguousarray(clip))[None].to(self.device)
            resized.append(self.preprocess(frames))
        boxes_of_all = torch.from_numpy(np.concatenate(boxes_N5)).to(self.device)
        scores: NDArray[np.float32] = self._run(torch.cat(resized), boxes_of_all).float().cpu().numpy()
        return scores


_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(config: Precision, device: torch.device) -> Literal["fp32", "bf16", "fp16"]:
    """bf16 on a GPU that computes in it, else fp32.

    Raises:
        UsageError: fp16 was asked for on a CPU.
    """
    if config == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16 is for GPUs; on a CPU choose bf16 or fp32")
    if config != "auto":
        return config
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
