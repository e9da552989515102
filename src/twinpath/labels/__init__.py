"""Class names of each dataset, as data: one small csv file a dataset, in order of class index."""

from __future__ import annotations

import csv
import difflib
from functools import cache
from importlib import resources

from twinpath.errors import UsageError

_DATASETS = (
    "ava",
    "charades",
    "kinetics400",
    "kinetics600",
    "kinetics700",
    "something_something_v2",
    "synthetic",
)


def datasets() -> tuple[str, ...]:
    """Names that `labels` accepts, sorted."""
    return _DATASETS


def labels(dataset: str) -> tuple[str, ...]:
    """Class names of a dataset in order of the network's logits.

    Args:
        dataset: One of `datasets()`, for example "kinetics400".
    Returns:
        One name a class; `labels(d)[i]` names logit i.
    Raises:
        UsageError: No such dataset; says the nearest one.
    Source: the class lists that the datasets publish; "synthetic" is Twinpath's own action world.
    """
    return tuple(row["name"] for row in _rows(dataset))


def class_ids(dataset: str) -> tuple[int, ...]:
    """The number that the dataset's own files give to each class, in order of the network's logits.

    AVA counts its actions from 1, every other dataset counts its classes from 0.

    Raises:
        UsageError: No such dataset; says the nearest one.
    """
    key = "action_id" if dataset == "ava" else "index"
    return tuple(int(row[key]) for row in _rows(dataset))


def ava_evaluated_ids() -> frozenset[int]:
    """The 60 of AVA's 80 action ids over which its official mAP is averaged."""
    return frozenset(int(row["action_id"]) for row in _rows("ava") if row["in_the_60_evaluated"] == "1")


@cache
def _rows(dataset: str) -> tuple[dict[str, str], ...]:
    if dataset not in _DATASETS:
        near = difflib.get_close_matches(dataset, _DATASETS, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"no class names for a dataset called {dataset!r}{hint} ({', '.join(_DATASETS)})")
    text = resources.files("twinpath.labels").joinpath(f"{dataset}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
