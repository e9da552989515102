"""Class names of each data set: one CSV file per data set, in order of class index."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

from twinpath.errors import UsageError
from twinpath.suggest import did_you_mean

_DATASETS = (
    "ava",
    "charades",
    "kinetics400",
    "kinetics600",
    "kinetics700",
    "something_something_v2",
    "synthetic",
)
# The releases of AVA have the same actions.
_OTHER_NAMES = {"ava2.1": "ava", "ava2.2": "ava"}


def datasets() -> tuple[str, ...]:
    """The names that `labels` accepts, sorted."""
    return _DATASETS


def canonical(dataset: str) -> str:
    """The name of a data set in `datasets()`: "ava" for "ava2.2".

    Raises:
        UsageError: No such data set; names the nearest one.
    """
    name = _OTHER_NAMES.get(dataset, dataset)
    if name not in _DATASETS:
        hint = did_you_mean(name, _DATASETS)
        raise UsageError(f"no class names for a dataset called {dataset!r}{hint} ({', '.join(_DATASETS)})")
    return name


def labels(dataset: str) -> tuple[str, ...]:
    """Class names of a dataset in order of the network's logits.

    Args:
        dataset: One of `datasets()`, for example "kinetics400"; "ava2.1" and "ava2.2" mean "ava".
    Returns:
        The name of each class; `labels(d)[i]` is the class of logit i.
    Raises:
        UsageError: No such data set; names the nearest one.
    Source: the class lists that the datasets publish; "synthetic" is Twinpath's own action world.
    """
    return tuple(row["name"] for row in _rows(dataset))


def class_ids(dataset: str) -> tuple[int, ...]:
    """The id of each class in the data set's files, in order of the network's logits.

    AVA's ids start at 1, those of all other data sets at 0.

    Raises:
        UsageError: No such data set; names the nearest one.
    """
    key = "action_id" if canonical(dataset) == "ava" else "index"
    return tuple(int(row[key]) for row in _rows(dataset))


def ava_evaluated_ids() -> frozenset[int]:
    """The 60 of AVA's 80 action ids that its official mAP averages over."""
    return frozenset(int(row["action_id"]) for row in _rows("ava") if row["in_the_60_evaluated"] == "1")


def _rows(dataset: str) -> tuple[dict[str, str], ...]:
    return _table(canonical(dataset))


@cache
def _table(dataset: str) -> tuple[dict[str, str], ...]:
    text = resources.files("twinpath.labels").joinpath(f"{dataset}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
