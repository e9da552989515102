"""How `twinpath evaluate --data` prints its result: a table of classes with the figures, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twinpath.cli.console import print_line

if TYPE_CHECKING:
    from twinpath.results.evaluation import Evaluation, EvaluationSummary

_MOST_CLASSES = 40  # of the table; the report has all


def print_evaluation(
    evaluation: Evaluation, summary: EvaluationSummary, written: Sequence[Path], *, as_json: bool
) -> None:
    """Print the figures of an evaluation.

    Args:
        evaluation: The answers.
        summary: Their figures.
        written: The files that were written, the page first.
        as_json: One JSON object.
    """
    from twinpath.cli.batch import files_in_words
    from twinpath.cli.console import print_json, print_note

    if as_json:
        facts = {"model": evaluation.model, "data": evaluation.data, "views": evaluation.views}
        print_json(facts | summary.to_dict() | {"files": [str(path) for path in written]})
    else:
        _print_classes(summary)
        for line in figures_in_words(evaluation, summary):
            print_line(line)
    if written:
        print_note(f"wrote {files_in_words(written)}")


def figures_in_words(evaluation: Evaluation, summary: EvaluationSummary) -> list[str]:
    """The figures of all classes together, a line each."""
    lines = []
    if summary.top1 is not None and summary.top1_interval is not None:
        low, high = summary.top1_interval
        lines.append(
            f"top-1 {100 * summary.top1:.1f} % of {summary.clips} clips "
            f"(95 % interval {100 * low:.1f} to {100 * high:.1f})"
        )
    named = {
        "top-5": summary.top5,
        "mean per class": summary.mean_per_class,
        "mean average precision": summary.mean_average_precision,
        "calibration error": summary.calibration_error,
    }
    shares = [f"{name} {100 * value:.1f} %" for name, value in named.items() if value is not None]
    lines.append(f"{', '.join(shares)}; {evaluation.model}, {evaluation.views} views")
    return lines


def _print_classes(summary: EvaluationSummary) -> None:
    from twinpath.cli.console import Column, bar, print_table

    there = [figures for figures in summary.by_class if figures.support or figures.answered]
    shown = there[:_MOST_CLASSES]
    is_multi_label = summary.confusion is None
    main = [f.average_precision if is_multi_label else f.recall for f in shown]
    print_table(
        [
            Column("class", [f.label for f in shown]),
            Column("", [bar(0.0 if share is None else share) for share in main], dispensable=3),
            Column("AP" if is_multi_label else "recall", [_percent(share) for share in main], right=True),
            Column("precision", [_percent(f.precision) for f in shown], dispensable=1, right=True),
            Column("clips", [str(f.support) for f in shown], dispensable=2, right=True),
        ]
    )
    if len(there) > len(shown):
        print_line(f"and {len(there) - len(shown)} more classes")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
