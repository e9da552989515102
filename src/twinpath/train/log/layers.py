"""Weights and activations of layers as histograms and pictures.

Weights of a kernel are a grid of small pictures, in colour where it takes colours. Activations are a film of
a grid of channels. Source: PySlowFast, visualization/utils.py, for what is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twinpath.errors import ConfigError
from twinpath.suggest import nearest_name

Array = NDArray[np.float32]

_MOST_TILES = 64
_LEAST_PX = 256  # side of a picture, at least; small ones are enlarged
_EMPTY = 0.5
# From low to high: dark blue, blue, white, orange, dark red; zero of weights is in the middle.
_COLOURS = np.array(
    [(14, 30, 66), (23, 100, 158), (244, 246, 249), (226, 120, 52), (96, 20, 12)], dtype=np.float32
)


def shown_layers(network: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """The layers to show.

    Args:
        network: That has them.
        names: Empty: the first layer of each pathway, which sees colours.
    Raises:
        ConfigError: There is no such module; names the nearest one.
    """
    modules = dict(network.named_modules())
    if not names:
        return {n: m for n, m in modules.items() if isinstance(m, nn.Conv3d) and m.in_channels == 3}
    for name in names:
        if name not in modules:
            near = nearest_name(name, list(modules), cutoff=0.0)
            raise ConfigError(f"log.layers: there is no module {name!r}; did you mean {near!r}?")
    return {name: modules[name] for name in names}


def weights_of(module: nn.Module) -> Array | None:
    """The weight of a layer; None: it has none of its own."""
    weight = getattr(module, "weight", None)
    return weight.detach().float().cpu().numpy() if isinstance(weight, Tensor) else None


@torch.no_grad()
def activations(network: nn.Module, layers: dict[str, nn.Module], clip: Tensor) -> dict[str, Array]:
    """What layers give for one clip, in evaluation mode. No random number is drawn.

    Args:
        network: Whose layers they are; its modes are as before.
        layers: By name.
        clip: (1, 3, T, H, W).
    Returns:
        By name, without the axis of the batch; of several outputs the first.
    """
    found: dict[str, Array] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            first = output if isinstance(output, Tensor) else next(iter(output))
            found[name] = first[0].float().cpu().numpy()

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in layers.items()]
    try:
        with evaluation_mode(network):
            network(clip)
    finally:
        for hook in hooks:
            hook.remove()
    return found


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Each module is in evaluation mode, and then in the mode that it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def weight_picture(weight: Array) -> NDArray[np.uint8]:
    """(H, W, 3) a weight of any shape as a picture, its largest values of both signs as the ends.

    A kernel of colours (O, 3, T, h, w) has a row of pictures over time for each of its outputs.
    """
    scaled = _EMPTY + weight / (2 * max(float(np.abs(weight).max(initial=0)), 1e-12))
    if weight.ndim == 5 and weight.shape[1] == 3:
        tiles = scaled[:_MOST_TILES].transpose(0, 2, 3, 4, 1)  # O, T, h, w, 3
        outputs, times = tiles.shape[:2]
        columns = times * max(1, round((outputs / times) ** 0.5))
        grid = _grid(tiles.reshape(outputs * times, *tiles.shape[2:]), columns)
        return _enlarged(np.rint(grid * 255).astype(np.uint8))
    return _enlarged(_coloured(_flat(scaled)))


def activation_film(values: Array) -> NDArray[np.uint8]:
    """(T, H, W, 3) activations over time, a grid of channels each; without an axis of time one picture.

    Args:
        values: (C, T, h, w), or of any other shape.
    """
    least, most = float(values.min(initial=0)), float(values.max(initial=0))
    scaled = (values - least) / max(most - least, 1e-12)
    if values.ndim != 4:
        return _enlarged(_coloured(_flat(scaled)))[None]
    tiles = scaled[:_MOST_TILES].transpose(1, 0, 2, 3)  # T, C, h, w
    columns = max(1, round(tiles.shape[1] ** 0.5))
    return np.stack([_enlarged(_coloured(_grid(at_once, columns))) for at_once in tiles])


def _flat(values: Array) -> Array:
    """(h, w) values of any number of axes: a square of one, a matrix of two, else a grid of the last two."""
    if values.ndim > 2 and values.shape[-1] * values.shape[-2] > 1:
        tiles = values.reshape(-1, *values.shape[-2:])[: _MOST_TILES * 4]
        return _grid(tiles, max(1, round(len(tiles) ** 0.5)))
    if values.ndim >= 2:
        return values.reshape(values.shape[0], -1)
    columns = max(1, round(values.size**0.5))
    return _grid(values.reshape(-1, 1, 1), columns)


def _grid(tiles: Array, columns: int) -> Array:
    """Pictures (N, h, w, …) in rows, with a gap of one pixel where they are larger than one."""
    gap = int(tiles.shape[1] > 1)
    rows = -(-len(tiles) // columns)
    height, width = tiles.shape[1] + gap, tiles.shape[2] + gap
    grid = np.full((rows * height - gap, columns * width - gap, *tiles.shape[3:]), _EMPTY, np.float32)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = row * height, column * width
        grid[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return grid


def _coloured(values: Array) -> NDArray[np.uint8]:
    """(h, w) values of 0 to 1 as colours."""
    place = np.clip(values, 0, 1) * (len(_COLOURS) - 1)
    low = np.minimum(place.astype(int), len(_COLOURS) - 2)
    share = (place - low)[..., None]
    colours: NDArray[np.uint8] = np.rint(_COLOURS[low] * (1 - share) + _COLOURS[low + 1] * share).astype(
        np.uint8
    )
    return colours


def _enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    times = max(1, -(-_LEAST_PX // max(picture.shape[:2])))
    large: NDArray[np.uint8] = picture.repeat(times, axis=0).repeat(times, axis=1)
    return large
