"""Decoded frames to the arrays of the clips that need them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from twinpath.video.clip_plan import PlannedClip
from twinpath.video.color import Rgb
from twinpath.video.frame_converter import Converted, FrameConverter
from twinpath.video.sampling import Indices, Times
from twinpath.video.source import Budget


class Assembled(NamedTuple):
    """A complete clip.

    Attributes:
        planned: Its plan.
        pixels: (T, H, W, 3) uint8; with a resize (T, K, h, w, 3) of its type.
        times_s: (T,) times of the frames in seconds.
        middle: (H, W, 3) uint8, the picture of frame T // 2, where the resize keeps it.
    """

    planned: PlannedClip
    pixels: NDArray[Any]
    times_s: Times
    middle: Rgb | None


class _Kept(NamedTuple):
    """A frame that was converted. `picture`: where it is the middle of a clip."""

    time_s: float
    pixels: NDArray[Any]
    picture: Rgb | None


class ClipAssembler:
    """Fills the arrays of clips in order. A frame that later clips need, too, is kept for them.

    assembler.start(clips, targets)
    assembler.add(index, time_s, frame)         # for every target, in order
    while (complete := assembler.take()):
        complete.pixels

    Attributes:
        has_frames: Whether a frame was ever added.
        waiting_bytes: Size of the complete clips that the caller holds; they count for the budget.
    """

    def __init__(
        self, budget: Budget, convert: FrameConverter, allocate: Callable[[tuple[int, ...]], Rgb]
    ) -> None:
        self._budget = budget
        self._convert = convert
        self._allocate = allocate
        self._clips: Sequence[PlannedClip] = ()
        self._targets: Indices = np.zeros(0, dtype=np.int64)
        self._slots: Indices = np.zeros(0, dtype=np.int64)  # (T,) targets of the current clip
        self._last_use = np.zeros(0, dtype=np.int64)  # for each target, the last clip that needs it
        self._current = 0  # index of the clip that is being filled
        self._is_started = False
        self._reached = -1  # the last target that was added
        self._middles: frozenset[int] = frozenset()  # targets that are the middle of a clip
        self._reused: dict[int, _Kept] = {}  # by target: frames that later clips need
        self._last: tuple[VideoFrame, float, Converted] | None = None
        self._array: NDArray[Any] | None = None
        self._times_s: Times = np.zeros(0)
        self._middle: Rgb | None = None
        self._spare: NDArray[Any] | None = None
        self.has_frames = False
        self.waiting_bytes = 0

    def start(self, clips: Sequence[PlannedClip], targets: Indices) -> None:
        """Start the clips of another decoding pass.

        Args:
            clips: In order of their last frame.
            targets: (N,) increasing: the unique picks of all clips.
        """
        self._clips = clips
        self._targets = targets
        self._last_use = np.zeros(len(targets), dtype=np.int64)
        for i, clip in enumerate(clips):
            self._last_use[np.searchsorted(targets, clip.picks)] = i
        if self._convert.resize is not None and self._convert.resize.keep_middle:
            middles = [clip.picks[len(clip.picks) // 2] for clip in clips]
            self._middles = frozenset(np.searchsorted(targets, middles).tolist())
        self._current, self._is_started, self._reached = 0, False, -1
        self._reused.clear()

    def add(self, index: int, time_s: float, frame: VideoFrame) -> None:
        """Add the frame for a target.

        Raises:
            LimitExceeded: The frames in memory would exceed the budget.
            MemoryError: Allocation failed.
        """
        if self._last is None or self._last[0] is not frame:
            self._last = None  # free it before the next one is made
            self._check(frame)
            self._last = (frame, time_s, self._convert(frame))
        self.has_frames = True
        self._put(index, time_s, self._last[2])

    def repeat(self, index: int) -> None:
        """Use the last added frame for a target. Raises as `add`."""
        assert self._last is not None
        self._put(index, self._last[1], self._last[2])

    def take(self) -> Assembled | None:
        """The next complete clip."""
        if self._current == len(self._clips):
            return None
        self._start_current()
        if self._array is None or self._slots.max() > self._reached:
            return None
        complete = Assembled(self._clips[self._current], self._array, self._times_s, self._middle)
        self._array = self._middle = None
        self._current += 1
        self._is_started = False
        return complete

    def reuse(self, frames: NDArray[Any]) -> None:
        """Reuse the array of a discarded clip for the next clip."""
        self._spare = frames

    def _put(self, index: int, time_s: float, converted: Converted) -> None:
        self._start_current()
        self._reached = index
        kept = _Kept(time_s, converted.pixels, converted.picture if index in self._middles else None)
        self._write(index, kept)
        if self._last_use[index] > self._current:
            self._reused[index] = kept

    def _start_current(self) -> None:
        """Start the current clip with the frames that earlier clips have shared with it."""
        if self._is_started or self._current == len(self._clips):
            return
        self._is_started = True
        self._slots = np.searchsorted(self._targets, self._clips[self._current].picks)
        for index, kept in self._reused.items():
            self._write(index, kept)
        self._reused = {i: kept for i, kept in self._reused.items() if self._last_use[i] > self._current}

    def _write(self, index: int, kept: _Kept) -> None:
        if self._current == len(self._clips):
            return
        places = np.flatnonzero(self._slots == index).tolist()
        if not places:
            return
        if self._array is None:
            self._array = self._new_array(kept.pixels)
            self._times_s = np.zeros(len(self._array))
        for place in places:
            self._array[place] = kept.pixels
            self._times_s[place] = kept.time_s
            if place == len(self._slots) // 2:
                self._middle = kept.picture

    def _new_array(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """An array for the frames of the current clip, each like these pixels."""
        shape = (len(self._slots), *pixels.shape)
        spare, self._spare = self._spare, None
        if spare is not None and spare.shape == shape:
            return spare
        if pixels.dtype == np.uint8:
            return self._allocate(shape)
        return self._allocate((math.prod(shape) * pixels.itemsize,)).view(pixels.dtype).reshape(shape)

    def _check(self, frame: VideoFrame) -> None:
        """Check the budget before a frame is converted: the clip, the shared frames and this one.

        Raises: LimitExceeded.
        """
        picture_shape = height, width, _ = self._convert.rgb.shape(frame)
        current = min(self._current, len(self._clips) - 1)
        count = len(self._clips[current].picks) + len(self._reused) + 1
        size_bytes = count * self._convert.size_bytes(frame)
        if self._convert.resize is not None:  # and the picture, and those that are kept
            kept = 1 + (self._middle is not None) + sum(k.picture is not None for k in self._reused.values())
            size_bytes += kept * math.prod(picture_shape)
        self._budget.check_bytes(size_bytes + self.waiting_bytes, what=f"{count} frames of {width}x{height}")
