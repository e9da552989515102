"""How `twinpath models list` prints models: tables of weights or of networks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinpath.zoo.facts import Facts


def print_weights(rows: list[Facts]) -> None:
    """Published weights, with their data set, input, cost and accuracy."""
    from twinpath.cli.console import Column, print_note, print_table
    from twinpath.zoo.records import records

    print_table(
        [
            Column("name", [facts["name"] for facts in rows]),
            Column("family", [facts["family"] for facts in rows], dispensable=5),
            Column("dataset", [facts["dataset"] for facts in rows], dispensable=4),
            Column("input", [_input(facts) for facts in rows], dispensable=2),
            Column("GFLOPs", [_gflops(facts) for facts in rows], dispensable=1, right=True),
            Column("params", [_params(facts) for facts in rows], dispensable=3, right=True),
            Column("top-1 %", [_accuracy(facts) for facts in rows]),
            Column("cached", ["yes" if facts["cached"] else "no" for facts in rows]),
        ]
    )
    if sys.stdout.isatty():
        of_all = f"{len(rows)} of {len(records())} published weights."
        print_note(f"{of_all} More: models info NAME, models list --architectures")


def print_networks(rows: list[Facts]) -> None:
    """Networks, with their input, cost and best weights."""
    from twinpath.cli.console import Column, print_table

    print_table(
        [
            Column("name", [facts["name"] for facts in rows]),
            Column("family", [facts["family"] for facts in rows], dispensable=3),
            Column("input", [_input(facts) for facts in rows], dispensable=2),
            Column("GFLOPs", [_gflops(facts) for facts in rows], dispensable=1, right=True),
            Column("params", [_params(facts) for facts in rows], dispensable=1, right=True),
            Column("best weights", [(facts["best_weights"] or "none").rpartition(".")[2] for facts in rows]),
        ]
    )


def _input(facts: Facts) -> str:
    return f"{facts['num_frames']}x{facts['sampling_rate']} {facts['crop_px']}px"


def _gflops(facts: Facts) -> str:
    return "" if facts["gflops"] is None else f"{facts['gflops']:.1f}"


def _params(facts: Facts) -> str:
    return "" if facts["params"] is None else f"{facts['params'] / 1e6:.1f}M"


def _accuracy(facts: Facts) -> str:
    if facts["published_top1"] is not None:
        return f"{facts['published_top1']:.1f}"
    return "" if facts["published_map"] is None else f"{facts['published_map']:.1f} mAP"
