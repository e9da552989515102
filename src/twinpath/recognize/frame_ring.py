"""The newest frames of a live source, as long as a window, and which window is due."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from av.video.frame import VideoFrame

from twinpath.errors import LimitExceeded
from twinpath.video.live import LiveFrame
from twinpath.video.sampling import TIME_TOLERANCE_S
from twinpath.video.selection import Selection

DEFAULT_MAX_BYTES = 1 << 30  # five seconds of 4K at 25 frames a second; a clip in RGB comes on top
_MAX_HELD = 4096  # frames, however small: a source may claim any frame rate
_TICK_S = 0.1  # between two checks of whether to stop


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What became of every frame and every window.

    Attributes:
        frames_read: All frames that came: used, dropped and waiting ones.
        frames_used: Frames within the span of a window that the model took, sampled or not.
        frames_dropped: Frames that left without having been in such a window.
        frames_waiting: Frames that are held and may still be in one.
        windows: Windows with an answer.
        windows_skipped: Windows that were due while the model was busy with an earlier one.
    """

    frames_read: int = 0
    frames_used: int = 0
    frames_dropped: int = 0
    frames_waiting: int = 0
    windows: int = 0
    windows_skipped: int = 0


@dataclass(frozen=True, eq=False)
class Window:
    """The frames of one window.

    Attributes:
        start_s, end_s: In seconds since the first frame of the source.
        pictures: T frames, sampled as for a file; some repeat where the window is short.
        due_s: When the newest frame was due, on `time.monotonic`.
        segment: Of the source, see `LiveFrame`; a window never holds frames of two segments.
    """

    start_s: float
    end_s: float
    pictures: list[VideoFrame]
    due_s: float
    segment: int


@dataclass(eq=False)
class _Held:
    frame: LiveFrame
    used: bool = False


class FrameRing:
    """Holds the newest frames for one window; one thread adds frames, another takes windows.

    A window ends with the newest frame. The first one is due when it is full, then one every `every_s`
    seconds. An interruption of the source empties the ring.

    Args:
        select: The frames of the window that starts at a time in seconds.
        span_s: Length of a window in seconds.
        every_s: From one window to the next, in seconds.
        max_bytes: Of decoded frames. A window that does not fit is held at a lower frame rate.
    """

    def __init__(
        self, select: Callable[[float], Selection], *, span_s: float, every_s: float, max_bytes: int
    ) -> None:
        self._select = select
        self._span_s = span_s
        self._every_s = every_s
        self._max_bytes = max_bytes
        self._held: deque[_Held] = deque()
        self._segment: int | None = None
        self._segment_start_s = 0.0
        self._answered = -1  # number of the newest window of this segment that was taken
        self._gave_one = False
        self._closed = False
        self._counters = Counters()
        self._changed = threading.Condition()

    @property
    def counters(self) -> Counters:
        with self._changed:
            waiting = sum(not held.used for held in self._held)
            return replace(self._counters, frames_waiting=waiting)

    def add(self, frame: LiveFrame) -> None:
        """Add the next frame.

        Raises:
            LimitExceeded: Not even two frames of this size fit.
        """
        size_bytes = sum(plane.buffer_size for plane in frame.picture.planes)
        most = min(self._max_bytes // max(size_bytes, 1), _MAX_HELD)
        if most < 2:
            raise LimitExceeded(
                f"pictures of {frame.picture.width}x{frame.picture.height} take {size_bytes} bytes each, "
                f"and {self._max_bytes} may be held; have the source send smaller ones"
            )
        with self._changed:
            self._count(frames_read=1)
            if frame.segment != self._segment:
                self._forget(len(self._held))
                self._segment, self._segment_start_s, self._answered = frame.segment, frame.time_s, -1
            elif frame.time_s < self._held[-1].frame.time_s + self._span_s / most:
                self._count(frames_dropped=1)
                return
            self._held.append(_Held(frame))
            cut_s = frame.time_s - self._span_s
            old = 0
            while old + 1 < len(self._held) and self._held[old + 1].frame.time_s <= cut_s:
                old += 1
            self._forget(old)
            self._changed.notify_all()

    def close(self) -> None:
        """Mark the end of the source."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def next_window(self, *, stop: threading.Event) -> Window | None:
        """Wait for the next window that is due; None: the source has ended, or `stop` is set.

        A source that ends before its first window is full gives one window of the frames there are.
        """
        with self._changed:
            while not (self._due() > self._answered or self._closed or stop.is_set()):
                self._changed.wait(timeout=_TICK_S)
            if stop.is_set() or not self._held:
                return None
            if self._due() <= self._answered and self._gave_one:
                return None
            self._gave_one = True
            return self._take(max(self._due(), 0))

    def first_picture(self, *, stop: threading.Event) -> VideoFrame | None:
        """Wait for a frame; None: the source has ended without one, or `stop` is set."""
        with self._changed:
            while not (self._held or self._closed or stop.is_set()):
                self._changed.wait(timeout=_TICK_S)
            return self._held[0].frame.picture if self._held else None

    def answered(self) -> Counters:
        """Count a window with an answer; returns the counters."""
        with self._changed:
            self._count(windows=1)
        return self.counters

    def finish(self) -> Counters:
        """Drop the frames that still wait; returns the counters."""
        with self._changed:
            self._forget(len(self._held))
        return self.counters

    def _frame_s(self) -> float:
        """Duration of the newest frame, estimated from the others."""
        if len(self._held) < 2:
            return 0.0
        return (self._held[-1].frame.time_s - self._held[0].frame.time_s) / (len(self._held) - 1)

    def _due(self) -> int:
        """Number of the newest window of this segment that is due; -1: none is."""
        if not self._held:
            return -1
        covered_s = self._held[-1].frame.time_s + self._frame_s() - self._segment_start_s
        return max(math.floor((covered_s - self._span_s + TIME_TOLERANCE_S) / self._every_s), -1)

    def _take(self, number: int) -> Window:
        newest = self._held[-1].frame
        end_s = newest.time_s + self._frame_s()
        start_s = end_s - self._span_s
        due_s = self._segment_start_s + number * self._every_s
        if -TIME_TOLERANCE_S <= start_s - due_s < self._frame_s():  # in time: the very window that was due
            start_s, end_s = due_s, due_s + self._span_s
        start_s = max(start_s, self._segment_start_s)
        times_s = np.asarray([held.frame.time_s for held in self._held])
        picks = self._select(start_s).pick(times_s)
        for index, held in enumerate(self._held):
            if not held.used and (times_s[index] >= start_s - TIME_TOLERANCE_S or index in picks):
                held.used = True
                self._count(frames_used=1)
        self._count(windows_skipped=max(number - self._answered - 1, 0))
        self._answered = number
        pictures = [self._held[index].frame.picture for index in picks.tolist()]
        return Window(start_s, end_s, pictures, newest.due_s, newest.segment)

    def _forget(self, oldest: int) -> None:
        for _ in range(oldest):
            self._count(frames_dropped=int(not self._held.popleft().used))

    def _count(self, **more: int) -> None:
        now = {name: getattr(self._counters, name) + number for name, number in more.items()}
        self._counters = replace(self._counters, **now)
