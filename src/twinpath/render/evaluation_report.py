"""The report of an evaluation: a page, the same as JSON, and the confusion matrix as a PNG."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twinpath.atomic import atomic_path
from twinpath.metrics.evaluation import report_values, summarise
from twinpath.render.confusion_png import write_confusion_png
from twinpath.render.evaluation_page import Thumbnails, write_evaluation_page
from twinpath.results.evaluation import Evaluation, EvaluationSummary
from twinpath.results.explanation import ExplainedMistake

REPORT_HTML, REPORT_JSON, CONFUSION_PNG = "report.html", "report.json", "confusion.png"
REPORT_FILES = (REPORT_HTML, REPORT_JSON, CONFUSION_PNG)


def write_evaluation_report(
    evaluation: Evaluation,
    folder: Path,
    *,
    title: str,
    notes: Sequence[str] = (),
    thumbnails: Thumbnails | None = None,
    explained: Sequence[ExplainedMistake] = (),
    summary: EvaluationSummary | None = None,
    more: Mapping[str, Any] | None = None,
) -> tuple[Path, ...]:
    """Write `REPORT_FILES` to a folder; the matrix of single-label data only.

    Args:
        evaluation, title, notes, thumbnails, explained, summary: See `write_evaluation_page`.
        folder: Is there.
        more: Further JSON values for `REPORT_JSON`.

    Returns:
        The files, the page first.
    Raises:
        InputError: Not one clip was evaluated.
        OSError: A file cannot be written.
    """
    summary = summary or summarise(evaluation)
    values = {**(more or {}), **report_values(evaluation, summary, notes, explained)}
    text = json.dumps(values, indent=2, allow_nan=False)
    with atomic_path(folder / REPORT_JSON) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    written = [folder / REPORT_HTML, folder / REPORT_JSON]
    if summary.confusion is not None:
        write_confusion_png(evaluation, folder / CONFUSION_PNG, title=title, summary=summary)
        written.append(folder / CONFUSION_PNG)
    write_evaluation_page(
        evaluation,
        written[0],
        title=title,
        notes=notes,
        thumbnails=thumbnails,
        explained=explained,
        summary=summary,
    )
    return tuple(written)
