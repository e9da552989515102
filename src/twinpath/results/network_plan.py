"""What a network is made of, as plain data. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = tuple[int, int, int, int]  # channels, frames, rows, columns
Place = Literal["", "slow", "fast", "lateral"]


@dataclass(frozen=True)
class NetworkStage:
    """One stage, or a lateral connection of a SlowFast.

    Attributes:
        name: "stem", "res3", "stage 2", "head"; of a lateral connection the stage of the fast pathway where
            it begins.
        place: The pathway; "lateral": from the fast one to the slow one; "": of a network with one pathway,
            and of the head.
        shape: Of what goes out, C, T, H, W; of transformers the channels and the grid of the tokens; None: of
            the head, scores.
        what: What it consists of, a few words each: "4 blocks", "over 3 frames".
        params: Parameters.
        multiply_adds: Of one clip.
    """

    name: str
    place: Place
    shape: Shape | None
    what: tuple[str, ...]
    params: int
    multiply_adds: int


@dataclass(frozen=True)
class NetworkPlan:
    """A network stage by stage, for one clip.

    Attributes:
        name: Of the network, the record or the model folder.
        num_frames, crop_px: Of the clip.
        slow_frames: Of the slow pathway of a SlowFast; None: there is one pathway.
        num_classes: Scores of the head.
        boxes: With which it is counted; 0: it scores whole clips.
        stages: In order: of a SlowFast the slow pathway, the fast one, lateral connections, the head.
    """

    name: str
    num_frames: int
    crop_px: int
    slow_frames: int | None
    num_classes: int
    boxes: int
    stages: tuple[NetworkStage, ...]

    @property
    def params(self) -> int:
        """Of the whole network."""
        return sum(stage.params for stage in self.stages)

    @property
    def gflops(self) -> float:
        """Multiply-adds of one clip in 1e9, as `models info` has them."""
        return round(sum(stage.multiply_adds for stage in self.stages) / 1e9, 4)
