"""Decoded frames to the arrays of the clips that need them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from av.video.frame import VideoFrame

from twinpath.video.clip_plan import PlannedClip
from twinpath.video.color import Rgb, RgbConverter
from twinpath.video.sampling import Indices, Times
from twinpath.video.source import Budget


class ClipAssembler:
    """Fills the arrays of clips in order. A frame that later clips need, too, is kept for them.

    assembler.start(clips, targets)
    assembler.add(index, time_s, frame)         # for every target, in order
    while (complete := assembler.take()):
        planned, frames_THWC, times_s = complete

    Attributes:
        has_frames: Whether a frame was ever added.
        waiting_bytes: Size of the complete clips that the caller holds; they count for the budget.
    """

    def __init__(
        self, budget: Budget, convert: RgbConverter, allocate: Callable[[tuple[int, ...]], Rgb]
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
        self._reused: dict[int, tuple[float, Rgb]] = {}  # by target: frames that later clips need
        self._last: tuple[VideoFrame, float, Rgb] | None = None
        self._array: Rgb | None = None
        self._times_s: Times = np.zeros(0)
        self._spare: Rgb | None = None
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
        self._current, self._is_started, self._reached = 0, False, -1
        self._reused.clear()

    def add(self, index: int, time_s: float, frame: VideoFrame) -> None:
        """Add the frame for a target.

        Raises:
            LimitExceeded: The frames in memory would exceed the budget.
            MemoryError: Allocation failed.
        """
        if self._last is None or self._last[0] is not frame:
            self._check(self._convert.shape(frame))
            self._last = (frame, time_s, self._convert(frame))
        self.has_frames = True
        self._put(index, time_s, self._last[2])

    def repeat(self, index: int) -> None:
        """Use the last added frame for a target. Raises as `add`."""
        assert self._last is not None
        self._put(index, self._last[1], self._last[2])

    def take(self) -> tuple[PlannedClip, Rgb, Times] | None:
        """The next complete clip, its (T, H, W, 3) uint8 frames and their (T,) times in seconds."""
        if self._current == len(self._clips):
            return None
        self._start_current()
        if self._array is None or self._slots.max() > self._reached:
            return None
        complete = (self._clips[self._current], self._array, self._times_s)
        self._array = None
        self._current += 1
        self._is_started = False
        return complete

    def reuse(self, frames: Rgb) -> None:
        """Reuse the array of a discarded clip for the next clip."""
        self._spare = frames

    def _put(self, index: int, time_s: float, frame: Rgb) -> None:
        self._start_current()
        self._reached = index
        self._write(index, time_s, frame)
        if self._last_use[index] > self._current:
            self._reused[index] = (time_s, frame)

    def _start_current(self) -> None:
        """Start the current clip with the frames that earlier clips have shared with it."""
        if self._is_started or self._current == len(self._clips):
            return
        self._is_started = True
        self._slots = np.searchsorted(self._targets, self._clips[self._current].picks)
        for index, (time_s, frame) in self._reused.items():
            self._write(index, time_s, frame)
        self._reused = {i: timed for i, timed in self._reused.items() if self._last_use[i] > self._current}

    def _write(self, index: int, time_s: float, frame: Rgb) -> None:
        if self._current == len(self._clips):
            return
        places = np.flatnonzero(self._slots == index).tolist()
        if not places:
            return
        if self._array is None:
            self._array = self._new_array(frame.shape)
            self._times_s = np.zeros(len(self._array))
        for place in places:
            self._array[place] = frame
            self._times_s[place] = time_s

    def _new_array(self, frame_shape: tuple[int, ...]) -> Rgb:
        shape = (len(self._slots), *frame_shape)
        spare, self._spare = self._spare, None
        if spare is not None and spare.shape == shape:
            return spare
        return self._allocate(shape)

    def _check(self, frame_shape: tuple[int, int, int]) -> None:
        """Check the budget before a frame is converted: the clip, the shared frames and this one.

        Raises: LimitExceeded.
        """
        height, width, _ = frame_shape
        current = min(self._current, len(self._clips) - 1)
        count = len(self._clips[current].picks) + len(self._reused) + 1
        self._budget.check_bytes(
            count * math.prod(frame_shape) + self.waiting_bytes, what=f"{count} frames of {width}x{height}"
        )
