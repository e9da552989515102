"""Which models `twinpath models list` shows, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twinpath.zoo.facts import Facts, facts_of


def matching_names(pattern: str, *, architectures: bool) -> list[str]:
    """Names of records, or of networks, that match a pattern or contain a word.

    Raises:
        UnknownModel: None does.
    """
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
            raise nothing_matches(
                f"no weights match {pattern!r}, but networks do: --architectures shows them"
            )
        raise nothing_matches(f"no model matches {pattern!r}")
    return found


def nothing_matches(what: str) -> Exception:
    """The error that says so and how to list all."""
    from twinpath.errors import UnknownModel

    return UnknownModel(f"{what}; `twinpath models list` shows all")


def choose(
    names: Iterable[str],
    wanted: dict[str, str | None],
    *,
    max_gflops: float | None,
    cached: bool,
    architectures: bool,
) -> list[Facts]:
    """The facts of those that match all options.

    Raises:
        UsageError: An option has a value that no model has, says the nearest; or it is for weights only.
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

    def matches(facts: Facts) -> bool:
        is_in_budget = max_gflops is None or (facts["gflops"] is not None and facts["gflops"] <= max_gflops)
        is_here = not cached or facts["cached"] is not None
        return is_in_budget and is_here and all(_is(facts, option, value) for option, value in given.items())

    return [facts for facts in map(facts_of, names) if matches(facts)]


def _is(facts: Facts, option: str, value: str) -> bool:
    """AVA means each of its releases."""
    return facts[option] == value or (option == "dataset" and value == "ava" == facts["labels"])


def _check_choice(option: str, value: str, choices: Iterable[str]) -> None:
    from twinpath.errors import UsageError
    from twinpath.suggest import did_you_mean

    names = sorted(choices)
    if value not in names:
        hint = did_you_mean(value, names)
        raise UsageError(f"{option} {value!r}: there is no such one{hint} ({', '.join(names)})")


def sorted_by(rows: list[Facts], key: str) -> list[Facts]:
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
