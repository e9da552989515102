"""Figures of a classifier: the reference's, and what is known by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.support.golden_weights import GOLDEN
from twinpath.metrics.classification import (
    average_precisions,
    calibration_bins,
    confusion_matrix,
    expected_calibration_error,
    multilabel_log_loss,
    multilabel_map,
    negative_log_likelihood,
    precision_and_recall,
    top_k_accuracy,
    true_ranks,
    wilson_interval,
)

FIGURES = json.loads((GOLDEN / "rules" / "multilabel_map.json").read_text())


def golden() -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(FIGURES["labels"]) > 0, np.asarray(FIGURES["predictions"])


def test_multilabel_map_is_the_reference_s() -> None:
    assert multilabel_map(*golden()) == pytest.approx(FIGURES["mAP"], abs=1e-12)


def test_the_order_of_the_clips_does_not_matter_even_where_scores_are_equal() -> None:
    truth, scores = golden()
    scores = np.round(scores, 1)
    order = np.random.default_rng(0).permutation(len(truth))
    assert multilabel_map(truth[order], scores[order]) == pytest.approx(
        multilabel_map(truth, scores), abs=1e-12
    )


def test_a_class_that_does_not_occur_has_no_average_precision() -> None:
    truth, scores = golden()
    missing = ~truth.any(axis=0)
    assert missing.any()
    assert (np.isnan(average_precisions(truth, scores)) == missing).all()
    assert math.isnan(multilabel_map(np.zeros((4, 2), bool), np.ones((4, 2))))


def test_average_precision_by_hand() -> None:
    truth = np.asarray([[True], [False], [True], [False]])
    assert average_precisions(truth, np.asarray([[0.9], [0.8], [0.7], [0.1]])) == pytest.approx(
        [(1 + 2 / 3) / 2]
    )
    assert average_precisions(truth, np.full((4, 1), 0.5)) == pytest.approx([0.5])


def test_top_k_counts_equal_scores_in_the_order_of_the_classes() -> None:
    scores = np.asarray([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2]])
    truth = np.asarray([2, 0, 1])
    assert true_ranks(scores, truth).tolist() == [1, 0, 1]
    assert [top_k_accuracy(scores, truth, k) for k in (1, 2, 3, 5)] == pytest.approx([1 / 3, 1, 1, 1])
    assert (true_ranks(scores, scores.argmax(axis=1)) == 0).all()


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (93, 120, 0.6926, 0.8405), (1, 1, 0.2065, 1.0)],
)
def test_wilson_s_interval(right: int, of: int, low: float, high: float) -> None:
    assert wilson_interval(right, of) == pytest.approx((low, high), abs=2e-4)


def test_confusion_has_the_truth_in_its_rows() -> None:
    found = confusion_matrix(np.asarray([0, 0, 1, 2]), np.asarray([0, 2, 1, 1]), 4)
    assert found.tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_precision_and_recall_are_undefined_where_there_is_nothing() -> None:
    truth = np.asarray([[1, 0, 0], [1, 0, 0], [0, 1, 0]], bool)
    answers = np.asarray([[1, 0, 0], [0, 0, 1], [1, 0, 0]], bool)
    precision, recall = precision_and_recall(truth, answers)
    assert precision.tolist()[0] == 0.5
    assert math.isnan(precision[1])
    assert precision[2] == 0.0
    assert recall.tolist()[:2] == [0.5, 0.0]
    assert math.isnan(recall[2])


def test_calibration_of_what_promises_more_than_it_keeps() -> None:
    confidence = np.asarray([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.asarray([1, 1, 0, 0, 1, 0], bool)
    bins = calibration_bins(confidence, right)
    assert bins[:, 0].tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 4]
    assert bins[9, 1:] == pytest.approx([0.95, 0.5])
    assert expected_calibration_error(bins) == pytest.approx((4 * 0.45 + 2 * 0.05) / 6)


def test_the_ends_of_the_scale_have_bins() -> None:
    bins = calibration_bins(np.asarray([0.0, 0.1, 1.0]), np.asarray([False, False, True]))
    assert bins[:, 0].tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert expected_calibration_error(bins) == pytest.approx(2 / 3 * 0.05)


def test_losses() -> None:
    scores = np.asarray([[0.5, 0.5], [1.0, 0.0]], np.float32)
    assert negative_log_likelihood(scores, np.asarray([0, 0])) == pytest.approx(math.log(2) / 2)
    assert 7 < negative_log_likelihood(scores, np.asarray([0, 1])) < 9  # finite
    assert multilabel_log_loss(scores, np.asarray([[1, 0], [1, 0]], bool)) == pytest.approx(math.log(2) / 2)
