"""What every machine that runs networks can do, and what a caller may ask for. No torch.

frames uint8 (N, T, H, W, 3) in, scores (N * crops, classes) out; frames of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Clips = Sequence[NDArray[np.uint8]]  # (T, H, W, 3) each, RGB
Boxes = NDArray[np.floating]


class Engine(Protocol):
    """A network with its preprocessing on some device."""

    name: str
    batch_clips: int  # clips that are best given at once

    @property
    def num_classes(self) -> int:
        """Logits of the network."""
        ...

    def __call__(self, clips_NTHWC: Clips) -> NDArray[np.float32]:
        """Scores (N * num_crops, classes) float32, or embeddings, of clips of one size; crops in a row."""
        ...

    def with_crops(self, num_crops: int) -> Engine:
        """The same network on 1 or 3 crops of each clip in space."""
        ...

    def warm_up(self, height: int, width: int) -> None:
        """Run once on nothing, so that the first clip of that size does not pay for it."""
        ...

    def describe(self) -> str:
        """For people: machine, version, device, precision."""
        ...


class BoxEngine(Protocol):
    """A detection network with its preprocessing on some device: what the people in boxes do."""

    name: str
    batch_clips: int  # clips that are best given at once

    @property
    def num_classes(self) -> int:
        """Actions that are scored."""
        ...

    def __call__(self, clips_NTHWC: Clips, boxes_xyxy_px: Sequence[Boxes]) -> list[NDArray[np.float32]]:
        """N clips, of any sizes, and each's boxes (P, 4) in pixels of its frames, to N times (P, classes)."""
        ...

    def describe(self) -> str:
        """For people: machine, version, device, precision."""
        ...
