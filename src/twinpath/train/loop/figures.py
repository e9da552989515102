"""What a run reports while it goes on. No torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class StepFigures:
    """One step of the weights.

    Attributes:
        epoch: From 0.
        step, steps: Which one of the epoch, from 1, and how many it has.
        total, of_all: Steps since the beginning of the run, and those of the whole run.
        loss: Mean over the clips of the step.
        learning_rate: Of the step.
        gradient_norm: L2, before clipping.
        waited_s, took_s: How long the step waited for its clips, and how long it took with that.
    """

    epoch: int
    step: int
    steps: int
    total: int
    of_all: int
    loss: float
    learning_rate: float
    gradient_norm: float
    waited_s: float
    took_s: float


@dataclass(frozen=True)
class EpochResult:
    """What an epoch gave.

    Attributes:
        epoch, epochs: Which one, from 0, and of how many.
        train_loss: Mean over its steps.
        clips: That were learned from.
        took_s: Wall time, the evaluation included.
        waited_share: Of the time of its steps, for clips; 0 to 1.
        figures: Of the evaluation, by name; empty: there was none.
        broken: Training clips that could not be read so far.
        total: Steps of the weights since the beginning of the run.
        left_s: How long the rest of the run may take.
    """

    epoch: int
    epochs: int
    train_loss: float
    clips: int
    took_s: float
    waited_share: float
    figures: dict[str, float]
    broken: int = 0
    total: int = 0
    left_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
