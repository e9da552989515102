"""The table of weight records, and the class names that they refer to."""

from __future__ import annotations

import pytest

from twinpath.errors import UnknownModel, UsageError
from twinpath.labels import ava_evaluated_ids, class_ids, datasets, labels
from twinpath.zoo.records import best_record, record, records

ALL = records()


def test_views_of_charades_are_merged_by_their_maximum() -> None:
    assert {rec.dataset for rec in ALL if rec.views_pooling == "max"} == {"charades"}


def test_names_and_urls_are_unique_and_sorted() -> None:
    assert [rec.name for rec in ALL] == sorted({rec.name for rec in ALL})
    urls = [rec.url for rec in ALL if rec.url]
    assert len(set(urls)) == len(urls)
    assert len({rec.file_name for rec in ALL}) == len(ALL)


def test_lookup() -> None:
    rec = record("slowfast_r50_8x8.ptv_k400")
    assert (rec.top1, rec.views, rec.mean) == (76.94, (3, 10), (0.45, 0.45, 0.45))
    assert rec.file_name == "slowfast_r50_8x8.ptv_k400.pyth"
    assert [r.name for r in records("slow_r50_4x16.*")] == [
        "slow_r50_4x16.psf_k400",
        "slow_r50_4x16.ptv_k400",
    ]
    with pytest.raises(UnknownModel, match=r"did you mean slowfast_r50_8x8\.ptv_k400"):
        record("slowfast_r50_8x8.ptv_k40")
    with pytest.raises(UnknownModel):
        record("nothing like it at all")


def test_best_record_is_the_most_accurate_on_kinetics() -> None:
    best = best_record("slowfast_r50_8x8")
    assert best is not None
    assert best.name == "slowfast_r50_8x8.psf_k400"  # 77.0; the others state 76.94, 76.8 and 76.6
    only_other_datasets = best_record("slowfast_r50_16x8")
    assert only_other_datasets is not None
    assert only_other_datasets.dataset == "something_something_v2"
    detector = best_record("slowfast_r101_8x8_det")
    assert detector is not None
    assert detector.name == "slowfast_r101_8x8_det.psf_ava22"  # 29.1 mAP; the one on AVA 2.1 states 28.2
    assert best_record("fast_r50_8x8") is None


@pytest.mark.parametrize(
    ("dataset", "count", "first", "last"),
    [
        ("kinetics400", 400, "abseiling", "zumba"),
        ("kinetics600", 600, "abseiling", "zumba"),
        ("kinetics700", 700, "abseiling", "zumba"),
        ("something_something_v2", 174, "Approaching something with your camera", None),
        ("charades", 157, "Holding some clothes", None),
        ("ava", 80, "bend/bow (at the waist)", "watch (a person)"),
        ("synthetic", 12, "walk", "throw"),
    ],
)
def test_labels(dataset: str, count: int, first: str, last: str | None) -> None:
    names = labels(dataset)
    assert (len(names), names[0]) == (count, first)
    assert last in (None, names[-1])
    assert all(name == name.strip() and name for name in names)
    start = 1 if dataset == "ava" else 0
    assert class_ids(dataset) == tuple(range(start, start + count))


def test_synthetic_order() -> None:
    assert labels("synthetic")[8:] == ("bow", "sit down", "stand up", "throw")


def test_ava_evaluates_60() -> None:
    assert len(ava_evaluated_ids()) == 60
    assert ava_evaluated_ids() <= set(class_ids("ava"))


def test_unknown_dataset() -> None:
    assert len(datasets()) == 7
    with pytest.raises(UsageError, match="did you mean kinetics400"):
        labels("kinetics-400")
