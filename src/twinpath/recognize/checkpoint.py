"""Keeps what a long run has found every some seconds, so that little is lost when it ends too soon."""

from __future__ import annotations

import time
from collections.abc import Callable

CHECKPOINT_EVERY_S = 10.0  # so much work is lost at most when the power fails
CHECKPOINT_SHARE = 0.05  # of the time is spent on it at most


class PeriodicCheckpoint:
    """Keeps every `CHECKPOINT_EVERY_S` seconds; less often where that takes long.

    Args:
        on_checkpoint: Keeps what is there; None: nobody wants it.
        done: How much is there. What was there at the beginning need not be kept.
    """

    def __init__(self, on_checkpoint: Callable[[], None] | None, done: Callable[[], int]) -> None:
        self._keep, self._done = on_checkpoint, done
        self._next = time.monotonic() + CHECKPOINT_EVERY_S
        self._kept = done()

    def now_and_then(self) -> None:
        """Call it as often as you like."""
        if time.monotonic() >= self._next:
            began = time.monotonic()
            self.now()
            ended = time.monotonic()
            self._next = ended + max(CHECKPOINT_EVERY_S, (ended - began) / CHECKPOINT_SHARE)

    def now(self) -> None:
        """Keep what has come since the last time, if anything has."""
        if self._keep is not None and self._done() > self._kept:
            self._keep()
            self._kept = self._done()
