"""Step 4 of recognition: the scores of a video's clips to one result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinpath.results.classification import Prediction

ViewPooling = Literal["mean", "max"]


def aggregate_views(
    scores: Sequence[NDArray[np.float32]], pooling: ViewPooling = "mean"
) -> NDArray[np.float32]:
    """Pool the scores of all views of a video: spatial crops and temporal clips.

    Args:
        scores: One (crops, C) array per clip.
        pooling: "mean", or "max" for multi-label data sets such as Charades.
    Returns:
        (C,) scores.
    Raises:
        ValueError: `scores` is empty.
    """
    if not scores:
        raise ValueError("there are no scores to aggregate")
    rows = np.concatenate(scores)
    pooled: NDArray[np.float32] = rows.max(axis=0) if pooling == "max" else rows.mean(axis=0)
    return pooled


def top_predictions(
    scores_C: NDArray[np.floating], labels: Sequence[str], *, top_k: int = 5, digits: int = 6
) -> tuple[Prediction, ...]:
    """The labels with the highest scores, best first.

    Args:
        scores_C: (C,) scores, 0 to 1.
        labels: The names of the C classes.
        top_k: Number of labels.
        digits: Decimals to which scores are rounded.
    """
    order = np.argsort(-scores_C, kind="stable")[:top_k]
    return tuple(Prediction(labels[i], int(i), round(float(scores_C[i]), digits)) for i in order)
