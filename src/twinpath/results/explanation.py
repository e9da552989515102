"""Why a model answered as it did: plain data. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinpath.results.evaluation import ClipAnswer


class Faithfulness(NamedTuple):
    """Means of the logit along both curves, from the whole clip to all grey and back; of random maps, too.

    Attributes:
        deletion, random_deletion: Lower is better.
        insertion, random_insertion: Higher is better.
    Source: Petsiuk et al. 2018, RISE (arXiv:1806.07421).
    """

    deletion: float
    insertion: float
    random_deletion: float
    random_insertion: float

    @property
    def beats_random(self) -> bool:
        """Whether the map is better than chance by both."""
        return self.deletion < self.random_deletion and self.insertion > self.random_insertion


class PersonAt(NamedTuple):
    """A person whose actions a detection model scores.

    Attributes:
        at_s: Time of the keyframe in seconds.
        box_xyxy_px: In pixels of the picture.
    """

    at_s: float
    box_xyxy_px: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a model gave a label its score.

    Attributes:
        video: As it was given.
        model: Full name.
        label: That is explained.
        score: Of the label, 0 to 1.
        best_label, best_score: What the model answers.
        times_s: (T,) of the frames of the clip, in seconds since the first frame of the video.
        maps: (T, h, w) float32 from 0 to 1 of the crop that the network sees: "whole", and of a SlowFast
            "slow" and "fast".
        losses: (T,) what the logit of the label loses where the frames around each one stand still.
        score_without: The score with one pathway seeing grey, by its name; empty for networks with one.
        faithfulness: Of the whole map; None: not measured.
        crop: (top, left, height, width) of the crop in the picture, as shares of its height and width.
        box_xyxy_px: Of the person, in pixels of the picture; None: the whole clip is scored.
        box_shares: The same as shares of the picture's width and height.
        warnings: About the file, and about the explanation.
    """

    video: str
    model: str
    label: str
    score: float
    best_label: str
    best_score: float
    times_s: NDArray[np.float64]
    maps: Mapping[str, NDArray[np.float32]]
    losses: NDArray[np.float64]
    score_without: Mapping[str, float]
    faithfulness: Faithfulness | None
    crop: tuple[float, float, float, float]
    box_xyxy_px: tuple[float, float, float, float] | None = None
    box_shares: tuple[float, float, float, float] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def peak_s(self) -> float:
        """The time of the frame that counts most."""
        return float(self.times_s[int(np.argmax(self.losses))])

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; of each map its centre and spread over time."""
        return {
            "video": self.video,
            "model": self.model,
            "label": self.label,
            "score": round(self.score, 6),
            "best_label": self.best_label,
            "best_score": round(self.best_score, 6),
            "box_xyxy_px": None if self.box_xyxy_px is None else [round(v, 1) for v in self.box_xyxy_px],
            "peak_s": round(self.peak_s, 3),
            "times_s": [round(float(t), 4) for t in self.times_s],
            "losses": [round(float(v), 4) for v in self.losses],
            "where": {name: _summary(spread) for name, spread in self.maps.items()},
            "score_without": {name: round(score, 6) for name, score in self.score_without.items()},
            "faithfulness": None
            if self.faithfulness is None
            else {
                **{key: round(value, 4) for key, value in self.faithfulness._asdict().items()},
                "beats_random": self.faithfulness.beats_random,
            },
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, eq=False)
class ExplainedMistake:
    """A wrong answer of an evaluation, and why: the label that is wrong, and one that is true.

    Attributes:
        answer: The clip, and its scores.
        explanations: Of one clip in it: of the label that is wrong (or was missed), then, if there is another
            to compare, of a true one (or of what was answered). Empty: see `error`.
        pictures: (H, W, 3) uint8 of each: frames of the clip with the map over them.
        error: Why there is none, one line.
    """

    answer: ClipAnswer
    explanations: tuple[Explanation, ...] = ()
    pictures: tuple[NDArray[np.uint8], ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, without the maps."""
        return {
            "path": str(self.answer.path),
            "start_s": self.answer.start_s,
            "end_s": self.answer.end_s,
            "model": self.explanations[0].model if self.explanations else None,
            "labels": [_of_label(one) for one in self.explanations],
            "error": self.error,
        }


def _of_label(explanation: Explanation) -> dict[str, Any]:
    whole = explanation.to_dict()
    return {key: whole[key] for key in ("label", "score", "peak_s", "score_without", "warnings")}


def _summary(spread: NDArray[np.float32]) -> dict[str, Any]:
    """Centre (x, y of the crop, 0 to 1) of a map at each frame, and how much of it lies there."""
    _, height, width = spread.shape
    mass = spread.sum(axis=(1, 2), dtype=np.float64)
    safe = np.where(mass > 0, mass, 1.0)
    x = (spread.sum(axis=1) * (np.arange(width) + 0.5) / width).sum(axis=1) / safe
    y = (spread.sum(axis=2) * (np.arange(height) + 0.5) / height).sum(axis=1) / safe
    return {
        "share": [round(float(v), 4) for v in mass / max(float(mass.sum()), 1e-12)],
        "center_xy": [[round(float(a), 4), round(float(b), 4)] for a, b in zip(x, y, strict=True)],
    }
