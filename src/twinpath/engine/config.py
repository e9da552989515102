"""What a caller may choose about how a network runs. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from twinpath.errors import UsageError

Backend = Literal["torch", "openvino", "onnxruntime"]
EngineName = Literal["auto", Backend]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class EngineConfig:
    """How a network runs.

    Attributes:
        engine: The backend. "auto": OpenVINO on a CPU where it is installed, else torch. "onnxruntime" runs
            model folders with an ONNX graph, on the CPU.
        device: "auto": the GPU if there is one, else the CPU; or "cpu", "cuda", "cuda:1" …
        precision: "auto": bf16 where OpenVINO or the GPU computes in it, else fp32; torch on a CPU: fp32. On
            a GPU "fp32" lets convolutions round to TF32, which is PyTorch's default.
        threads: Of the CPU, at least 1; None: the backend's choice.
        compile: Whether torch compiles the network: minutes once in each process, then faster. Chooses torch.
    Raises:
        UsageError: No such engine or precision, no thread, or options that exclude each other.
    """

    engine: EngineName = "auto"
    device: str = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        _check("engine", self.engine, get_args(EngineName))
        _check("precision", self.precision, get_args(Precision))
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads must be at least 1, not {self.threads}")
        if self.compile and self.engine in ("openvino", "onnxruntime"):
            raise UsageError(f"compile is for engine='torch'; {self.engine} always compiles")

    @classmethod
    def parse(
        cls, engine: str, device: str, precision: str, threads: int | None, *, compile: bool = False
    ) -> EngineConfig:
        """The same from plain text.

        Raises:
            UsageError: See `EngineConfig`.
        """
        return cls(cast(EngineName, engine), device, cast(Precision, precision), threads, compile)


def _check(argument: str, value: str, allowed: tuple[Any, ...]) -> None:
    names = [name for one in allowed for name in (get_args(one) or (one,))]
    if value not in names:
        raise UsageError(f"{argument} {value!r} is not known; choose one of {', '.join(names)}")
