"""Method "head": a new last layer on the embeddings of a frozen network."""

from __future__ import annotations

import numpy as np

from twinpath.train.finetune.features import ClipFeatures
from twinpath.train.finetune.learned import Learned, own_network, set_last_layer
from twinpath.train.finetune.linear import fit_linear
from twinpath.train.finetune.nearest import nearest_accuracy, nearest_scores
from twinpath.train.finetune.parts import Parts
from twinpath.zoo.model_card import HeadKind
from twinpath.zoo.model_facts import ModelFacts


def fit_last_layer(parts: Parts, found: ClipFeatures, facts: ModelFacts, head_kind: HeadKind) -> Learned:
    """Fit a last layer to all clips that are to be learned from, and score the others.

    Raises:
        MissingExtra: SciPy is not installed.
        TrainingDiverged: A feature is NaN or infinite.
    """
    learned, folds, is_multi_label = parts.learned, parts.folds[parts.learned], parts.data.is_multi_label
    head = fit_linear(
        found.features[learned],
        parts.targets[learned],
        folds if (folds >= 0).any() else None,
        scored=found.as_they_are[learned],
        is_multi_label=is_multi_label,
    )
    scores = np.full(parts.targets.shape, np.nan, dtype=np.float32)
    if parts.given is not None:
        scores[parts.given] = head.scores_of(found.as_they_are[parts.given])
    elif head.out_of_fold is not None:
        scores[:] = head.out_of_fold
    network = own_network(facts, len(parts.data.classes), is_multi_label=is_multi_label, head=head_kind)
    set_last_layer(network, head.weight, head.bias)
    how = {"strength": head.strength, "temperature": round(head.temperature, 4)}
    if not is_multi_label:
        how |= _nearest(parts, found)
    return Learned(network, scores, head_kind, how)


def _nearest(parts: Parts, found: ClipFeatures) -> dict[str, float]:
    """How right the nearest neighbours are on the clips that are scored, if there are any."""
    targets, given = parts.targets, parts.given
    if given is not None:
        scores = nearest_scores(found.features[~given], targets[~given], found.as_they_are[given])
        accuracy = targets[given][np.arange(len(scores)), scores.argmax(axis=1)].mean()
    elif (parts.folds >= 0).any():
        accuracy = nearest_accuracy(found.features, found.as_they_are, targets, parts.folds)
    else:
        return {}
    return {"nearest_neighbours_top1": round(float(accuracy), 4)}
