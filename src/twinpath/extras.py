"""Whether torch, which the extra `torch` brings, is installed. Imports nothing of it."""

from __future__ import annotations

import importlib.util

from twinpath.errors import MissingExtra

INSTALL_TORCH = "pip install 'twinpath[torch]'"


def has_torch() -> bool:
    """Whether it is installed; does not import it."""
    return importlib.util.find_spec("torch") is not None


def check_torch(needed_by: str) -> None:
    """Check that torch is installed, before it is imported.

    Args:
        needed_by: What needs it, for the error: "training".
    Raises:
        MissingExtra: It is not; the message has the command that installs it.
    """
    if not has_torch():
        raise MissingExtra(f"{needed_by} needs torch; install it with: {INSTALL_TORCH}")
