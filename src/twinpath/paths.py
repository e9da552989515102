"""The cache folder, and paths in messages."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """The cache folder: $TWINPATH_HOME, else the platform's cache folder."""
    home = os.environ.get("TWINPATH_HOME")
    return Path(home).expanduser() if home else Path(platformdirs.user_cache_dir("twinpath", appauthor=False))


def display_path(path: Path) -> str:
    """A path for a one-line message: control characters are escaped."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
