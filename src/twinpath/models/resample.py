"""Bilinear resize and crop as plain arrays: source pixels and weights. No torch.

A bilinear resize mixes two source rows and two source columns for each pixel. Rows and columns are
independent, so resize and crop of a picture of any size are two short lists, each of the first source, the
second source and the second's weight. Networks are exported with these lists as inputs: one graph takes
frames of every size, and computes only the pixels inside the crop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import LimitExceeded

MOST_ASPECT = 16  # longer over shorter side of a whole picture for a network: 256 x 4096 pixels, 2 GB


@dataclass(frozen=True, eq=False)
class Taps:
    """Sources along one side of K crops of S pixels.

    Attributes:
        first, second: (K, S) int64, of 0 … side - 1.
        weight: (K, S) float32, of the second; the first has the rest.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    weight: NDArray[np.float32]

    def taken(self) -> NDArray[np.int64]:
        """All sources once, in order."""
        return np.unique(np.concatenate([self.first.ravel(), self.second.ravel()]))

    def among(self, taken: NDArray[np.int64]) -> Taps:
        """The same, where only these sources are left."""
        return Taps(np.searchsorted(taken, self.first), np.searchsorted(taken, self.second), self.weight)


@dataclass(frozen=True, eq=False)
class CropPlan:
    """Sources of K crops of a picture."""

    rows: Taps
    columns: Taps

    def arrays(self) -> tuple[NDArray[np.int64] | NDArray[np.float32], ...]:
        """The six arrays in the order in which `Preprocess.crops` takes them."""
        rows, columns = self.rows, self.columns
        return rows.first, rows.second, rows.weight, columns.first, columns.second, columns.weight

    def cut_down(self, frames_THWC: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], CropPlan]:
        """Frames without the pixels that nothing is computed from, and the plan for these: the same result.

        So memory and time of the preprocessing depend on the network's input and not on the picture. Frames
        of which less than half would go stay as they are.

        Args:
            frames_THWC: (T, H, W, 3) of the size for which this plan was made.
        Returns:
            (T, rows, columns, 3) frames, and the plan for their size.
        """
        _, height, width, _ = frames_THWC.shape
        rows, columns = self.rows.taken(), self.columns.taken()
        if 2 * len(rows) * len(columns) > height * width:
            return frames_THWC, self
        smaller = np.empty((len(frames_THWC), len(rows), len(columns), 3), dtype=np.uint8)
        for frame, taken in zip(frames_THWC, smaller, strict=True):
            np.take(frame[rows], columns, axis=1, out=taken)
        return smaller, CropPlan(self.rows.among(rows), self.columns.among(columns))


@lru_cache(maxsize=64)
def crop_plan(
    height: int,
    width: int,
    *,
    short_side: int,
    crop: int | None,
    num_crops: int = 1,
    resize: tuple[int, int] | None = None,
) -> CropPlan:
    """Plan the crops of pictures of one size.

    Args:
        height, width: Of the picture, in pixels.
        short_side, crop, num_crops, resize: See `models.preprocess.Preprocess`. Without a crop the plan is of
            the whole resized picture.
    Raises:
        ValueError: Neither 1 nor 3 crops, or a crop that is larger than the resized picture.
        LimitExceeded: A whole picture of which one side is more than `MOST_ASPECT` times the other.
    """
    if crop is None:
        check_whole(height, width)
        scaled = scaled_size(height, width, short_side=short_side)
        return CropPlan(_taps(height, scaled[0], (0,), scaled[0]), _taps(width, scaled[1], (0,), scaled[1]))
    scaled, corners = crop_corners(
        height, width, short_side=short_side, crop=crop, num_crops=num_crops, resize=resize
    )
    tops, lefts = zip(*corners, strict=True)
    return CropPlan(_taps(height, scaled[0], tops, crop), _taps(width, scaled[1], lefts, crop))


def check_whole(height: int, width: int) -> None:
    """Check that pictures of a size in pixels may go through a network as a whole, resized to its short side.

    Raises:
        LimitExceeded: One side is more than `MOST_ASPECT` times the other: the long side would have 10,000s
            of pixels.
    """
    if max(height, width) > MOST_ASPECT * min(height, width):
        raise LimitExceeded(
            f"pictures of {width}x{height} cannot go through a network as a whole: one side may be at most "
            f"{MOST_ASPECT} times the other; crop the video"
        )


def crop_corners(
    height: int,
    width: int,
    *,
    short_side: int,
    crop: int,
    num_crops: int = 1,
    resize: tuple[int, int] | None = None,
) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """(scaled height, scaled width) and the (top, left) of each crop; arguments as for `crop_plan`."""
    if num_crops not in (1, 3):
        raise ValueError(f"1 or 3 spatial crops, not {num_crops}")
    if resize is not None:
        height, width = resize
        short_side = min(resize)
    scaled, three = spatial_crops(height, width, short_side=short_side, crop=crop)
    if num_crops == 3:
        return scaled, list(three)
    return scaled, [(round((scaled[0] - crop) / 2), round((scaled[1] - crop) / 2))]


def scaled_size(height: int, width: int, *, short_side: int) -> tuple[int, int]:
    """(height, width) of a picture whose shorter side becomes `short_side`, in pixels."""
    scaled, _ = spatial_crops(height, width, short_side=short_side, crop=short_side)
    return scaled


def scaled_boxes(
    boxes_xyxy_px: NDArray[np.floating], height: int, width: int, *, short_side: int
) -> NDArray[np.float32]:
    """Boxes in a picture to the same boxes in the resized picture.

    Args:
        boxes_xyxy_px: (N, 4) in pixels of the picture.
        height, width: Of the picture, in pixels.
        short_side: To which its shorter side is resized.
    Returns:
        (N, 4) in pixels, inside the resized picture.
    Source: PySlowFast, `scale_boxes` (one factor for both axes: that of the longer side) and
        `clip_boxes_to_image` (from 0 to its last pixel).
    """
    scaled = scaled_size(height, width, short_side=short_side)
    factor = scaled[0] / height if width < height else scaled[1] / width
    last = np.array([scaled[1] - 1, scaled[0] - 1] * 2)
    return np.clip(np.asarray(boxes_xyxy_px, dtype=np.float64) * factor, 0, last).astype(np.float32)


def _taps(side: int, scaled_side: int, starts: tuple[int, ...], crop: int) -> Taps:
    """Sources of `crop` pixels from each start on, of a side resized to `scaled_side`.

    In float32 and in this order of steps, as PyTorch computes them: another rounding at the border of a pixel
    would take another pixel.
    """
    scale = np.float32(side) / np.float32(scaled_side)
    targets = np.asarray(starts)[:, None] + np.arange(crop)
    at = np.maximum((targets.astype(np.float32) + np.float32(0.5)) * scale - np.float32(0.5), np.float32(0))
    first = np.minimum(np.floor(at).astype(np.int64), side - 1)
    return Taps(first, np.minimum(first + 1, side - 1), (at - first).astype(np.float32))


def spatial_crops(
    height: int, width: int, *, short_side: int, crop: int
) -> tuple[tuple[int, int], Sequence[tuple[int, int]]]:
    """The scaled size of a picture and the corners of its three test crops.

    Args:
        height: Of the picture, in pixels.
        width: Of the picture, in pixels.
        short_side: Length in pixels to which the shorter side is scaled.
        crop: Side of the square crop in pixels, at most `short_side`.
    Returns:
        (scaled height, scaled width) and the (top, left) of crops 0, 1 and 2: left, centre and right of a
        wide picture, top, centre and bottom of a tall one.
    Source: PySlowFast, `random_short_side_scale_jitter` and `uniform_crop`.
    """
    if height < 1 or width < 1 or not 1 <= crop <= short_side:
        raise ValueError(f"cannot take crops of {crop} from {height}x{width} scaled to {short_side}")
    if width < height:
        scaled = (math.floor(height / width * short_side), short_side)
    else:
        scaled = (short_side, math.floor(width / height * short_side))
    centre_y, centre_x = math.ceil((scaled[0] - crop) / 2), math.ceil((scaled[1] - crop) / 2)
    if scaled[0] > scaled[1]:
        return scaled, [(0, centre_x), (centre_y, centre_x), (scaled[0] - crop, centre_x)]
    return scaled, [(centre_y, 0), (centre_y, centre_x), (centre_y, scaled[1] - crop)]
