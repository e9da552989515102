"""Scores over time, and thresholds as users write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twinpath.errors import ConfigError, UsageError
from twinpath.labels import labels
from twinpath.recognize.smoothing import smooth_scores
from twinpath.recognize.thresholds import parse_thresholds

TALK = "talk to (e.g., self, a person, a group)"
LABELS = ("stand", "sit", "x = 0.5, y", TALK)


def thresholds(text: str, names: tuple[str, ...] = LABELS) -> list[float]:
    found = parse_thresholds(text, names, default=0.25)
    assert found.dtype == np.float64
    return found.tolist()  # type: ignore[no-any-return]


# --- smoothing


def test_scores_are_averaged_over_neighbours_in_time() -> None:
    scores_KC = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]], dtype=np.float32)
    found = smooth_scores(scores_KC, np.array([0.0, 1.0, 2.0]), smooth_s=2.0)
    assert found[:, 0] == pytest.approx([1 / 3, 1 / 2, 1 / 3])  # neighbours count half
    assert found[:, 1] == pytest.approx([1.0, 1.0, 1.0])


def test_only_what_is_near_in_time_counts() -> None:
    scores_KC = np.array([[0.0], [1.0], [0.2]])
    found = smooth_scores(scores_KC, np.array([0.0, 1.0, 9.0]), smooth_s=2.0)
    assert found[:, 0] == pytest.approx([1 / 3, 2 / 3, 0.2])


@pytest.mark.parametrize("smooth_s", [0.0, 1.0])
def test_up_to_the_distance_of_keyframes_nothing_changes(smooth_s: float) -> None:
    scores_KC = np.array([[0.0, 0.3], [1.0, 0.1]])
    assert np.array_equal(smooth_scores(scores_KC, np.array([0.0, 1.0]), smooth_s=smooth_s), scores_KC)


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (4, 0)])
def test_a_person_seen_hardly_ever(shape: tuple[int, int]) -> None:
    scores_KC = np.full(shape, 0.5, dtype=np.float16)
    found = smooth_scores(scores_KC, np.arange(shape[0], dtype=np.float64), smooth_s=3.0)
    assert found.shape == shape
    assert (found == 0.5).all()


@pytest.mark.parametrize("smooth_s", [-1.0, float("nan"), float("inf")])
def test_smoothing_that_makes_no_sense(smooth_s: float) -> None:
    with pytest.raises(UsageError, match=r"smooth_s must be 0 s or more, not"):
        smooth_scores(np.zeros((1, 1)), np.zeros(1), smooth_s=smooth_s)


# --- thresholds


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.5", [0.5, 0.5, 0.5, 0.5]),
        ("0", [0.0, 0.0, 0.0, 0.0]),
        (" 1 , ", [1.0, 1.0, 1.0, 1.0]),
        ("stand=0.9", [0.9, 0.25, 0.25, 0.25]),
        ("0.5,stand=0.9", [0.9, 0.5, 0.5, 0.5]),
        ("sit = 1, 0.5 ,stand= 0.9", [0.9, 1.0, 0.5, 0.5]),
        (f'0.5,stand=0.9,"{TALK}"=0.7', [0.9, 0.5, 0.5, 0.7]),
        (f"0.5,stand=0.9,{TALK}=0.7", [0.9, 0.5, 0.5, 0.7]),  # the shell took the quotes
        (f"{TALK.replace(', ', ',')}=0.7,'sit'=0.1", [0.25, 0.1, 0.25, 0.7]),
        ("x = 0.5, y=0.1", [0.25, 0.25, 0.1, 0.25]),
        ('"x = 0.5, y"=0.1,sit=0.2', [0.25, 0.2, 0.1, 0.25]),
    ],
)
def test_thresholds_that_a_user_wrote(text: str, wanted: list[float]) -> None:
    assert thresholds(text) == wanted


def test_every_label_of_ava_can_be_written() -> None:
    ava = labels("ava")
    text = ",".join(f"{label}=0.{index:03}" for index, label in enumerate(ava))
    assert thresholds(text, ava) == pytest.approx([index / 1000 for index in range(80)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no score was given"),
        ("1.5", "'1.5' is no score; give one from 0 to 1"),
        ("-0.1", "'-0.1' is no score"),
        ("nan", "'nan' is no score"),
        ("stand=high", "'high' is no score"),
        ("stand=", "'' is no score"),
        ("0.5,0.6", "'0.6' is a second score for all labels"),
        ("0.5,sit=0.1,sit=0.2", "'sit' has two scores"),
        ("high", "'high' is neither a score nor label=score, nor a .csv file"),
        ("0.5,stnd=0.9", "the model has no label 'stnd'; did you mean 'stand'"),
        ('"talk too (e.g., self, a person, a group)"=0.9', f"did you mean '{TALK}'?"),
        ("qqq=0.5", "no label 'qqq'; it knows "),
    ],
)
def test_thresholds_that_make_no_sense(text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        thresholds(text)
    assert words in str(error.value)


@pytest.mark.parametrize("head", ["", "label,score\n", "\ufeffLabel, Score\r\n"])
def test_thresholds_in_a_file(tmp_path: Path, head: str) -> None:
    place = tmp_path / "own.CSV"
    place.write_text(head + f'stand, 0.9\n\n"{TALK}",0.7\n', "utf-8", newline="")
    assert thresholds(str(place)) == [0.9, 0.25, 0.25, 0.7]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("label,score\nstand,0.9\nsit,2\n", ":3: '2' is no score"),
        ("stand,0.9\nsitt,0.5\n", ":2: the model has no label 'sitt'; did you mean 'sit'"),
        (f"{TALK},0.7\n", ":1: a line needs a label and a score; a label with commas needs quotes"),
        ("stand;0.9\n", ":1: semicolons between the fields; a line is: label,score"),
        ("stand,0.9\n\nstand,0.8\n", ":3: 'stand' has two scores"),
        ('stand,"0.9\n', ":1: no CSV"),
    ],
)
def test_a_file_with_a_mistake(tmp_path: Path, text: str, words: str) -> None:
    place = tmp_path / "own.csv"
    place.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as error:
        thresholds(str(place))
    assert str(error.value).startswith(f"{place}:")
    assert words in str(error.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        thresholds(str(tmp_path / "own.csv"))
    (tmp_path / "own.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ConfigError, match="not UTF-8"):
        thresholds(str(tmp_path / "own.csv"))
