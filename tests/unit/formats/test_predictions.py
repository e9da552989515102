"""The table of an evaluation's scores."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.evaluations import made_up, made_up_multi_label
from twinpath.formats.predictions import write_predictions
from twinpath.results.evaluation import ClipAnswer, Evaluation


def without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_parquet_has_every_score(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow, of the extra features")
    evaluation = made_up(7)
    path = write_predictions(evaluation, tmp_path)
    assert path.name == "predictions.parquet"
    table = parquet.read_table(path)
    assert np.array_equal(np.stack(table["scores"].to_numpy()), evaluation.scores)
    assert json.loads(table.schema.metadata[b"labels"]) == list(evaluation.labels)
    row = table.to_pylist()[1]
    assert (row["path"], row["part"], row["truth"]) == ("clips/class 0/001.mp4", "fold 2", ["hand shaking"])
    assert (row["start_s"], table.to_pylist()[0]["start_s"]) == (12.5, None)


def test_csv_where_there_is_no_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pyarrow(monkeypatch)
    evaluation = made_up(3)
    path = write_predictions(evaluation, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["predictions.csv"]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(evaluation.answers)
    scores = [[float(row[f"score of {label}"]) for label in evaluation.labels] for row in rows]
    assert np.allclose(scores, evaluation.scores, rtol=1e-6)
    assert rows[0]["truth"] == "hand shaking"


@pytest.mark.parametrize("has_pyarrow", [True, False])
def test_several_classes_and_none_and_a_name_that_is_no_unicode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_pyarrow: bool
) -> None:
    if has_pyarrow:
        pytest.importorskip("pyarrow", reason="needs pyarrow, of the extra features")
    else:
        without_pyarrow(monkeypatch)
    odd = ClipAnswer(Path("a\udcff.mp4"), (), made_up_multi_label().answers[0].scores)
    evaluation = made_up_multi_label()
    evaluation = Evaluation(evaluation.labels, (odd, *evaluation.answers), is_multi_label=True)
    assert write_predictions(evaluation, tmp_path).stat().st_size > 1000
