"""The cache folder, and paths in messages."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from twinpath.addresses import is_address, mask_address


def cache_dir() -> Path:
    """The cache folder: $TWINPATH_HOME, else the platform's cache folder."""
    home = os.environ.get("TWINPATH_HOME")
    return Path(home).expanduser() if home else Path(platformdirs.user_cache_dir("twinpath", appauthor=False))


def display_path(path: Path) -> str:
    """A path for a one-line message: control characters are escaped.

    An address that was taken for a path is shown without its secrets.
    """
    text = str(path)
    if is_address(text):
        return mask_address(text)
    return text if text.isprintable() else ascii(text)
