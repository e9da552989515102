"""A classifier's answers on labelled clips, and the figures that follow, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.results.provenance import Provenance

_TOP_K = 5  # answers of each clip in `to_dict`
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class ClipAnswer:
    """The scores of one clip beside its true classes.

    Attributes:
        path: The file, or the folder of frames.
        truth: Indices of its classes: one; of multi-label data any number.
        scores: (C,) float32 scores, 0 to 1; of single-label data with a sum of 1.
        start_s, end_s: The span in seconds; None: from the first frame, to the last.
        part: What the clip was for: "test", "validation", "fold 3".
        box_xyxy_px: Of the person whom the answer is of; None: it is of the whole clip.
    """

    path: Path
    truth: tuple[int, ...]
    scores: NDArray[np.float32]
    start_s: float | None = None
    end_s: float | None = None
    part: str = "test"
    box_xyxy_px: tuple[float, ...] | None = None

    @property
    def best(self) -> int:
        """The class with the highest score, of equal ones the first."""
        return int(np.argmax(self.scores))


@dataclass(frozen=True)
class LearnedClip:
    """A clip that a model learned from, and that was not evaluated.

    Attributes:
        path, truth, start_s, end_s, part: As of `ClipAnswer`.
    """

    path: Path
    truth: tuple[int, ...]
    start_s: float | None = None
    end_s: float | None = None
    part: str = "train"


@dataclass(frozen=True)
class FailedInput:
    """A file that could not be used.

    Attributes:
        path: The file.
        reason: One line.
    """

    path: Path
    reason: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All answers of one model on one data set.

    Attributes:
        labels: Names of the C classes.
        answers: In the order of the data.
        is_multi_label: Whether a clip may have several classes, or none.
        failed: Files that were to be evaluated or learned from, and could not be.
        model: Full name of network and weights.
        views: Spatial crops x temporal clips, for example "3x10".
        data: What the data set is, for people.
        learned_from: Clips that the model was made of.
        provenance: What it was made from.
    """

    labels: tuple[str, ...]
    answers: tuple[ClipAnswer, ...]
    is_multi_label: bool = False
    failed: tuple[FailedInput, ...] = ()
    model: str = ""
    views: str = "1x1"
    data: str = ""
    learned_from: tuple[LearnedClip, ...] = ()
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        for answer in self.answers:
            assert answer.scores.shape == (len(self.labels),), answer.path
            assert self.is_multi_label or len(answer.truth) == 1, answer.path

    @property
    def scores(self) -> NDArray[np.float32]:
        """(N, C) scores of the answers."""
        rows = [answer.scores for answer in self.answers]
        return np.stack(rows) if rows else np.empty((0, len(self.labels)), np.float32)

    @property
    def truth(self) -> NDArray[np.bool_]:
        """(N, C) which classes each clip has."""
        has = np.zeros((len(self.answers), len(self.labels)), np.bool_)
        for row, answer in zip(has, self.answers, strict=True):
            row[list(answer.truth)] = True
        return has

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; of each clip's scores the best five, rounded."""
        return {
            "model": self.model,
            "data": self.data,
            "views": self.views,
            "labels": list(self.labels),
            "is_multi_label": self.is_multi_label,
            "clips": [self._answered(answer) for answer in self.answers],
            "learned_from": [self._clip(clip) for clip in self.learned_from],
            "failed": [{"path": str(failed.path), "reason": failed.reason} for failed in self.failed],
            "provenance": None if self.provenance is None else self.provenance.to_dict(),
        }

    def _answered(self, answer: ClipAnswer) -> dict[str, Any]:
        box = {} if answer.box_xyxy_px is None else {"box_xyxy_px": list(answer.box_xyxy_px)}
        return self._clip(answer) | box | {"answers": self._best(answer)}

    def _clip(self, clip: ClipAnswer | LearnedClip) -> dict[str, Any]:
        return {
            "path": str(clip.path),
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "part": clip.part,
            "truth": [self.labels[index] for index in clip.truth],
        }

    def _best(self, answer: ClipAnswer) -> list[dict[str, Any]]:
        order = np.argsort(-answer.scores, kind="stable")[:_TOP_K]
        return [
            {"label": self.labels[i], "index": int(i), "score": round(float(answer.scores[i]), _DIGITS)}
            for i in order
        ]


@dataclass(frozen=True)
class ClassFigures:
    """How one class is recognised, 0 to 1.

    Attributes:
        label: Its name.
        support: Clips that have it.
        answered: Clips for which it was answered; of multi-label data: scored 0.5 or more.
        precision: Share of the clips for which it was answered that have it; None: it never was.
        recall: Share of the clips that have it for which it was answered; None: none has it.
        average_precision: Area under precision over recall; None: no clip has it.
    """

    label: str
    support: int
    answered: int
    precision: float | None
    recall: float | None
    average_precision: float | None


@dataclass(frozen=True)
class CalibrationBin:
    """Scores between two bounds: what they promise, and what is true.

    Attributes:
        low, high: The bounds; `high` is part of it.
        count: How many scores. Single-label: of the answers; multi-label: of all classes of all clips.
        mean_score: Their mean; None: there are none.
        share_right: The share that is true; None: there are none.
    """

    low: float
    high: float
    count: int
    mean_score: float | None
    share_right: float | None


@dataclass(frozen=True)
class EvaluationSummary:
    """The figures of an evaluation; shares are 0 to 1.

    Attributes:
        clips: How many were evaluated.
        failed: How many files could not be used.
        top1: Share of the clips whose best answer is right; None: multi-label.
        top1_interval: Its 95 % confidence interval (Wilson), for independent clips.
        top5: Share of the clips whose class is among the best five answers; None: multi-label, or there are
            five classes or fewer, of which it says nothing.
        mean_per_class: Mean recall of the classes that occur; None: multi-label.
        mean_average_precision: Over the classes that occur; None: none does.
        log_loss: Mean negative log-likelihood in nats; multi-label: mean binary cross-entropy.
        calibration_error: Expected calibration error: mean distance of score and truth over the bins.
        by_class: In the order of the labels.
        confusion: (C, C) clips by true class (row) and answer (column); None: multi-label.
        calibration: Ten bins of the score.
    """

    clips: int
    failed: int
    top1: float | None
    top1_interval: tuple[float, float] | None
    top5: float | None
    mean_per_class: float | None
    mean_average_precision: float | None
    log_loss: float
    calibration_error: float
    by_class: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...] | None
    calibration: tuple[CalibrationBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)
