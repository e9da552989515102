"""How the stored pixels of a frame are turned and mirrored to be shown, as its file says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from twinpath.video.side_data import side_data

_MATRIX_SIZE = 9


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to show a picture without cutting it.

    Attributes:
        quarter_turns: Quarter turns counter-clockwise, 0 to 3, from stored to shown.
        is_mirrored: Whether left and right are exchanged before it is turned.
    """

    quarter_turns: int = 0
    is_mirrored: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Orientation:
        """The orientation of a decoded frame: its display matrix, or what its picture file says.

        As in FFmpeg's player, an angle between quarter turns counts as the nearest one.
        """
        if isinstance(frame.opaque, Orientation):  # see `frame_folder`
            return frame.opaque
        try:
            matrix = side_data(frame, Type.DISPLAYMATRIX)
        except ValueError:  # the angle alone is known
            return cls(round(frame.rotation / 90) % 4)
        if len(matrix) < 4 * _MATRIX_SIZE:
            return UPRIGHT
        return cls.of_matrix(*np.frombuffer(matrix, dtype=np.int32)[[0, 1, 3, 4]].tolist())

    @classmethod
    def of_matrix(cls, a: int, b: int, c: int, d: int) -> Orientation:
        """The orientation of a display matrix: x' = a x + c y and y' = b x + d y, with y downwards."""
        swaps_axes = abs(b) + abs(c) > abs(a) + abs(d)
        flips_x, flips_y = (c < 0, b < 0) if swaps_axes else (a < 0, d < 0)  # behind the exchange of x and y
        if not swaps_axes:
            return cls(2, not flips_x) if flips_y else cls(0, flips_x)
        return cls(3 if flips_x else 1, is_mirrored=flips_x == flips_y)  # an exchange alone mirrors

    @classmethod
    def of_exif(cls, value: int) -> Orientation:
        """The orientation of the number 1 to 8 that EXIF has for it; others are upright."""
        return _EXIF.get(value, UPRIGHT)

    @property
    def swaps_sides(self) -> bool:
        """Whether the width that is shown is the stored height."""
        return self.quarter_turns % 2 == 1

    def apply(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """A view of (H, W, 3) pixels as they are shown."""
        if self.is_mirrored:
            picture = picture[:, ::-1]
        return np.rot90(picture, self.quarter_turns) if self.quarter_turns else picture


UPRIGHT = Orientation()

_EXIF = {
    1: UPRIGHT,
    2: Orientation(0, is_mirrored=True),
    3: Orientation(2),
    4: Orientation(2, is_mirrored=True),
    5: Orientation(1, is_mirrored=True),
    6: Orientation(3),
    7: Orientation(3, is_mirrored=True),
    8: Orientation(1),
}
