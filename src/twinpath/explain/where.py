"""Where a network finds a class: a map over the frames of a clip, from its own gradients.

Convolutional networks: LayerCAM of res3, res4 and res5, multiplied: the last stage knows the class and the
earlier ones the place. Each value is an activation times its positive gradient, at each time step, so that a
map moves with what it shows. Gradients are those of the logit: those of a softmax vanish for a sure answer.
Transformers: what each token adds to the logit, compared with the same token of a grey clip: their difference
times the gradient, its positive part, added up over the inputs of all blocks. Attention weighted by its
gradient, which others follow from layer to layer, misses what tokens add on other ways: through shortcuts,
and in MViTv2 through the queries that are added to the output of attention.
Both take a forward and a backward pass, convolutional networks the latter through a part of them only;
transformers take another forward pass.
Sources: Selvaraju et al. 2017, Grad-CAM (arXiv:1610.02391); Jiang et al. 2021, LayerCAM (IEEE TIP 30);
Shrikumar et al. 2017, DeepLIFT (arXiv:1704.02685), for differences from a reference; Chefer et al. 2021,
Generic Attention-model Explainability (arXiv:2103.15679), for the way of attention.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.errors import UsageError
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
        return {WHOLE: _scaled(_token_map(list(blocks), clip, logit, size))}
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


class _Tokens(NamedTuple):
    """Tokens (1, N, C) that come into a block, class tokens first, of all its streams; and their grid."""

    streams: tuple[Tensor, ...]
    grid: Grid


def _token_map(blocks: list[nn.Module], clip: Tensor, logit: Logit, size: Grid) -> Tensor:
    """(T, H, W): what the tokens add, at each position."""
    with _tokens_recorded(blocks) as grey, torch.no_grad():
        logit(torch.zeros_like(clip))
    with _tokens_recorded(blocks) as inputs, torch.enable_grad():
        value = logit(clip)
    streams = [x for tokens in inputs for x in tokens.streams]
    gradients = iter(torch.autograd.grad(value, streams, allow_unused=True))
    added: dict[Grid, Tensor] = {}
    for tokens, reference in zip(inputs, grey, strict=True):
        count = tokens.grid[0] * tokens.grid[1] * tokens.grid[2]
        row_N = torch.zeros(count)
        for x, x_grey in zip(tokens.streams, reference.streams, strict=True):
            gradient = next(gradients)
            if gradient is not None:
                row_N += ((x.detach() - x_grey) * gradient)[0, -count:].sum(dim=1).float().cpu()
        added[tokens.grid] = added.get(tokens.grid, torch.zeros(count)) + row_N.relu()
    spread = torch.zeros(size)
    for grid, row_N in added.items():
        map_THW = row_N.reshape(1, 1, *grid)
        spread += F.interpolate(map_THW, size=size, mode="trilinear", align_corners=False)[0, 0]
    return spread


@contextmanager
def _tokens_recorded(blocks: list[nn.Module]) -> Iterator[list[_Tokens]]:
    """What comes into blocks in the next pass; gradients begin at the first one."""
    inputs: list[_Tokens] = []

    def record(_module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        *streams, grid = given
        if torch.is_grad_enabled():
            streams = [x if x.requires_grad else x.detach().requires_grad_() for x in streams]
        inputs.append(_Tokens(tuple(streams), grid))
        return (*streams, grid)

    with ExitStack() as stack:
        for block in blocks:
            stack.callback(block.register_forward_pre_hook(record).remove)
        yield inputs


def _scaled(spread: Tensor) -> Map:
    scaled: Map = (spread / spread.max().clamp(min=1e-12)).cpu().numpy().astype(np.float32)
    return scaled
