"""Averages scores over time: of windows, and of one person along a track."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import UsageError


def smooth_scores(
    scores_KC: NDArray[np.floating], times_s: NDArray[np.float64], *, smooth_s: float
) -> NDArray[np.float64]:
    """Average a person's scores with those at neighbouring keyframes, each label by itself.

    Args:
        scores_KC: (K, C) at the keyframes where the person was seen.
        times_s: (K,) of these keyframes, in seconds, increasing.
        smooth_s: Reach to both sides in seconds. Weights fall linearly to 0 there, so a reach up to the
            distance of the keyframes changes nothing. 0: the scores as they are.
    Returns:
        (K, C), each between the label's lowest and highest score.
    Raises:
        UsageError: `smooth_s` is negative or not finite.
    """
    if not 0 <= smooth_s < math.inf:
        raise UsageError(f"smooth_s must be 0 s or more, not {smooth_s:g}")
    smoothed = np.empty(scores_KC.shape, dtype=np.float64)
    for index in range(scores_KC.shape[1]):
        smoothed[:, index] = smooth(scores_KC[:, index], times_s, reach_s=smooth_s)
    return smoothed


def smooth(
    scores: NDArray[np.floating], times_s: NDArray[np.float64], *, reach_s: float
) -> NDArray[np.float64]:
    """Average each score with its neighbours in time, with weights that fall linearly to 0 at `reach_s`.

    Args:
        scores: (N,).
        times_s: (N,) increasing.
        reach_s: 0: the scores as they are.
    Returns:
        (N,) between the lowest and the highest score.
    """
    values = scores.astype(np.float64)
    if reach_s <= 0:
        return values
    total, weight = values.copy(), np.ones_like(values)
    for step in range(1, len(values)):
        weights = 1 - (times_s[step:] - times_s[:-step]) / reach_s
        weights = np.maximum(weights, 0)
        if not weights.any():
            break
        total[step:] += weights * values[:-step]
        total[:-step] += weights * values[step:]
        weight[step:] += weights
        weight[:-step] += weights
    return total / weight
