"""Temporal smoothing of scores: of windows, and of one person along a track."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import UsageError


def smooth_scores(
    scores_KC: NDArray[np.floating], times_s: NDArray[np.float64], *, smooth_s: float
) -> NDArray[np.float64]:
    """Smooth a person's scores over neighbouring keyframes, each label separately.

    Args:
        scores_KC: (K, C) scores at the keyframes of the person's track.
        times_s: (K,) times of these keyframes in seconds, increasing.
        smooth_s: Half width of the triangular window in seconds. Up to the distance of the keyframes it
            changes nothing. 0: no smoothing.
    Returns:
        (K, C) scores, each between the label's lowest and highest score.
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
        scores: (N,) scores.
        times_s: (N,) times in seconds, increasing.
        reach_s: Half width of the window in seconds; 0: no smoothing.
    Returns:
        (N,) scores between the lowest and the highest score.
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
