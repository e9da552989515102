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
    Raises:
        UsageError: There is no such accelerator.
    """

    accelerator: str = "auto"
    devices: int | None = None

    def __post_init__(self) -> None:
        if self.accelerator not in ("auto", "cpu", "gpu"):
            raise UsageError(f"device must be auto, cpu or gpu, not {self.accelerator!r}")
