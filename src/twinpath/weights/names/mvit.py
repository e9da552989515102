"""Names of MViT at PyTorchVideo, PySlowFast and torchvision.

ours          blocks.3.attention.pool_q.conv.weight
PyTorchVideo  blocks.3.attn.pool_q.weight, and again blocks.3.attn._attention_pool_q.pool.weight
PySlowFast    blocks.3.attn.pool_q.weight
torchvision   blocks.3.attn.pool_q.pool.weight
"""

from __future__ import annotations

from twinpath.weights.names.table import NameTable

_Rows = list[tuple[str, ...]]

_OURS, _THEIRS = "blocks.{n}.", "blocks.{n}."
_QKV = "attention.qkv.{leaf}"
_SEPARATE_QKV = tuple(f"{_THEIRS}attn.{part}.{{leaf}}" for part in "qkv")


def _blocks(*, pool: str, norm: str, out: str, widen: str, narrow: str, shortcut: str) -> _Rows:
    """Rows of a block; the arguments are the names in which upstreams differ. {qkv} is one of its letters."""
    return [
        (_OURS + "norm_attention.{leaf}", _THEIRS + "norm1.{leaf}"),
        (_OURS + "attention.pool_{qkv}.conv.{leaf}", _THEIRS + f"attn.{pool}.{{leaf}}"),
        (_OURS + "attention.pool_{qkv}.norm.{leaf}", _THEIRS + f"attn.{norm}.{{leaf}}"),
        (_OURS + "attention.relative.time", _THEIRS + "attn.rel_pos_t"),
        (_OURS + "attention.relative.height", _THEIRS + "attn.rel_pos_h"),
        (_OURS + "attention.relative.width", _THEIRS + "attn.rel_pos_w"),
        (_OURS + "attention.out.{leaf}", _THEIRS + f"attn.{out}.{{leaf}}"),
        (_OURS + "norm_mlp.{leaf}", _THEIRS + "norm2.{leaf}"),
        (_OURS + "mlp.widen.{leaf}", _THEIRS + f"mlp.{widen}.{{leaf}}"),
        (_OURS + "mlp.narrow.{leaf}", _THEIRS + f"mlp.{narrow}.{{leaf}}"),
        (_OURS + "shortcut.{leaf}", _THEIRS + f"{shortcut}.{{leaf}}"),
    ]


_POSITIONS = "cls_positional_encoding."
_PYTORCHVIDEO: _Rows = [
    ("patches.{leaf}", "patch_embed.patch_model.{leaf}"),
    ("class_token", _POSITIONS + "cls_token"),
    ("positions.spatial", _POSITIONS + "pos_embed_spatial"),
    ("positions.temporal", _POSITIONS + "pos_embed_temporal"),
    ("positions.class_token", _POSITIONS + "pos_embed_class"),
    ("positions.joint", _POSITIONS + "pos_embed"),
    (_OURS + _QKV, *_SEPARATE_QKV),
    (_OURS + _QKV, _THEIRS + "attn.qkv.{leaf}"),
    *_blocks(pool="pool_{qkv}", norm="norm_{qkv}", out="proj", widen="fc1", narrow="fc2", shortcut="proj"),
    ("head.norm.{leaf}", "norm_embed.{leaf}"),
    ("head.projection.{leaf}", "head.proj.{leaf}"),
]
PYTORCHVIDEO = (
    NameTable(
        "pytorchvideo",
        _PYTORCHVIDEO,
        # Newer versions have each pooling a second time, under another name. Old files have only the first,
        # and where a file has both, their loader lets the first count.
        dropped=[r"\.attn\._attention_pool_[qkv]\."],
    ),
)
PYSLOWFAST = (
    NameTable(
        "pyslowfast",
        [
            ("patches.{leaf}", "patch_embed.proj.{leaf}"),
            ("class_token", "cls_token"),
            ("positions.spatial", "pos_embed_spatial"),
            ("positions.temporal", "pos_embed_temporal"),
            ("positions.class_token", "pos_embed_class"),
            ("positions.joint", "pos_embed"),
            (_OURS + _QKV, _THEIRS + "attn.qkv.{leaf}"),
            (_OURS + _QKV, *_SEPARATE_QKV),  # files made from August 2021 to the release of MViTv2
            *_blocks(
                pool="pool_{qkv}", norm="norm_{qkv}", out="proj", widen="fc1", narrow="fc2", shortcut="proj"
            ),
            ("head.norm.{leaf}", "norm.{leaf}"),
            ("head.projection.{leaf}", "head.projection.{leaf}"),
        ],
    ),
)
TORCHVISION = (
    NameTable(
        "torchvision",
        [
            ("patches.{leaf}", "conv_proj.{leaf}"),
            ("class_token", "pos_encoding.class_token"),
            ("positions.spatial", "pos_encoding.spatial_pos"),
            ("positions.temporal", "pos_encoding.temporal_pos"),
            ("positions.class_token", "pos_encoding.class_pos"),
            (_OURS + _QKV, _THEIRS + "attn.qkv.{leaf}"),
            *_blocks(
                pool="pool_{qkv}.pool",
                norm="pool_{qkv}.norm_act.0",
                out="project.0",
                widen="0",
                narrow="3",
                shortcut="project",
            ),
            ("head.norm.{leaf}", "norm.{leaf}"),
            ("head.projection.{leaf}", "head.1.{leaf}"),
        ],
    ),
)
