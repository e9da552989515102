"""Names of the reversible transformers at PySlowFast.

ours          blocks.3.norm_attention.weight
PySlowFast    rev_backbone.layers.3.F.norm.weight
"""

from __future__ import annotations

from twinpath.weights.names.table import NameTable

_OURS, _THEIRS = "blocks.{n}.", "rev_backbone.layers.{n}."
_QKV = _OURS + "attention.qkv.{leaf}"

PYSLOWFAST = (
    NameTable(
        "pyslowfast",
        [
            ("patches.{leaf}", "patch_embed.proj.{leaf}"),
            ("positions.spatial", "pos_embed_spatial"),
            ("positions.temporal", "pos_embed_temporal"),
            ("positions.joint", "pos_embed"),
            (_OURS + "norm_attention.{leaf}", _THEIRS + "F.norm.{leaf}"),
            (_QKV, *(f"{_THEIRS}F.attn.{part}.{{leaf}}" for part in "qkv")),
            (_QKV, _THEIRS + "F.attn.qkv.{leaf}"),  # the video network's config
            (_OURS + "attention.pool_{qkv}.conv.{leaf}", _THEIRS + "F.attn.pool_{qkv}.{leaf}"),
            (_OURS + "attention.pool_{qkv}.norm.{leaf}", _THEIRS + "F.attn.norm_{qkv}.{leaf}"),
            (_OURS + "attention.out.{leaf}", _THEIRS + "F.attn.proj.{leaf}"),
            (_OURS + "norm_mlp.{leaf}", _THEIRS + "G.norm.{leaf}"),
            (_OURS + "mlp.widen.{leaf}", _THEIRS + "G.mlp.fc1.{leaf}"),
            (_OURS + "mlp.narrow.{leaf}", _THEIRS + "G.mlp.fc2.{leaf}"),
            (_OURS + "fusion.widen.{leaf}", _THEIRS + "pre_q_fuse.fuse_fn.fc1.{leaf}"),
            (_OURS + "fusion.narrow.{leaf}", _THEIRS + "pre_q_fuse.fuse_fn.fc2.{leaf}"),
            (_OURS + "shortcut.{leaf}", _THEIRS + "res_proj.{leaf}"),
            ("head.norm.{leaf}", "norm.{leaf}"),
            ("head.projection.{leaf}", "head.projection.{leaf}"),
        ],
    ),
)
