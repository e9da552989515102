"""Recognition in four public steps, and the classes composed of them.

    plan        a model's input and a video's duration to the clips to read   plan_views, plan_windows, …
    read        the clips of a file, within limits, isolated or not           VideoReader
    infer       clips to scores, in batches that span videos                  infer, infer_videos
    aggregate   scores to a result                                            aggregate_views, top_predictions

`load_model` loads the engine of a model by its name. `Classifier`, `Detector`, `FeatureExtractor`,
`score_windows` and `LiveRecognition` are composed of these steps; a server, a cluster or a trainer can use
the steps directly. Names are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinpath.recognize.aggregate import aggregate_views, top_predictions
    from twinpath.recognize.classifier import Classifier
    from twinpath.recognize.detector import Detector, detections_of
    from twinpath.recognize.features import FeatureExtractor
    from twinpath.recognize.inference import VideoScores, infer, infer_videos
    from twinpath.recognize.live import LiveRecognition
    from twinpath.recognize.model import LoadedModel, load_model
    from twinpath.recognize.plan import Views, plan_keyframes, plan_views, plan_windows
    from twinpath.recognize.read import VideoReader
    from twinpath.recognize.timeline import score_windows, timeline_of

_MODULE_OF = {
    "Classifier": "classifier",
    "Detector": "detector",
    "FeatureExtractor": "features",
    "LiveRecognition": "live",
    "LoadedModel": "model",
    "VideoReader": "read",
    "VideoScores": "inference",
    "Views": "plan",
    "aggregate_views": "aggregate",
    "detections_of": "detector",
    "infer": "inference",
    "infer_videos": "inference",
    "load_model": "model",
    "plan_keyframes": "plan",
    "plan_views": "plan",
    "plan_windows": "plan",
    "score_windows": "timeline",
    "timeline_of": "timeline",
    "top_predictions": "aggregate",
}

__all__ = [
    "Classifier",
    "Detector",
    "FeatureExtractor",
    "LiveRecognition",
    "LoadedModel",
    "VideoReader",
    "VideoScores",
    "Views",
    "aggregate_views",
    "detections_of",
    "infer",
    "infer_videos",
    "load_model",
    "plan_keyframes",
    "plan_views",
    "plan_windows",
    "score_windows",
    "timeline_of",
    "top_predictions",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
