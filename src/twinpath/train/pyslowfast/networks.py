"""Which network of ours a configuration of PySlowFast describes. No torch.

The settings are brought into the form of the registry's options, so that a network is found by its structure
and not by the name of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from twinpath.errors import ConfigError
from twinpath.models.layers.plans import NonLocalPlan
from twinpath.models.registry import ARCHITECTURES, Architecture
from twinpath.train.pyslowfast.keys import is_numbers

Values = Mapping[str, Any]
Structure = dict[str, Any]  # options of a family's class, each of them

_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_I3D = (5, 3, (3, 1), (3, 1), (1, 3))
_KERNELS: dict[str, tuple[Any, ...]] = {  # in time, of the stem and of res2 to res5
    "2d": (1, 1, 1, 1, 1),
    "c2d": (1, 1, 1, 1, 1),
    "slow_c2d": (1, 1, 1, 1, 1),
    "i3d": _I3D,
    "slow_i3d": _I3D,
    "slow": (1, 1, 1, 3, 3),
}
_POOLED = ("c2d", "i3d")  # halve the number of frames after res2
_MOST_BLOCKS = 1000
_DETECTION = {"strides": (1, 2, 2, 1), "dilations": (1, 1, 1, 2)}
_CLASSIFICATION = {"strides": (1, 2, 2, 2), "dilations": (1, 1, 1, 1)}

# What the classes take where the registry says nothing. A test compares it with their signatures.
CLASS_DEFAULTS: dict[str, Structure] = {
    "resnet3d": {
        "blocks": _BLOCKS[50],
        "width": 64,
        "temporal_kernels": _KERNELS["slow"],
        "temporal_blocks": None,
        "temporal_strides": (1, 1, 1, 1),
        **_CLASSIFICATION,
        "middle": "plane",
        "stem_pool": True,
        "pool_after_res2": 1,
        "non_local": None,
    },
    "slowfast": {
        "blocks": _BLOCKS[50],
        "width": 64,
        "alpha": 4,
        "beta_inv": 8,
        "fusion_kernel": 7,
        "fusion_ratio": 2,
        "temporal_blocks": None,
        **_CLASSIFICATION,
        "non_local": None,
    },
    "x3d": {"width": 2.0, "depth": 2.2, "bottleneck": 2.25, "res2_shortcut_norm": True},
    "mvit": {
        "blocks": (1, 2, 11, 2),
        "width": 96,
        "num_heads": 1,
        "image": False,
        "kv_stride": 8,
        "pool_side": 3,
        "pool_unstrided": True,
        "positions": "separate",
        "residual_pooling": False,
        "widen_in_attention": False,
        "class_token": True,
        "mean_first": False,
    },
    "vit": {"patch": (2, 16, 16), "width": 768, "depth": 12, "num_heads": 12},
    "reversible": {
        "blocks": (1, 2, 11, 2),
        "width": 96,
        "num_heads": 1,
        "image": False,
        "patch": 7,
        "patch_stride": 4,
        "kv_stride": 8,
        "fusion": "mean",
        "qkv_bias": True,
    },
}
_BASE_FAMILIES = {"slow_det": "resnet3d", "slowfast_det": "slowfast"}
# Options that are settings of a recipe, or of no consequence for the structure.
_FREE = ("num_classes", "dropout", "drop_path", "head_config", "aligned", "num_frames", "crop")


def find_network(values: Values) -> Architecture:
    """The network of a configuration.

    Args:
        values: All settings, as `keys.completed` gives them.
    Returns:
        The architecture of that structure whose clips are nearest to the configuration's.
    Raises:
        ConfigError: There is none; says why, and the nearest one.
    """
    family, structure = _described(values)
    candidates = [a for a in ARCHITECTURES.values() if a.family == family]
    equal = [a for a in candidates if structure_of(a) == structure]
    if not equal:
        raise ConfigError(_no_such_network(candidates, structure))
    return min(equal, key=lambda a: _distance_of_clips(a, values))


def structure_of(network: Architecture) -> Structure:
    """All options of a network that decide its structure."""
    family = _BASE_FAMILIES.get(network.family, network.family)
    defaults = {**CLASS_DEFAULTS.get(family, {}), **(_DETECTION if network.is_detector else {})}
    given = {key: value for key, value in network.options.items() if key not in _FREE}
    return _normalised({**defaults, **given})


def _normalised(structure: Structure) -> Structure:
    """Lists are tuples, and what makes no difference is left out."""
    plain = {key: tuple(v) if isinstance(v, list) else v for key, v in structure.items()}
    if plain.get("temporal_blocks") is not None:
        kernels = plain.get("temporal_kernels", _KERNELS["slow"])[1:]
        if all(kernel == 1 for kernel in kernels):
            plain["temporal_blocks"] = None  # none convolves over time
        elif all(n >= depth for n, depth in zip(plain["temporal_blocks"], plain["blocks"], strict=True)):
            plain["temporal_blocks"] = None  # all may
    return plain


def _distance_of_clips(network: Architecture, values: Values) -> tuple[int, ...]:
    """How far a network's own clip is from the configuration's."""
    frames, rate = values["DATA.NUM_FRAMES"], values["DATA.SAMPLING_RATE"]
    other_clip = (network.num_frames, network.sampling_rate) != (frames, rate)
    return (
        int(other_clip),
        abs(network.num_frames - frames),
        abs(network.sampling_rate - rate),
        abs(network.train_crop - values["DATA.TRAIN_CROP_SIZE"]),
    )


def _no_such_network(candidates: Sequence[Architecture], structure: Structure) -> str:
    def others(network: Architecture) -> list[str]:
        own = structure_of(network)
        return [key for key, value in structure.items() if own.get(key) != value]

    def difference(network: Architecture) -> float:
        own = structure_of(network)
        lacking = sum((own.get(key) is None) != (structure[key] is None) for key in others(network))
        return len(others(network)) + 0.5 * lacking

    nearest = min(candidates, key=difference)
    own = structure_of(nearest)
    found = "; ".join(f"{key} {structure[key]!r}, there {own.get(key)!r}" for key in others(nearest)[:3])
    return f"there is no such network; the nearest is {nearest.name}, which differs in {found}"


def _described(values: Values) -> tuple[str, Structure]:
    """Family and structure."""
    name = values["MODEL.MODEL_NAME"]
    if name not in _MODELS:
        why = "contrastive pre-training is not built" if name == "ContrastiveModel" else "it is not known"
        raise ConfigError(f"MODEL.MODEL_NAME = {name!r}: {why}")
    family, structure = _MODELS[name](values)
    return family, _normalised(structure)


def _unpooled_resnet(values: Values) -> tuple[str, Structure]:
    """The network of Caffe2 weights; PySlowFast has lost its class."""
    family, structure = _resnet(values)
    return family, {**structure, "pool_after_res2": 1}


def _resnet(values: Values) -> tuple[str, Structure]:
    arch = values["MODEL.ARCH"]
    if arch not in _KERNELS:
        raise ConfigError(f"MODEL.ARCH = {arch!r}: a ResNet is one of {', '.join(_KERNELS)}")
    structure = {
        **CLASS_DEFAULTS["resnet3d"],
        **_stages(values, pathways=1),
        "temporal_kernels": _KERNELS[arch],
        "pool_after_res2": 2 if arch in _POOLED else 1,
    }
    return "slow_det" if values["DETECTION.ENABLE"] else "resnet3d", structure


def _slowfast(values: Values) -> tuple[str, Structure]:
    if values["MODEL.ARCH"] != "slowfast":
        raise ConfigError(f"MODEL.ARCH = {values['MODEL.ARCH']!r}: a SlowFast is 'slowfast'")
    structure = {
        **_stages(values, pathways=2),
        "alpha": values["SLOWFAST.ALPHA"],
        "beta_inv": values["SLOWFAST.BETA_INV"],
        "fusion_kernel": values["SLOWFAST.FUSION_KERNEL_SZ"],
        "fusion_ratio": values["SLOWFAST.FUSION_CONV_CHANNEL_RATIO"],
    }
    return "slowfast_det" if values["DETECTION.ENABLE"] else "slowfast", structure


def _stages(values: Values, *, pathways: int) -> Structure:
    """What both kinds of ResNets have."""
    depth = values["RESNET.DEPTH"]
    if depth not in _BLOCKS:
        raise ConfigError(f"RESNET.DEPTH = {depth}: it is one of {', '.join(map(str, _BLOCKS))}")
    if values["RESNET.TRANS_FUNC"] != "bottleneck_transform":
        raise ConfigError(f"RESNET.TRANS_FUNC = {values['RESNET.TRANS_FUNC']!r}: blocks are bottlenecks")
    return {
        "blocks": _BLOCKS[depth],
        "width": values["RESNET.WIDTH_PER_GROUP"],
        "temporal_blocks": _one_of_pathways(values, "RESNET.NUM_BLOCK_TEMP_KERNEL", pathways),
        "strides": _one_of_pathways(values, "RESNET.SPATIAL_STRIDES", pathways),
        "dilations": _one_of_pathways(values, "RESNET.SPATIAL_DILATIONS", pathways),
        "non_local": _non_local(values),
    }


def _one_of_pathways(values: Values, key: str, pathways: int) -> tuple[int, ...]:
    """A number for each of four stages, from a list of one or two for each; both pathways have the same."""
    rows = values[key]
    whole = len(rows) == 4 and all(is_numbers(row) and len(row) >= 1 for row in rows)
    if not whole or any(len(row) < pathways and len(row) != 1 for row in rows):
        raise ConfigError(f"{key} = {rows!r}: it has a list for each of four stages")
    if any(len(set(row[:pathways])) > 1 for row in rows):
        raise ConfigError(f"{key} = {rows!r}: both pathways have the same")
    return tuple(row[0] for row in rows)


def _non_local(values: Values) -> NonLocalPlan | None:
    """Blocks of the first pathway; a second one has none."""
    rows = values["NONLOCAL.LOCATION"]
    places = _of_first_pathway(values, "NONLOCAL.LOCATION")
    if not all(map(is_numbers, places)):
        raise ConfigError(f"NONLOCAL.LOCATION = {rows!r}: it has lists of blocks")
    if any(any(other) for _, *other in rows):
        raise ConfigError("NONLOCAL.LOCATION: non-local blocks are in the slow pathway only")
    used = [i for i in range(4) if places[i]]
    if not used:
        return None
    groups, pools = (_of_first_pathway(values, f"NONLOCAL.{key}") for key in ("GROUP", "POOL"))
    if any(groups[i] != 1 for i in used):
        raise ConfigError(f"NONLOCAL.GROUP = {groups!r}: non-local blocks have one group")
    affinity = values["NONLOCAL.INSTANTIATION"]
    if affinity not in ("softmax", "dot_product"):
        raise ConfigError(f"NONLOCAL.INSTANTIATION = {affinity!r}: it is softmax or dot_product")
    first = pools[used[0]]
    if not is_numbers(first) or len(first) != 3 or any(pools[i] != first for i in used):
        raise ConfigError(f"NONLOCAL.POOL = {pools!r}: all blocks pool in one way")
    return NonLocalPlan(tuple(map(tuple, places)), affinity, tuple(first))


def _of_first_pathway(values: Values, key: str) -> list[Any]:
    """What each of four stages has for the first pathway."""
    rows = values[key]
    if len(rows) != 4 or any(not isinstance(row, list | tuple) or not row for row in rows):
        raise ConfigError(f"{key} = {rows!r}: it has a list for each of four stages")
    return [row[0] for row in rows]


def _x3d(values: Values) -> tuple[str, Structure]:
    factors = {"width": "WIDTH_FACTOR", "depth": "DEPTH_FACTOR", "bottleneck": "BOTTLENECK_FACTOR"}
    return "x3d", {**CLASS_DEFAULTS["x3d"], **{key: values[f"X3D.{name}"] for key, name in factors.items()}}


def _csn(values: Values) -> tuple[str, Structure]:
    structure = {
        **CLASS_DEFAULTS["resnet3d"],
        "blocks": _BLOCKS.get(values["RESNET.DEPTH"]),
        "width": values["RESNET.WIDTH_PER_GROUP"],
        "temporal_kernels": (3, 1, 1, 1, 1),
        "temporal_strides": (1, 2, 2, 2),
        "middle": "depthwise",
    }
    return "resnet3d", structure


def _r2plus1d(values: Values) -> tuple[str, Structure]:
    structure = {
        **CLASS_DEFAULTS["resnet3d"],
        "blocks": _BLOCKS.get(values["RESNET.DEPTH"]),
        "width": values["RESNET.WIDTH_PER_GROUP"],
        "temporal_kernels": (1, 1, 1, 1, 1),
        "temporal_strides": (1, 1, 2, 2),
        "strides": (2, 2, 2, 2),
        "middle": "factorised",
        "stem_pool": False,
    }
    return "resnet3d", structure


def _transformer(values: Values) -> tuple[str, Structure]:
    if values["DETECTION.ENABLE"]:
        raise ConfigError("DETECTION.ENABLE: no transformer scores boxes")
    kernel, stride, padding = _patches(values)
    if values["MVIT.REV.ENABLE"]:
        return "reversible", _reversible(values, kernel, stride, padding)
    if kernel == stride:
        return "vit", _vit(values, kernel, padding)
    image = values["MVIT.PATCH_2D"]
    if (kernel, stride, padding) != (
        (1 if image else 3, 7, 7),
        (1 if image else 2, 4, 4),
        (0 if image else 1, 3, 3),
    ):
        raise ConfigError(f"MVIT.PATCH_KERNEL, _STRIDE, _PADDING = {kernel}, {stride}, {padding}: not built")
    if not values["MVIT.QKV_BIAS"]:
        raise ConfigError("MVIT.QKV_BIAS = False: only reversible networks are built without these biases")
    return "mvit", _multiscale(values)


def _patches(values: Values) -> tuple[tuple[int, ...], ...]:
    """Kernel, stride and padding of the patches, in time, height and width."""
    names = ("MVIT.PATCH_KERNEL", "MVIT.PATCH_STRIDE", "MVIT.PATCH_PADDING")
    flat = values["MVIT.PATCH_2D"]
    lengths = [len(values[name]) for name in names]
    if lengths != [2 if flat else 3] * 3:
        raise ConfigError(f"{', '.join(names)}: each has {2 if flat else 3} numbers")
    first = (1, 1, 0) if flat else ()
    return tuple((*first[i : i + 1], *values[name]) for i, name in enumerate(names))


def _vit(values: Values, kernel: tuple[int, ...], padding: tuple[int, ...]) -> Structure:
    """Patches that do not overlap, and no pooling."""
    if kernel != (2, 16, 16) or any(padding):
        raise ConfigError(f"MVIT.PATCH_KERNEL = {kernel}: vision transformers have patches of 2 x 16 x 16")
    is_plain = not any(values[f"MVIT.{key}"] for key in ("DIM_MUL", "HEAD_MUL", "POOL_Q_STRIDE"))
    if not is_plain or values["MVIT.POOL_KV_STRIDE"] or values["MVIT.POOL_KV_STRIDE_ADAPTIVE"]:
        raise ConfigError(
            "MVIT.POOL_*, DIM_MUL, HEAD_MUL: a vision transformer has one stage, without pooling"
        )
    needed = {"CLS_EMBED_ON": True, "SEP_POS_EMBED": True, "USE_ABS_POS": True, "QKV_BIAS": True}
    if not values["MASK.ENABLE"]:
        needed["USE_MEAN_POOLING"] = True
    for key, value in needed.items():
        if values[f"MVIT.{key}"] is not value:
            raise ConfigError(f"MVIT.{key} = {not value}: vision transformers are built with {value}")
    keys = {"width": "EMBED_DIM", "depth": "DEPTH", "num_heads": "NUM_HEADS"}
    return {"patch": kernel, **{key: values[f"MVIT.{name}"] for key, name in keys.items()}}


def _multiscale(values: Values) -> Structure:
    blocks = _blocks(values)
    kernel = values["MVIT.POOL_KVQ_KERNEL"]
    image = values["MVIT.PATCH_2D"]
    if kernel is not None and not (is_numbers(kernel) and tuple(kernel) == (1 if image else 3, 3, 3)):
        raise ConfigError(f"MVIT.POOL_KVQ_KERNEL = {kernel!r}: kernels are 3 wide")
    residual = values["MVIT.RESIDUAL_POOLING"]
    _check_query_strides(values, blocks, everywhere=residual)
    return {
        "blocks": blocks,
        "width": values["MVIT.EMBED_DIM"],
        "num_heads": values["MVIT.NUM_HEADS"],
        "image": image,
        "kv_stride": _kv_stride(values, blocks),
        "pool_side": None if kernel is None else 3,
        "pool_unstrided": True,
        "positions": _positions(values),
        "residual_pooling": residual,
        "widen_in_attention": values["MVIT.DIM_MUL_IN_ATT"],
        "class_token": values["MVIT.CLS_EMBED_ON"],
        "mean_first": values["MVIT.USE_MEAN_POOLING"] or values["MASK.ENABLE"],
    }


def _blocks(values: Values) -> tuple[int, ...]:
    """Blocks of each stage: channels and heads double where the next one begins."""
    depth = values["MVIT.DEPTH"]
    if not 0 < depth <= _MOST_BLOCKS:
        raise ConfigError(f"MVIT.DEPTH = {depth}: it is from 1 to {_MOST_BLOCKS}")
    channels, heads = (_rows(values, f"MVIT.{key}", 2) for key in ("DIM_MUL", "HEAD_MUL"))
    starts = [start for start, _ in channels]
    if channels != heads or any(factor != 2 for _, factor in channels) or starts != sorted(set(starts)):
        raise ConfigError("MVIT.DIM_MUL, MVIT.HEAD_MUL: channels and heads double together, stage by stage")
    if any(not 0 < start < depth for start in starts):
        raise ConfigError(f"MVIT.DIM_MUL = {values['MVIT.DIM_MUL']!r}: there are {depth} blocks")
    return tuple(b - a for a, b in pairwise([0, *starts, depth]))


def _rows(values: Values, key: str, length: int) -> list[tuple[Any, ...]]:
    """A list of lists of so many numbers."""
    rows = values[key] or []
    if any(not is_numbers(row) or len(row) != length for row in rows):
        raise ConfigError(f"{key} = {rows!r}: it is a list of lists of {length} numbers")
    return [tuple(row) for row in rows]


def _starts(blocks: Sequence[int]) -> list[int]:
    """The first block of each further stage."""
    return [sum(blocks[:i]) for i in range(1, len(blocks))]


def _check_query_strides(values: Values, blocks: Sequence[int], *, everywhere: bool) -> None:
    """Queries halve the map where a stage begins, and are pooled there, or in every block."""
    starts = _starts(blocks)
    expected = {i: (1, 2, 2) if i in starts else (1, 1, 1) for i in range(sum(blocks))}
    if not everywhere:
        expected = {i: stride for i, stride in expected.items() if i in starts}
    given = {row[0]: row[1:] for row in _rows(values, "MVIT.POOL_Q_STRIDE", 4)}
    if values["MASK.PRED_HOG"] and starts and given.get(starts[-1]) == (1, 1, 1):
        given[starts[-1]] = (1, 2, 2)  # pre-training keeps the last stage's map as large as the one's before
    if given != expected:
        raise ConfigError(
            "MVIT.POOL_Q_STRIDE: queries are pooled by 2 where a stage begins, and with RESIDUAL_POOLING by "
            "1 elsewhere"
        )


def _kv_stride(values: Values, blocks: Sequence[int]) -> int:
    """Stride of keys and values in the first stage; it halves from stage to stage."""
    adaptive, rows = values["MVIT.POOL_KV_STRIDE_ADAPTIVE"], _rows(values, "MVIT.POOL_KV_STRIDE", 4)
    if adaptive is not None:
        first = tuple(adaptive) if is_numbers(adaptive) else ()
    else:
        first = rows[0][1:] if rows else ()
        stages = [stage for stage, count in enumerate(blocks) for _ in range(count)]
        strides = [max(first[-1] // 2**stage, 1) for stage in stages] if first else []
        if rows != [(i, 1, s, s) for i, s in enumerate(strides)]:
            raise ConfigError("MVIT.POOL_KV_STRIDE: strides halve from stage to stage")
    if len(first) != 3 or first[0] != 1 or first[1] != first[2]:
        raise ConfigError(f"MVIT.POOL_KV_STRIDE(_ADAPTIVE): the first is {first!r}, not (1, stride, stride)")
    return int(first[1])


def _positions(values: Values) -> str:
    """How tokens know where they are."""
    added = values["MVIT.USE_ABS_POS"]
    space, time = values["MVIT.REL_POS_SPATIAL"], values["MVIT.REL_POS_TEMPORAL"]
    if added and not (space or time):
        return "separate" if values["MVIT.SEP_POS_EMBED"] else "joint"
    if not added and space and time is not values["MVIT.PATCH_2D"]:
        return "relative"
    raise ConfigError(
        "MVIT.USE_ABS_POS, REL_POS_*: positions are either added, or relative in space and time"
    )


def _reversible(
    values: Values, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...]
) -> Structure:
    if values["MVIT.CLS_EMBED_ON"]:
        raise ConfigError(
            "MVIT.CLS_EMBED_ON with MVIT.REV.ENABLE: reversible networks have no class token, in PySlowFast "
            "neither; set it to False"
        )
    blocks, image = _blocks(values), values["MVIT.PATCH_2D"]
    starts = _starts(blocks)
    if sorted(values["MVIT.REV.BUFFER_LAYERS"]) != starts:
        raise ConfigError(f"MVIT.REV.BUFFER_LAYERS: streams are fused where stages begin, at {starts}")
    _check_query_strides(values, blocks, everywhere=False)
    if _positions(values) != ("joint" if image else "separate"):
        raise ConfigError("MVIT.SEP_POS_EMBED: reversible networks have joint positions for images only")
    pooled = values["MVIT.POOL_KV_STRIDE_ADAPTIVE"] is not None or values["MVIT.POOL_KV_STRIDE"]
    fusions = {"avg": "mean", "concat_linear_2": "mlp"}
    fusion = fusions.get(values["MVIT.REV.PRE_Q_FUSION"], "mean" if not starts else None)
    if fusion is None:
        raise ConfigError(f"MVIT.REV.PRE_Q_FUSION = {values['MVIT.REV.PRE_Q_FUSION']!r}: not built")
    if kernel[1] != kernel[2] or stride[1] != stride[2] or padding[0] != kernel[0] // 2:
        raise ConfigError(f"MVIT.PATCH_KERNEL = {kernel}: patches are square")
    return {
        "blocks": blocks,
        "width": values["MVIT.EMBED_DIM"],
        "num_heads": values["MVIT.NUM_HEADS"],
        "image": image,
        "patch": kernel[1],
        "patch_stride": stride[1],
        "kv_stride": _kv_stride(values, blocks) if pooled else None,
        "fusion": fusion,
        "qkv_bias": values["MVIT.QKV_BIAS"],
    }


_MODELS: dict[str, Callable[[Values], tuple[str, Structure]]] = {
    "ResNet": _resnet,
    "ResNet_nopool": _unpooled_resnet,
    "SlowFast": _slowfast,
    "X3D": _x3d,
    "MViT": _transformer,
    "MaskMViT": _transformer,
    "PTVResNet": _resnet,
    "PTVSlowFast": _slowfast,
    "PTVX3D": _x3d,
    "PTVCSN": _csn,
    "PTVR2plus1D": _r2plus1d,
    "PTVMViT": _transformer,
}
