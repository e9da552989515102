"""Names of S3D at torchvision.

ours          stage3.0.wide.temporal.conv.weight
torchvision   features.5.branch1.1.1.0.weight
"""

from __future__ import annotations

from twinpath.weights.names.table import NameTable

_Rows = list[tuple[str, ...]]

_BLOCKS = {  # number of their module: ours
    5: "stage3.0",
    6: "stage3.1",
    8: "stage4.0",
    9: "stage4.1",
    10: "stage4.2",
    11: "stage4.3",
    12: "stage4.4",
    14: "stage5.0",
    15: "stage5.1",
}


def _unit(ours: str, theirs: str) -> _Rows:
    return [
        (f"{ours}.conv.{{leaf}}", f"{theirs}.0.{{leaf}}"),
        (f"{ours}.bn.{{leaf}}", f"{theirs}.1.{{leaf}}"),
    ]


def _separable(ours: str, theirs: str) -> _Rows:
    return [*_unit(f"{ours}.spatial", f"{theirs}.0"), *_unit(f"{ours}.temporal", f"{theirs}.1")]


def _inception(ours: str, theirs: str) -> _Rows:
    return [
        *_unit(f"{ours}.pointwise", f"{theirs}.branch0"),
        *_unit(f"{ours}.wide_in", f"{theirs}.branch1.0"),
        *_separable(f"{ours}.wide", f"{theirs}.branch1.1"),
        *_unit(f"{ours}.narrow_in", f"{theirs}.branch2.0"),
        *_separable(f"{ours}.narrow", f"{theirs}.branch2.1"),
        *_unit(f"{ours}.pooled", f"{theirs}.branch3.1"),
    ]


TORCHVISION = (
    NameTable(
        "torchvision",
        [
            *_separable("stem", "features.0"),
            *_unit("stage2.point", "features.2"),
            *_separable("stage2.separable", "features.3"),
            *(row for number, ours in _BLOCKS.items() for row in _inception(ours, f"features.{number}")),
            ("head.projection.{leaf}", "classifier.1.{leaf}"),
        ],
    ),
)
