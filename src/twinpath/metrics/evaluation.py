"""The figures of an evaluation, and its worst mistakes.

summary = summarise(evaluation)
summary.top1, summary.top1_interval, summary.by_class, summary.confusion
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import InputError
from twinpath.metrics.classification import (
    average_precisions,
    calibration_bins,
    confusion_matrix,
    expected_calibration_error,
    multilabel_log_loss,
    multilabel_map,
    negative_log_likelihood,
    precision_and_recall,
    true_ranks,
    wilson_interval,
)
from twinpath.results.evaluation import (
    CalibrationBin,
    ClassFigures,
    ClipAnswer,
    Evaluation,
    EvaluationSummary,
)
from twinpath.results.explanation import ExplainedMistake

ANSWERED_AT = 0.5  # the score from which a class of multi-label data counts as answered
_TOP_K = 5
_OF_SINGLE_LABEL = ("top1", "top1_interval", "top5", "mean_per_class", "confusion")


def summarise(evaluation: Evaluation) -> EvaluationSummary:
    """All figures of an evaluation.

    Raises:
        InputError: Not one clip was evaluated.
    """
    if not evaluation.answers:
        raise InputError("no clip was evaluated, so there are no figures")
    scores_NC, truth_NC = evaluation.scores, evaluation.truth
    if evaluation.is_multi_label:
        answers_NC = scores_NC >= ANSWERED_AT
        bins = calibration_bins(scores_NC.ravel(), truth_NC.ravel())
        of_task: dict[str, Any] = dict.fromkeys(_OF_SINGLE_LABEL)
        of_task["log_loss"] = multilabel_log_loss(scores_NC, truth_NC)
    else:
        answers_NC = np.arange(scores_NC.shape[1]) == scores_NC.argmax(axis=1)[:, None]
        bins = calibration_bins(scores_NC.max(axis=1), truth_NC[answers_NC])
        of_task = _single_label(scores_NC, truth_NC)
    return EvaluationSummary(
        clips=len(scores_NC),
        failed=len(evaluation.failed),
        mean_average_precision=_number(multilabel_map(truth_NC, scores_NC)),
        calibration_error=expected_calibration_error(bins),
        by_class=_by_class(evaluation.labels, scores_NC, truth_NC, answers_NC),
        calibration=_calibration(bins),
        **of_task,
    )


def _single_label(scores_NC: NDArray[np.float32], truth_NC: NDArray[np.bool_]) -> dict[str, Any]:
    truth_N, num_classes = truth_NC.argmax(axis=1), scores_NC.shape[1]
    ranks_N = true_ranks(scores_NC, truth_N)
    confusion = confusion_matrix(truth_N, scores_NC.argmax(axis=1), num_classes)
    occurring = confusion.sum(axis=1) > 0
    recalls = confusion.diagonal()[occurring] / confusion.sum(axis=1)[occurring]
    return {
        "top1": float((ranks_N < 1).mean()),
        "top1_interval": wilson_interval(int((ranks_N < 1).sum()), len(ranks_N)),
        "top5": float((ranks_N < _TOP_K).mean()) if num_classes > _TOP_K else None,
        "mean_per_class": float(recalls.mean()),
        "log_loss": negative_log_likelihood(scores_NC, truth_N),
        "confusion": tuple(tuple(row) for row in confusion.tolist()),
    }


def _by_class(
    labels: tuple[str, ...],
    scores_NC: NDArray[np.float32],
    truth_NC: NDArray[np.bool_],
    answers_NC: NDArray[np.bool_],
) -> tuple[ClassFigures, ...]:
    precision, recall = precision_and_recall(truth_NC, answers_NC)
    ap = average_precisions(truth_NC, scores_NC)
    support, answered = truth_NC.sum(axis=0), answers_NC.sum(axis=0)
    return tuple(
        ClassFigures(
            label=label,
            support=int(support[i]),
            answered=int(answered[i]),
            precision=_number(precision[i]),
            recall=_number(recall[i]),
            average_precision=_number(ap[i]),
        )
        for i, label in enumerate(labels)
    )


def _calibration(bins_B3: NDArray[np.float64]) -> tuple[CalibrationBin, ...]:
    return tuple(
        CalibrationBin(i / len(bins_B3), (i + 1) / len(bins_B3), int(count), _number(mean), _number(share))
        for i, (count, mean, share) in enumerate(bins_B3)
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def report_values(
    evaluation: Evaluation,
    summary: EvaluationSummary,
    notes: Sequence[str] = (),
    explained: Sequence[ExplainedMistake] = (),
) -> dict[str, Any]:
    """What report.json holds: the figures, which mistakes are explained, then the clips they are of."""
    return {
        "summary": summary.to_dict(),
        "notes": list(notes),
        "explained": [one.to_dict() for one in explained],
        **evaluation.to_dict(),
    }


@dataclass(frozen=True, eq=False)
class Mistake:
    """A clip with a wrong answer.

    Attributes:
        answer: The clip and its scores.
        label: Index of the class that is wrong: the answer, or one that was missed (multi-label).
        is_missed: Whether the clip has the class, and the score denies it (multi-label).
    """

    answer: ClipAnswer
    label: int
    is_missed: bool = False

    @property
    def score(self) -> float:
        """The score of the class."""
        return float(self.answer.scores[self.label])


def worst_mistakes(evaluation: Evaluation, most: int) -> list[Mistake]:
    """The most confident wrong answers, the worst first; each clip once.

    Single-label data: by the score of the wrong answer. Multi-label data: by the distance of a class's score
    from the truth, if it is on the wrong side of 0.5.
    """
    mistakes = []
    for answer in evaluation.answers:
        if not evaluation.is_multi_label:
            if answer.best not in answer.truth:
                mistakes.append((float(answer.scores[answer.best]), Mistake(answer, answer.best)))
            continue
        has = np.zeros(len(evaluation.labels), np.bool_)
        has[list(answer.truth)] = True
        errors = np.where(has, 1 - answer.scores, answer.scores)
        worst = int(errors.argmax())
        if (answer.scores[worst] >= ANSWERED_AT) != has[worst]:
            mistakes.append((float(errors[worst]), Mistake(answer, worst, bool(has[worst]))))
    mistakes.sort(key=lambda mistake: -mistake[0])
    return [mistake for _, mistake in mistakes[:most]]
