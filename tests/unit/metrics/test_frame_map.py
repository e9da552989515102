"""Frame mAP: the official evaluation's figures, whatever the order of the rows."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.support.golden_weights import GOLDEN
from twinpath.metrics.frame_map import FrameMap, ImageBoxes, frame_map

FIGURES = json.loads((GOLDEN / "rules" / "ava_map.json").read_text())
BOX = (0.2, 0.2, 0.6, 0.8)
ELSEWHERE = (0.7, 0.1, 0.9, 0.3)


def shifted(by: float) -> tuple[float, ...]:
    """BOX moved to the right, so that it overlaps BOX by (0.4 - by) / (0.4 + by)."""
    return (BOX[0] + by, BOX[1], BOX[2] + by, BOX[3])


def boxes(*rows: tuple) -> ImageBoxes:
    """Rows (picture, box, class) or (picture, box, class, score)."""
    images, places, labels, *scores = zip(*rows, strict=True)
    score = np.asarray(scores[0], dtype=float) if scores else None
    return ImageBoxes(np.asarray(images), np.asarray(places, dtype=float), np.asarray(labels), score)


def golden(name: str, rng: np.random.Generator | None = None) -> ImageBoxes:
    rows = list(FIGURES[name])
    if rng is not None:
        rng.shuffle(rows)
    return boxes(*((int(r[0][3:]) * 10_000 + r[1], tuple(r[2:6]), *r[6:]) for r in rows))


def assert_is_official(found: FrameMap) -> None:
    expected = FIGURES["result"]
    assert found.mean == pytest.approx(expected["PascalBoxes_Precision/mAP@0.5IOU"], abs=1e-9)
    prefix = "PascalBoxes_PerformanceByCategory/AP@0.5IOU/a"
    by_class = {int(k.removeprefix(prefix)): v for k, v in expected.items() if k.startswith(prefix)}
    assert found.by_class == pytest.approx(by_class, abs=1e-9)


def test_it_is_the_official_figure() -> None:
    assert_is_official(frame_map(golden("ground_truth"), golden("detections"), FIGURES["category_ids"]))


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, found = golden("ground_truth", rng), golden("detections", rng)
    assert_is_official(frame_map(truth, found, FIGURES["category_ids"]))


def test_equal_scores_count_together_in_any_order() -> None:
    """A threshold lets in both or none: precision 1/2 at recall 1, not 1 or 1/2 as the rows happen to lie."""
    truth = boxes((0, BOX, 1))
    right, wrong = (0, BOX, 1, 0.5), (1, BOX, 1, 0.5)
    assert frame_map(truth, boxes(right, wrong), [1]).mean == 0.5
    assert frame_map(truth, boxes(wrong, right), [1]).mean == 0.5


def test_a_second_box_for_the_same_person_is_wrong() -> None:
    truth = boxes((0, BOX, 1), (0, ELSEWHERE, 1))
    found = boxes((0, BOX, 1, 0.9), (0, shifted(0.01), 1, 0.8), (0, ELSEWHERE, 1, 0.7))
    assert frame_map(truth, found, [1]).mean == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_a_box_goes_to_the_true_box_it_overlaps_most_even_if_that_one_is_taken() -> None:
    truth = boxes((0, BOX, 1), (0, shifted(0.05), 1))
    found = boxes((0, BOX, 1, 0.9), (0, shifted(0.01), 1, 0.8))  # overlaps the second one by 0.8
    assert frame_map(truth, found, [1]).mean == 0.5


def test_the_better_score_wins_not_the_better_overlap() -> None:
    truth, found = boxes((0, BOX, 1)), boxes((0, BOX, 1, 0.6), (0, shifted(0.1), 1, 0.7))
    assert frame_map(truth, found, [1]).mean == 1.0


def test_a_half_is_enough_overlap() -> None:
    truth = boxes((0, (0.0, 0.0, 1.0, 1.0), 1))
    assert frame_map(truth, boxes((0, (0.0, 0.0, 1.0, 0.5), 1, 1.0)), [1]).mean == 1.0
    assert frame_map(truth, boxes((0, (0.0, 0.0, 1.0, 0.49), 1, 1.0)), [1]).mean == 0.0
    assert frame_map(truth, boxes((0, (0.0, 0.0, 1.0, 0.49), 1, 1.0)), [1], iou=0.4).mean == 1.0


def test_precision_is_made_monotone() -> None:
    """Wrong, right, right: precision 0, 1/2, 2/3 counts as 2/3 throughout."""
    truth = boxes((0, BOX, 1), (1, BOX, 1))
    found = boxes((2, BOX, 1, 0.9), (0, BOX, 1, 0.8), (1, BOX, 1, 0.7))
    assert frame_map(truth, found, [1]).mean == pytest.approx(2 / 3)


def test_classes_count_that_are_asked_for_and_have_a_true_box() -> None:
    truth = boxes((0, BOX, 1), (0, BOX, 2), (0, BOX, 3))
    found = boxes((0, BOX, 1, 0.9), (0, BOX, 3, 0.9), (0, BOX, 4, 0.9))
    measured = frame_map(truth, found, [1, 2, 4])
    assert measured == FrameMap(0.5, {1: 1.0, 2: 0.0}, {1: 1, 2: 1})


def test_found_boxes_without_an_area_are_left_out_and_true_ones_stay() -> None:
    flat = (0.5, 0.5, 0.5, 0.9)
    truth = boxes((0, BOX, 1), (0, flat, 1))
    assert frame_map(truth, boxes((0, flat, 1, 0.9), (0, BOX, 1, 0.8)), [1]).mean == 0.5


def test_nothing_true_and_nothing_found() -> None:
    none = ImageBoxes(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    assert frame_map(boxes((0, BOX, 1)), none, [1]).mean == 0.0
    assert math.isnan(frame_map(none, boxes((0, BOX, 1, 0.5)), [1]).mean)
    with pytest.raises(ValueError, match="need scores"):
        frame_map(boxes((0, BOX, 1)), boxes((0, BOX, 1)), [1])


def test_columns_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="of another length"):
        ImageBoxes(np.zeros(2, int), np.zeros((1, 4)), np.zeros(2, int))
    with pytest.raises(ValueError, match="finite"):
        boxes((0, BOX, 1, float("nan")))


def test_against_a_plain_loop() -> None:
    """A second, slow implementation that reads as the rule does, on crowded random boxes."""
    rng = np.random.default_rng(7)
    truth = random_boxes(rng, 300, scored=False)
    found = random_boxes(rng, 2000, scored=True)
    measured = frame_map(truth, found, range(4))
    for label in range(4):
        assert measured.by_class[label] == pytest.approx(_by_loop(truth, found, label), abs=1e-12)


def random_boxes(rng: np.random.Generator, count: int, *, scored: bool) -> ImageBoxes:
    corner = rng.uniform(0, 0.4, (count, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(0.2, 0.5, (count, 2))], axis=1)
    score = rng.permutation(count) / count if scored else None
    return ImageBoxes(rng.integers(0, 30, count), xyxy, rng.integers(0, 4, count), score)


def _by_loop(truth: ImageBoxes, found: ImageBoxes, label: int) -> float:
    true = [(i, b) for i, b, c in zip(truth.image, truth.xyxy, truth.label, strict=True) if c == label]
    rows = [
        (s, i, b)
        for s, i, b, c in zip(found.score, found.image, found.xyxy, found.label, strict=True)
        if c == label
    ]
    taken: set[int] = set()
    right = []
    for _, image, box in sorted(rows, key=lambda row: -row[0]):
        overlaps = [(_overlap(box, b), -n) for n, (i, b) in enumerate(true) if i == image]
        best, n = max(overlaps, default=(0.0, 1))
        right.append(best >= 0.5 and -n not in taken)
        if best >= 0.5:
            taken.add(-n)
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return sum(precision[i:].max() for i in np.flatnonzero(right)) / len(true)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)
