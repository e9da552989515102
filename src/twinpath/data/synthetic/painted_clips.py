"""Clips of the painted world for training: frames, what happens, who acts, when, and where the bodies are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinpath.data.synthetic.draw import Frames
from twinpath.data.synthetic.encounters import ENCOUNTERS
from twinpath.data.synthetic.figure import JOINT, Array
from twinpath.data.synthetic.paint import paint, resized
from twinpath.data.synthetic.stage import Stage, make_stage

#: Of the maps, in this order. Limbs also count as moving where they are fast.
BODY_PARTS = ("head", "hand", "foot", "hips", "anybody else", "moving hand", "moving foot", "moving body")
NUM_SIDES = 3  # the acting person is on the left, on the right, or there is none
NUM_MOMENTS = 5  # the quarter of the clip in which it happens, or it happens all the time
_FAST_PER_S = 0.45  # frame heights in a second from which a limb is moving

_JOINTS_OF = {
    "head": ("head",),
    "hand": ("hand_l", "hand_r"),
    "foot": ("ankle_l", "ankle_r"),
    "hips": ("pelvis",),
}


class PaintedClip(NamedTuple):
    """A clip and all that is known about it.

    Attributes:
        frames: (T, S, S, 3) uint8, RGB.
        label: Index into ENCOUNTERS.
        side: 0 to NUM_SIDES - 1, see `Stage.side`.
        moment: 0 to NUM_MOMENTS - 1, see `Stage.moment_of`.
        body_parts: (len(BODY_PARTS), T, g, g) bool, whether one is in a cell of the frame.
    """

    frames: Frames
    label: int
    side: int
    moment: int
    body_parts: NDArray[np.bool_]


@dataclass(frozen=True)
class PaintedClips:
    """A data set of clips of encounters, painted on access.

    Attributes:
        first_seed: Clip i is of the stage of seed `first_seed + i`.
        num_clips: Number of clips.
        num_frames: T, frames per clip.
        span_s: Duration of a clip in seconds.
        side_px: S, side of the frames.
        heights_px: Sides to paint at before frames are resized to S; one is chosen at random for each clip.
        cells: g, along a side of the maps of body parts.
    """

    first_seed: int
    num_clips: int
    num_frames: int
    span_s: float
    side_px: int = 96
    heights_px: tuple[int, ...] = (96, 128, 160)
    cells: int = 6

    num_classes = len(ENCOUNTERS)

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, i: int) -> PaintedClip:
        if not 0 <= i < self.num_clips:
            raise IndexError(i)
        seed = self.first_seed + i
        rng = np.random.default_rng([seed, 0xCA])
        stage = make_stage(seed, span_s=self.span_s)
        frames = paint(stage, self.num_frames, side_px=int(rng.choice(self.heights_px)))
        return PaintedClip(
            frames=resized(frames, self.side_px, smooth=bool(rng.random() < 0.5)),
            label=stage.index,
            side=stage.side(),
            moment=stage.moment_of(NUM_MOMENTS - 1),
            body_parts=body_parts(stage, self.num_frames, self.cells),
        )


def body_parts(stage: Stage, num_frames: int, cells: int) -> NDArray[np.bool_]:
    """(len(BODY_PARTS), T, cells, cells): where there is one, of the people that the clip is about."""
    t_s = stage.times_s(num_frames)
    maps = np.zeros((len(BODY_PARTS), num_frames, cells, cells), dtype=np.bool_)
    main = len(stage.groups[0].encounter.bodies)
    for i, (position, _, _) in enumerate(stage.project(stage.people(t_s), t_s)):
        if i >= main:
            _mark(maps[BODY_PARTS.index("anybody else")], position[:, JOINT["pelvis"]])
            continue
        speed = np.linalg.norm(np.gradient(position, t_s, axis=0), axis=-1) > _FAST_PER_S
        for part, names in _JOINTS_OF.items():
            for name in names:
                at, moves = position[:, JOINT[name]], speed[:, JOINT[name]]
                _mark(maps[BODY_PARTS.index(part)], at)
                moving = f"moving {'body' if part in ('head', 'hips') else part}"
                _mark(maps[BODY_PARTS.index(moving)], at, moves)
    return maps


def _mark(map_TGG: NDArray[np.bool_], at: Array, where: NDArray[np.bool_] | None = None) -> None:
    """Set the cells of positions (T, 2) in frame heights from the centre."""
    frames, cells = map_TGG.shape[:2]
    cell = np.floor((at + 0.5) * cells).astype(int)
    seen = ((cell >= 0) & (cell < cells)).all(axis=-1)
    seen = seen if where is None else seen & where
    map_TGG[np.arange(frames)[seen], cell[seen, 1], cell[seen, 0]] = True
