"""Names of Caffe2's blobs in PySlowFast's names.

The suffix of a blob is `_w` for a kernel, `_b` for a bias; of a norm `_bn_s`, `_bn_b`, `_bn_rm` and
`_bn_riv`. Blobs of the fast pathway start with `t_`. A lateral connection is named after the last block of
its stage, whose number depends on the depth, so its row converts one way only.
"""

from __future__ import annotations

from twinpath.weights.names.table import NameTable

_Rows = list[tuple[str, ...]]
_NORM = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
_BIASED = {"weight": "w", "bias": "b"}


def _conv(pyslowfast: str, caffe2: str) -> _Rows:
    return [(f"{pyslowfast}.weight", f"{caffe2}_w")]


def _biased(pyslowfast: str, caffe2: str) -> _Rows:
    return [(f"{pyslowfast}.{leaf}", f"{caffe2}_{ending}") for leaf, ending in _BIASED.items()]


def _norm(pyslowfast: str, caffe2: str) -> _Rows:
    return [(f"{pyslowfast}.{leaf}", f"{caffe2}_bn_{ending}") for leaf, ending in _NORM.items()]


def _pathway(number: int, prefix: str) -> _Rows:
    stem = f"s1.pathway{number}_stem"
    theirs, ours = f"{prefix}res{{s}}_{{n}}_", f"s{{s}}.pathway{number}_res{{n}}."
    return [
        *_conv(f"{stem}.conv", f"{prefix}conv1"),
        *_conv(f"{stem}.conv_xy", f"{prefix}conv1_xy"),
        *_norm(f"{stem}.bn", f"{prefix}res_conv1"),
        *_conv(ours + "branch1", theirs + "branch1"),
        *_norm(ours + "branch1_bn", theirs + "branch1"),
        *_conv(ours + "branch2.{abc}", theirs + "branch2{abc}"),
        *_norm(ours + "branch2.{abc}_bn", theirs + "branch2{abc}"),
        *_biased(ours + "branch2.se.fc{i}", theirs + "branch2b_bn_fc{i}"),
    ]


def _non_local() -> _Rows:
    ours, theirs = "s{s}.pathway0_nonlocal{n}.", "nonlocal_conv{s}_{n}"
    convs = [_biased(f"{ours}conv_{conv}", f"{theirs}_{conv}") for conv in ("theta", "phi", "g", "out")]
    return [*(row for rows in convs for row in rows), *_norm(ours + "bn", theirs)]


CAFFE2 = NameTable(
    "caffe2",
    [
        *_pathway(0, ""),
        *_pathway(1, "t_"),
        *_non_local(),
        *_conv("s1_fuse.conv_f2s", "t_pool1_subsample"),
        *_norm("s1_fuse.bn", "t_pool1_subsample"),
        *_conv("s{s}_fuse.conv_f2s", "t_res{s}_{m}_branch2c_bn_subsample"),
        *_norm("s{s}_fuse.bn", "t_res{s}_{m}_branch2c_bn_subsample"),
        *_conv("head.conv_5", "conv_5"),
        *_norm("head.conv_5_bn", "conv_5"),
        *_conv("head.lin_5", "lin_5"),
        *_biased("head.projection", "pred"),
    ],
    dropped=["momentum", r"^lr$", r"^model_iter$"],
)
