"""The linear classifier on embeddings: a last layer that scores as `classify` will, calibrated and honest."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from twinpath.errors import TrainingDiverged
from twinpath.recognize.aggregate import aggregate_views
from twinpath.train.finetune.linear import fit_linear, mean_scores

CLASSES, CLIPS, VIEWS, DIMS = 3, 90, 2, 20


def blobs(seed: int = 0, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (N, V, D) around a centre for each class, targets (N, C), and the fold of each clip."""
    rng = np.random.default_rng(seed)
    labels = np.arange(CLIPS) % CLASSES
    centres = rng.normal(0, 1, (CLASSES, DIMS))
    features = centres[labels][:, None] + noise * rng.normal(0, 1, (CLIPS, VIEWS, DIMS))
    features = 40 + 1e-3 * features * np.logspace(0, 3, DIMS)  # features of very different sizes
    return features.astype(np.float32), np.eye(CLASSES, dtype=bool)[labels], np.arange(CLIPS) % 5


def test_it_tells_classes_apart_on_clips_that_it_has_not_seen() -> None:
    features, targets, folds = blobs()
    head = fit_linear(features, targets, folds)
    assert head.out_of_fold is not None
    assert (head.out_of_fold.argmax(1) == targets.argmax(1)).mean() > 0.9
    unseen, truth, _ = blobs(seed=0)
    assert (head.scores_of(unseen).argmax(1) == truth.argmax(1)).mean() > 0.9


def test_out_of_fold_scores_of_noise_are_no_better_than_chance() -> None:
    _, targets, folds = blobs()
    noise = np.random.default_rng(1).normal(0, 1, (CLIPS, VIEWS, 400)).astype(np.float32)
    head = fit_linear(noise, targets, folds)
    assert head.out_of_fold is not None
    assert (head.out_of_fold.argmax(1) == targets.argmax(1)).mean() < 0.55
    assert head.out_of_fold.max() < 0.9  # and they do not claim otherwise


def test_scores_are_those_of_the_last_layer_pooled_over_views() -> None:
    features, targets, folds = blobs(noise=2.0)
    head = fit_linear(features, targets, folds)
    logits = features[0] @ head.weight.T + head.bias
    rows = np.exp(logits - logits.max(1, keepdims=True))
    rows /= rows.sum(1, keepdims=True)
    np.testing.assert_allclose(head.scores_of(features)[0], aggregate_views([rows]), atol=1e-4)


def test_scores_are_calibrated() -> None:
    features, targets, folds = blobs(noise=4.0)
    head = fit_linear(features, targets, folds)
    assert head.out_of_fold is not None
    right = (head.out_of_fold.argmax(1) == targets.argmax(1)).mean()
    assert abs(head.out_of_fold.max(1).mean() - right) < 0.12


def test_two_classes_one_of_them_rare() -> None:
    rng = np.random.default_rng(2)
    labels = np.array([0] * 50 + [1] * 6)
    features = rng.normal(0, 1, (56, 1, 8)).astype(np.float32) + 1.5 * labels[:, None, None]
    head = fit_linear(features, np.eye(2, dtype=bool)[labels], np.arange(56) % 3)
    assert head.weight.shape == (2, 8)
    assert (head.scores_of(features).argmax(1) == labels).mean() > 0.85
    assert head.scores_of(features)[50:].argmax(1).mean() > 0.5  # the rare one is found


def test_several_labels_a_clip() -> None:
    rng = np.random.default_rng(3)
    targets = rng.random((80, 4)) < 0.4
    features = (targets @ rng.normal(0, 1, (4, 12)))[:, None] + 0.3 * rng.normal(0, 1, (80, 1, 12))
    head = fit_linear(features, targets, np.arange(80) % 4, is_multi_label=True)
    assert head.out_of_fold is not None
    assert ((head.out_of_fold > 0.5) == targets).mean() > 0.9


def test_a_class_that_a_fold_lacks_is_not_its_answer() -> None:
    features, targets, folds = blobs()
    folds = np.where(targets.argmax(1) == 2, 0, 1 + folds % 3)  # all clips of a class in one fold
    head = fit_linear(features, targets, folds)
    assert head.out_of_fold is not None
    assert head.out_of_fold[folds == 0, 2].max() < 1e-6


def test_clips_in_no_fold_are_learned_from_and_not_evaluated() -> None:
    features, targets, folds = blobs()
    folds[:6] = -1
    head = fit_linear(features, targets, folds)
    assert head.out_of_fold is not None
    assert np.isnan(head.out_of_fold[:6]).all()
    assert np.isfinite(head.out_of_fold[6:]).all()


def test_the_same_again_bit_for_bit() -> None:
    first, second = (fit_linear(*blobs()) for _ in range(2))
    assert first.weight.tobytes() == second.weight.tobytes()
    assert first.bias.tobytes() == second.bias.tobytes()


def test_nan_is_an_error() -> None:
    features, targets, folds = blobs()
    features[3] = np.nan
    with pytest.raises(TrainingDiverged, match="NaN"):
        fit_linear(features, targets, folds)


def test_mean_scores_of_large_logits() -> None:
    assert mean_scores(np.array([[[900.0, -900.0]]]), is_multi_label=False).tolist() == [[1.0, 0.0]]
    assert mean_scores(np.array([[[900.0, -900.0]]]), is_multi_label=True)[0, 1] < 1e-12


def test_all_classes_at_once_are_as_one_after_the_other() -> None:
    """Some of several labels; one that everybody has, and one that nobody has, are known without a fit."""
    rng = np.random.default_rng(5)
    features = rng.normal(size=(200, 12))
    targets = features @ rng.normal(size=(12, 5)) + rng.normal(size=(200, 5)) > 1.0
    targets[:, 3], targets[:, 4] = True, False
    together = fit_linear(features, targets, is_multi_label=True, strengths=(0.01,))
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    for c in range(3):
        alone = LogisticRegression(C=0.01, class_weight="balanced", tol=1e-7).fit(standard, targets[:, c])
        expected = alone.predict_proba(standard)[:, 1]
        assert together.scores_of(features)[:, c] == pytest.approx(expected, abs=1e-3)
    assert (together.scores_of(features)[:, 3] > 0.99).all()
    assert (together.scores_of(features)[:, 4] < 0.01).all()
