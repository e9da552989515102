"""Hints for names that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest_names(name: str, names: Iterable[str], *, most: int = 1, cutoff: float = 0.4) -> list[str]:
    """The names that are most like one that is not known, nearest first; empty: none is like it."""
    return difflib.get_close_matches(name, list(names), n=most, cutoff=cutoff)


def did_you_mean(name: str, names: Iterable[str], *, most: int = 1, cutoff: float = 0.4) -> str:
    """The end of an error's sentence: "; did you mean archery?", or nothing where no name is like it."""
    nearest = nearest_names(name, names, most=most, cutoff=cutoff)
    return f"; did you mean {' or '.join(nearest)}?" if nearest else ""
