"""Every network in a narrow form and for small clips, all its parts being there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from twinpath.models.network import VideoNetwork
from twinpath.models.registry import ARCHITECTURES, architecture

CROP = 64
MAX_FRAMES = 8
BLOCKS = (2, 2, 2, 2)


def narrow(name: str) -> dict[str, Any]:
    """Options of the same network with few channels and few blocks. Every kind of its blocks is there."""
    given = architecture(name).options
    match architecture(name).family:
        case "resnet3d" | "slowfast" | "slow_det" | "slowfast_det":
            options = {"blocks": BLOCKS, "width": 16}
            if "temporal_blocks" in given:
                options["temporal_blocks"] = (2, 2, 1, 2)
            if "non_local" in given:
                options["non_local"] = replace(given["non_local"], after=((), (1,), (0, 1), ()))
        case "x3d":
            options = {"width": 1.0, "depth": 0.5}
        case "mvit" | "reversible":
            stages = len(given.get("blocks", BLOCKS))
            options = {
                "blocks": (1, 1, 2, 1)[:stages] if stages > 1 else (2,),
                "width": 16 * given.get("num_heads", 1),
            }
        case "vit":
            options = {"depth": 2, "width": 16 * given["num_heads"]}
        case "resnet18":
            options = {"width": 16}
        case _:
            options = {}
    return options


def small(name: str, num_classes: int, **options: Any) -> VideoNetwork:
    """The network for a small clip; all its parts are there."""
    network = architecture(name)
    num_frames = min(network.num_frames, MAX_FRAMES)
    torch.manual_seed(0)
    made = network.build(num_classes=num_classes, num_frames=num_frames, crop=CROP, **options)
    assert isinstance(made, VideoNetwork)
    return made


def same_when_narrow() -> dict[str, list[str]]:
    """Names of networks by what is built of them; R50 and R101 of the same clip are one, for example."""
    found: dict[str, list[str]] = {}
    for name, network in ARCHITECTURES.items():
        options = {**network.options, "num_frames": min(network.num_frames, MAX_FRAMES), **narrow(name)}
        found.setdefault(f"{network.family} {sorted(options.items())}", []).append(name)
    return found
