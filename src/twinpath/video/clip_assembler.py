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
    """Fills the array of one clip after the other. A frame that later clips need, too, is held for them.

    assembler.start(clips, targets)
    assembler.add(index, time_s, frame)         # for every target, in order
    while (complete := assembler.take()):
        planned, frames_THWC, times_s = complete

    Attributes:
        has_frames: Whether a frame was ever added.
        waiting_bytes: Of complete clips that the caller holds; they count for the budget.
    """

    def __init__(
        self, budget: Budget, convert: RgbConverter, allocate: Callable[[tuple[int, ...]], Rgb]
    ) -> None:
        self._budget = budget
        self._convert = convert
        self._allocate = allocate
        self._clips: Sequence[PlannedClip] = ()
        self._slots: list[Indices] = []  # for each clip, (T,) targets
        self._last_use = np.zeros(0, dtype=np.int64)  # for each target, the last clip that needs it
        self._turn = 0  # the clip that is being filled
        self._is_begun = False
        self._reached = -1  # the last target that was added
        self._held: dict[int, tuple[float, Rgb]] = {}  # by target, for clips to come
        self._last: tuple[VideoFrame, float, Rgb] | None = None
        self._array: Rgb | None = None
        self._times_s: Times = np.zeros(0)
        self._spare: Rgb | None = None
        self.has_frames = False
        self.waiting_bytes = 0

    def start(self, clips: Sequence[PlannedClip], targets: Indices) -> None:
        """The clips of another pass.

        Args:
            clips: In order of their last frame.
            targets: (N,) increasing: the picks of all clips, each once.
        """
        self._clips = clips
        self._slots = [np.searchsorted(targets, clip.picks) for clip in clips]
        self._last_use = np.zeros(len(targets), dtype=np.int64)
        for i, slots in enumerate(self._slots):
            self._last_use[slots] = i
        self._turn, self._is_begun, self._reached = 0, False, -1
        self._held.clear()

    def add(self, index: int, time_s: float, frame: VideoFrame) -> None:
        """Add the frame for a target.

        Raises:
            LimitExceeded: More frames would be held than the budget allows.
            MemoryError: There is no memory for them.
        """
        if self._last is None or self._last[0] is not frame:
            self._check(self._convert.shape(frame))
            self._last = (frame, time_s, self._convert(frame))
        self.has_frames = True
        self._put(index, time_s, self._last[2])

    def repeat(self, index: int) -> None:
        """Take the last frame that was ever added for a target; errors as for `add`."""
        assert self._last is not None
        self._put(index, self._last[1], self._last[2])

    def take(self) -> tuple[PlannedClip, Rgb, Times] | None:
        """The next complete clip, its (T, H, W, 3) uint8 frames and their (T,) times in seconds."""
        if self._turn == len(self._clips):
            return None
        self._begin()
        if self._array is None or self._slots[self._turn].max() > self._reached:
            return None
        complete = (self._clips[self._turn], self._array, self._times_s)
        self._array = None
        self._turn += 1
        self._is_begun = False
        return complete

    def reuse(self, frames: Rgb) -> None:
        """Take the array of a clip that nobody else holds for the next clip."""
        self._spare = frames

    def _put(self, index: int, time_s: float, picture: Rgb) -> None:
        self._begin()
        self._reached = index
        self._write(index, time_s, picture)
        if self._last_use[index] > self._turn:
            self._held[index] = (time_s, picture)

    def _begin(self) -> None:
        """Start the clip whose turn it is, with the frames that are held; not before they are needed."""
        if self._is_begun or self._turn == len(self._clips):
            return
        self._is_begun = True
        for index, (time_s, picture) in self._held.items():
            self._write(index, time_s, picture)
        self._held = {i: held for i, held in self._held.items() if self._last_use[i] > self._turn}

    def _write(self, index: int, time_s: float, picture: Rgb) -> None:
        if self._turn == len(self._clips):
            return
        places = np.flatnonzero(self._slots[self._turn] == index).tolist()
        if not places:
            return
        if self._array is None:
            self._array = self._new_array(picture.shape)
            self._times_s = np.zeros(len(self._array))
        for place in places:
            self._array[place] = picture
            self._times_s[place] = time_s

    def _new_array(self, picture_shape: tuple[int, ...]) -> Rgb:
        shape = (len(self._slots[self._turn]), *picture_shape)
        spare, self._spare = self._spare, None
        if spare is not None and spare.shape == shape:
            return spare
        return self._allocate(shape)

    def _check(self, picture_shape: tuple[int, int, int]) -> None:
        """Before another frame is converted: it, the clip and the frames that are held must fit."""
        height, width, _ = picture_shape
        turn = min(self._turn, len(self._clips) - 1)
        count = len(self._slots[turn]) + len(self._held) + 1
        self._budget.check_bytes(
            count * math.prod(picture_shape) + self.waiting_bytes, what=f"{count} frames of {width}x{height}"
        )
