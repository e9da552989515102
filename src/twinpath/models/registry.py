"""Every architecture by name. Plain data: listing it imports no torch; building one imports its family.

A name has family, depth, and frames x stride of the slow pathway: `slowfast_r50_8x8`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from twinpath.errors import UnknownModel
from twinpath.models.layers.plans import NonLocalPlan
from twinpath.suggest import did_you_mean

if TYPE_CHECKING:
    from twinpath.models.network import VideoNetwork

Task = Literal["classification", "detection"]
Output = Literal["scores", "embed", "boxes"]
"""What is computed: scores of clips, embeddings of clips, or scores of the boxes in clips."""


@dataclass(frozen=True)
class Family:
    """Where the networks of a family are built, and what they are for.

    Attributes:
        module, cls: The class that builds them.
        task: "classification" of whole clips, or "detection": actions of each person in a box.
    """

    module: str
    cls: str
    task: Task = "classification"


_BLOCKS: dict[int, tuple[int, ...]] = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_FAMILIES = {
    "resnet3d": Family("twinpath.models.resnet3d", "ResNet3D"),
    "slowfast": Family("twinpath.models.slowfast", "SlowFast"),
    "slow_det": Family("twinpath.models.detection", "SlowDetector", "detection"),
    "slowfast_det": Family("twinpath.models.detection", "SlowFastDetector", "detection"),
    "x3d": Family("twinpath.models.x3d", "X3D"),
    "mvit": Family("twinpath.models.mvit", "MViT"),
    "reversible": Family("twinpath.models.reversible", "ReversibleMViT"),
    "vit": Family("twinpath.models.vit", "ViT"),
    "resnet18": Family("twinpath.models.resnet18", "ResNet18"),
    "s3d": Family("twinpath.models.s3d", "S3D"),
}


@dataclass(frozen=True)
class Architecture:
    """A network, the clip that it was made for, and the clips that it can be made for.

    Attributes:
        name: As in `create_model(name)`.
        family: A key of the table of families: which class builds the network.
        num_frames: T of the clip.
        sampling_rate: Frames of a 30 fps video for one of the clip.
        train_crop: Side of the training crop in pixels.
        options: Keyword arguments of the class.
        frame_multiple: T must be a multiple of this; alpha of a SlowFast.
        min_frames: The smallest T: strides and pooling in time leave at least one frame of it.
        is_image: Whether it takes single images only, T = 1.
        min_person_score: Of a detection network: persons that a detector finds with a lower score were not
            scored when the published accuracy was measured (PySlowFast's AVA.DETECTION_SCORE_THRESH).
    """

    name: str
    family: str
    num_frames: int
    sampling_rate: int
    train_crop: int = 224
    options: Mapping[str, Any] = field(default_factory=dict)
    frame_multiple: int = 1
    min_frames: int = 1
    is_image: bool = False
    min_person_score: float | None = None

    @property
    def task(self) -> Task:
        """Classification, `model(clip)`; or detection, `model(clip, boxes)`."""
        return _FAMILIES[self.family].task

    @property
    def is_detector(self) -> bool:
        """Whether the task is detection."""
        return self.task == "detection"

    def build(self, **overrides: Any) -> VideoNetwork:
        """Make the network with new weights; `overrides` replace single options.

        Without `head_config` and `aligned` among them, a weight file that is loaded may decide how the head
        computes scores; see `twinpath.weights.load`.

        Raises:
            ValueError: The network cannot be made with these options.
        """
        family = _FAMILIES[self.family]
        options = {"num_frames": self.num_frames, "crop": self.train_crop, **self.options, **overrides}
        built: VideoNetwork = getattr(importlib.import_module(family.module), family.cls)(**options)
        built.head.follows_file = not {"head_config", "aligned"} & options.keys()
        return built


def _resnet(
    name: str, depth: int, frames: int, stride: int, *, min_frames: int = 1, **options: Any
) -> Architecture:
    options = {"blocks": _BLOCKS[depth], **options}
    return Architecture(name, "resnet3d", frames, stride, options=options, min_frames=min_frames)


def _slow(depth: int, frames: int, stride: int) -> Architecture:
    return _resnet(f"slow_r{depth}_{frames}x{stride}", depth, frames, stride)


def _slowfast(name: str, depth: int, slow_frames: int, stride: int, **options: Any) -> Architecture:
    """The fast pathway of every published SlowFast takes each second frame: alpha is stride / 2."""
    alpha = stride // 2
    options = {"blocks": _BLOCKS[depth], "alpha": alpha, **options}
    return Architecture(
        name,
        "slowfast",
        slow_frames * alpha,
        2,
        options=options,
        frame_multiple=alpha,
        min_frames=alpha,
    )


def _detector(network: Architecture) -> Architecture:
    """The same network with a head that scores boxes."""
    family, min_person_score = {"resnet3d": ("slow_det", 0.9), "slowfast": ("slowfast_det", 0.8)}[
        network.family
    ]
    return replace(network, name=network.name + "_det", family=family, min_person_score=min_person_score)


_C2D: dict[str, Any] = {"temporal_kernels": (1, 1, 1, 1, 1), "pool_after_res2": 2, "min_frames": 2}
_I3D: dict[str, Any] = {
    "temporal_kernels": (5, 3, (3, 1), (3, 1), (1, 3)),
    "pool_after_res2": 2,
    "min_frames": 2,
}
_NON_LOCAL_R50 = ((), (1, 3), (1, 3, 5), ())
_NON_LOCAL_R101 = ((), (), (6, 13, 20), ())
_SOFTMAX: dict[str, Any] = {"non_local": NonLocalPlan(_NON_LOCAL_R50)}
_DOT_PRODUCT: dict[str, Any] = {"non_local": NonLocalPlan(_NON_LOCAL_R50, "dot_product")}

_RESNETS = (
    # An image network: PySlowFast inflates it to start the others from.
    Architecture(
        "resnet50",
        "resnet3d",
        1,
        1,
        options={"blocks": _BLOCKS[50], "temporal_kernels": (1, 1, 1, 1, 1), "num_classes": 1000},
    ),
    _resnet("c2d_r50_8x8", 50, 8, 8, **_C2D),
    _resnet("c2d_nopool_r50_8x8", 50, 8, 8, temporal_kernels=(1, 1, 1, 1, 1)),
    _resnet("c2d_nln_r50_8x8", 50, 8, 8, **_C2D, **_SOFTMAX),
    _resnet("i3d_r50_8x8", 50, 8, 8, **_I3D),
    _resnet("i3d_r101_8x8", 101, 8, 8, **_I3D),
    _resnet("i3d_nln_r50_8x8", 50, 8, 8, **_I3D, **_SOFTMAX),
    _resnet("i3d_nln_r101_8x8", 101, 8, 8, **_I3D, non_local=NonLocalPlan(_NON_LOCAL_R101)),
    *(_slow(depth, *clip) for depth in (50, 101) for clip in ((4, 16), (8, 8), (16, 8))),
    _resnet("slow_nln_r50_4x16", 50, 4, 16, **_DOT_PRODUCT),
    _resnet("slow_nln_r50_8x8", 50, 8, 8, **_DOT_PRODUCT),
    Architecture(
        "fast_r50_8x8",
        "resnet3d",
        32,
        2,
        options={"blocks": _BLOCKS[50], "width": 8, "temporal_kernels": (5, 3, 3, 3, 3)},
    ),
    _resnet(
        "csn_r101_32x2",
        101,
        32,
        2,
        temporal_kernels=(3, 1, 1, 1, 1),
        temporal_strides=(1, 2, 2, 2),
        middle="depthwise",
        min_frames=8,
    ),
    _resnet(
        "r2plus1d_r50_16x4",
        50,
        16,
        4,
        temporal_kernels=(1, 1, 1, 1, 1),
        temporal_strides=(1, 1, 2, 2),
        strides=(2, 2, 2, 2),
        middle="factorised",
        stem_pool=False,
        min_frames=4,
    ),
)

_R50_50_TEMPORAL = {"temporal_blocks": _BLOCKS[50]}

# The models inside this package: the same code, one block a stage, narrow; see train/recipes.
_TINY = Architecture(
    "slowfast_tiny",
    "slowfast",
    16,
    4,
    train_crop=96,
    options={
        "blocks": (1, 1, 1, 1),
        "width": 16,
        "alpha": 4,
        "beta_inv": 2,
        "fusion_kernel": 5,
        "dropout": 0.2,
        "num_classes": 12,
    },
    frame_multiple=4,
    min_frames=4,
)

# For experiments on a CPU, see examples/compare_recipes.py: each pathway alone, of the same blocks and width;
# and the same with a fast pathway of an eighth of the channels, as in the published networks.


def _fast_tiny(name: str, width: int) -> Architecture:
    kernels = (5, 3, 3, 3, 3)
    options = {"blocks": (1, 1, 1, 1), "width": width, "temporal_kernels": kernels}
    return Architecture(
        name, "resnet3d", 16, 4, train_crop=96, options={**options, "dropout": 0.2, "num_classes": 12}
    )


_TINY_COMPARED = (
    Architecture(
        "slow_tiny",
        "resnet3d",
        4,
        16,
        train_crop=96,
        options={"blocks": (1, 1, 1, 1), "width": 16, "dropout": 0.2, "num_classes": 12},
    ),
    _fast_tiny("fast_tiny", 8),
    replace(_TINY, name="slowfast_tiny_beta8", options={**_TINY.options, "beta_inv": 8}),
    _fast_tiny("fast_tiny_beta8", 2),
)

_SLOWFASTS = (
    _slowfast("slowfast_r50_4x16", 50, 4, 16, fusion_kernel=5),
    _slowfast("slowfast_r50_8x8", 50, 8, 8, fusion_kernel=7),
    _slowfast("slowfast_r50_16x8", 50, 16, 8, fusion_kernel=7),
    _slowfast("slowfast_r101_4x16", 101, 4, 16, fusion_kernel=5),
    _slowfast("slowfast_r101_8x8", 101, 8, 8, fusion_kernel=5),
    _slowfast("slowfast_r101_50_50_8x8", 101, 8, 8, fusion_kernel=5, **_R50_50_TEMPORAL),
    _slowfast("slowfast_r101_16x8", 101, 16, 8, fusion_kernel=5, **_R50_50_TEMPORAL),
    _slowfast("slowfast_nln_r50_4x16", 50, 4, 16, fusion_kernel=5, **_DOT_PRODUCT),
    _slowfast("slowfast_nln_r50_8x8", 50, 8, 8, fusion_kernel=5, **_DOT_PRODUCT),
    _slowfast(
        "slowfast_nln_r101_16x8",
        101,
        16,
        8,
        fusion_kernel=5,
        non_local=NonLocalPlan(_NON_LOCAL_R101, "dot_product"),
        **_R50_50_TEMPORAL,
    ),
    _TINY,
)

_AVA_NON_LOCAL = {"non_local": NonLocalPlan(_NON_LOCAL_R101, "dot_product", pool=(2, 2, 2))}

_DETECTORS = tuple(
    _detector(network)
    for network in (
        _slow(50, 4, 16),
        _slow(50, 8, 8),
        _slow(101, 8, 8),
        _slowfast("slowfast_r50_8x8", 50, 8, 8, fusion_kernel=7),
        *(
            replace(
                _slowfast(
                    f"slowfast_r101_{t}x8", 101, t, 8, fusion_kernel=5, **_R50_50_TEMPORAL, **_AVA_NON_LOCAL
                ),
                min_frames=8,  # two of the slow pathway, which the non-local blocks pool
            )
            for t in (8, 16)
        ),
        replace(_TINY, train_crop=128),
    )
)


def _x3d(name: str, frames: int, stride: int, crop: int, *, depth: float = 2.2) -> Architecture:
    """The sizes differ in clip and depth; all are as wide."""
    return Architecture(name, "x3d", frames, stride, crop, options={"depth": depth})


_X3DS = (
    _x3d("x3d_xs", 4, 12, 160),
    _x3d("x3d_s", 13, 6, 160),
    _x3d("x3d_m", 16, 5, 224),
    _x3d("x3d_l", 16, 5, 312, depth=5.0),
    # PyTorchVideo's Efficient-X3D is the same network; its files name the parameters differently.
    _x3d("efficient_x3d_xs", 4, 12, 160),
    _x3d("efficient_x3d_s", 13, 6, 160),
)

_MVIT_BLOCKS = {"t": (1, 2, 5, 2), "s": (1, 2, 11, 2), "b": (2, 3, 16, 3), "l": (2, 6, 36, 4)}
_MVIT_V2_L = {"width": 144, "num_heads": 2}
_MVIT_V2 = {"positions": "relative", "residual_pooling": True}
_MVIT_IMAGE = {"image": True, "kv_stride": 4, "num_classes": 1000, "dropout": 0.0}


def _mvit_v1(name: str, frames: int, stride: int, **options: Any) -> Architecture:
    is_image = options.get("image", False)
    return Architecture(f"mvit_v1_{name}", "mvit", frames, stride, options=options, is_image=is_image)


def _mvit_v2(size: str, clip: str = "", **options: Any) -> Architecture:
    """`clip` is frames x stride, perhaps with a word behind it; "" is a network for images."""
    frames, stride = (int(n) for n in clip.partition("_")[0].split("x")) if clip else (1, 1)
    given = {"blocks": _MVIT_BLOCKS[size], **_MVIT_V2, "widen_in_attention": True}
    larger = {
        **(_MVIT_V2_L if size == "l" else {}),
        **({} if clip else {**_MVIT_IMAGE, "class_token": False}),
    }
    name = f"mvit_v2_{size}_{clip}".rstrip("_")
    options = {**given, **larger, **options}
    return Architecture(name, "mvit", frames, stride, options=options, is_image=not clip)


# Fine-tuned after masked pre-training: v2, but widened in the MLP as v1; the head takes the mean of tokens.
_MASKFEAT = {"widen_in_attention": False, "mean_first": True, "dropout": 0.0}

_MVITS = (
    _mvit_v1("b_16x4", 16, 4, drop_path=0.2),
    _mvit_v1("b_32x3", 32, 3, drop_path=0.3),
    # PySlowFast's files from before August 2021 do not pool keys and values where they would not stride.
    _mvit_v1("b_32x3_2021", 32, 3, pool_unstrided=False, drop_path=0.3),
    # PySlowFast's config MVIT_B_32x3_CONV; no weights of it are published.
    _mvit_v1("b24_32x3", 32, 3, blocks=_MVIT_BLOCKS["b"], pool_side=None, drop_path=0.3),
    _mvit_v1("b", 1, 1, positions="joint", drop_path=0.1, **_MVIT_IMAGE),
    _mvit_v2("t", drop_path=0.1),
    _mvit_v2("s", drop_path=0.1),
    _mvit_v2("b", drop_path=0.3),
    _mvit_v2("l", drop_path=0.5, widen_in_attention=False),
    _mvit_v2("s", "16x4", drop_path=0.2),
    _mvit_v2("b", "32x3", drop_path=0.3),
    replace(_mvit_v2("l", "40x3", drop_path=0.75), train_crop=312),
    _mvit_v2("s", "16x4_maskfeat", drop_path=0.1, **_MASKFEAT),
    _mvit_v2("l", "16x4_maskfeat", drop_path=0.2, **_MASKFEAT),
)


def _vit(name: str, width: int, depth: int, num_heads: int, **options: Any) -> Architecture:
    options = {"width": width, "depth": depth, "num_heads": num_heads, **options}
    return Architecture(name, "vit", 16, 4, options=options)  # frames: see `models.vit.PATCH`


_VITS = (
    _vit("vit_b_16x4", 768, 12, 12),
    _vit("vit_l_16x4", 1024, 24, 16, drop_path=0.2),
    # For experiments: what masked pre-training is tried with on a CPU, see the recipe vit_tiny_maskfeat.
    replace(
        _vit("vit_tiny", 128, 4, 4, patch=(4, 8, 8), drop_path=0.0, dropout=0.0, num_classes=12),
        train_crop=64,
    ),
)

_REV_VIT = {"image": True, "patch": 16, "patch_stride": 16, "kv_stride": None, "blocks": (12,)}
_REV_IMAGE = {"num_classes": 1000, "dropout": 0.0}


def _reversible(name: str, frames: int, stride: int, **options: Any) -> Architecture:
    is_image = options.get("image", False)
    return Architecture(name, "reversible", frames, stride, options=options, is_image=is_image)


_REVERSIBLES = (
    _reversible("rev_vit_s", 1, 1, **_REV_VIT, width=384, num_heads=6, drop_path=0.1, **_REV_IMAGE),
    _reversible("rev_vit_b", 1, 1, **_REV_VIT, width=768, num_heads=12, drop_path=0.2, **_REV_IMAGE),
    _reversible("rev_mvit_b", 1, 1, image=True, kv_stride=4, fusion="mlp", drop_path=0.1, **_REV_IMAGE),
    _reversible("rev_mvit_b_16x4", 16, 4, qkv_bias=False),
)


def _resnet18(name: str, convolutions: tuple[str, ...]) -> Architecture:
    """16 frames at 15 per second. res3 to res5 halve the number of frames, unless they convolve in 2D."""
    min_frames = 2 ** sum(how != "2d" for how in convolutions[2:])
    options = {"convolutions": convolutions}
    return Architecture(name, "resnet18", 16, 2, train_crop=112, options=options, min_frames=min_frames)


_RESNET18S = (
    _resnet18("r3d_18", ("3d",) * 5),
    _resnet18("mc3_18", ("3d", "3d", "2d", "2d", "2d")),
    _resnet18("r2plus1d_18", ("2+1d",) * 5),
)

_S3DS = (Architecture("s3d", "s3d", 128, 2, min_frames=5),)

ARCHITECTURES: dict[str, Architecture] = {
    a.name: a
    for a in (
        *_RESNETS,
        *_SLOWFASTS,
        *_TINY_COMPARED,
        *_DETECTORS,
        *_X3DS,
        *_MVITS,
        *_VITS,
        *_REVERSIBLES,
        *_RESNET18S,
        *_S3DS,
    )
}


def architecture(name: str) -> Architecture:
    """Look up a network by name.

    Raises:
        UnknownModel: No such name; names the nearest one.
    """
    if name not in ARCHITECTURES:
        hint = did_you_mean(name, ARCHITECTURES)
        raise UnknownModel(f"no network is called {name!r}{hint} (`list_models()` names all)")
    return ARCHITECTURES[name]
