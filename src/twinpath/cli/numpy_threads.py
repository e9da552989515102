"""NumPy without threads of its own: the cores are for networks and decoders."""

from __future__ import annotations

import os
import sys

_VARIABLE = "OPENBLAS_NUM_THREADS"  # read when the library is loaded


def import_numpy() -> None:
    """Import NumPy so that its BLAS starts no threads: each waits busily, and takes a core from the start.

    The variable is gone afterwards: PyTorch reads it as well on some machines. What the user sets stays.
    """
    if "numpy" in sys.modules or _VARIABLE in os.environ:
        return
    os.environ[_VARIABLE] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[_VARIABLE]
