"""Decoded frames to what the clips of a plan hold: RGB pictures, or pictures made small.

A network's input is made by `Resize`; training has a reduction of its own, with random crops.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import DTypeLike, NDArray

from twinpath.video.color import Rgb, RgbConverter


class SizedReduction(Protocol):
    """What is made of each picture of one size."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, h, w, 3): K parts of each picture."""

    @property
    def dtype(self) -> DTypeLike:
        """Of the pixels."""

    def apply(self, picture: Rgb, out: NDArray[Any], /) -> None:
        """Write the parts of a picture (H, W, 3) to an array of that shape."""


class Reduction(Protocol):
    """Makes pictures small as soon as they are decoded.

    Attributes:
        keep_middle: Whether a clip also has the whole picture of its middle frame.
    """

    @property
    def keep_middle(self) -> bool: ...

    def plan(self, height: int, width: int, /) -> SizedReduction:
        """For pictures of one size; called for each of them. Raises: LimitExceeded: No network takes them."""


class Converted(NamedTuple):
    """One frame.

    Attributes:
        pixels: The picture, (H, W, 3) uint8; with a resize (K, h, w, 3) of its type.
        picture: The picture.
    """

    pixels: NDArray[Any]
    picture: Rgb


class FrameConverter:
    """Converts the frames of one video, each as large as the first one.

    Args:
        resize: What is made of each picture; None: it stays as it is.
    Attributes:
        rgb: Makes the pictures.
    """

    def __init__(self, resize: Reduction | None) -> None:
        self.rgb, self.resize = RgbConverter(), resize

    def shape(self, frame: VideoFrame) -> tuple[int, ...]:
        """Of the pixels. Raises: LimitExceeded: See `Resize.plan`."""
        height, width, channels = self.rgb.shape(frame)
        if self.resize is None:
            return (height, width, channels)
        return self.resize.plan(height, width).shape

    def size_bytes(self, frame: VideoFrame) -> int:
        """Of the pixels in memory. Raises as `shape`."""
        height, width, channels = self.rgb.shape(frame)
        if self.resize is None:
            return height * width * channels
        plan = self.resize.plan(height, width)
        return math.prod(plan.shape) * np.dtype(plan.dtype).itemsize

    def __call__(self, frame: VideoFrame) -> Converted:
        """Convert a frame.

        Raises:
            MemoryError: Allocation failed.
            LimitExceeded: See `Resize.plan`.
        """
        picture = self.rgb(frame)
        if self.resize is None:
            return Converted(picture, picture)
        plan = self.resize.plan(*picture.shape[:2])
        pixels = np.empty(plan.shape, dtype=plan.dtype)
        plan.apply(picture, pixels)
        return Converted(pixels, picture)
