"""The people in one picture, and what each of them does at a keyframe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]


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


@dataclass(frozen=True)
class Keyframe:
    """One keyframe, looked at.

    Attributes:
        time_s: Since the video's first picture.
        people: Who is there.
        numbers: (N,) of their tracks.
        scores: (N, C) of their actions.
    """

    time_s: float
    people: People
    numbers: NDArray[np.int64]
    scores: Scores
