"""Periodic checkpoints of long runs."""

from __future__ import annotations

import time
from collections.abc import Callable

CHECKPOINT_EVERY_S = 10.0  # work lost on a power failure
CHECKPOINT_SHARE = 0.05  # upper bound of the time that checkpoints take, as a share of the run


class PeriodicCheckpoint:
    """Calls a function every `CHECKPOINT_EVERY_S` seconds; less often if saving is slow.

    Args:
        on_checkpoint: Saves the state; None: nothing is saved.
        num_done: Returns the number of finished items. Saved only if it has changed.
    """

    def __init__(self, on_checkpoint: Callable[[], None] | None, num_done: Callable[[], int]) -> None:
        self._on_checkpoint, self._num_done = on_checkpoint, num_done
        self._next_s = time.monotonic() + CHECKPOINT_EVERY_S
        self._saved = num_done()

    def save_if_due(self) -> None:
        """Save if enough time has passed; cheap to call often."""
        if time.monotonic() >= self._next_s:
            began_s = time.monotonic()
            self.save()
            ended_s = time.monotonic()
            self._next_s = ended_s + max(CHECKPOINT_EVERY_S, (ended_s - began_s) / CHECKPOINT_SHARE)

    def save(self) -> None:
        """Save if there is new work since the last time."""
        if self._on_checkpoint is not None and self._num_done() > self._saved:
            self._on_checkpoint()
            self._saved = self._num_done()
