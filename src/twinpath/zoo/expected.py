"""The upstreams' own results for one video, to compare with. No torch.

PyTorchVideo's inference notebooks classify archery.mp4, one clip from its beginning, and print the five best
labels. X3D-S has there, after archery, the classes 1, 3, 4 and 0 of the 400, in that order: labels of equal
scores, which mean nothing. `compared` is the number of labels that count.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

VIDEO_NAME = "archery.mp4"
VIDEO_URL = "https://dl.fbaipublicfiles.com/pytorchvideo/projects/archery.mp4"


@dataclass(frozen=True)
class Expected:
    """The labels that an upstream printed.

    Attributes:
        labels: The best five, best first.
        compared: How many of them must be equal, from the first on.
    """

    labels: tuple[str, ...]
    compared: int


def expected(record: str) -> Expected | None:
    """The upstream's result for `VIDEO_URL`; None: it printed none for these weights."""
    return _table().get(record)


@cache
def _table() -> dict[str, Expected]:
    text = resources.files("twinpath.zoo").joinpath("expected.csv").read_text(encoding="utf-8")
    return {
        row["record"]: Expected(tuple(row[f"label_{i}"] for i in range(1, 6)), int(row["compared"]))
        for row in csv.DictReader(text.splitlines())
    }
