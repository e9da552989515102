"""Suggestions for unknown names: "did you mean …"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CUTOFF = 0.4  # minimum of `difflib`'s similarity ratio, 0 to 1


def nearest_name(name: str, names: Iterable[str], *, cutoff: float = CUTOFF) -> str | None:
    """The name most similar to `name`; None if no name is similar.

    Args:
        name: The unknown name.
        names: The valid names.
        cutoff: Minimum similarity, 0 to 1; with 0 any name may be returned.
    """
    nearest = nearest_names(name, names, count=1, cutoff=cutoff)
    return nearest[0] if nearest else None


def nearest_names(name: str, names: Iterable[str], *, count: int, cutoff: float = CUTOFF) -> list[str]:
    """At most `count` similar names, the most similar one first. Arguments as for `nearest_name`."""
    return difflib.get_close_matches(name, list(names), n=count, cutoff=cutoff)


def did_you_mean(name: str, names: Iterable[str], *, count: int = 1) -> str:
    """The end of a message: "; did you mean archery?", or "" if no name is similar.

    Args:
        name: The unknown name.
        names: The valid names.
        count: Maximum number of suggestions.
    """
    nearest = nearest_names(name, names, count=count)
    return f"; did you mean {' or '.join(nearest)}?" if nearest else ""
