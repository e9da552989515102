"""The nearest valid name, for messages about a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CUTOFF = 0.4  # of `difflib`'s ratio, 0 to 1: less alike is not worth a suggestion


def nearest_name(name: str, names: Iterable[str], *, cutoff: float = CUTOFF) -> str | None:
    """The name most like `name`; None where none is alike.

    Args:
        name: What was given.
        names: What is allowed.
        cutoff: How much alike, 0 to 1; with 0 there is an answer wherever there are names.
    """
    nearest = nearest_names(name, names, count=1, cutoff=cutoff)
    return nearest[0] if nearest else None


def nearest_names(name: str, names: Iterable[str], *, count: int, cutoff: float = CUTOFF) -> list[str]:
    """At most `count` names, the one most like `name` first; arguments as for `nearest_name`."""
    return difflib.get_close_matches(name, list(names), n=count, cutoff=cutoff)


def did_you_mean(name: str, names: Iterable[str], *, count: int = 1) -> str:
    """The end of a message: "; did you mean archery?", or nothing where no name is alike.

    Args:
        name: What was given.
        names: What is allowed.
        count: How many to suggest at most.
    """
    nearest = nearest_names(name, names, count=count)
    return f"; did you mean {' or '.join(nearest)}?" if nearest else ""
