"""When Python looks for garbage in cycles: hardly while a command is imported, which makes next to none."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_WHILE_IMPORTING = 100_000  # new objects before the first look; all that `classify` imports are as many
_USUAL = gc.get_threshold()


@contextlib.contextmanager
def looked_for_late() -> Iterator[None]:
    """Within the block, look for garbage later than usual, until `look_as_usual`."""
    gc.set_threshold(_WHILE_IMPORTING, *_USUAL[1:])
    try:
        yield
    finally:
        gc.set_threshold(*_USUAL)


def look_as_usual() -> None:
    """What is imported stays: leave it out of every look from here on, that at the exit included."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
