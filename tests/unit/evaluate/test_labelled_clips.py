"""Classes of a data set among the labels of a model."""

from __future__ import annotations

import pytest

from twinpath.errors import UsageError
from twinpath.evaluate.labelled import match_labels

LABELS = ("sit down", "stand up", "Wave", "open door")


@pytest.mark.parametrize(
    ("classes", "indices"),
    [
        (("stand up", "sit down"), (1, 0)),
        (("Sit_Down", "WAVE", "open  door"), (0, 2, 3)),
        (("open_door", "Open Door"), (3, 3)),
        ((), ()),
    ],
)
def test_names_that_differ_in_case_and_underscores_are_equal(classes, indices) -> None:
    assert match_labels(classes, LABELS) == indices


def test_the_very_same_name_goes_first() -> None:
    assert match_labels(("open_door", "open door"), ("open door", "open_door")) == (1, 0)


def test_classes_that_the_model_lacks_are_named_with_the_nearest() -> None:
    with pytest.raises(UsageError) as found:
        match_labels(("wave", "sitting down", "juggle\n"), LABELS)
    message = str(found.value)
    assert "lacks 2 of the 3 classes of the data: 'sitting down' (nearest: 'sit down'), 'juggle" in message
    assert "\n" not in message


def test_of_very_many_the_first_are_named() -> None:
    with pytest.raises(UsageError, match=r"lacks 400 of the 400.* and 388 more"):
        match_labels([f"{i:03}" for i in range(400)], LABELS)
