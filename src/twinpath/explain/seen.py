"""What a network makes of a clip stage by stage, and the kernels with which it begins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from twinpath.models.network import VideoNetwork
from twinpath.models.slowfast import SlowFast
from twinpath.models.stages import parts_of, passed
from twinpath.models.x3d import X3DStem
from twinpath.results.seen import FirstKernels, StageMaps


def strongest_channels(
    network: VideoNetwork, run: Callable[[], object], *, most: int
) -> tuple[StageMaps, ...]:
    """The channels of each stage whose values differ most over the clip, by their standard deviation.

    Args:
        network: In evaluation mode.
        run: Runs it on one clip.
        most: Channels of each stage.
    """
    with passed(network) as outputs, torch.no_grad():
        run()
    stages = []
    for part in parts_of(network, outputs):
        if part.place == "lateral" or part.name == "head":
            continue
        name = [name for name in part.modules if name in outputs][-1]
        maps_CTHW = outputs[name].on_grid[0].float().cpu().numpy()
        order = np.argsort(-maps_CTHW.std(axis=(1, 2, 3)), kind="stable")[:most]
        channels = tuple(int(channel) for channel in order)
        stages.append(StageMaps(part.name, part.place, channels, len(maps_CTHW), maps_CTHW[order]))
    return tuple(stages)


def first_kernels(network: VideoNetwork) -> tuple[FirstKernels, ...]:
    """Of each pathway. X3D's kernels in space and then in time are multiplied: nothing lies between them."""
    pathways: list[tuple[str, nn.Module]] = [("", network)]
    if isinstance(network, SlowFast):
        pathways = [("slow", network.slow), ("fast", network.fast)]
    return tuple(FirstKernels(name, _kernels(pathway)) for name, pathway in pathways)


def _kernels(pathway: nn.Module) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    first = next(m for m in pathway.modules() if isinstance(m, nn.Conv3d))
    weight_C3THW: Tensor = first.weight.detach()
    for module in pathway.modules():
        if isinstance(module, X3DStem):
            weight_C3THW = weight_C3THW * module.conv_t.weight.detach()
    found = weight_C3THW.permute(0, 2, 3, 4, 1).float().cpu().numpy()
    return np.ascontiguousarray(found)
