"""A ring buffer of the newest frames of a live source, and the windows that are due."""

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

DEFAULT_MAX_BYTES = 1 << 30  # five seconds of 4K at 25 fps, without the RGB frames of a clip
_MAX_FRAMES = 4096  # of any size: a source may claim any frame rate
_TICK_S = 0.1  # interval of checking the stop event


@dataclass(frozen=True, kw_only=True)
class Counters:
    """The number of frames and windows, by what happened to them.

    Attributes:
        frames_read: All frames read: used, dropped and waiting.
        frames_used: Frames within the span of a scored window, sampled or not.
        frames_dropped: Frames that were in no scored window.
        frames_waiting: Frames in the buffer that may still be used.
        windows: Scored windows.
        windows_skipped: Windows that were due while the model was busy with an earlier one. Windows without
            a frame, in a pause of the source, do not count.
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
        frames: T frames, sampled as for a file; repeated if the window is too short.
        due_s: When the newest frame was due, on `time.monotonic`.
        segment: See `LiveFrame`; all frames of a window are of one segment.
    """

    start_s: float
    end_s: float
    frames: list[VideoFrame]
    due_s: float
    segment: int


@dataclass(eq=False)
class _BufferedFrame:
    frame: LiveFrame
    used: bool = False


class FrameRing:
    """Stores the newest frames, enough for one window. One thread adds frames, another takes windows.

    A window ends with the newest frame. The first window is due when it is complete, then one every `every_s`
    seconds. An interruption of the source empties the buffer.

    Args:
        select: Returns the frame selection of the window that starts at a time in seconds.
        span_s: Length of a window in seconds.
        every_s: Stride of the windows in seconds.
        max_bytes: Limit of decoded frames in memory. A larger window is stored at a lower frame rate.
    """

    def __init__(
        self, select: Callable[[float], Selection], *, span_s: float, every_s: float, max_bytes: int
    ) -> None:
        self._select = select
        self._span_s = span_s
        self._every_s = every_s
        self._max_bytes = max_bytes
        self._buffer: deque[_BufferedFrame] = deque()
        self._segment: int | None = None
        self._segment_start_s = 0.0
        self._last_taken = -1  # number of the last window of this segment that was taken
        self._num_empty = 0  # windows since then that lie in a pause of the source
        self._step_s = 0.0  # from frame to frame
        self._has_yielded = False
        self._closed = False
        self._counters = Counters()
        self._changed = threading.Condition()

    @property
    def counters(self) -> Counters:
        with self._changed:
            waiting = sum(not buffered.used for buffered in self._buffer)
            return replace(self._counters, frames_waiting=waiting)

    def add(self, frame: LiveFrame) -> None:
        """Add the next frame.

        Raises:
            LimitExceeded: Two frames of this size exceed `max_bytes`.
        """
        size_bytes = sum(plane.buffer_size for plane in frame.av_frame.planes)
        max_frames = min(self._max_bytes // max(size_bytes, 1), _MAX_FRAMES)
        if max_frames < 2:
            raise LimitExceeded(
                f"frames of {frame.av_frame.width}x{frame.av_frame.height} take {size_bytes} bytes each, "
                f"more than half of the {self._max_bytes} allowed; choose a smaller frame size at the source"
            )
        with self._changed:
            self._count(frames_read=1)
            if frame.segment != self._segment:
                self._drop_oldest(len(self._buffer))
                self._segment, self._segment_start_s, self._last_taken = frame.segment, frame.time_s, -1
                self._num_empty, self._step_s = 0, 0.0
            elif frame.time_s < self._buffer[-1].frame.time_s + self._span_s / max_frames:
                self._count(frames_dropped=1)
                return
            else:
                self._num_empty += self._windows_in_pause(frame.time_s)
            self._buffer.append(_BufferedFrame(frame))
            cut_s = frame.time_s - self._span_s
            num_old = 0
            while num_old + 1 < len(self._buffer) and self._buffer[num_old + 1].frame.time_s <= cut_s:
                num_old += 1
            self._drop_oldest(num_old)
            self._changed.notify_all()

    def close(self) -> None:
        """Mark the end of the source."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def next_window(self, *, stop: threading.Event) -> Window | None:
        """Wait for the next window that is due; None: the source has ended, or `stop` is set.

        If the source ends before its first window is complete, the window has the frames that arrived.
        """
        with self._changed:
            while not (self._due() > self._last_taken or self._closed or stop.is_set()):
                self._changed.wait(timeout=_TICK_S)
            if stop.is_set() or not self._buffer:
                return None
            if self._due() <= self._last_taken and self._has_yielded:
                return None
            self._has_yielded = True
            return self._take(max(self._due(), 0))

    def first_frame(self, *, stop: threading.Event) -> VideoFrame | None:
        """Wait for the first frame; None: the source has ended without one, or `stop` is set."""
        with self._changed:
            while not (self._buffer or self._closed or stop.is_set()):
                self._changed.wait(timeout=_TICK_S)
            return self._buffer[0].frame.av_frame if self._buffer else None

    def answered(self) -> Counters:
        """Count a scored window; returns the counters."""
        with self._changed:
            self._count(windows=1)
        return self.counters

    def finish(self) -> Counters:
        """Drop the waiting frames; returns the counters."""
        with self._changed:
            self._drop_oldest(len(self._buffer))
        return self.counters

    def _frame_s(self) -> float:
        """Duration of the newest frame, estimated from the steps between the others; pauses do not count."""
        times_s = [buffered.frame.time_s for buffered in self._buffer]
        steps_s = [step_s for step_s in np.diff(times_s).tolist() if step_s <= self._span_s]
        if steps_s:
            self._step_s = sum(steps_s) / len(steps_s)
        return self._step_s

    def _windows_in_pause(self, next_s: float) -> int:
        """Number of windows that end before the next frame, in a pause that is longer than a window."""
        if next_s - self._buffer[-1].frame.time_s <= self._span_s:
            return 0
        last = math.floor((next_s - self._span_s - self._segment_start_s) / self._every_s)
        return max(last - self._due(), 0)

    def _due(self) -> int:
        """Number of the newest window of this segment that is due; -1: no window is due."""
        if not self._buffer:
            return -1
        covered_s = self._buffer[-1].frame.time_s + self._frame_s() - self._segment_start_s
        return max(math.floor((covered_s - self._span_s + TIME_TOLERANCE_S) / self._every_s), -1)

    def _take(self, number: int) -> Window:
        newest = self._buffer[-1].frame
        end_s = newest.time_s + self._frame_s()
        start_s = end_s - self._span_s
        due_s = self._segment_start_s + number * self._every_s
        if -TIME_TOLERANCE_S <= start_s - due_s < self._frame_s():  # in time: exactly the window that was due
            start_s, end_s = due_s, due_s + self._span_s
        start_s = max(start_s, self._segment_start_s)
        times_s = np.asarray([buffered.frame.time_s for buffered in self._buffer])
        picks = self._select(start_s).pick(times_s)
        for index, buffered in enumerate(self._buffer):
            if not buffered.used and (times_s[index] >= start_s - TIME_TOLERANCE_S or index in picks):
                buffered.used = True
                self._count(frames_used=1)
        self._count(windows_skipped=max(number - self._last_taken - 1 - self._num_empty, 0))
        self._last_taken, self._num_empty = number, 0
        frames = [self._buffer[index].frame.av_frame for index in picks.tolist()]
        return Window(start_s, end_s, frames, newest.due_s, newest.segment)

    def _drop_oldest(self, count: int) -> None:
        for _ in range(count):
            self._count(frames_dropped=int(not self._buffer.popleft().used))

    def _count(self, **increments: int) -> None:
        totals = {name: getattr(self._counters, name) + number for name, number in increments.items()}
        self._counters = replace(self._counters, **totals)
