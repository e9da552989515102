"""Where a network finds a class: a map over the frames of a clip, from its own gradients.

Convolutional networks: LayerCAM of res3, res4 and res5, multiplied: the last stage knows the class and the
earlier ones the place. Each value is an activation times its positive gradient, at each time step, so that a
map moves with what it shows. Gradients are those of the logit: those of a softmax vanish for a sure answer.
Transformers: the clip times its gradient, added up over each patch, its positive part. In the backward pass
the scales of layer norms and the weights of attention are constants. So what the clip adds to the logit is
passed on from layer to layer, through shortcuts, values and the queries that MViTv2 adds alike, and does not
vanish where a norm has taken its size away.
Both take one forward pass, and a backward pass, convolutional networks through a part of them only.
Sources: Selvaraju et al. 2017, Grad-CAM (arXiv:1610.02391); Jiang et al. 2021, LayerCAM (IEEE TIP 30); Ali et
al. 2022, XAI for Transformers: Better Explanations through Conservative Propagation (arXiv:2202.07304).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.errors import UsageError
from twinpath.models.layers.attention import PooledAttention
from twinpath.models.layers.positions import Grid
from twinpath.models.network import VideoNetwork

Map = NDArray[np.float32]  # (T, H, W), 0 to 1
Logit = Callable[[Tensor], Tensor]  # runs the network on a clip; the logit to explain, a scalar

_STAGE = re.compile(r"(?:(?P<pathway>slow|fast)\.|pathway\.)?(?:res|stage)[345]")
WHOLE = "whole"  # the map of all pathways


def class_maps(network: VideoNetwork, clip: Tensor, logit: Logit) -> dict[str, Map]:
    """Where a network finds a class.

    Args:
        network: In evaluation mode.
        clip: (1, 3, T, H, W), normalised.
        logit: Runs the network on such a clip.
    Returns:
        "whole", and for a SlowFast also "slow" and "fast": each divided by its largest value; all zeros where
        nothing in the clip speaks for the class.
    Raises:
        UsageError: The network has no stages or blocks that could be followed.
    """
    size: Grid = (clip.shape[2], clip.shape[3], clip.shape[4])
    stages = [(name, module) for name, module in network.named_modules() if _STAGE.fullmatch(name)]
    blocks = getattr(network, "blocks", None)
    if stages:
        return _stage_maps(stages, clip, logit, size)
    if isinstance(blocks, nn.ModuleList):
        return {WHOLE: _scaled(_patch_map(network, clip, logit, size))}
    raise UsageError(f"a {type(network).__name__} has no maps of classes; take another network")


def _stage_maps(
    stages: list[tuple[str, nn.Module]], clip: Tensor, logit: Logit, size: Grid
) -> dict[str, Map]:
    maps: dict[str, Tensor] = {}
    with _recorded(stages) as outputs, torch.enable_grad():
        value = logit(clip)
    found = {name: outputs[name] for name, _ in stages}
    gradients: Sequence[Tensor | None] = torch.autograd.grad(value, list(found.values()), allow_unused=True)
    for (name, activation), gradient in zip(found.items(), gradients, strict=True):
        if gradient is None:  # a head that does not take it
            continue
        layer = (activation.detach() * gradient.relu()).sum(dim=1, keepdim=True).relu()
        pathway = _pathway_of(name)
        spread = _at_frames(layer.float(), size, reaches_ends=pathway == "slow")
        maps[pathway] = spread / spread.max().clamp(min=1e-12) * maps.get(pathway, torch.ones(()))
    if WHOLE not in maps:
        # Where either pathway sees something at each stage; the sum of products would favour neither.
        maps[WHOLE] = sum(part / part.max().clamp(min=1e-12) for part in maps.values())  # type: ignore[assignment]
    return {name: _scaled(part) for name, part in maps.items()}


def _at_frames(layer_11THW: Tensor, size: Grid, *, reaches_ends: bool) -> Tensor:
    """(T, H, W) a map at each pixel of the clip. The slow pathway's frames are the first, the last, and some
    between; other maps stand for equal parts of the clip."""
    t, *plane = size
    spread = F.interpolate(layer_11THW[0].transpose(0, 1), size=plane, mode="bilinear", align_corners=False)
    over_time = spread[:, 0].flatten(1).T[:, None]  # (H * W, 1, T')
    aligned = reaches_ends and over_time.shape[2] > 1
    return F.interpolate(over_time, size=t, mode="linear", align_corners=aligned)[:, 0].T.reshape(size)


def _pathway_of(name: str) -> str:
    found = _STAGE.fullmatch(name)
    assert found is not None
    return found["pathway"] or WHOLE


@contextmanager
def _recorded(stages: list[tuple[str, nn.Module]]) -> Iterator[dict[str, Tensor]]:
    """The outputs of modules in the next forward pass; gradients begin at the first of each pathway."""
    outputs: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        def record(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            if not output.requires_grad:
                output = output.detach().requires_grad_()
            outputs[name] = output
            return output

        return record

    with ExitStack() as stack:
        for name, module in stages:
            handle = module.register_forward_hook(hook(name))
            stack.callback(handle.remove)
        yield outputs


def _patch_map(network: VideoNetwork, clip: Tensor, logit: Logit, size: Grid) -> Tensor:
    """(T, H, W): what each patch adds, compared with a grey one."""
    patches = network.get_submodule("patches")
    assert isinstance(patches, nn.Conv3d)
    given = clip.detach().clone().requires_grad_()
    with _conserving(network), torch.enable_grad():
        (gradient,) = torch.autograd.grad(logit(given), [given])
    added = (clip * gradient).sum(dim=1, keepdim=True).float()
    of_patches = F.avg_pool3d(added, patches.stride).relu()
    return F.interpolate(of_patches, size=size, mode="trilinear", align_corners=False)[0, 0]


@contextmanager
def _conserving(network: nn.Module) -> Iterator[None]:
    """Backward passes take the scales of layer norms and the weights of attention for constants."""
    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, nn.LayerNorm):
                stack.enter_context(_replaced(module, "forward", partial(_normalised, module)))
            elif isinstance(module, PooledAttention):
                stack.enter_context(_replaced(module, "attended", partial(_attended, module)))
        yield


@contextmanager
def _replaced(module: nn.Module, name: str, function: Callable[..., Tensor]) -> Iterator[None]:
    """A method of one module; that of its class is hidden."""
    setattr(module, name, function)
    try:
        yield
    finally:
        delattr(module, name)


def _normalised(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    variance = x.detach().var(dim=-1, unbiased=False, keepdim=True)
    scaled = (x - x.mean(dim=-1, keepdim=True)) / (variance + norm.eps).sqrt()
    return scaled * norm.weight + norm.bias


def _attended(
    block: PooledAttention, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, **_: object
) -> Tensor:
    with torch.no_grad():
        products = q @ k.transpose(2, 3) * q.shape[3] ** -0.5
        weights = (products if bias is None else products + bias).softmax(dim=3)
    return block.projected(q, weights @ v)


def _scaled(spread: Tensor) -> Map:
    scaled: Map = (spread / spread.max().clamp(min=1e-12)).cpu().numpy().astype(np.float32)
    return scaled
