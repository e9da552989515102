"""Their parameter names to ours, as tables of patterns read from top to bottom.

    ours          slow.res3.0.conv_a.weight               (one pathway alone: pathway.res3.0…)
    PyTorchVideo  blocks.2.multipathway_blocks.0.res_blocks.0.branch2.conv_a.weight
    PySlowFast    s3.pathway0_res0.branch2.a.weight
    Caffe2        res3_0_branch2a_w

Whose names a file has is told from the names themselves, so nobody needs to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Naming = Literal["twinpath", "pytorchvideo", "pyslowfast", "caffe2"]

_Rules = tuple[tuple[re.Pattern[str], str], ...]


@dataclass(frozen=True)
class Translation:
    """Names of a file in ours.

    Attributes:
        naming: Whose names they were.
        ours: Our name of each of theirs; a name that no rule knows stays as it is.
        dropped: Names that no network needs: optimizer state, step counts, split statistics.
    """

    naming: Naming
    ours: dict[str, str]
    dropped: tuple[str, ...]


def translate(names: Iterable[str]) -> Translation:
    """Find out whose names these are and give ours.

    Wrappers' prefixes (`model.`, `module.`) are taken off where every name has them. The statistics of
    sub-batch-norm (`…bn.bn.*`) take the plain norm's place and its splits (`…bn.split_bn.*`) are dropped.

    Args:
        names: All names in the file; whether there are one or two pathways is read off them.
    """
    names = list(names)
    bare = {name: _without_prefix(name, names) for name in names}
    naming = detect(bare.values())
    kept = {name: b for name, b in bare.items() if not is_dropped(b, naming)}
    dropped = tuple(name for name in names if name not in kept)
    if naming == "twinpath":
        return Translation(naming, kept, dropped)
    if naming == "caffe2":
        kept = {name: caffe2_to_pyslowfast(b) for name, b in kept.items()}
    if naming == "pytorchvideo":
        pathways = _pathways(any("multipathway" in b for b in kept.values()))
        return Translation(naming, {n: pytorchvideo_to_ours(b, pathways) for n, b in kept.items()}, dropped)
    pathways = _pathways(any("pathway1_" in b for b in kept.values()))
    return Translation(naming, {n: pyslowfast_to_ours(b, pathways) for n, b in kept.items()}, dropped)


def detect(names: Iterable[str]) -> Naming:
    """Whose names these are; ours if nobody else's."""
    for name in names:
        if re.match(r"blocks\.\d+\.", name):
            return "pytorchvideo"
        if re.match(r"s\d(_fuse)?\.", name):
            return "pyslowfast"
        if re.match(r"(t_)?(conv1|res_conv1_bn|res\d_\d+_branch\d\w*)_\w+$", name):
            return "caffe2"
    return "twinpath"


def is_dropped(name: str, naming: Naming) -> bool:
    """Whether a name (without wrappers' prefixes) is nothing that a network needs."""
    if naming == "caffe2":
        return "momentum" in name or name in {"lr", "model_iter"}
    return name.endswith("num_batches_tracked") or (naming == "pyslowfast" and ".split_bn." in name)


def caffe2_to_pyslowfast(name: str) -> str:
    """A Caffe2 blob's name in PySlowFast's names; an unknown one stays as it is."""
    return _apply(_CAFFE2, name)


def pyslowfast_to_ours(name: str, pathways: tuple[str, ...]) -> str:
    """A PySlowFast name in ours; `pathways` are our names of its pathways, slow first."""
    return _in_pathway(_apply(_PYSLOWFAST, name), pathways)


def pytorchvideo_to_ours(name: str, pathways: tuple[str, ...]) -> str:
    """A PyTorchVideo name in ours; `pathways` are our names of its pathways, slow first."""
    return _in_pathway(_apply(_PYTORCHVIDEO, name), pathways)


def _pathways(two: bool) -> tuple[str, ...]:
    return ("slow", "fast") if two else ("pathway",)


def _without_prefix(name: str, names: list[str]) -> str:
    for prefix in ("module.", "model."):
        if all(n.startswith(prefix) for n in names):
            name, names = name.removeprefix(prefix), [n.removeprefix(prefix) for n in names]
    return name


def _in_pathway(name: str, pathways: tuple[str, ...]) -> str:
    """`<0>.stem…` to `slow.stem…`."""
    return re.sub(r"^<(\d)>", lambda m: pathways[int(m[1])] if int(m[1]) < len(pathways) else m[0], name)


def _apply(rules: _Rules, name: str) -> str:
    for pattern, replacement in rules:
        name = pattern.sub(replacement, name)
    return name


def _rules(*pairs: tuple[str, str]) -> _Rules:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


_STAGES_OF_BLOCKS = tuple((rf"^<(\d)>\.blocks{i}\.", rf"<\1>.res{i + 1}.") for i in range(1, 5))
_STAGES_OF_S = tuple((rf"^s{i}_fuse\.", f"laterals.{i - 1}.") for i in range(1, 5))

# Pathways are written <0> and <1> until the last step.
_PYTORCHVIDEO = _rules(
    (r"^blocks\.\d+\.proj\.", "head.projection."),
    (r"^blocks\.(\d)\.multipathway_fusion\.conv_fast_to_slow\.", r"laterals.\1.conv."),
    (r"^blocks\.(\d)\.multipathway_fusion\.norm\.", r"laterals.\1.bn."),
    (r"^blocks\.(\d)\.multipathway_blocks\.(\d)\.", r"<\2>.blocks\1."),
    (r"^blocks\.([0-4])\.", r"<0>.blocks\1."),
    (r"^(<\d>)\.blocks0\.conv\.", r"\1.stem.conv."),
    (r"^(<\d>)\.blocks0\.norm\.", r"\1.stem.bn."),
    *_STAGES_OF_BLOCKS,
    (r"\.res_blocks\.(\d+)\.branch1_conv\.", r".\1.shortcut.conv."),
    (r"\.res_blocks\.(\d+)\.branch1_norm\.", r".\1.shortcut.bn."),
    (r"\.res_blocks\.(\d+)\.branch2\.conv_([abc])\.", r".\1.conv_\2."),
    (r"\.res_blocks\.(\d+)\.branch2\.norm_([abc])\.", r".\1.bn_\2."),
)

_PYSLOWFAST = _rules(
    (r"bn\.bn\.(running_\w+)$", r"bn.\1"),
    *_STAGES_OF_S,
    (r"^(laterals\.\d)\.conv_f2s\.", r"\1.conv."),
    (r"^s1\.pathway(\d)_stem\.", r"<\1>.stem."),
    (r"^s([2-5])\.pathway(\d)_res(\d+)\.", r"<\2>.res\1.\3."),
    (r"\.branch1\.", ".shortcut.conv."),
    (r"\.branch1_bn\.", ".shortcut.bn."),
    (r"\.branch2\.([abc])\.", r".conv_\1."),
    (r"\.branch2\.([abc])_bn\.", r".bn_\1."),
)

_CAFFE2 = _rules(
    (r"_bn_s$", "_bn.weight"),
    (r"_bn_b$", "_bn.bias"),
    (r"_bn_rm$", "_bn.running_mean"),
    (r"_bn_riv$", "_bn.running_var"),
    (r"_w$", ".weight"),
    (r"^pred_b$", "head.projection.bias"),
    (r"^pred\.", "head.projection."),
    (r"^t_pool1_subsample_bn\.", "s1_fuse.bn."),
    (r"^t_pool1_subsample\.", "s1_fuse.conv_f2s."),
    (r"^t_res(\d)_\d+_branch2c_bn_subsample_bn\.", r"s\1_fuse.bn."),
    (r"^t_res(\d)_\d+_branch2c_bn_subsample\.", r"s\1_fuse.conv_f2s."),
    (r"^t_(conv1|res)", r"<1>\1"),
    (r"^(conv1|res)", r"<0>\1"),
    (r"^<(\d)>conv1\.", r"s1.pathway\1_stem.conv."),
    (r"^<(\d)>res_conv1_bn\.", r"s1.pathway\1_stem.bn."),
    (r"^<(\d)>res(\d)_(\d+)_branch1\.", r"s\2.pathway\1_res\3.branch1."),
    (r"^<(\d)>res(\d)_(\d+)_branch1_bn\.", r"s\2.pathway\1_res\3.branch1_bn."),
    (r"^<(\d)>res(\d)_(\d+)_branch2([abc])\.", r"s\2.pathway\1_res\3.branch2.\4."),
    (r"^<(\d)>res(\d)_(\d+)_branch2([abc])_bn\.", r"s\2.pathway\1_res\3.branch2.\4_bn."),
)
