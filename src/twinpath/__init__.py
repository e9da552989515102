"""Twinpath: video action recognition and detection with the SlowFast family of networks.

The public names are imported on first use, so that `import twinpath` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinpath.recognize.classifier import Classifier
    from twinpath.recognize.detector import Detector
    from twinpath.recognize.features import FeatureExtractor
    from twinpath.weights.load import load_weights
    from twinpath.zoo.create import create_model, list_models

__version__ = "0.1.0"

_HOME_OF = {
    "Classifier": "twinpath.recognize.classifier",
    "Detector": "twinpath.recognize.detector",
    "FeatureExtractor": "twinpath.recognize.features",
    "create_model": "twinpath.zoo.create",
    "list_models": "twinpath.zoo.create",
    "load_weights": "twinpath.weights.load",
}

__all__ = [
    "Classifier",
    "Detector",
    "FeatureExtractor",
    "__version__",
    "create_model",
    "list_models",
    "load_weights",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'twinpath' has no attribute {name!r}")
    if name == "load_weights":
        from twinpath.extras import check_torch

        check_torch("twinpath.load_weights")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
