"""Which software made a result."""

from __future__ import annotations

import platform

import av
import numpy as np

from twinpath import __version__


def versions() -> dict[str, str]:
    """Of the programs that decide what comes out, beside the engine's own."""
    return {
        "twinpath": __version__,
        "python": platform.python_version(),
        "av": av.__version__,
        "numpy": np.__version__,
    }
