"""From scores to segments: cells, smoothing, hysteresis, merging."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from twinpath.errors import UsageError
from twinpath.recognize.segments import find_segments, hysteresis, merge_runs, window_cells
from twinpath.recognize.smoothing import smooth
from twinpath.results.clock import clock
from twinpath.results.segments import Segment, SegmentRules

LABELS = ("walk", "run", "jump")


def segments_of(
    scores: ArrayLike, *, every_s: float = 1.0, span_s: float = 2.0, **changes: object
) -> tuple[Segment, ...]:
    """Of windows from 0 s on; without smoothing or merging unless asked for."""
    columns = np.asarray(scores, dtype=np.float16)
    if columns.ndim == 1:
        columns = columns[:, None]
    starts_s = np.arange(len(columns)) * every_s
    rules = SegmentRules(**{"smooth_s": 0.0, "merge_s": 0.0, **changes})  # type: ignore[arg-type]
    return find_segments(
        columns,
        starts_s,
        starts_s + span_s,
        labels=LABELS[: columns.shape[1]],
        rules=rules,
        every_s=every_s,
        until_s=float(starts_s[-1] + span_s),
    )


def spans(found: tuple[Segment, ...]) -> list[tuple[str, float, float]]:
    return [(s.label, s.start_s, s.end_s) for s in found]


def test_a_moment_belongs_to_the_window_whose_middle_is_nearest() -> None:
    starts_s = np.array([0.0, 1.0, 2.0, 7.0])
    from_s, to_s = window_cells(starts_s, starts_s + 2, every_s=1.0, until_s=8.5)
    assert from_s.tolist() == [0.0, 1.5, 2.5, 7.0]
    assert to_s.tolist() == [1.5, 2.5, 4.0, 8.5]  # the third goes no further than it saw


def test_windows_with_gaps_speak_for_the_time_between_them() -> None:
    starts_s = np.array([0.0, 10.0, 20.0])
    from_s, to_s = window_cells(starts_s, starts_s + 2, every_s=10.0, until_s=30.0)
    assert from_s.tolist() == [0.0, 6.0, 16.0]
    assert to_s.tolist() == [6.0, 16.0, 26.0]


def test_a_segment_enters_high_and_leaves_low() -> None:
    (found,) = segments_of([0.1, 0.2, 0.35, 0.2, 0.16, 0.1, 0.2, 0.1], min_score=0.3)
    assert (found.start_s, found.end_s) == (1.5, 5.5)  # the later 0.2 alone is none
    assert found.mean_score == pytest.approx(np.mean([0.2, 0.35, 0.2, 0.16]), abs=2e-4)
    assert found.peak_score == pytest.approx(0.35, abs=2e-4)
    assert found.peak_s == 3.0


def test_the_first_and_the_last_window_reach_the_ends() -> None:
    assert spans(segments_of([0.9, 0.9, 0.9])) == [("walk", 0.0, 4.0)]


def test_labels_may_overlap_and_come_in_order_of_time() -> None:
    scores = [[0, 0.4, 0.1], [0.3, 0.4, 0.1], [0.5, 0, 0.1], [0.9, 0, 0.1]]
    assert spans(segments_of(scores)) == [("run", 0.0, 2.5), ("walk", 1.5, 5.0)]
    assert spans(segments_of(scores, labels=("walk",))) == [("walk", 1.5, 5.0)]
    assert segments_of(scores, labels=("jump",)) == ()


@pytest.mark.parametrize(("merge_s", "count"), [(0.0, 2), (1.9, 2), (2.0, 1)])
def test_segments_of_one_label_are_joined_across_short_gaps(merge_s: float, count: int) -> None:
    found = segments_of([0.9, 0, 0, 0.9], merge_s=merge_s)
    assert len(found) == count
    if count == 1:
        assert spans(found) == [("walk", 0.0, 5.0)]
        assert found[0].mean_score == pytest.approx(0.45, abs=3e-4)  # the gap counts


def test_a_time_without_windows_parts_segments_unless_merged() -> None:
    starts_s = np.array([0.0, 1.0, 10.0, 11.0])
    scores = np.full((4, 1), 0.8, dtype=np.float16)
    for merge_s, expected in ((5.0, [(0.0, 3.0), (10.0, 13.0)]), (7.0, [(0.0, 13.0)])):
        rules = SegmentRules(merge_s=merge_s)
        found = find_segments(
            scores, starts_s, starts_s + 2, labels=("walk",), rules=rules, every_s=1.0, until_s=13.0
        )
        assert [(s.start_s, s.end_s) for s in found] == expected


def test_smoothing_hides_flicker_but_moves_no_change() -> None:
    flicker = [0.9, 0.9, 0.0, 0.9, 0.9]
    assert len(segments_of(flicker)) == 2
    assert len(segments_of(flicker, smooth_s=2.0)) == 1
    change = [0.0] * 10 + [1.0] * 10
    (sharp,), (smoothed,) = segments_of(change), segments_of(change, smooth_s=2.0)
    assert abs(sharp.start_s - smoothed.start_s) <= 1.0


def test_smoothing_goes_by_time_not_by_number() -> None:
    values = np.array([0.0, 1.0, 0.0])
    near = smooth(values, np.array([0.0, 1.0, 2.0]), reach_s=2.0)
    assert near.tolist() == pytest.approx([1 / 3, 0.5, 1 / 3])
    far = smooth(values, np.array([0.0, 50.0, 100.0]), reach_s=2.0)
    assert far.tolist() == values.tolist()
    assert smooth(values, np.arange(3.0), reach_s=0.0).tolist() == values.tolist()
    level = smooth(np.full(50, 0.7), np.arange(50) * 0.1, reach_s=3.0)
    assert np.allclose(level, 0.7)  # also at the ends


def test_runs() -> None:
    scores = np.array([0.2, 0.5, 0.2, 0.0, 0.2, 0.0, 0.5])
    assert hysteresis(scores, enter=0.4, leave=0.1) == [(0, 2), (6, 6)]
    breaks = np.zeros(7, dtype=np.bool_)
    breaks[1] = True
    assert hysteresis(scores, enter=0.4, leave=0.1, breaks=breaks) == [(1, 2), (6, 6)]
    assert hysteresis(np.zeros(0), enter=0.4, leave=0.1) == []
    assert hysteresis(np.ones(1), enter=0.4, leave=0.1) == [(0, 0)]
    from_s = np.arange(7.0)
    assert merge_runs([(0, 2), (6, 6)], from_s, from_s + 1, gap_s=2.9) == [(0, 2), (6, 6)]
    assert merge_runs([(0, 2), (6, 6)], from_s, from_s + 1, gap_s=3.0) == [(0, 6)]


def test_no_windows_no_segments() -> None:
    nothing = np.zeros(0)
    assert (
        find_segments(
            np.zeros((0, 3), dtype=np.float16),
            nothing,
            nothing,
            labels=LABELS,
            rules=SegmentRules(),
            every_s=1.0,
            until_s=0.0,
        )
        == ()
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_score": 0.0},
        {"min_score": 1.1},
        {"min_score": float("nan")},
        {"merge_s": -1.0},
        {"smooth_s": float("inf")},
        {"labels": ()},
    ],
)
def test_rules_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        SegmentRules(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("time_s", "digits", "text"),
    [
        (0.0, 1, "0:00.0"),
        (7.46, 1, "0:07.5"),
        (59.96, 1, "1:00.0"),
        (3725.04, 2, "1:02:05.04"),
        (90.6, 0, "1:31"),
    ],
)
def test_times_for_people(time_s: float, digits: int, text: str) -> None:
    assert clock(time_s, digits) == text
