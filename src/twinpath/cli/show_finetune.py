"""How `twinpath finetune` prints what it made: classes with their figures, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinpath.cli.console import Column, print_json, print_line, print_note, print_table
from twinpath.paths import display_path

if TYPE_CHECKING:
    from pathlib import Path

    from twinpath.results.evaluation import Evaluation, EvaluationSummary
    from twinpath.train.finetune.detection import DetectionFinetuneResult
    from twinpath.train.finetune.run import FinetuneResult

_SHOWN_COPIES = 20


def show_finetune(result: FinetuneResult, *, as_json: bool) -> None:
    """The figures on stdout; on stderr what was left out, what is the same, and how to go on."""
    from twinpath.metrics.evaluation import report_values

    for copy in result.copies[:_SHOWN_COPIES]:
        first, second = display_path(copy.first.path), display_path(copy.second.path)
        print_note(f"nearly the same ({copy.cosine:.2f}): {first} and {second}; kept in one part")
    if len(result.copies) > _SHOWN_COPIES:
        print_note(f"and {len(result.copies) - _SHOWN_COPIES} more pairs that are nearly the same")
    _print_notes(result.evaluation, result.notes)
    if as_json:
        folder = str(result.folder.path)
        print_json(
            {"folder": folder}
            | report_values(result.evaluation, result.summary, result.notes, result.explained)
        )
        return
    _print_classes(result.summary)
    _print_headline(result.summary)
    _print_end(result.folder.path, "classify")


def show_finetune_detection(result: DetectionFinetuneResult, *, as_json: bool) -> None:
    """The same of a detection network."""
    _print_notes(result.evaluation, result.notes)
    if as_json:
        print_json({"folder": str(result.folder.path)} | result.to_dict())
        return
    if result.summary is not None:
        _print_classes(result.summary)
        _print_headline(result.summary)
    _print_end(result.folder.path, "detect", has_report=result.summary is not None)


def _print_notes(evaluation: Evaluation, notes: tuple[str, ...]) -> None:
    for failed in evaluation.failed:
        print_note(f"left out: {failed.reason}")
    for note in notes:
        print_note(note)


def _print_classes(summary: EvaluationSummary) -> None:
    by_class = summary.by_class
    print_table(
        [
            Column("class", [figures.label for figures in by_class]),
            Column("clips", [str(figures.support) for figures in by_class], right=True),
            Column("found", [_percent(figures.recall) for figures in by_class], right=True),
            Column("right when answered", [_percent(figures.precision) for figures in by_class], right=True),
        ]
    )


def _print_headline(summary: EvaluationSummary) -> None:
    if summary.top1 is not None and summary.top1_interval is not None:
        low, high = summary.top1_interval
        print_line(
            f"right on {summary.top1:.1%} of {summary.clips} clips that it had not seen "
            f"(95 % interval {low:.0%} to {high:.0%})"
        )
    elif summary.mean_average_precision is not None:
        print_line(f"mAP {summary.mean_average_precision:.1%} of {summary.clips} that it had not seen")


def _print_end(folder: Path, command: str, *, has_report: bool = True) -> None:
    shown = display_path(folder)
    model = shown if "/" in shown else f"./{shown}"
    print_note(f"wrote {shown}" + (f"; look at {shown}/report.html" if has_report else ""))
    print_note(f"use it: twinpath {command} VIDEO --model {model}")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
