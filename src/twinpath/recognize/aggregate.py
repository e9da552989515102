"""Step 4 of recognition: the scores of a video's clips to one answer."""

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
    """Pool the scores of all views of a video, crops in space and clips in time.

    Args:
        scores: One array for each clip, (crops, C).
        pooling: "mean", or "max" as Charades is evaluated.
    Returns:
        (C,).
    Raises:
        ValueError: There is no clip.
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
        scores_C: (C,) in 0 to 1.
        labels: C names.
        top_k: How many.
        digits: To which scores are rounded.
    """
    order = np.argsort(-scores_C, kind="stable")[:top_k]
    return tuple(Prediction(labels[i], int(i), round(float(scores_C[i]), digits)) for i in order)
