"""The scores of an evaluation as a table: Parquet, or CSV where pyarrow is not installed.

path = write_predictions(evaluation, Path("out"))       # out/predictions.parquet
table = pyarrow.parquet.read_table(path)    # path, start_s, end_s, part, truth, answer, score, scores
json.loads(table.schema.metadata[b"labels"])            # of the numbers in `scores`
"""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from twinpath.atomic import atomic_path
from twinpath.results.evaluation import Evaluation

PREDICTIONS = ("predictions.parquet", "predictions.csv")
_SEPARATOR = "; "  # of several classes in a CSV


def write_predictions(evaluation: Evaluation, folder: Path) -> Path:
    """Write a row for each answer, atomically.

    Args:
        evaluation: At least one answer.
        folder: Where the file goes.
    Returns:
        The file: one of `PREDICTIONS`.
    Raises:
        OSError: It cannot be written.
    """
    has_pyarrow = importlib.util.find_spec("pyarrow") is not None
    path = folder / PREDICTIONS[0 if has_pyarrow else 1]
    with atomic_path(path) as temporary:
        (_write_parquet if has_pyarrow else _write_csv)(evaluation, temporary)
    return path


def _columns(evaluation: Evaluation) -> dict[str, list[Any]]:
    """All but the scores of every class."""
    answers, labels = evaluation.answers, evaluation.labels
    return {
        "path": [_valid(str(answer.path)) for answer in answers],
        "start_s": [answer.start_s for answer in answers],
        "end_s": [answer.end_s for answer in answers],
        "part": [answer.part for answer in answers],
        "truth": [[_valid(labels[index]) for index in answer.truth] for answer in answers],
        "answer": [_valid(labels[answer.best]) for answer in answers],
        "score": [float(answer.scores[answer.best]) for answer in answers],
    }


def _write_parquet(evaluation: Evaluation, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    columns: dict[str, Any] = _columns(evaluation)
    for name in ("start_s", "end_s"):
        columns[name] = pa.array(columns[name], pa.float64())
    columns["score"] = pa.array(columns["score"], pa.float32())
    columns["truth"] = pa.array(columns["truth"], pa.list_(pa.string()))
    scores = evaluation.scores
    columns["scores"] = pa.FixedSizeListArray.from_arrays(scores.reshape(-1), scores.shape[1])
    facts = {
        "labels": json.dumps([_valid(label) for label in evaluation.labels]),
        "model": evaluation.model,
        "views": evaluation.views,
        "is_multi_label": json.dumps(evaluation.is_multi_label),
    }
    pyarrow.parquet.write_table(pa.table(columns).replace_schema_metadata(facts), path)


def _write_csv(evaluation: Evaluation, path: Path) -> None:
    columns = _columns(evaluation)
    columns["truth"] = [_SEPARATOR.join(names) for names in columns["truth"]]
    names = [*columns, *(f"score of {_valid(label)}" for label in evaluation.labels)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for *values, scores in zip(*columns.values(), evaluation.scores, strict=True):
            numbers = [f"{score:.7g}" for score in np.asarray(scores).tolist()]
            writer.writerow(["" if value is None else value for value in values] + numbers)


def _valid(text: str) -> str:
    """Text in valid UTF-8: bytes of a name that are not UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
