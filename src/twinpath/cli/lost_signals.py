"""Signals that Python loses: what a handler raises while a weak reference calls back goes nowhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

_AGAIN_S = 0.02  # by then the callback is over


@contextlib.contextmanager
def sent_again(received: Sequence[int]) -> Iterator[None]:
    """Within the block, a signal whose exception was dropped is sent to this process once more.

    Args:
        received: The signals so far; their handler appends to it, and raises KeyboardInterrupt or SystemExit.
    """
    before = sys.unraisablehook

    def notice(dropped: Any) -> None:
        if received and isinstance(dropped.exc_value, KeyboardInterrupt | SystemExit):
            again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), received[-1]))
            again.daemon = True
            again.start()
        else:
            before(dropped)

    sys.unraisablehook = notice
    try:
        yield
    finally:
        sys.unraisablehook = before
