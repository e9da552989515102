"""k nearest neighbours on embeddings: how far they tell classes apart before anything is learned.

Beside it a last layer is the "linear probe" of research, see `linear`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NUM_NEIGHBOURS = 20
TEMPERATURE = 0.07  # of the similarities: near neighbours have more votes

_LEAST_STD = 1e-6

Floats = NDArray[np.floating]


def nearest_scores(
    learned: Floats,
    targets: NDArray[np.bool_],
    scored: Floats,
    *,
    num_neighbours: int = NUM_NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> NDArray[np.float32]:
    """Scores of clips by the labelled clips that are most similar to them.

    Args:
        learned: (N, V, D) embeddings of V views of the labelled clips, or (N, D).
        targets: (N, C) their classes.
        scored: (M, V', D) or (M, D) of the others.
        num_neighbours: So many vote, or all where there are fewer.
        temperature: A vote counts exp(cosine / temperature).
    Returns:
        (M, C) the share of the votes of each class, in 0 to 1.
    Source: Wu et al. 2018, arXiv:1805.01978, section 3.4; embeddings are standardised first.
    """
    own, other = _means(learned), _means(scored)
    mean, std = own.mean(axis=0), own.std(axis=0)
    std = np.where(std > _LEAST_STD, std, np.inf)
    similarities = _unit((other - mean) / std) @ _unit((own - mean) / std).T
    count = min(num_neighbours, len(own))
    nearest = np.argpartition(-similarities, count - 1, axis=1)[:, :count]
    votes = np.exp((np.take_along_axis(similarities, nearest, axis=1) - 1) / temperature)
    scores = np.einsum("mk,mkc->mc", votes, targets[nearest].astype(np.float64))
    shares: NDArray[np.float32] = (scores / votes.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def nearest_accuracy(
    learned: Floats, scored: Floats, targets: NDArray[np.bool_], folds: NDArray[np.integer]
) -> float:
    """The share of clips whose best class by their neighbours in the other folds is one of theirs.

    Args:
        learned: (N, V, D) the views that are learned from.
        scored: (N, V', D) those that are scored.
        targets: (N, C).
        folds: (N,) of each clip; -1: it is a neighbour of all and not scored.
    """
    right = []
    for fold in np.unique(folds[folds >= 0]):
        held_out = folds == fold
        scores = nearest_scores(learned[~held_out], targets[~held_out], scored[held_out])
        right.append(targets[held_out][np.arange(len(scores)), scores.argmax(axis=1)])
    return float(np.concatenate(right).mean())


def _means(features: Floats) -> NDArray[np.float64]:
    """(N, D) float64: the mean over views."""
    array = np.asarray(features, dtype=np.float64)
    return array if array.ndim == 2 else array.mean(axis=1)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float64] = rows / np.maximum(lengths, 1e-12)
    return unit
