"""The label of a whole video, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SYNTHETIC_WARNING = (
    "this model knows Twinpath's synthetic world only; its answer on a real video means nothing; "
    "take a model of real video, such as slowfast_r50_8x8 or, for detection, slowfast_r50_8x8_det"
)


@dataclass(frozen=True)
class Prediction:
    """One label with its score, 0 to 1."""

    label: str
    index: int
    score: float


@dataclass(frozen=True)
class Classification:
    """The labels of a video, best first.

    Attributes:
        video: The path as given, or None for frames.
        model: Full name of network and weights.
        engine: The engine that ran it, with device and precision.
        views: Crops in space x clips in time, for example "3x10".
        predictions: Best first.
        warnings: Warnings for the user about this result; often empty.
        timing_s: Seconds for "decode" and "infer" of this video.
    """

    video: str | None
    model: str
    engine: str
    views: str
    predictions: tuple[Prediction, ...]
    warnings: tuple[str, ...]
    timing_s: dict[str, float]

    @property
    def label(self) -> str:
        """The best label."""
        return self.predictions[0].label

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)
