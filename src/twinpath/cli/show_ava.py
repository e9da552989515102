"""How `twinpath evaluate --dataset ava` prints its result: a table with the mean, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twinpath.cli.console import print_line

if TYPE_CHECKING:
    from twinpath.evaluate.ava import AvaRun
    from twinpath.formats.ava_label_map import LabelMap
    from twinpath.metrics.frame_map import FrameMap


def print_ava(
    facts: dict[str, Any],
    run: AvaRun | None,
    score: FrameMap,
    label_map: LabelMap,
    notes: list[str],
    *,
    as_json: bool,
) -> None:
    """Print average precisions and their mean.

    Args:
        facts: The model and its engine, or the file of results.
        run: What the network found; None: results of a file were measured.
        score: The measured frame mAP.
        label_map: Actions that count.
        notes: What is odd about the files.
        as_json: One JSON object with all of it.
    """
    if as_json:
        _print_json(facts, run, score, label_map, notes)
        return
    from twinpath.cli.console import Column, bar, print_table

    precisions = list(score.by_class.values())
    print_table(
        [
            Column("id", [str(i) for i in score.by_class], right=True),
            Column("action", [label_map.names[i] for i in score.by_class]),
            Column("", [bar(ap) for ap in precisions], dispensable=2),
            Column("AP", [f"{100 * ap:.2f} %" for ap in precisions], right=True),
            Column("true boxes", [str(n) for n in score.true_boxes.values()], dispensable=1, right=True),
        ]
    )
    if run is not None:
        print_line(f"{facts['model']}: {people_in_words(run)}")
    print_line(mean_in_words(score, label_map))


def people_in_words(run: AvaRun) -> str:
    """How many there were."""
    return f"{run.people} people at {run.keyframes} keyframes"


def mean_in_words(score: FrameMap, label_map: LabelMap) -> str:
    """The mean, and over how many actions."""
    without = len(label_map.names) - len(score.by_class)
    left_out = f"; {without} others have no true box" if without else ""
    return f"frame mAP@0.5 {100 * score.mean:.2f} % over {len(score.by_class)} actions{left_out}"


def _print_json(
    facts: dict[str, Any], run: AvaRun | None, score: FrameMap, label_map: LabelMap, notes: list[str]
) -> None:
    from twinpath.cli.console import print_json

    by_action = [
        {
            "id": i,
            "action": label_map.names[i],
            "average_precision": ap,
            "true_boxes": score.true_boxes[i],
        }
        for i, ap in score.by_class.items()
    ]
    values = {"dataset": "ava", **facts, "map": score.mean, "by_action": by_action, "notes": notes}
    if run is not None:
        failures = [vars(failure) for failure in run.failures]
        values |= {"keyframes": run.keyframes, "people": run.people, "failures": failures}
    print_json(values)
