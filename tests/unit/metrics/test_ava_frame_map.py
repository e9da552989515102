"""The evaluation of AVA's files: which rows count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.golden_weights import GOLDEN
from twinpath.errors import InputError
from twinpath.formats.ava import read_exclusions, read_results, read_truth
from twinpath.formats.ava_label_map import LabelMap, built_in_label_map
from twinpath.metrics.ava import ava_frame_map

FIGURES = json.loads((GOLDEN / "rules" / "ava_map.json").read_text())
LABELS = LabelMap({11: "sit", 12: "stand"}, frozenset(range(1, 81)))


def write(path: Path, *rows: str) -> Path:
    path.write_text("".join(row + "\n" for row in rows))
    return path


def measured(folder: Path, truth: list[str], found: list[str], excluded: list[str] = [], **options):  # noqa: B006
    return ava_frame_map(
        read_truth(write(folder / "truth.csv", *truth), LABELS),
        read_results(write(folder / "found.csv", *found), LABELS),
        LABELS,
        excluded=read_exclusions(write(folder / "excluded.csv", *excluded)),
        **options,
    )


def test_the_official_figure_from_files(tmp_path: Path) -> None:
    files = {}
    for name in ("ground_truth", "detections"):
        rows = (f"{r[0]},{r[1]:04d}," + ",".join(map(str, r[2:])) for r in FIGURES[name])
        files[name] = write(tmp_path / f"{name}.csv", *rows)
    labels = built_in_label_map()
    score = ava_frame_map(
        read_truth(files["ground_truth"], labels), read_results(files["detections"], labels), labels
    )
    assert score.mean == pytest.approx(FIGURES["result"]["PascalBoxes_Precision/mAP@0.5IOU"], abs=1e-9)


def test_seconds_are_the_same_with_and_without_a_zero(tmp_path: Path) -> None:
    score = measured(tmp_path, ["a,0902,0.1,0.1,0.5,0.5,11,0"], ["a,902,0.1,0.1,0.5,0.5,11,0.5"])
    assert score.mean == 1.0


def test_boxes_at_seconds_without_people_are_wrong(tmp_path: Path) -> None:
    truth = ["a,0902,0.1,0.1,0.5,0.5,11,0", "a,0903,,,,,,"]
    right = "a,0902,0.1,0.1,0.5,0.5,11,0.5"
    for wrong in ("a,0903,0.1,0.1,0.5,0.5,11,0.9", "a,0950,0.1,0.1,0.5,0.5,11,0.9", "b,0902,0,0,1,1,11,0.9"):
        assert measured(tmp_path, truth, [right, wrong]).mean == 0.5


def test_excluded_seconds_count_on_neither_side(tmp_path: Path) -> None:
    truth = ["a,0902,0.1,0.1,0.5,0.5,11,0", "a,0904,0.1,0.1,0.5,0.5,11,0"]
    found = ["a,0902,0.1,0.1,0.5,0.5,11,0.5", "a,0904,0.6,0.6,0.9,0.9,11,0.9"]
    assert measured(tmp_path, truth, found).mean == 0.25
    assert measured(tmp_path, truth, found, ["a,904", "never seen,0904"]).mean == 1.0
    with pytest.raises(InputError, match="no ground-truth box is left"):
        measured(tmp_path, truth, found, ["a,0902", "a,0904"])


def test_actions_outside_the_label_map_do_not_count(tmp_path: Path) -> None:
    truth = ["a,0902,0.1,0.1,0.5,0.5,11,0", "a,0902,0.1,0.1,0.5,0.5,80,0"]
    found = ["a,0902,0.1,0.1,0.5,0.5,11,0.5", "a,0902,0.1,0.1,0.5,0.5,14,0.9"]
    score = measured(tmp_path, truth, found)
    assert (score.mean, score.by_class, score.true_boxes) == (1.0, {11: 1.0}, {11: 1})


def test_of_each_second_only_the_best_may_count(tmp_path: Path) -> None:
    truth = ["a,0902,0.1,0.1,0.5,0.5,11,0", "a,0903,0.1,0.1,0.5,0.5,12,0"]
    found = [
        "a,0902,0.1,0.1,0.5,0.5,11,0.5",
        "a,0902,0.1,0.1,0.5,0.5,12,0.9",
        "a,0903,0.1,0.1,0.5,0.5,12,0.1",
    ]
    assert measured(tmp_path, truth, found).by_class == {11: 1.0, 12: 0.5}
    assert measured(tmp_path, truth, found, max_per_second=1).by_class == {11: 0.0, 12: 0.5}
    assert measured(tmp_path, truth, found, max_per_second=2).by_class == {11: 1.0, 12: 0.5}
