"""Names of X3D at PyTorchVideo and PySlowFast, and of PyTorchVideo's Efficient-X3D.

ours              res3.0.conv_a.weight
PyTorchVideo      blocks.2.res_blocks.0.branch2.conv_a.weight
  efficient form  s3.pathway0_res0.layers.conv_0.kernel.conv.weight
PySlowFast        s3.pathway0_res0.branch2.a.weight
"""

from __future__ import annotations

from twinpath.weights.names import resnet
from twinpath.weights.names.table import NameTable

_Rows = list[tuple[str, ...]]

_PROJECTION = "head.projection.{leaf}"
_OURS = "res{s}.{n}."


def _pytorchvideo() -> _Rows:
    rows: _Rows = [
        # In their stem `conv_t` is the first convolution, which looks in space, and `conv_xy` the second.
        ("stem.conv_xy.{leaf}", "blocks.0.conv.conv_t.{leaf}"),
        ("stem.conv_t.{leaf}", "blocks.0.conv.conv_xy.{leaf}"),
        ("stem.bn.{leaf}", "blocks.0.norm.{leaf}"),
        ("head.conv.{leaf}", "blocks.5.pool.pre_conv.{leaf}"),
        ("head.bn.{leaf}", "blocks.5.pool.pre_norm.{leaf}"),
        ("head.embedding.{leaf}", "blocks.5.pool.post_conv.{leaf}"),
        (_PROJECTION, "blocks.5.proj.{leaf}"),
    ]
    for stage in (2, 3, 4, 5):
        ours, theirs = f"res{stage}.{{n}}.", f"blocks.{stage - 1}.res_blocks.{{n}}."
        rows += [
            (ours + "shortcut.conv.{leaf}", theirs + "branch1_conv.{leaf}"),
            (ours + "shortcut.bn.{leaf}", theirs + "branch1_norm.{leaf}"),
            (ours + "conv_{abc}.{leaf}", theirs + "branch2.conv_{abc}.{leaf}"),
            (ours + "bn_b.{leaf}", theirs + "branch2.norm_b.0.{leaf}"),
            (ours + "bn_{ac}.{leaf}", theirs + "branch2.norm_{ac}.{leaf}"),
            (ours + "se.reduce.{leaf}", theirs + "branch2.norm_b.1.block.0.{leaf}"),
            (ours + "se.expand.{leaf}", theirs + "branch2.norm_b.1.block.2.{leaf}"),
        ]
    return rows


def _efficient() -> _Rows:
    theirs = "s{s}.pathway0_res{n}."
    convs = [(_OURS + "shortcut.conv", _OURS + "shortcut.bn", theirs + "_res_proj")]
    convs += [
        (_OURS + f"conv_{abc}", _OURS + f"bn_{abc}", theirs + f"layers.conv_{i}")
        for i, abc in enumerate("abc")
    ]
    convs += [
        ("stem.conv_xy", "", "s1.pathway0_stem_conv_xy"),
        ("stem.conv_t", "stem.bn", "s1.pathway0_stem_conv"),
        ("head.conv", "head.bn", "head.conv_5"),
        ("head.embedding", "", "head.lin_5"),
    ]
    return [
        *((f"{conv}.{{leaf}}", f"{kernel}.kernel.conv.{{leaf}}") for conv, _, kernel in convs),
        *((f"{bn}.{{leaf}}", f"{kernel}.kernel.bn.{{leaf}}") for _, bn, kernel in convs if bn),
        (_OURS + "se.reduce.{leaf}", theirs + "layers.se.se.block.0.{leaf}"),
        (_OURS + "se.expand.{leaf}", theirs + "layers.se.se.block.2.{leaf}"),
        (_PROJECTION, "projection.model.{leaf}"),
    ]


def _pyslowfast() -> _Rows:
    theirs = "s{s}.pathway0_res{n}."
    return [
        ("stem.conv_xy.{leaf}", "s1.pathway0_stem.conv_xy.{leaf}"),
        ("stem.conv_t.{leaf}", "s1.pathway0_stem.conv.{leaf}"),
        ("stem.bn.{leaf}", "s1.pathway0_stem.bn.{leaf}"),
        (_OURS + "shortcut.conv.{leaf}", theirs + "branch1.{leaf}"),
        (_OURS + "shortcut.bn.{leaf}", theirs + "branch1_bn.{leaf}"),
        (_OURS + "conv_{abc}.{leaf}", theirs + "branch2.{abc}.{leaf}"),
        (_OURS + "bn_{abc}.{leaf}", theirs + "branch2.{abc}_bn.{leaf}"),
        (_OURS + "se.reduce.{leaf}", theirs + "branch2.se.fc1.{leaf}"),
        (_OURS + "se.expand.{leaf}", theirs + "branch2.se.fc2.{leaf}"),
        ("head.conv.{leaf}", "head.conv_5.{leaf}"),
        ("head.bn.{leaf}", "head.conv_5_bn.{leaf}"),
        ("head.embedding.{leaf}", "head.lin_5.{leaf}"),
        (_PROJECTION, "head.projection.{leaf}"),
    ]


PYTORCHVIDEO = (NameTable("pytorchvideo", _pytorchvideo()), NameTable("pytorchvideo", _efficient()))
PYSLOWFAST = (
    NameTable(
        "pyslowfast",
        _pyslowfast(),
        folded=resnet.PYSLOWFAST[0].folded,
        dropped=resnet.PYSLOWFAST[0].dropped,
    ),
)
