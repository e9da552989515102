"""Figures of a classifier: top-k accuracy with its interval, confusions, average precision, calibration.

N is the number of clips and C of classes. Scores are probabilities, of single-label data with a sum of 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Indices = NDArray[np.integer]
Flags = NDArray[np.bool_]

_Z = 1.96  # of a normal distribution, 95 %
_LEAST = 1e-7  # of a probability in a logarithm: what float32 distinguishes from 0 and from 1


def top_k_accuracy(scores_NC: Scores, truth_N: Indices, k: int) -> float:
    """Share of the clips whose true class is among the k with the highest scores.

    Of equal scores the first class is the higher one, as in `recognize.aggregate.top_predictions`.
    """
    return float((true_ranks(scores_NC, truth_N) < k).mean())


def true_ranks(scores_NC: Scores, truth_N: Indices) -> NDArray[np.int64]:
    """(N,) how many classes are placed before the true one: 0 where the answer is right."""
    own_N1 = np.take_along_axis(scores_NC, truth_N[:, None], axis=1)
    is_before_NC = np.arange(scores_NC.shape[1]) < truth_N[:, None]
    ranks: NDArray[np.int64] = ((scores_NC > own_N1) | ((scores_NC == own_N1) & is_before_NC)).sum(axis=1)
    return ranks


def wilson_interval(right: int, of: int) -> tuple[float, float]:
    """Wilson's score interval of a share at 95 %. Source: Wilson 1927, J. Am. Stat. Assoc. 22.

    Args:
        right: How many are.
        of: Of how many, > 0. The interval holds for independent ones.
    """
    p, scale = right / of, 1 + _Z * _Z / of
    middle = (p + _Z * _Z / (2 * of)) / scale
    half = _Z * math.sqrt(p * (1 - p) / of + _Z * _Z / (4 * of * of)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion_matrix(truth_N: Indices, answers_N: Indices, num_classes: int) -> NDArray[np.int64]:
    """(C, C) how many clips of the class of the row were taken for the class of the column."""
    counts = np.bincount(
        truth_N.astype(np.int64) * num_classes + answers_N, minlength=num_classes * num_classes
    )
    return counts.reshape(num_classes, num_classes)


def precision_and_recall(
    truth_NC: Flags, answers_NC: Flags
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(C,) precision and (C,) recall of each class.

    Args:
        truth_NC: Which classes a clip has.
        answers_NC: Which were answered.
    Returns:
        NaN for the precision of a class that was never answered, and the recall of one that does not occur.
    """
    right_C = (truth_NC & answers_NC).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return right_C / answers_NC.sum(axis=0), right_C / truth_NC.sum(axis=0)


def average_precisions(truth_NC: Flags, scores_NC: Scores) -> NDArray[np.float64]:
    """(C,) average precision of each class: the area under its steps of precision over recall.

    Clips with equal scores are one step, so that their order does not matter. NaN: the class does not occur.
    """
    precisions = [_average_precision(truth_NC[:, c], scores_NC[:, c]) for c in range(scores_NC.shape[1])]
    return np.asarray(precisions, dtype=np.float64)


def _average_precision(truth_N: Flags, scores_N: Scores) -> float:
    if not truth_N.any():
        return math.nan
    order = np.argsort(-scores_N, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores_N[order])), len(order) - 1)  # of each step
    found = np.cumsum(truth_N[order])[ends]
    return float((np.diff(found, prepend=0) * (found / (ends + 1))).sum() / found[-1])


def multilabel_map(truth_NC: Flags, scores_NC: Scores) -> float:
    """Mean average precision over the classes that occur; NaN: none does.

    Source: PySlowFast, `get_map`, the metric of Charades.
    """
    precisions = average_precisions(truth_NC, scores_NC)
    occurring = precisions[~np.isnan(precisions)]
    return float(occurring.mean()) if len(occurring) else math.nan


def calibration_bins(confidence_M: Scores, right_M: Flags, num_bins: int = 10) -> NDArray[np.float64]:
    """What scores promise, and what is true, in bins of equal width over 0 to 1.

    Args:
        confidence_M: M scores: those of the answers, or of multi-label data all of them.
        right_M: Whether what is scored is true.
        num_bins: B; a bin holds its upper end and not its lower one.
    Returns:
        (B, 3): number of scores, their mean, the share that is true; both NaN in an empty bin.
    """
    places = np.clip(
        np.ceil(confidence_M.astype(np.float64) * num_bins).astype(np.int64) - 1, 0, num_bins - 1
    )
    counts = np.bincount(places, minlength=num_bins)
    sums = np.bincount(places, weights=confidence_M, minlength=num_bins)
    rights = np.bincount(places, weights=right_M, minlength=num_bins)
    with np.errstate(invalid="ignore"):
        return np.stack([counts, sums / counts, rights / counts], axis=1)


def expected_calibration_error(bins_B3: NDArray[np.float64]) -> float:
    """Mean distance between what scores promise and what is true, weighted by the number of scores.

    Args:
        bins_B3: Of `calibration_bins`.
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks.
    """
    counts, promised, true = bins_B3[bins_B3[:, 0] > 0].T
    return float((counts * np.abs(promised - true)).sum() / counts.sum())


def negative_log_likelihood(scores_NC: Scores, truth_N: Indices) -> float:
    """Mean of -log of the true class's score, in nats."""
    own_N = np.take_along_axis(scores_NC, truth_N[:, None], axis=1)[:, 0].astype(np.float64)
    return float(-np.log(np.clip(own_N, _LEAST, 1.0)).mean())


def multilabel_log_loss(scores_NC: Scores, truth_NC: Flags) -> float:
    """Mean binary cross-entropy over clips and classes, in nats."""
    p_NC = np.clip(scores_NC.astype(np.float64), _LEAST, 1.0 - _LEAST)
    return float(-np.where(truth_NC, np.log(p_NC), np.log1p(-p_NC)).mean())
