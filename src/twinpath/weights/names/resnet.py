"""Names of the 3D ResNets and of SlowFast at PyTorchVideo, PySlowFast and Caffe2.

ours          slow.res3.0.conv_a.weight               (one pathway alone: pathway.res3.0…)
PyTorchVideo  blocks.2.multipathway_blocks.0.res_blocks.0.branch2.conv_a.weight
PySlowFast    s3.pathway0_res0.branch2.a.weight
Caffe2        res3_0_branch2a_w
"""

from __future__ import annotations

from twinpath.weights.names.table import NameTable

_Rows = list[tuple[str, ...]]


def _pytorchvideo(pathway: str, block: str, *, stages: tuple[int, ...] = (1, 2, 3, 4)) -> _Rows:
    """`block` is their name of block {i}: 0 is the stem, `stages` are the numbers of res2 to res5."""
    rows: _Rows = [
        (f"{pathway}.stem.conv.{{leaf}}", block.format(i=0) + "conv.{leaf}"),
        (f"{pathway}.stem.bn.{{leaf}}", block.format(i=0) + "norm.{leaf}"),
    ]
    for stage, i in zip((2, 3, 4, 5), stages, strict=True):
        ours = f"{pathway}.res{stage}.{{n}}."
        theirs = block.format(i=i) + "res_blocks.{n}."
        rows += [
            (ours + "shortcut.conv.{leaf}", theirs + "branch1_conv.{leaf}"),
            (ours + "shortcut.bn.{leaf}", theirs + "branch1_norm.{leaf}"),
            (ours + "conv_{abc}.{leaf}", theirs + "branch2.conv_{abc}.{leaf}"),
            (ours + "bn_{abc}.{leaf}", theirs + "branch2.norm_{abc}.{leaf}"),
            # R(2+1)D
            (ours + "conv_b.temporal.{leaf}", theirs + "branch2.conv_b.conv_t.{leaf}"),
            (ours + "conv_b.bn.{leaf}", theirs + "branch2.conv_b.norm.{leaf}"),
            (ours + "conv_b.spatial.{leaf}", theirs + "branch2.conv_b.conv_xy.{leaf}"),
        ]
    return rows


def _pyslowfast(pathway: str, number: int) -> _Rows:
    block, ours = f"s{{s}}.pathway{number}_", f"{pathway}.res{{s}}."
    return [
        (f"{pathway}.stem.conv.{{leaf}}", f"s1.pathway{number}_stem.conv.{{leaf}}"),
        (f"{pathway}.stem.bn.{{leaf}}", f"s1.pathway{number}_stem.bn.{{leaf}}"),
        (ours + "{n}.shortcut.conv.{leaf}", block + "res{n}.branch1.{leaf}"),
        (ours + "{n}.shortcut.bn.{leaf}", block + "res{n}.branch1_bn.{leaf}"),
        (ours + "{n}.conv_{abc}.{leaf}", block + "res{n}.branch2.{abc}.{leaf}"),
        (ours + "{n}.bn_{abc}.{leaf}", block + "res{n}.branch2.{abc}_bn.{leaf}"),
        *(
            (ours + f"nonlocal{{n}}.{conv}.{{leaf}}", block + f"nonlocal{{n}}.conv_{conv}.{{leaf}}")
            for conv in ("theta", "phi", "g", "out")
        ),
        (ours + "nonlocal{n}.bn.{leaf}", block + "nonlocal{n}.bn.{leaf}"),
    ]


def _pytorchvideo_two(prefix: str) -> _Rows:
    """Both pathways and what joins them; `prefix` stands before their blocks."""
    fusion = prefix + "blocks.{n}.multipathway_fusion."
    return [
        *_pytorchvideo("slow", prefix + "blocks.{i}.multipathway_blocks.0."),
        *_pytorchvideo("fast", prefix + "blocks.{i}.multipathway_blocks.1."),
        ("laterals.{n}.conv.{leaf}", fusion + "conv_fast_to_slow.{leaf}"),
        ("laterals.{n}.bn.{leaf}", fusion + "norm.{leaf}"),
    ]


_PYTORCHVIDEO_REGIONS = ("head.projection.{leaf}", "detection_head.proj.{leaf}")
_PYSLOWFAST_LATERALS: _Rows = [
    row
    for i in range(4)
    for row in (
        (f"laterals.{i}.conv.{{leaf}}", f"s{i + 1}_fuse.conv_f2s.{{leaf}}"),
        (f"laterals.{i}.bn.{{leaf}}", f"s{i + 1}_fuse.bn.{{leaf}}"),
    )
]
_PYSLOWFAST_HEAD: _Rows = [("head.projection.{leaf}", "head.projection.{leaf}")]

# The statistics of sub-batch-norm take the plain norm's place; its splits are working memory.
_SUB_BATCH_NORM = [(r"bn\.bn\.(running_\w+)$", r"bn.\1")]
_SPLITS = [r"\.split_bn\."]

# One pathway comes before two: of tables that know equally many names the first is taken.
PYTORCHVIDEO = tuple(
    NameTable("pytorchvideo", rows)
    for rows in (
        [*_pytorchvideo("pathway", "blocks.{i}."), ("head.projection.{leaf}", "blocks.5.proj.{leaf}")],
        # C2D and I3D: block 2 is the pool after res2
        [
            *_pytorchvideo("pathway", "blocks.{i}.", stages=(1, 3, 4, 5)),
            ("head.projection.{leaf}", "blocks.6.proj.{leaf}"),
        ],
        [*_pytorchvideo("pathway", "model.blocks.{i}."), _PYTORCHVIDEO_REGIONS],
        [*_pytorchvideo_two(""), ("head.projection.{leaf}", "blocks.6.proj.{leaf}")],
        [*_pytorchvideo_two("model."), _PYTORCHVIDEO_REGIONS],
    )
)
PYSLOWFAST = (
    NameTable(
        "pyslowfast",
        [*_pyslowfast("pathway", 0), *_PYSLOWFAST_HEAD],
        folded=_SUB_BATCH_NORM,
        dropped=_SPLITS,
    ),
    NameTable(
        "pyslowfast",
        [*_pyslowfast("slow", 0), *_pyslowfast("fast", 1), *_PYSLOWFAST_LATERALS, *_PYSLOWFAST_HEAD],
        folded=_SUB_BATCH_NORM,
        dropped=_SPLITS,
    ),
)
