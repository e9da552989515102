"""What a caller may choose about how a network runs. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from twinpath.errors import UsageError

EngineName = Literal["auto", "torch", "openvino"]


Precision = Literal["auto", "fp32", "bf16", "fp16"]


Output = Literal["scores", "embed", "boxes"]


@dataclass(frozen=True)
class EngineConfig:
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
    ) -> EngineConfig:
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
