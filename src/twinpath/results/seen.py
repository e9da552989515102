"""What a network makes of a clip inside, and its first kernels: plain data. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class StageMaps:
    """The channels of a stage that differ most over a clip.

    Attributes:
        name: Of the stage: "res3".
        pathway: "slow" or "fast"; "" of a network with one.
        channels: (K,) their numbers, the strongest first.
        of: How many the stage has.
        maps: (K, T, h, w) their values.
    """

    name: str
    pathway: str
    channels: tuple[int, ...]
    of: int
    maps: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FirstKernels:
    """The kernels with which a pathway begins.

    Attributes:
        pathway: "slow" or "fast"; "" of a network with one.
        kernels: (N, t, h, w, 3) of the red, green and blue of t frames.
    """

    pathway: str
    kernels: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SeenClip:
    """A clip and the maps of each stage.

    Attributes:
        frames: (T, h, w, 3) uint8, as the network takes them.
        stages: In order, the slow pathway's before the fast one's.
    """

    frames: NDArray[np.uint8]
    stages: tuple[StageMaps, ...]
