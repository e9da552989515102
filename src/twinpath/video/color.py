"""Decoded frames to RGB arrays as displayed: rotated upright, converted by FFmpeg's swscale."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

Rgb = npt.NDArray[np.uint8]


class RgbConverter:
    """Converts the frames of one video to RGB, rotated upright and scaled to the size of the first one.

    The sample aspect ratio is ignored, as in the references. Colours are converted by swscale, as BT.601
    unless a frame is tagged otherwise.

    Attributes:
        resized: Number of frames whose size differs from the first one's.
        recoloured: Number of frames tagged with a colour matrix or range that swscale cannot convert, for
            example YCgCo and ICtCp; they are converted as if they had no tags.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._quarter_turns = 0
        self.resized = 0
        self.recoloured = 0

    def shape(self, frame: VideoFrame) -> tuple[int, int, int]:
        """(H, W, 3) of the arrays that this converter returns: the size of its first frame."""
        if self._size is None:
            self._size = (frame.width, frame.height)
            self._quarter_turns = round(frame.rotation / 90) % 4
        width, height = self._size
        return (width, height, 3) if self._quarter_turns % 2 else (height, width, 3)

    def __call__(self, frame: VideoFrame) -> Rgb:
        """(H, W, 3) uint8 RGB.

        Raises:
            MemoryError: Allocation failed.
        """
        self.shape(frame)
        assert self._size is not None
        width, height = self._size
        self.resized += (frame.width, frame.height) != self._size
        try:
            rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
        except MemoryError:
            raise
        except av.FFmpegError:
            self.recoloured += 1
            frame.colorspace, frame.color_range = Colorspace.DEFAULT, ColorRange.UNSPECIFIED
            rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
        picture: Rgb = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
        return np.rot90(picture, self._quarter_turns) if self._quarter_turns else picture
