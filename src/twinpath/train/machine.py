"""Where a run computes. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from twinpath.errors import UsageError


@dataclass(frozen=True)
class Machine:
    """Where a run computes.

    Attributes:
        accelerator: "auto", "cpu" or "gpu".
        devices: Processes of this machine, each with a GPU of its own or a share of the cores; None: one, or
            what torchrun started.
        strategy: Of several processes: "ddp", each has the whole network; "fsdp", each keeps a part of the
            weights and of the optimizer's state, see `loop.sharded`.
    Raises:
        UsageError: There is no such accelerator or strategy.
    """

    accelerator: str = "auto"
    devices: int | None = None
    strategy: str = "ddp"

    def __post_init__(self) -> None:
        if self.accelerator not in ("auto", "cpu", "gpu"):
            raise UsageError(f"device must be auto, cpu or gpu, not {self.accelerator!r}")
        if self.strategy not in ("ddp", "fsdp"):
            raise UsageError(f"strategy must be ddp or fsdp, not {self.strategy!r}")
