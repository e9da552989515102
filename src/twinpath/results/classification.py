"""The label of a whole video, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from twinpath.results.facts import COUNT, NUMBERS, TEXT, TEXTS, checked_facts, is_number

SYNTHETIC_WARNING = (
    "this model is trained on Twinpath's synthetic world only; its result on a real video is meaningless; "
    "use a model trained on real video, such as slowfast_r50_8x8 or, for detection, slowfast_r50_8x8_det"
)


#: The label of a video whose scores are all too low.
UNKNOWN = "unknown"

_SCORE = ("a score, 0 to 1", lambda value: is_number(value) and 0 <= value <= 1.001)  # and rounding


@dataclass(frozen=True)
class Prediction:
    """One label with its score, 0 to 1."""

    label: str
    index: int
    score: float

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Convert back from `dataclasses.asdict`. Raises: ValueError: The values have another form."""
        known = checked_facts(values, {"label": TEXT, "index": COUNT, "score": _SCORE})
        return cls(**known)


@dataclass(frozen=True)
class Classification:
    """The labels of a video, best first.

    Attributes:
        video: The path as given; None: decoded frames.
        model: Full name of network and weights.
        engine: The engine with its device and precision.
        views: Spatial crops x temporal clips, for example "3x10".
        predictions: Best first.
        warnings: Warnings for the user about this result; often empty.
        timing_s: Seconds spent on "decode" and "infer" for this video.
        min_score: Below this score of the best label the answer is that it is unknown.
    """

    video: str | None
    model: str
    engine: str
    views: str
    predictions: tuple[Prediction, ...]
    warnings: tuple[str, ...]
    timing_s: dict[str, float]
    min_score: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether the highest score is at least `min_score`."""
        return self.predictions[0].score >= self.min_score

    @property
    def label(self) -> str:
        """The label with the highest score, or `UNKNOWN`."""
        return self.predictions[0].label if self.is_known else UNKNOWN

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values, and the label."""
        return {**asdict(self), "label": self.label}

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Convert back from `to_dict`; other keys are ignored.

        Raises:
            ValueError: The values have another form.
        """
        known = checked_facts(values, {**_FACTS, "warnings": TEXTS, "timing_s": NUMBERS})
        least = values.get("min_score", 0.0)  # earlier results have none
        if not is_number(least) or not 0 <= least <= 1:
            raise ValueError("min_score is no score, 0 to 1")
        predictions = values.get("predictions")
        if not isinstance(predictions, list) or not predictions:
            raise ValueError("predictions is no list of labels with their scores")
        made = tuple(Prediction.from_dict(prediction) for prediction in predictions)
        return cls(
            **known | {"predictions": made, "warnings": tuple(known["warnings"]), "min_score": float(least)}
        )


_FACTS = {"video": TEXT, "model": TEXT, "engine": TEXT, "views": TEXT}
