"""Names of R3D, MC3 and R(2+1)D at torchvision.

ours          res3.0.conv_a.weight              res3.0.conv_a.spatial.weight
torchvision   layer2.0.conv1.0.weight           layer2.0.conv1.0.0.weight
"""

from __future__ import annotations

from twinpath.weights.names.table import NameTable

_Rows = list[tuple[str, ...]]

# Of R(2+1)D: a convolution of ours is four modules of theirs, the third of which has no parameters.
_SEPARATED = (("spatial", 0), ("bn", 1), ("temporal", 3))


def _stages(*, separated: bool) -> _Rows:
    rows: _Rows = []
    for stage in (1, 2, 3, 4):
        ours, theirs = f"res{stage + 1}.{{n}}.", f"layer{stage}.{{n}}."
        for letter, number in (("a", 1), ("b", 2)):
            conv = f"{theirs}conv{number}."
            if separated:
                rows += [
                    (f"{ours}conv_{letter}.{step}.{{leaf}}", f"{conv}0.{i}.{{leaf}}")
                    for step, i in _SEPARATED
                ]
            else:
                rows.append((f"{ours}conv_{letter}.{{leaf}}", f"{conv}0.{{leaf}}"))
            rows.append((f"{ours}bn_{letter}.{{leaf}}", f"{conv}1.{{leaf}}"))
        rows += [
            (f"{ours}shortcut.conv.{{leaf}}", f"{theirs}downsample.0.{{leaf}}"),
            (f"{ours}shortcut.bn.{{leaf}}", f"{theirs}downsample.1.{{leaf}}"),
        ]
    return rows


_HEAD: _Rows = [("head.projection.{leaf}", "fc.{leaf}")]

TORCHVISION = (
    NameTable(
        "torchvision",
        [
            ("stem.conv.{leaf}", "stem.0.{leaf}"),
            ("stem.bn.{leaf}", "stem.1.{leaf}"),
            *_stages(separated=False),
            *_HEAD,
        ],
    ),
    NameTable(
        "torchvision",
        [
            *((f"stem.conv.{step}.{{leaf}}", f"stem.{i}.{{leaf}}") for step, i in _SEPARATED),
            ("stem.bn.{leaf}", "stem.4.{leaf}"),
            *_stages(separated=True),
            *_HEAD,
        ],
    ),
)
