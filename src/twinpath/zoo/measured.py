"""Cost of each network and record, as this project counts it. No torch: `make models` writes the table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Measured:
    """Cost of a network or record.

    Attributes:
        params: Parameters.
        gflops: Multiply-adds of one view in 1e9, at the size of `input_spec`: what papers call GFLOPs.
        gflops_train_crop: The same at the training crop.
        giga_normalised: Outputs of norms in 1e9; PyTorchVideo counts 5 operations for each.
    """

    params: int
    gflops: float
    gflops_train_crop: float
    giga_normalised: float


def measured(name: str) -> Measured | None:
    """Cost of a network or a record; None for a name that the table does not have yet."""
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
