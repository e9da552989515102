"""Periodic checkpoints of long runs, so that little is lost when one ends early."""

from __future__ import annotations

import time
from collections.abc import Callable

CHECKPOINT_EVERY_S = 10.0  # the most work that a power cut costs
CHECKPOINT_SHARE = 0.05  # the most of the run's time that checkpoints take


class PeriodicCheckpoint:
    """Calls a function every `CHECKPOINT_EVERY_S` seconds; less often where that takes long.

    Args:
        on_checkpoint: Saves what there is; None: nothing is saved.
        done: How much there is. What there was at the beginning need not be saved.
    """

    def __init__(self, on_checkpoint: Callable[[], None] | None, done: Callable[[], int]) -> None:
        self._on_checkpoint, self._done = on_checkpoint, done
        self._next_s = time.monotonic() + CHECKPOINT_EVERY_S
        self._saved = done()

    def save_if_due(self) -> None:
        """Save if it is time to; cheap to call often."""
        if time.monotonic() >= self._next_s:
            began_s = time.monotonic()
            self.save()
            ended_s = time.monotonic()
            self._next_s = ended_s + max(CHECKPOINT_EVERY_S, (ended_s - began_s) / CHECKPOINT_SHARE)

    def save(self) -> None:
        """Save, if there is more than the last time."""
        if self._on_checkpoint is not None and self._done() > self._saved:
            self._on_checkpoint()
            self._saved = self._done()
