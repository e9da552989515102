"""Bilinear resize and crop of frames to what a network takes, in NumPy. No torch.

    resize = Resize(short_side_px=256, crop_px=256)
    resize.of_clip(frames_THWC).pixels          # (T, 1, 256, 256, 3) float32, values 0 to 255

A bilinear resize mixes two source rows and two source columns for each pixel. Rows and columns are
independent, so resize and crop of a picture are two short lists, each of the first source, the second source
and the second's weight. Only pixels inside the crop are computed. The results are those of PyTorch's
`interpolate(mode="bilinear", align_corners=False)`, which the references use; nothing is rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike, NDArray

from twinpath.errors import LimitExceeded

MOST_ASPECT = 16  # longer over shorter side of a whole picture for a network: 256 x 4096 pixels, 2 GB
_COLUMNS_FIRST = 1.7  # rows before columns up to this ratio of pixels: measured from 240x320 to 2160x3840

Picture = NDArray[np.uint8]  # (H, W, 3), RGB
Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Resize:
    """What a network takes of each frame.

    Attributes:
        short_side_px: To which the shorter side is resized; the proportions stay.
        crop_px: Side of the square crops, at most `short_side_px`; None: the whole resized frame.
        num_crops: 1 takes the centre; 3 takes left, centre and right (or top, centre, bottom).
        resize_px: (height, width) to which frames are resized in place of the short side, whatever their
            proportions.
        keep_middle: Whether a clip also has the whole picture of its middle frame.
    Raises:
        ValueError: Neither 1 nor 3 crops, or several crops of whole frames.
    """

    short_side_px: int
    crop_px: int | None
    num_crops: int = 1
    resize_px: tuple[int, int] | None = None
    keep_middle: bool = False

    def __post_init__(self) -> None:
        if self.num_crops not in (1, 3) or (self.crop_px is None and self.num_crops != 1):
            raise ValueError(f"1 or 3 spatial crops, not {self.num_crops}")

    def plan(self, height: int, width: int) -> CropPlan:
        """How it is done for pictures of one size.

        Raises:
            ValueError: The crop is larger than the resized picture.
            LimitExceeded: See `check_whole`; without a crop only.
        """
        return _plan(self, height, width)

    def of_clip(self, frames_THWC: NDArray[np.uint8]) -> ResizedFrames:
        """Frames of a clip. Raises as `plan`."""
        _, height, width, _ = frames_THWC.shape
        plan = self.plan(height, width)
        pixels = np.empty((len(frames_THWC), *plan.shape), dtype=np.float32)
        for frame, resized in zip(frames_THWC, pixels, strict=True):
            plan.apply(frame, resized)
        return ResizedFrames(pixels, height, width)


@dataclass(frozen=True, eq=False)
class ResizedFrames:
    """The frames of one clip as a network takes them.

    Attributes:
        pixels: (T, K, h, w, 3) RGB, 0 to 255: K crops of each of T frames. Of a reduction other than `Resize`
            in its type.
        height_px, width_px: Of the picture before.
    """

    pixels: Pixels
    height_px: int
    width_px: int

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.pixels.nbytes

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.pixels)


@dataclass(frozen=True, eq=False)
class Taps:
    """Sources along one side of a crop of S pixels.

    Attributes:
        first, second: (S,) int64, of 0 … side - 1.
        weight: (S,) float32, of the second; the first has the rest.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    weight: NDArray[np.float32]

    @property
    def span(self) -> slice:
        """From the first source to the last one."""
        return slice(int(self.first.min()), int(self.second.max()) + 1)

    @property
    def is_copy(self) -> bool:
        """Whether every pixel is a source: nothing is mixed."""
        return not self.weight.any()

    def among(self, sources: NDArray[np.int64]) -> Taps:
        """The same, where only these sources are left, in order."""
        return Taps(np.searchsorted(sources, self.first), np.searchsorted(sources, self.second), self.weight)

    def by_channel(self) -> Taps:
        """The same for rows of interleaved RGB values."""
        channels = np.arange(3)
        return Taps(
            (self.first[:, None] * 3 + channels).ravel(),
            (self.second[:, None] * 3 + channels).ravel(),
            np.repeat(self.weight, 3),
        )


class Crop:
    """One crop of pictures of one size: the cheaper order of rows and columns, chosen once.

    Args:
        rows, columns: The sources.
    """

    def __init__(self, rows: Taps, columns: Taps) -> None:
        self.shape = (len(rows.first), len(columns.first), 3)
        taken = np.unique(np.concatenate([rows.first, rows.second]))
        span = columns.span
        rows_cost = len(rows.first) * (span.stop - span.start)
        self._rows_first = rows_cost <= _COLUMNS_FIRST * len(taken) * len(columns.first)
        self._taken = taken
        if self._rows_first:
            self._rows = rows
            first = columns.first - span.start, columns.second - span.start
            self._columns = Taps(*first, columns.weight).by_channel()
            self._values = slice(3 * span.start, 3 * span.stop)
        else:
            self._rows, self._columns = rows.among(taken), columns.by_channel()
        self._row_weight = self._rows.weight[:, None]
        self._copies_rows, self._copies_columns = rows.is_copy, columns.is_copy

    def apply(self, picture: Picture, out: Pixels) -> None:
        """Write the crop of a picture to (h, w, 3) float32 pixels."""
        values = np.ascontiguousarray(picture).reshape(len(picture), -1)
        height, width, _ = self.shape
        flat = out.reshape(height, 3 * width)
        if self._rows_first:
            self._mix_columns(self._mix_rows(values[:, self._values]), flat)
        else:
            columns = np.empty((len(self._taken), 3 * width), dtype=np.float32)
            self._mix_columns(values[self._taken], columns)
            self._mix_rows(columns, flat)

    def _mix_rows(self, values: NDArray[np.uint8] | Pixels, out: Pixels | None = None) -> Pixels:
        """The rows of the crop, (h, …), of source rows."""
        first = values[self._rows.first]
        if self._copies_rows:
            mixed: Pixels = first.astype(np.float32, copy=False)
            if out is not None:
                out[:] = mixed
            return mixed
        second = values[self._rows.second]
        return _mixed(first, second, self._row_weight, out)

    def _mix_columns(self, values: NDArray[np.uint8] | Pixels, out: Pixels) -> None:
        """The columns of the crop, of rows that hold its source columns."""
        first = values.take(self._columns.first, axis=1, mode="clip")
        if self._copies_columns:
            out[:] = first
            return
        second = values.take(self._columns.second, axis=1, mode="clip")
        _mixed(first, second, self._columns.weight, out)


def _mixed(
    first: NDArray[np.uint8] | Pixels, second: NDArray[np.uint8] | Pixels, weight: Pixels, out: Pixels | None
) -> Pixels:
    """first + (second - first) * weight."""
    mixed: Pixels = np.subtract(second, first, out=out, dtype=np.float32)
    mixed *= weight
    mixed += first
    return mixed


@dataclass(frozen=True, eq=False)
class CropPlan:
    """The crops of pictures of one size.

    Attributes:
        crops: K of one shape.
    """

    crops: tuple[Crop, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, h, w, 3)."""
        return (len(self.crops), *self.crops[0].shape)

    @property
    def dtype(self) -> DTypeLike:
        """Of the pixels."""
        return np.float32

    def apply(self, picture: Picture, out: Pixels) -> None:
        """Write the crops of a picture of this size.

        Args:
            picture: (H, W, 3) uint8.
            out: (K, h, w, 3) float32, contiguous; receives values 0 to 255.
        """
        for crop, pixels in zip(self.crops, out, strict=True):
            crop.apply(picture, pixels)


@lru_cache(maxsize=64)
def _plan(resize: Resize, height: int, width: int) -> CropPlan:
    """See `Resize.plan`."""
    if resize.crop_px is None:
        check_whole(height, width)
        scaled = scaled_size(height, width, short_side=resize.short_side_px)
        return CropPlan(
            (Crop(_taps(height, scaled[0], 0, scaled[0]), _taps(width, scaled[1], 0, scaled[1])),)
        )
    scaled, corners = crop_corners(
        height,
        width,
        short_side=resize.short_side_px,
        crop=resize.crop_px,
        num_crops=resize.num_crops,
        resize=resize.resize_px,
    )
    return CropPlan(
        tuple(
            Crop(_taps(height, scaled[0], top, resize.crop_px), _taps(width, scaled[1], left, resize.crop_px))
            for top, left in corners
        )
    )


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
    """(scaled height, scaled width) and the (top, left) of each crop; arguments as in `Resize`."""
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


def _taps(side: int, scaled_side: int, start: int, crop: int) -> Taps:
    """Sources of `crop` pixels from `start` on, of a side resized to `scaled_side`.

    With the scale in float32, and a product and difference that are rounded once, as PyTorch computes them on
    CPUs that have such an instruction (AVX2, ARM): another rounding moves pixels by up to 5e-5 of the range.
    """
    scale = np.float64(np.float32(side) / np.float32(scaled_side))
    at = np.maximum(((np.arange(start, start + crop) + 0.5) * scale - 0.5).astype(np.float32), np.float32(0))
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
