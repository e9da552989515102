"""OpenCV, for the detectors that need it: imported where it is used, and its absence said in one line."""

from __future__ import annotations

import importlib
from typing import Any

from twinpath.errors import MissingExtra

_INSTALL = "pip install 'twinpath[hog]'"


def load_opencv(*, wanted: str, who: str) -> Any:
    """The module `cv2`.

    Args:
        wanted: The attribute that must be in it.
        who: What needs it, for errors: "--people hog".
    Raises:
        MissingExtra: Not installed, does not load, or of a version without that attribute.
    """
    try:
        cv2: Any = importlib.import_module("cv2")
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{who} needs OpenCV; install it with: {_INSTALL}") from error
    except ImportError as error:
        reason = str(error).partition("\n")[0]
        raise MissingExtra(f"{who}: OpenCV does not load ({reason}); install it anew: {_INSTALL}") from error
    if not hasattr(cv2, wanted):
        version = getattr(cv2, "__version__", "of unknown version")
        raise MissingExtra(
            f"{who}: OpenCV {version} has no {wanted}, version 4 does: pip install 'opencv-python>=4.9,<5'"
        )
    return cv2
