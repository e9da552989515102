"""Who is who from keyframe to keyframe: every box has a number, and a number is one person's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from twinpath.errors import MissingExtra, UsageError
from twinpath.people.base import Tracker
from twinpath.people.choose import TRACKERS, make_tracker
from twinpath.results.keyframes import PersonBoxes

Box = tuple[float, float, float, float]


def people(*boxes: Box, scores: Sequence[float] | None = None) -> PersonBoxes:
    return PersonBoxes(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores if scores is not None else [0.9] * len(boxes), np.float32),
    )


def standing(x: float, y: float = 50, *, tall: float = 100) -> Box:
    """A person's box with its feet's middle at x."""
    return x - tall / 5, y, x + tall / 5, y + tall


@pytest.fixture(params=TRACKERS)
def tracker(request: pytest.FixtureRequest) -> Tracker:
    if request.param != "iou":
        pytest.importorskip("trackers")
    return make_tracker(request.param, every_s=1.0)


@pytest.fixture
def iou() -> Tracker:
    return make_tracker("iou", every_s=1.0)


def test_people_who_stay_keep_their_numbers_in_any_order(tracker: Tracker) -> None:
    first = tracker.update(people(standing(100), standing(300), standing(500)), 0.0)
    assert sorted(first) == [1, 2, 3]
    for t in range(1, 6):
        again = tracker.update(people(standing(502 + t), standing(101), standing(300 - t)), float(t))
        assert list(again) == [first[2], first[0], first[1]]


def test_numbers_are_never_used_again(tracker: Tracker) -> None:
    seen: set[int] = set()
    for t in range(0, 100, 10):  # so long after each other that nobody is waited for
        numbers = {int(n) for n in tracker.update(people(standing(100), standing(400)), float(t))}
        assert len(numbers) == 2
        assert not numbers & seen
        assert min(numbers) >= 1
        seen |= numbers


def test_every_box_has_a_number_of_its_own(tracker: Tracker) -> None:
    rng = np.random.default_rng(1)
    for t in range(12):
        count = int(rng.integers(0, 9))
        corners = rng.uniform(0, 400, (count, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(5, 150, (count, 2))], axis=1).astype(
            np.float32
        )
        found = PersonBoxes(boxes, np.sort(rng.uniform(0.1, 1, count))[::-1].astype(np.float32))
        numbers = tracker.update(found, t * 0.7)
        assert numbers.shape == (count,)
        assert numbers.dtype == np.int64
        assert len(set(numbers.tolist())) == count
        assert (numbers >= 1).all()


def test_who_is_missed_once_is_known_again(tracker: Tracker) -> None:
    for t in range(3):
        numbers = tracker.update(people(standing(100), standing(300)), float(t))
    assert list(tracker.update(people(standing(100)), 3.0)) == [numbers[0]]
    assert list(tracker.update(people(standing(300), standing(100)), 4.0)) == [numbers[1], numbers[0]]


def test_nobody_in_between(tracker: Tracker) -> None:
    first = tracker.update(people(standing(100)), 0.0)
    second = tracker.update(people(standing(101)), 1.0)
    assert tracker.update(PersonBoxes.none(), 2.0).shape == (0,)
    assert list(tracker.update(people(standing(102)), 3.0)) == list(second) == list(first)


def test_first_number_stays_when_others_come_and_go(tracker: Tracker) -> None:
    """A track that is confirmed later keeps the number that its first box was given."""
    tracker.update(people(standing(100)), 0.0)
    first = tracker.update(people(standing(100), standing(300)), 1.0)
    then = tracker.update(people(standing(100), standing(302), standing(500)), 2.0)
    last = tracker.update(people(standing(100), standing(304), standing(501)), 3.0)
    assert list(then[:2]) == list(first)
    assert list(last) == list(then)


def test_unsure_boxes_have_numbers_too(tracker: Tracker) -> None:
    numbers = tracker.update(people(standing(100), standing(300), scores=[0.9, 0.2]), 0.0)
    assert len(set(numbers.tolist())) == 2


def test_walking_out_of_the_own_box(iou: Tracker) -> None:
    """A person who walks is beside the last box a second later."""
    first = iou.update(people(standing(100), standing(600)), 0.0)
    for t in range(1, 5):
        assert list(iou.update(people(standing(100 + 70 * t), standing(600)), float(t))) == list(first)


def test_a_child_beside_is_somebody_else(iou: Tracker) -> None:
    first = iou.update(people(standing(100)), 0.0)
    assert iou.update(people(standing(160, 100, tall=50)), 1.0)[0] != first[0]


def test_too_far_is_somebody_else(iou: Tracker) -> None:
    first = iou.update(people(standing(100)), 0.0)
    assert iou.update(people(standing(500)), 1.0)[0] != first[0]


def test_who_was_out_of_sight_is_waited_for_at_his_place_only(iou: Tracker) -> None:
    """A false box of a detector, off for a keyframe, is not a player who then comes along beside it."""
    first = iou.update(people(standing(100), standing(600)), 0.0)
    iou.update(people(standing(600)), 1.0)
    numbers = iou.update(people(standing(170), standing(600)), 2.0)
    assert numbers[0] not in first
    assert numbers[1] == first[1]


def test_overlap_goes_before_nearness(iou: Tracker) -> None:
    first = iou.update(people(standing(100)), 0.0)
    numbers = iou.update(people(standing(150), standing(110)), 1.0)
    assert numbers[1] == first[0]
    assert numbers[0] != first[0]


def test_after_some_seconds_a_person_is_a_new_one(iou: Tracker) -> None:
    first = iou.update(people(standing(100)), 0.0)
    assert iou.update(people(standing(100)), 2.5)[0] == first[0]
    assert iou.update(people(standing(100)), 9.0)[0] != first[0]


@pytest.mark.parametrize("every_s", [0.2, 1.0, 3.5, 5.0, 60.0])
@pytest.mark.parametrize("name", TRACKERS)
def test_who_stays_is_one_person_however_far_apart_keyframes_are(name: str, every_s: float) -> None:
    if name != "iou":
        pytest.importorskip("trackers")
    tracker = make_tracker(name, every_s=every_s)
    late_s = (0.0, 0.03, 0.0, 0.02, 0.01, 0.0)  # a picture comes a little after the time of its keyframe
    ids = [list(tracker.update(people(standing(100 + k)), k * every_s + s)) for k, s in enumerate(late_s)]
    assert ids == [[1]] * len(late_s)


@pytest.mark.parametrize("name", TRACKERS)
def test_who_is_missed_once_is_known_again_at_keyframes_far_apart(name: str) -> None:
    if name != "iou":
        pytest.importorskip("trackers")
    tracker = make_tracker(name, every_s=5.0)
    for k in range(3):
        first = tracker.update(people(standing(100), standing(400)), 5.0 * k)
    assert list(tracker.update(people(standing(400)), 15.0)) == [first[1]]
    assert list(tracker.update(people(standing(100), standing(400)), 20.0)) == list(first)


def test_who_is_away_for_long_is_a_new_person_at_keyframes_far_apart_too() -> None:
    tracker = make_tracker("iou", every_s=5.0)
    first = tracker.update(people(standing(100)), 0.0)
    for k in range(1, 3):
        tracker.update(PersonBoxes.none(), 5.0 * k)
    assert tracker.update(people(standing(100)), 15.0)[0] != first[0]


def test_unknown_tracker_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean bytetrack\? choose one of iou, bytetrack, ocsort"):
        make_tracker("bytetracker", every_s=1.0)


@pytest.mark.parametrize("every_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_step_between_keyframes_must_be_above_0(every_s: float) -> None:
    with pytest.raises(UsageError, match="every_s must be above 0 s"):
        make_tracker("iou", every_s=every_s)


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trackers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[trackers\]'"):
        make_tracker("ocsort", every_s=1.0)
