"""`twinpath models list`: which weights and networks there are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from twinpath.cli.options import AsJson, Debug
from twinpath.zoo.facts import Facts, facts_of


def list_(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="PATTERN", help="A part of the name, or a shell pattern such as 'slow_*ssv2'."
        ),
    ] = "*",
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="classification, or detection of who does what.")
    ] = None,
    family: Annotated[str | None, typer.Option(metavar="NAME", help="slowfast, x3d, mvit …")] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Trained on kinetics400, ava …")] = None,
    upstream: Annotated[
        str | None, typer.Option(metavar="NAME", help="Published by pytorchvideo, pyslowfast, torchvision.")
    ] = None,
    max_gflops: Annotated[
        float | None, typer.Option(min=0, metavar="G", help="At most so many GFLOPs for one view.")
    ] = None,
    cached: Annotated[bool, typer.Option("--cached", help="Only weights on this machine.")] = False,
    sort: Annotated[
        str, typer.Option(metavar="KEY", help="name, accuracy (best first), gflops or params (least first).")
    ] = "name",
    architectures: Annotated[
        bool, typer.Option("--architectures", help="Networks instead, also those without published weights.")
    ] = False,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show published weights, which are names that --model takes.

    GFLOPs are of one view. Input: frames of a clip x frames of a 30 fps video for one of them, side of the
    crop.
    """
    from twinpath.cli.console import print_json

    chosen = _choose(
        _names(pattern, architectures=architectures),
        {"task": task, "family": family, "dataset": dataset, "upstream": upstream},
        max_gflops=max_gflops,
        cached=cached,
        architectures=architectures,
    )
    if not chosen:
        kind = "network" if architectures else "weights"
        raise _nothing(f"no {kind} like {pattern!r} with these options")
    rows = _sorted(chosen, sort)
    if json:
        for facts in rows:
            print_json(facts)
    elif architectures:
        _print_networks(rows)
    else:
        _print_weights(rows)


def _names(pattern: str, *, architectures: bool) -> list[str]:
    """Names of records, or of networks, that match a pattern or contain a word."""
    from fnmatch import fnmatchcase

    from twinpath.models.registry import ARCHITECTURES
    from twinpath.zoo.records import records

    networks, weights = sorted(ARCHITECTURES), [record.name for record in records()]
    names, others = (networks, weights) if architectures else (weights, networks)
    wanted = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    found = [name for name in names if fnmatchcase(name, wanted)]
    if not found:
        elsewhere = any(fnmatchcase(name, wanted) for name in others)
        if elsewhere and not architectures:
            raise _nothing(f"no weights match {pattern!r}, but networks do: --architectures shows them")
        raise _nothing(f"no model matches {pattern!r}")
    return found


def _nothing(what: str) -> Exception:
    from twinpath.errors import UnknownModel

    return UnknownModel(f"{what}; `twinpath models list` shows all")


def _choose(
    names: Iterable[str],
    wanted: dict[str, str | None],
    *,
    max_gflops: float | None,
    cached: bool,
    architectures: bool,
) -> list[Facts]:
    """Facts of those that fit all options.

    Raises:
        UsageError: An option has a value that nothing has; says the nearest. Or it is of weights only.
    """
    from twinpath.errors import UsageError
    from twinpath.models.registry import ARCHITECTURES
    from twinpath.zoo.records import records

    given = {option: value for option, value in wanted.items() if value is not None}
    of_weights = [f"--{option}" for option in ("dataset", "upstream") if option in given]
    if architectures and (of_weights or cached):
        of_weights += ["--cached"] * cached
        raise UsageError(f"{' and '.join(of_weights)} choose weights; leave out --architectures")
    choices = {
        "task": {"classification", "detection"},
        "family": {architecture.family for architecture in ARCHITECTURES.values()},
        "dataset": {record.dataset for record in records()} | {"ava"},
        "upstream": {record.upstream for record in records()},
    }
    for option, value in given.items():
        _check_choice(f"--{option}", value, choices[option])

    def fits(facts: Facts) -> bool:
        is_in_budget = max_gflops is None or (facts["gflops"] is not None and facts["gflops"] <= max_gflops)
        is_here = not cached or facts["cached"] is not None
        return is_in_budget and is_here and all(_is(facts, option, value) for option, value in given.items())

    return [facts for facts in map(facts_of, names) if fits(facts)]


def _is(facts: Facts, option: str, value: str) -> bool:
    """AVA means each of its releases."""
    return facts[option] == value or (option == "dataset" and value == "ava" == facts["labels"])


def _check_choice(option: str, value: str, choices: Iterable[str]) -> None:
    from difflib import get_close_matches

    from twinpath.errors import UsageError

    names = sorted(choices)
    if value not in names:
        near = get_close_matches(value, names, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{option} {value!r}: there is no such one{hint} ({', '.join(names)})")


def _sorted(rows: list[Facts], key: str) -> list[Facts]:
    """By name; or by a figure, those without one last."""
    orders: dict[str, Callable[[Facts], Any]] = {
        "name": lambda facts: 0,
        "accuracy": _accuracy_order,
        "gflops": lambda facts: (facts["gflops"] is None, facts["gflops"]),
        "params": lambda facts: (facts["params"] is None, facts["params"]),
    }
    _check_choice("--sort", key, orders)
    return sorted(rows, key=lambda facts: (orders[key](facts), facts["name"]))


def _accuracy_order(facts: Facts) -> tuple[int, float]:
    """Best first; top-1 and mAP do not compare, so one stands behind the other."""
    if (top1 := facts.get("published_top1")) is not None:
        return 0, -top1
    if (mean_average_precision := facts.get("published_map")) is not None:
        return 1, -mean_average_precision
    return 2, 0.0


def _print_weights(rows: list[Facts]) -> None:
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


def _print_networks(rows: list[Facts]) -> None:
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
