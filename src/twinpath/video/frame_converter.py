"""Decoded frames to what the clips of a plan hold: RGB pictures, or pictures resized for a network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from twinpath.video.color import Rgb, RgbConverter
from twinpath.video.resize import Resize


class Converted(NamedTuple):
    """One frame.

    Attributes:
        pixels: The picture, (H, W, 3) uint8; with a resize (K, h, w, 3) float32.
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

    def __init__(self, resize: Resize | None) -> None:
        self.rgb, self.resize = RgbConverter(), resize

    def shape(self, frame: VideoFrame) -> tuple[int, ...]:
        """Of the pixels. Raises: LimitExceeded: See `Resize.plan`."""
        height, width, channels = self.rgb.shape(frame)
        if self.resize is None:
            return (height, width, channels)
        return self.resize.plan(height, width).shape

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
        pixels = np.empty(plan.shape, dtype=np.float32)
        plan.apply(picture, pixels)
        return Converted(pixels, picture)
