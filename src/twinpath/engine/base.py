"""What every machine that runs networks can do, and what a caller may ask for. No torch.

frames uint8 (N, T, H, W, 3) in, scores (N * crops, classes) out; frames of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import UsageError

Clips = Sequence[NDArray[np.uint8]]  # (T, H, W, 3) each, RGB
Boxes = NDArray[np.floating]
EngineName = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
What = Literal["scores", "embed", "boxes"]


class Engine(Protocol):
    """A network with its preprocessing on some device."""

    name: str
    batch_clips: int  # clips that are best given at once

    @property
    def num_classes(self) -> int:
        """Logits of the network."""
        ...

    def __call__(self, clips_NTHWC: Clips) -> NDArray[np.float32]:
        """Scores (N * num_crops, classes) float32, or embeddings, of clips of one size; crops in a row."""
        ...

    def with_crops(self, num_crops: int) -> Engine:
        """The same network on 1 or 3 crops of each clip in space."""
        ...

    def warm_up(self, height: int, width: int) -> None:
        """Run once on nothing, so that the first clip of that size does not pay for it."""
        ...

    def describe(self) -> str:
        """For people: machine, version, device, precision."""
        ...


class BoxEngine(Protocol):
    """A detection network with its preprocessing on some device: what the people in boxes do."""

    name: str
    batch_clips: int  # clips that are best given at once

    @property
    def num_classes(self) -> int:
        """Actions that are scored."""
        ...

    def __call__(self, clips_NTHWC: Clips, boxes_xyxy_px: Sequence[Boxes]) -> list[NDArray[np.float32]]:
        """N clips, of any sizes, and each's boxes (P, 4) in pixels of its frames, to N times (P, classes)."""
        ...

    def describe(self) -> str:
        """For people: machine, version, device, precision."""
        ...


@dataclass(frozen=True)
class EngineWish:
    """What the user asked for.

    Attributes:
        engine: "openvino" is the choice on a CPU where it is installed, "torch" everywhere else.
        device: "auto": the GPU if there is one, else the CPU; or "cpu", "cuda", "cuda:1" …
        precision: "auto": bf16 where the CPU computes in it, else fp32; torch on a CPU: fp32.
        threads: Of the CPU; None: as many as the engine finds best.
        compile: Let torch compile the network: minutes once in each process, then faster.
    """

    engine: EngineName = "auto"
    device: str = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    compile: bool = False

    @classmethod
    def parse(
        cls, engine: str, device: str, precision: str, threads: int | None, *, compile: bool = False
    ) -> EngineWish:
        """Check what came from a command line.

        Raises:
            UsageError: No such engine or precision, or options that exclude each other.
        """
        if engine not in get_args(EngineName):
            raise UsageError(f"--engine {engine!r}: choose one of {', '.join(get_args(EngineName))}")
        if precision not in get_args(Precision):
            raise UsageError(f"--precision {precision!r}: choose one of {', '.join(get_args(Precision))}")
        if compile and engine == "openvino":
            raise UsageError("--compile is for --engine torch; OpenVINO always compiles")
        chosen = "torch" if compile else engine
        return cls(cast(EngineName, chosen), device, cast(Precision, precision), threads, compile)
