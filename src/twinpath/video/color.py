"""Decoded frames to RGB arrays as displayed: upright, in the colours of BT.709, converted by FFmpeg."""

from __future__ import annotations

from functools import partial

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from twinpath.video.hdr import PIXEL_FORMAT, ColorSpace, ToBt709
from twinpath.video.orientation import Orientation

Rgb = npt.NDArray[np.uint8]

_SMALL_PX = 1920 * 1088


class RgbConverter:
    """Converts the frames of one video to RGB, upright and scaled to the size of the first one.

    The sample aspect ratio is ignored, as in the references. Colours are converted by swscale, as BT.601
    unless a frame is tagged otherwise. HDR (PQ and HLG) and wide gamuts (BT.2020 and P3) become BT.709; see
    `hdr`.

    Attributes:
        resized: Number of frames whose size differs from the first one's.
        recoloured: Number of frames tagged with a colour matrix or range that swscale cannot convert, for
            example YCgCo and ICtCp; they are converted as if they had no tags.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._orientation = Orientation()
        self._spaces: dict[tuple[int, int], ColorSpace | None] = {}  # by transfer and primaries
        self._to_bt709: dict[ColorSpace, ToBt709] = {}
        self.resized = 0
        self.recoloured = 0

    @property
    def size_px(self) -> tuple[int, int]:
        """(height, width) of the pictures; after the first frame."""
        assert self._size is not None
        width, height = self._size
        return (width, height) if self._orientation.swaps_sides else (height, width)

    def shape(self, frame: VideoFrame) -> tuple[int, int, int]:
        """(H, W, 3) of the arrays that this converter returns: the size of its first frame."""
        if self._size is None:
            self._size = (frame.width, frame.height)
            self._orientation = Orientation.of(frame)
        return (*self.size_px, 3)

    def __call__(self, frame: VideoFrame) -> Rgb:
        """(H, W, 3) uint8 RGB.

        Raises:
            MemoryError: Allocation failed.
        """
        self.shape(frame)
        self.resized += (frame.width, frame.height) != self._size
        space = self._space(frame)
        if space is None:
            picture: Rgb = np.asarray(self._reformat(frame, "rgb24").to_ndarray(), dtype=np.uint8)
        else:
            if space not in self._to_bt709:
                self._to_bt709[space] = ToBt709(space)
            picture = self._to_bt709[space](self._reformat(frame, PIXEL_FORMAT))
        return self._orientation.apply(picture)

    def _space(self, frame: VideoFrame) -> ColorSpace | None:
        """The colour space of the first frame with these tags."""
        tags = (int(frame.color_trc), int(frame.color_primaries))
        if tags not in self._spaces:
            self._spaces[tags] = ColorSpace.of(frame)
        return self._spaces[tags]

    def _reformat(self, frame: VideoFrame, pixel_format: str) -> VideoFrame:
        assert self._size is not None
        width, height = self._size
        # Threads take milliseconds to start, for each video anew, and win nothing at these sizes.
        threads = 1 if width * height <= _SMALL_PX else None
        convert = partial(
            self._reformatter.reformat, width=width, height=height, format=pixel_format, threads=threads
        )
        try:
            return convert(frame)
        except MemoryError:
            raise
        except av.FFmpegError:
            self.recoloured += 1
            frame.colorspace, frame.color_range = Colorspace.DEFAULT, ColorRange.UNSPECIFIED
            return convert(frame)
