"""Where Twinpath keeps files, and how a path is shown in a message."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """Where downloads are kept: $TWINPATH_HOME, else the platform's cache folder."""
    home = os.environ.get("TWINPATH_HOME")
    return Path(home).expanduser() if home else Path(platformdirs.user_cache_dir("twinpath", appauthor=False))


def display_path(path: Path) -> str:
    """The path for a one-line message: a newline or another control character is escaped."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
