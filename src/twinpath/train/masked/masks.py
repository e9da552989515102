"""Which tokens of a clip are hidden.

    masks = TokenMasks("random", 0.9, (8, 14, 14))
    masks.draw(4, rng)                      # (4, 8, 14, 14) bool, True: hidden

Each mask of a kind hides exactly as many tokens as the next, so that a batch of visible ones is a tensor.
Source: PySlowFast, models/masked.py, datasets/kinetics.py and transform.py; for blocks Bao et al. 2021, BEiT
(arXiv:2106.08254), algorithm 1, in three dimensions by Wei et al. 2022, MaskFeat (arXiv:2112.09133).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import ConfigError
from twinpath.models.layers.positions import Grid
from twinpath.train.sections import MaskShape

Mask = NDArray[np.bool_]

_TRIES = 100  # for a block that hides something new
_LEAST_OF_PLANE = 5  # a block hides at least a fifth of a plane …
_FLATTEST = 0.3  # … and its height over width is from this to its inverse
_ROUNDING = 1e-6  # 0.1 of 1000 tokens are 100, and not 99.99999


@dataclass(frozen=True)
class TokenMasks:
    """A distribution of masks.

    Attributes:
        shape: "random": any tokens; "tube": any places of a frame, the same in all frames; "cube": blocks of
            tokens, as long, high and wide as they are drawn, until the number is reached.
        ratio: Share of the tokens that are hidden.
        grid: Tokens in time, height and width.
    Raises:
        ConfigError: No token would be hidden, or none would be left.
    """

    shape: MaskShape
    ratio: float
    grid: Grid

    def __post_init__(self) -> None:
        if not 0 < self.num_hidden < math.prod(self.grid):
            raise ConfigError(
                f"mask.ratio: {self.ratio:g} of {math.prod(self.grid)} tokens hides all or none"
            )

    @property
    def num_hidden(self) -> int:
        """Of each clip. Of random ones the visible are rounded down, of blocks the hidden to the nearest."""
        frames, rows, columns = self.grid
        if self.shape == "cube":
            return round(math.prod(self.grid) * self.ratio)
        if self.shape == "tube":
            return frames * _hidden(rows * columns, self.ratio)
        return _hidden(math.prod(self.grid), self.ratio)

    def draw(self, count: int, rng: np.random.Generator) -> Mask:
        """Masks of clips: (count, T, H, W), True where a token is hidden."""
        if not count:
            return np.zeros((0, *self.grid), dtype=np.bool_)
        return np.stack([self._one(rng) for _ in range(count)])

    def _one(self, rng: np.random.Generator) -> Mask:
        if self.shape == "cube":
            return _blocks(self.grid, self.num_hidden, rng)
        if self.shape == "tube":
            frame = _any((1, *self.grid[1:]), self.num_hidden // self.grid[0], rng)
            return np.repeat(frame, self.grid[0], axis=0)
        return _any(self.grid, self.num_hidden, rng)


def _hidden(num_tokens: int, ratio: float) -> int:
    return num_tokens - math.floor(num_tokens * (1 - ratio) + _ROUNDING)


def _any(grid: Grid, num_hidden: int, rng: np.random.Generator) -> Mask:
    mask = np.zeros(math.prod(grid), dtype=np.bool_)
    mask[rng.permutation(mask.size)[:num_hidden]] = True
    return mask.reshape(grid)


def _blocks(grid: Grid, num_hidden: int, rng: np.random.Generator) -> Mask:
    """Blocks until the number is reached.

    Where no block of 100 fits what is left, single tokens make up the number [better]; upstream hides fewer
    then.
    """
    mask = np.zeros(grid, dtype=np.bool_)
    left = num_hidden
    while left:
        added = _add_block(mask, left, rng)
        if not added:
            free = np.flatnonzero(~mask)
            mask.reshape(-1)[rng.choice(free, size=left, replace=False)] = True
            break
        left -= added
    return mask


def _add_block(mask: Mask, most: int, rng: np.random.Generator) -> int:
    """Hide one more block, which hides at most so many tokens anew; returns how many, 0 if none was found."""
    frames, rows, columns = mask.shape
    plane = rows * columns
    for _ in range(_TRIES):
        area = rng.uniform(plane // _LEAST_OF_PLANE, plane)
        aspect = math.exp(rng.uniform(math.log(_FLATTEST), -math.log(_FLATTEST)))
        length = int(rng.integers(1, frames, endpoint=True))
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if not (0 < height < rows and 0 < width < columns):
            continue
        top = int(rng.integers(0, rows - height, endpoint=True))
        left = int(rng.integers(0, columns - width, endpoint=True))
        front = int(rng.integers(0, frames - length, endpoint=True))
        block = mask[front : front + length, top : top + height, left : left + width]
        added = block.size - int(block.sum())
        if 0 < added <= most:
            block[:] = True
            return added
    return 0
