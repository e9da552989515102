"""Every architecture by name. Plain data: listing it imports no torch; building one imports its family.

A name says family, depth, and frames x stride of the slow pathway: `slowfast_r50_8x8`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twinpath.errors import UnknownModel

if TYPE_CHECKING:
    from torch import nn

_BLOCKS: dict[int, tuple[int, ...]] = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_FAMILIES = {
    "slow": ("twinpath.models.resnet3d", "ResNet3D"),
    "fast": ("twinpath.models.resnet3d", "ResNet3D"),
    "slowfast": ("twinpath.models.slowfast", "SlowFast"),
}


@dataclass(frozen=True)
class Architecture:
    """A network and the clip that it was made for.

    Attributes:
        name: As in `create_model(name)`.
        family: Which file and class build it.
        num_frames: T that the network takes.
        sampling_rate: Frames of a 30 fps video for one of the clip.
        train_crop: Side of the training crop in pixels.
        options: Keyword arguments of the class.
    """

    name: str
    family: str
    num_frames: int
    sampling_rate: int
    train_crop: int = 224
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(self, **overrides: Any) -> nn.Module:
        """Make the network with new weights; `overrides` replace single options."""
        module, cls = _FAMILIES[self.family]
        options = {"num_frames": self.num_frames, "pool_hw": self.train_crop // 32}
        made: nn.Module = getattr(importlib.import_module(module), cls)(
            **{**options, **self.options, **overrides}
        )
        return made


def _slow(depth: int, frames: int, stride: int) -> Architecture:
    name = f"slow_r{depth}_{frames}x{stride}"
    return Architecture(name, "slow", frames, stride, options={"blocks": _BLOCKS[depth]})


def _slowfast(name: str, depth: int, slow_frames: int, stride: int, **options: Any) -> Architecture:
    """The fast pathway of every published SlowFast sees each second frame: alpha is stride / 2."""
    alpha = stride // 2
    return Architecture(
        name,
        "slowfast",
        slow_frames * alpha,
        2,
        options={"blocks": _BLOCKS[depth], "alpha": alpha, **options},
    )


_R50_50_TEMPORAL = {"temporal_blocks": _BLOCKS[50]}

ARCHITECTURES: dict[str, Architecture] = {
    a.name: a
    for a in (
        *(_slow(depth, *clip) for depth in (50, 101) for clip in ((4, 16), (8, 8), (16, 8))),
        Architecture(
            "fast_r50_8x8",
            "fast",
            32,
            2,
            options={"blocks": _BLOCKS[50], "width": 8, "temporal_kernels": (5, 3, 3, 3, 3)},
        ),
        _slowfast("slowfast_r50_4x16", 50, 4, 16, fusion_kernel=5),
        _slowfast("slowfast_r50_8x8", 50, 8, 8, fusion_kernel=7),
        _slowfast("slowfast_r50_16x8", 50, 16, 8, fusion_kernel=7),
        _slowfast("slowfast_r101_4x16", 101, 4, 16, fusion_kernel=5),
        _slowfast("slowfast_r101_8x8", 101, 8, 8, fusion_kernel=5),
        _slowfast("slowfast_r101_50_50_8x8", 101, 8, 8, fusion_kernel=5, **_R50_50_TEMPORAL),
        _slowfast("slowfast_r101_16x8", 101, 16, 8, fusion_kernel=5, **_R50_50_TEMPORAL),
        # The embedded model: the same code, one block a stage, narrow; see train/recipes.
        Architecture(
            "slowfast_tiny",
            "slowfast",
            16,
            4,
            train_crop=96,
            options={
                "blocks": (1, 1, 1, 1),
                "width": 16,
                "beta_inv": 2,
                "fusion_kernel": 5,
                "dropout": 0.2,
                "num_classes": 12,
            },
        ),
    )
}


def architecture(name: str) -> Architecture:
    """Look a network up.

    Raises:
        UnknownModel: No such name; says the nearest one.
    """
    if name not in ARCHITECTURES:
        near = difflib.get_close_matches(name, ARCHITECTURES, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UnknownModel(f"no network is called {name!r}{hint} (`twinpath models list` shows all)")
    return ARCHITECTURES[name]
