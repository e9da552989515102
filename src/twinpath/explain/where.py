"""Where a network finds a class: a map over the frames of a clip, from its own gradients.

Convolutional networks: LayerCAM of res3, res4 and res5, multiplied: the last stage knows the class and the
earlier ones the place. Each value is an activation times its positive gradient, at each time step, so that a
map moves with what it shows. Gradients are those of the logit: those of a softmax vanish for a sure answer.
Transformers: attention weighted by its gradient, followed from the head back to the tokens through pooled
queries and keys.
Both take one forward pass, and a backward pass of a part of the network.
Sources: Selvaraju et al. 2017, Grad-CAM (arXiv:1610.02391); Jiang et al. 2021, LayerCAM (IEEE TIP 30); Chefer
et al. 2021, Generic Attention-model Explainability (arXiv:2103.15679).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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
Logit = Callable[[], Tensor]  # runs the network; the logit to explain, a scalar

_STAGE = re.compile(r"(?:(?P<pathway>slow|fast)\.|pathway\.)?(?:res|stage)[345]")
WHOLE = "whole"  # the map of all pathways


def class_maps(network: VideoNetwork, logit: Logit, size: Grid) -> dict[str, Map]:
    """Where a network finds a class.

    Args:
        network: In evaluation mode.
        logit: Runs it on one clip.
        size: (T, H, W) of that clip.
    Returns:
        "whole", and for a SlowFast also "slow" and "fast": each divided by its largest value; all zeros where
        nothing in the clip speaks for the class.
    Raises:
        UsageError: The network has no stages or attention that could be followed.
    """
    stages = [(name, module) for name, module in network.named_modules() if _STAGE.fullmatch(name)]
    blocks = [module for module in network.modules() if isinstance(module, PooledAttention)]
    if stages:
        return _stage_maps(stages, logit, size)
    if blocks:
        return {WHOLE: _scaled(_token_map(blocks, logit, size))}
    raise UsageError(f"a {type(network).__name__} has no maps of classes; take another network")


def _stage_maps(stages: list[tuple[str, nn.Module]], logit: Logit, size: Grid) -> dict[str, Map]:
    maps: dict[str, Tensor] = {}
    with _recorded(stages) as outputs, torch.enable_grad():
        value = logit()
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


@dataclass
class _Attended:
    """What happened in one attention.

    Attributes:
        weights: (1, heads, N, M) of the keys.
        grids: Of the tokens that came in, of the queries and of the keys.
        first: Number of class tokens.
    """

    weights: Tensor
    grids: tuple[Grid, Grid, Grid]
    first: int


def _token_map(blocks: list[PooledAttention], logit: Logit, size: Grid) -> Tensor:
    """(T, H, W): what the head's embedding takes from each position."""
    with _attention_recorded(blocks) as layers, torch.enable_grad():
        value = logit()
    gradients = torch.autograd.grad(value, [layer.weights for layer in layers])
    last = layers[-1]
    count = int(np.prod(last.grids[1]))
    # The head takes the class token, or the mean of the others; both may hold what matters.
    row = torch.full((last.first + count,), 1.0 / (last.first + count))
    for layer, gradient in zip(reversed(layers), reversed(gradients), strict=True):
        attention = (layer.weights.detach() * gradient).relu().mean(dim=1)[0].float()  # (N, M)
        from_keys = _spread(row @ attention, layer.grids[2], layer.grids[0], layer.first)
        stays = _spread(row, layer.grids[1], layer.grids[0], layer.first)
        row = stays + from_keys / attention.sum().clamp(min=1e-12) * len(row)
        row = row / row.sum().clamp(min=1e-12)
    start = layers[0]
    spatial = row[start.first :].reshape(1, 1, *start.grids[0])
    return F.interpolate(spatial, size=size, mode="trilinear", align_corners=False)[0, 0]


def _spread(row: Tensor, grid: Grid, to: Grid, first: int) -> Tensor:
    """Relevance of tokens on one grid to those of a finer one; class tokens stay."""
    if grid == to:
        return row
    fine = F.interpolate(row[first:].reshape(1, 1, *grid), size=to, mode="nearest").flatten()
    share = float(np.prod(grid)) / float(np.prod(to))
    return torch.cat([row[:first], fine * share])


@contextmanager
def _attention_recorded(blocks: list[PooledAttention]) -> Iterator[list[_Attended]]:
    """What attends to what in the next forward pass, in order."""
    layers: list[_Attended] = []
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(_one_recorded(block, layers))
        yield layers


@contextmanager
def _one_recorded(block: PooledAttention, layers: list[_Attended]) -> Iterator[None]:
    key_grids: list[Grid] = []
    weights: list[Tensor] = []

    def attended(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, **_: Any) -> Tensor:
        products = q @ k.transpose(2, 3) * q.shape[3] ** -0.5
        weights.append((products if bias is None else products + bias).softmax(dim=3))
        if not weights[-1].requires_grad:
            weights[-1].requires_grad_()
        return block.projected(q, weights[-1] @ v)

    def after(_module: nn.Module, inputs: Any, output: Any) -> None:
        keys = key_grids.pop() if key_grids else inputs[1]
        found = weights.pop()
        first = found.shape[2] - int(np.prod(output[1]))  # a ViT pools nothing, and need not say it has one
        layers.append(_Attended(found, (inputs[1], output[1], keys), first))

    handles = [block.register_forward_hook(after)]
    if block.pool_k is not None:
        handles.append(block.pool_k.register_forward_hook(lambda _m, _i, out: key_grids.append(out[1])))
    setattr(block, "attended", attended)  # noqa: B010 - hides the method of the class
    try:
        yield
    finally:
        del block.__dict__["attended"]
        for handle in handles:
            handle.remove()


def _scaled(spread: Tensor) -> Map:
    scaled: Map = (spread / spread.max().clamp(min=1e-12)).cpu().numpy().astype(np.float32)
    return scaled
