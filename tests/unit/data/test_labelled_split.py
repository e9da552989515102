"""How data is divided: every class everywhere, groups never."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from twinpath.data.labelled.class_names import similar_labels
from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.data.labelled.split import (
    ALWAYS_TRAINING,
    folds,
    groups_across_parts,
    hold_out,
    only_in_training,
)
from twinpath.errors import InputError, UsageError


def data_of(clips: Iterable[tuple[str, str]]) -> LabelledData:
    """Clips by their label ("a|b": both) and group."""
    made = tuple(
        LabelledClip(Path(f"{number}.mp4"), tuple(label.split("|")), group=group)
        for number, (label, group) in enumerate(clips)
    )
    return LabelledData(made, tuple(sorted({label for clip in made for label in clip.labels})))


def counts(data: LabelledData, where: Iterable[object], label: str) -> Counter[object]:
    return Counter(w for w, clip in zip(where, data.clips, strict=True) if label in clip.labels)


def groups_in(data: LabelledData, where: Iterable[object]) -> dict[str, set[object]]:
    found: dict[str, set[object]] = {}
    for w, clip in zip(where, data.clips, strict=True):
        found.setdefault(clip.group, set()).add(w)
    return found


def test_folds_have_equal_shares_of_every_class() -> None:
    data = data_of([("a", f"a{i}") for i in range(40)] + [("b", f"b{i}") for i in range(10)])
    fold = folds(data, 5, seed=0)
    assert counts(data, fold, "a") == dict.fromkeys(range(5), 8)
    assert counts(data, fold, "b") == dict.fromkeys(range(5), 2)


def test_no_group_is_divided_and_the_seed_decides() -> None:
    rng = np.random.default_rng(0)
    data = data_of([("abcdef"[rng.integers(6)], f"g{rng.integers(30)}") for _ in range(300)])
    fold = folds(data, 5, seed=0)
    assert all(len(places) == 1 for places in groups_in(data, fold).values())
    np.testing.assert_array_equal(fold, folds(data, 5, seed=0))
    assert (fold != folds(data, 5, seed=1)).any()
    for label in data.classes:
        shares = counts(data, fold, label)
        assert max(shares.values()) <= 2.5 * min(shares.values()), label


def test_as_many_folds_as_groups_leave_one_group_out() -> None:
    data = data_of([(label, f"sequence {g}") for g in range(10) for label in "abcdef"])
    assert sorted(Counter(folds(data, 10, seed=3).tolist()).values()) == [6] * 10
    assert set(folds(data, 20, seed=3).tolist()) == set(range(10))


def test_a_class_of_two_groups_is_trained_on_in_every_fold() -> None:
    data = data_of([("a", f"a{i}") for i in range(20)] + [("b", "b0")] * 5 + [("b", "b1")] * 5)
    for num_folds in (2, 3, 5):
        fold = folds(data, num_folds, seed=0)
        assert len(counts(data, fold, "b")) == 2


def test_a_class_of_one_group_stays_in_training() -> None:
    data = data_of([("a", "x"), ("a", "y"), ("b", "x"), ("c", "z"), ("c", "z"), ("a", "w")])
    assert only_in_training(data) == ("b", "c")
    assert folds(data, 2, seed=0).tolist()[2:5] == [ALWAYS_TRAINING] * 3
    assert hold_out(data, 0.3, seed=0)[2:5] == ("train",) * 3
    alone = data_of([("a", "x"), ("b", "y")])
    for divide in (lambda: folds(alone, 2, 0), lambda: hold_out(alone, 0.5, 0)):
        with pytest.raises(InputError, match="every class has clips of one group only"):
            divide()


def test_a_part_to_hold_out_has_its_share_of_every_class() -> None:
    data = data_of([("a", f"a{i}") for i in range(40)] + [("b", f"b{i}") for i in range(10)])
    parts = hold_out(data, 0.2, seed=0)
    assert counts(data, parts, "a") == {"train": 32, "validation": 8}
    assert counts(data, parts, "b") == {"train": 8, "validation": 2}
    assert parts == hold_out(data, 0.2, seed=0)
    assert parts != hold_out(data, 0.2, seed=1)


def test_of_every_class_with_two_groups_something_is_held_out() -> None:
    data = data_of([("a", f"a{i}") for i in range(50)] + [("b", "b0")] * 30 + [("b", "b1")] * 20)
    parts = hold_out(data, 0.1, seed=0)
    assert counts(data, parts, "b") == {"train": 30, "validation": 20}
    assert all(len(places) == 1 for places in groups_in(data, parts).values())


def test_what_the_data_says_of_its_parts_stays() -> None:
    clips = (
        LabelledClip(Path("1"), ("a",), part="train", group="g"),
        LabelledClip(Path("2"), ("a",), part="test", group="g"),
        LabelledClip(Path("3"), ("b",), group="h"),
    )
    data = LabelledData(clips, ("a", "b"))
    assert hold_out(data, 0.5, seed=0) == ("train", "test", "train")
    assert groups_across_parts(data) == ("g",)


def test_clips_of_several_classes_and_of_none() -> None:
    data = data_of([("a|b", f"{i}") for i in range(10)] + [("a", f"a{i}") for i in range(10)])
    data = LabelledData((*data.clips, LabelledClip(Path("n"), (), group="n")), data.classes, True)
    fold = folds(data, 5, seed=0)
    assert counts(data, fold, "a") == dict.fromkeys(range(5), 4)
    assert counts(data, fold, "b") == dict.fromkeys(range(5), 2)


def test_settings_out_of_range() -> None:
    data = data_of([("a", "1"), ("a", "2")])
    with pytest.raises(UsageError, match="num_folds must be at least 2, not 1"):
        folds(data, 1, seed=0)
    with pytest.raises(UsageError, match="fraction must be above 0 and below 1, not 1"):
        hold_out(data, 1, seed=0)


def test_names_that_are_likely_one_class() -> None:
    one = ["open door", "open_door", "Open-Door", "door open", "opne door"]
    assert len(similar_labels(one)) == 9  # all pairs but "door open" and "opne door"
    assert similar_labels(["jumping", "jummping"]) == [("jummping", "jumping")]
    assert similar_labels(["walk", "talk", "step 1", "step 2", "push", "pull", "left to right", "run"]) == []
    assert similar_labels(["Öffnen", "öffnen", "跑", "跳"]) == [("Öffnen", "öffnen")]
