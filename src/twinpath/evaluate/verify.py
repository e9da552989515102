"""Verify a model: do its weights give the upstream's predictions on a known video?"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twinpath.engine.config import EngineConfig
from twinpath.errors import UsageError, WeightsError
from twinpath.extras import check_torch
from twinpath.recognize.classifier import Classifier
from twinpath.results.classification import Prediction
from twinpath.zoo.create import resolve, weights_path
from twinpath.zoo.expected import VIDEO_NAME, VIDEO_URL, Expected, expected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twinpath.weights.callbacks import Progress
    from twinpath.zoo.records import Record

_SUM_TOLERANCE = 1e-3  # scores of 400 classes are rounded to six digits


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Attributes:
        model: The record.
        weights: Its weight file, which loaded strictly.
        video: The classified video; None: noise, since no predictions of the upstream are known.
        expected: The predictions in the upstream's notebook; None: unknown.
        predictions: The five best labels; empty for a detection network.
    """

    model: str
    weights: str
    video: str | None
    expected: Expected | None
    predictions: tuple[Prediction, ...]

    @property
    def agrees(self) -> bool | None:
        """Whether the best labels are the upstream's, in the same order; None: `expected` is unknown."""
        if self.expected is None:
            return None
        ours = [prediction.label for prediction in self.predictions]
        return ours[: self.expected.compared] == list(self.expected.labels[: self.expected.compared])

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "model": self.model,
            "weights": self.weights,
            "video": self.video,
            "agrees": self.agrees,
            "expected": list(self.expected.labels) if self.expected else None,
            "compared": self.expected.compared if self.expected else None,
            "predictions": [vars(prediction) for prediction in self.predictions],
        }


def verify(
    name: str,
    *,
    video: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Verification:
    """Load a record's weights strictly, run the network and compare its predictions with the upstream's.

    Args:
        name: A record, or a network, which means its best record.
        video: A copy of PyTorchVideo's archery.mp4; None: download it into the cache if `expected` is known.
        weights: A weight file that replaces the one of the record.
        device: "auto", "cpu", "cuda", "cuda:1", …
        progress: Called with the bytes downloaded and the total.
    Raises:
        UsageError: It has no published weights; or `video` is given for a detection network.
        UnknownModel: No such name.
        MissingExtra: torch is not installed.
        WeightsError: The weights cannot be downloaded, are not safe to load, do not match the network, or its
            scores are invalid.
        InputError: The video cannot be used.
    """
    architecture, record = resolve(name)
    if record is None:
        raise UsageError(f"no weights are published for {name}; there is nothing to compare with")
    check_torch("verifying weights")  # said before they are downloaded
    path = Path(weights) if weights is not None else weights_path(record, progress=progress)
    model = name if weights is not None else record.name  # a network's name alone lets a file decide its head
    if architecture.is_detector:
        if video is not None:
            raise UsageError(f"{name} is a detection network, which classifies no clips; video must be None")
        _check(_scores_of_a_box(model, record, path, device), record)
        return Verification(record.name, str(path), None, None, ())
    expected_predictions = expected(record.name)
    if video is None and expected_predictions is not None:
        video = archery(progress)
    # torch in fp32, as the upstreams: no rounding of other engines.
    classify = Classifier(model, path, config=EngineConfig("torch", device, "fp32"))
    result = classify(video if video is not None else _noise(record), top_k=record.num_classes)
    _check(np.asarray([prediction.score for prediction in result.predictions]), record)
    return Verification(record.name, str(path), result.video, expected_predictions, result.predictions[:5])


def archery(progress: Progress | None = None) -> Path:
    """PyTorchVideo's video of two archers, downloaded into the cache on first use.

    Raises:
        DownloadFailed: The message has the URL and where to put the file.
    """
    from twinpath.paths import cache_dir
    from twinpath.video.source import open_video
    from twinpath.weights.fetch import fetch_file

    def check(path: Path, *, where: str | None = None) -> None:
        open_video(path).close()

    final = cache_dir() / "videos" / VIDEO_NAME
    return fetch_file(VIDEO_NAME, VIDEO_URL, final, check=check, progress=progress)


def _noise(record: Record) -> NDArray[np.uint8]:
    """A clip of noise of the network's input size."""
    spec = record.input_spec
    shape = (spec.num_frames, *(spec.resize_px or (spec.short_side_px, spec.short_side_px)), 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _scores_of_a_box(model: str, record: Record, path: Path, device: str) -> NDArray[np.float32]:
    """A detection network's scores of a box that covers a clip of noise."""
    from twinpath.engine.open import open_engine

    engine = open_engine(model, path, output="boxes", config=EngineConfig("torch", device, "fp32"))
    clip = _noise(record)
    height, width = clip.shape[1:3]
    return engine([clip], [np.array([[0.0, 0.0, width, height]])])[0]


def _check(scores: NDArray[np.floating], record: Record) -> None:
    """Check scores. Raises: WeightsError: They are invalid."""
    if not np.isfinite(scores).all() or scores.min() < 0 or scores.max() > 1:
        raise WeightsError(f"{record.name} gives scores outside 0 to 1; its weight file is damaged")
    total = float(scores.sum())
    if record.activation == "softmax" and not math.isclose(total, 1.0, abs_tol=_SUM_TOLERANCE):
        raise WeightsError(
            f"{record.name} gives scores that sum to {total:.4f}, not to 1; its weight file is damaged"
        )
