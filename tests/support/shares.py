"""Several processes of one evaluation, run in one process one after the other; the first one last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twinpath.formats.journal_parts import Share


class Gathered:
    """What each of them has sent.

    Args:
        processes: How many there are.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._sent: dict[int, Any] = {}

    def share(self, process: int) -> Share:
        """That of one process."""
        return Share(process, self._processes, self._gather(process)) if self._processes > 1 else Share()

    def _gather(self, process: int) -> Callable[[Any], list[Any]]:
        def gather(own: Any) -> list[Any]:
            self._sent[process] = own
            return [] if process else [self._sent[n] for n in sorted(self._sent)]

        return gather
