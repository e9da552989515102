"""Types of what a download is given: who is called while it runs, who refuses what came, who hashes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

Progress = Callable[[int, int | None], None]
"""Called with the bytes done and the bytes expected (None: not known)."""

HashOf = Callable[[Path], str]
"""Gives the SHA-256 of a file in hexadecimal digits."""


class Check(Protocol):
    """Refuses a file by a WeightsError or an InputError; `where` is what the error calls the file."""

    def __call__(self, path: Path, *, where: str | None = None) -> None: ...
