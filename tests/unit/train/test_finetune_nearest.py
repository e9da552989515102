"""Nearest neighbours on embeddings."""

from __future__ import annotations

import numpy as np

from twinpath.train.finetune.nearest import nearest_accuracy, nearest_scores


def test_near_neighbours_vote_by_how_near_they_are() -> None:
    learned = np.array([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.0], [-0.9, -0.2]])
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=bool)
    scores = nearest_scores(learned, targets, np.array([[0.8, 0.1], [-0.8, 0.0]]), num_neighbours=3)
    assert scores.argmax(axis=1).tolist() == [0, 1]
    assert scores.min(axis=1).max() < 0.01  # the third neighbour is of the other class, and far
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)


def test_clips_of_a_fold_are_no_neighbours_of_each_other() -> None:
    rng = np.random.default_rng(0)
    targets = np.tile(np.eye(3, dtype=bool), (12, 1))
    features = targets[:, None, :] + rng.normal(0, 0.1, (36, 2, 3))
    folds = np.arange(36) // 3 % 4
    assert nearest_accuracy(features, features, targets, folds) == 1.0
    groups = np.where(targets[:, 0], 0, folds)  # all of a class in one fold: nothing like it is left
    assert nearest_accuracy(features, features, targets, groups) <= 2 / 3
