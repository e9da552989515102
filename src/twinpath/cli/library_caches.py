"""Files that libraries keep for themselves: in the cache folder, not in the home or among temporary files."""

from __future__ import annotations

import os

# PyTorch makes its folder as soon as torchvision is loaded; Matplotlib, which Lightning and trackers load, a
# list of fonts; compilation fills the others.
_VARIABLES = {
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "NUMBA_CACHE_DIR": "numba",
    "MPLCONFIGDIR": "matplotlib",
}


def keep_in_cache() -> None:
    """Name folders of the cache to these libraries, unless the user names others or it is read-only."""
    from twinpath.paths import cache_dir

    cache = existing = cache_dir().absolute()
    while not existing.exists():
        existing = existing.parent
    if os.access(existing, os.W_OK | os.X_OK):
        for variable, folder in _VARIABLES.items():
            os.environ.setdefault(variable, str(cache / folder))
