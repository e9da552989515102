"""What each network and record costs, as this project counts it.

No torch: the table is written by `make models`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Measured:
    """Costs of one name that `create_model` takes.

    Attributes:
        params: Parameters.
        gflops: Multiply-adds of one view in 1e9, at the size of `input_spec`: what the field calls GFLOPs.
        gflops_train_crop: The same at the training crop.
        giga_normalised: Values that pass a norm, in 1e9; PyTorchVideo's figures count 5 for each.
    """

    params: int
    gflops: float
    gflops_train_crop: float
    giga_normalised: float


def measured(name: str) -> Measured | None:
    """Costs of a network or a record; None for a name that the table does not have yet."""
    return _table().get(name)


@cache
def _table() -> dict[str, Measured]:
    text = resources.files("twinpath.zoo").joinpath("measured.csv").read_text(encoding="utf-8")
    return {
        row["name"]: Measured(
            int(row["params"]),
            float(row["gflops"]),
            float(row["gflops_train_crop"]),
            float(row["giga_normalised"]),
        )
        for row in csv.DictReader(text.splitlines())
    }
