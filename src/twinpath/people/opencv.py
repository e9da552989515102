"""Import OpenCV on demand, for the person detectors that need it."""

from __future__ import annotations

import importlib
from typing import Any

from twinpath.errors import MissingExtra

_INSTALL = "pip install 'twinpath[hog]'"


def load_opencv(*, attribute: str, needed_by: str) -> Any:
    """Import the module `cv2`.

    Args:
        attribute: A required attribute.
        needed_by: The caller, for errors: "people='hog'".
    Raises:
        MissingExtra: Not installed, does not load, or a version without that attribute.
    """
    try:
        cv2: Any = importlib.import_module("cv2")
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{needed_by} needs OpenCV; install it with: {_INSTALL}") from error
    except ImportError as error:
        reason = str(error).partition("\n")[0]
        raise MissingExtra(
            f"{needed_by}: OpenCV does not load ({reason}); reinstall it: {_INSTALL}"
        ) from error
    if not hasattr(cv2, attribute):
        version = getattr(cv2, "__version__", "of unknown version")
        raise MissingExtra(
            f"{needed_by}: OpenCV {version} has no {attribute}, version 4 does: "
            "pip install 'opencv-python>=4.9,<5'"
        )
    return cv2
