"""What finds people in pictures and follows them, behind one small protocol each. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (H, W, 3) RGB, as displayed


@dataclass(frozen=True, eq=False)
class People:
    """The people in one picture.

    Attributes:
        boxes_xyxy_px: (N, 4) float32, in pixels of the picture as displayed, inside it.
        scores: (N,) float32, how sure the detector is of each, 0 to 1.
        numbers: (N,) who each is, from 1, where the detector knows: then nobody need be followed.
    """

    boxes_xyxy_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    numbers: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def nobody(cls) -> People:
        """An empty picture's."""
        return cls(np.zeros((0, 4), dtype=np.float32), np.zeros(0, dtype=np.float32))


class PersonDetector(Protocol):
    """Finds people in the pictures of one video, given in order of time. Make one for each video."""

    name: str  # for people, with version or model
    batch_pictures: int  # that are best given at once

    def __call__(self, pictures: Sequence[Picture], times_s: Sequence[float]) -> list[People]:
        """The people of each picture; `times_s` are seconds since the video's first picture."""
        ...


class Tracker(Protocol):
    """Tells which boxes of successive pictures are one person. Make one for each video."""

    name: str

    def update(self, people: People, time_s: float) -> NDArray[np.int64]:
        """(N,) the number of each person's track, from 1; a number is never used for another person."""
        ...
