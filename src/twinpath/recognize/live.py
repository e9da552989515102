"""Recognise what happens now: the newest seconds of a live source, again and again. The latest window wins.

    with LiveRecognition(LiveReader(source, stop=stop, on_status=print), model, stop=stop) as live:
        for answer in live.answers():
            ...

Two threads: one reads and keeps the newest pictures, one runs the model. Windows that come while the model is
busy are skipped and counted, never queued, so that an answer is as fresh as the machine allows.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import numpy as np
from av.video.frame import VideoFrame

from twinpath.errors import LimitExceeded
from twinpath.recognize.live_models import LiveModel, WindowResult
from twinpath.recognize.plan import check_every_s
from twinpath.results.classification import Prediction
from twinpath.results.detections import Track
from twinpath.video.color import Rgb, RgbConverter
from twinpath.video.live import LiveFrame
from twinpath.video.sampling import TIME_TOLERANCE_S
from twinpath.video.selection import Selection

DEFAULT_MAX_BYTES = 1 << 30  # five seconds of 4K at 25 frames a second; a clip in RGB comes on top
_MAX_HELD = 4096  # pictures, however small: a source may claim any frame rate
_TICK_S = 0.1  # between two looks at whether to stop
_READ_JOIN_S = 2.0  # a thread that waits for a dead server is left behind
_INFER_JOIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What became of every picture and every window; nothing is lost silently.

    Attributes:
        frames_read: Pictures that came = used + dropped + waiting.
        frames_used: They lay in a window that was classified; whether the model looked at each of them is a
            matter of its sampling.
        frames_dropped: They left, or were never kept, without having been in one.
        frames_waiting: They are kept and may still be in one.
        windows: Answers given.
        windows_skipped: Windows that were due while an earlier one was being classified.
    """

    frames_read: int = 0
    frames_used: int = 0
    frames_dropped: int = 0
    frames_waiting: int = 0
    windows: int = 0
    windows_skipped: int = 0


@dataclass(frozen=True)
class StreamAnswer:
    """What happens in one window of a live source.

    Attributes:
        start_s, end_s: Where it lies, in seconds since the first picture.
        utc: When its newest picture was due, by this machine's clock.
        predictions: Best first; may be empty where a least score was asked for.
        people: Who is seen in the middle of the window, doing what: tracks of one keyframe each; None: the
            model tells of whole windows.
        latency_s: Age of the newest picture when the answer was there.
        counters: Up to this answer.
    """

    start_s: float
    end_s: float
    utc: datetime
    predictions: tuple[Prediction, ...]
    people: tuple[Track, ...] | None
    latency_s: float
    counters: Counters

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        seen: dict[str, Any] = {"predictions": [asdict(prediction) for prediction in self.predictions]}
        if self.people is not None:
            seen = {"people": [asdict(track) for track in self.people]}
        return {
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "utc": self.utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **seen,
            "latency_s": round(self.latency_s, 3),
            **asdict(self.counters),
        }


@dataclass(frozen=True, eq=False)
class Window:
    """Pictures to classify.

    Attributes:
        start_s, end_s: As in `StreamAnswer`.
        pictures: T of them, chosen as for a file; where the window is short some repeat.
        due_s: When the newest picture that was there was due, on `time.monotonic`.
        segment: Of the source; pictures of two segments are never in one window.
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
    """The newest pictures, as long as a window, and which window is due. For two threads.

    Windows end with the newest picture. The first one is due when it is full, and then one every `every_s`.
    An interruption empties the ring.

    Args:
        select: Which pictures of the window that begins at some time.
        span_s: Length of a window in seconds.
        every_s: From one window to the next, in seconds.
        max_bytes: Of pictures as decoded. Where a window does not fit, it is held at a coarser rate.
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
        """Take the next picture.

        Raises: LimitExceeded: not even two pictures of this size may be held.
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
        """No more pictures come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def next_window(self, *, stop: threading.Event) -> Window | None:
        """Wait for the next window that is due; None: the source has ended, or `stop` is set.

        A source that ends before its first window is full gives one window of what there is.
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
        """Wait for a picture; None: none comes, or `stop` is set."""
        with self._changed:
            while not (self._held or self._closed or stop.is_set()):
                self._changed.wait(timeout=_TICK_S)
            return self._held[0].frame.picture if self._held else None

    def answered(self) -> Counters:
        """Count an answer that was given on, and say how things stand."""
        with self._changed:
            self._count(windows=1)
        return self.counters

    def finish(self) -> Counters:
        """Drop what still waits."""
        with self._changed:
            self._forget(len(self._held))
        return self.counters

    def _frame_s(self) -> float:
        """How long the newest picture will be on screen, going by the others."""
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
        if -TIME_TOLERANCE_S <= start_s - due_s < self._frame_s():  # in time: exactly the window that was due
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


class LiveRecognition:
    """Classifies a live source while it runs. Use as a context manager, iterate `answers` once.

    Args:
        frames: Read in a thread of its own; a `LiveReader`.
        model: Looks at each window, in another thread, one at a time.
        every_s, max_bytes: As for `FrameRing`.
        stop: The same that ends `frames`; set when this ends.
        on_frame: Gets every picture, in the reading thread: it must be quick.
    Raises:
        UsageError: `every_s` is out of its range.
    """

    def __init__(
        self,
        frames: Iterable[LiveFrame],
        model: LiveModel,
        *,
        stop: threading.Event,
        every_s: float = 1.0,
        max_bytes: int = DEFAULT_MAX_BYTES,
        on_frame: Callable[[LiveFrame], None] | None = None,
    ) -> None:
        check_every_s(every_s)
        sampling = model.spec.clip_sampling
        self._frames = frames
        self._model = model
        self._stop = stop
        self._on_frame = on_frame
        self._ring = FrameRing(sampling.at, span_s=sampling.span_s, every_s=every_s, max_bytes=max_bytes)
        self._answers: queue.Queue[StreamAnswer | BaseException | None] = queue.Queue(maxsize=1)
        self._failure: BaseException | None = None
        self._reader = threading.Thread(target=self._read, name="twinpath-read", daemon=True)
        self._recogniser = threading.Thread(target=self._recognise, name="twinpath-recognise", daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        self._recogniser.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both threads and count what was left over."""
        self._stop.set()
        self._reader.join(timeout=_READ_JOIN_S)
        self._recogniser.join(timeout=_INFER_JOIN_S)
        self._ring.finish()

    @property
    def counters(self) -> Counters:
        """How things stand now."""
        return self._ring.counters

    def answers(self, *, tick_s: float = 0.1) -> Iterator[StreamAnswer | None]:
        """Yield answers as they come until the source ends or `stop` is set, and None at every tick between.

        Raises: what reading or classifying raised.
        """
        while not self._stop.is_set():
            try:
                answer = self._answers.get(timeout=tick_s)
            except queue.Empty:
                yield None
                continue
            if answer is None:
                return
            if isinstance(answer, BaseException):
                raise answer
            yield replace(answer, counters=self._ring.answered())

    def _read(self) -> None:
        try:
            for frame in self._frames:
                if self._on_frame is not None:
                    self._on_frame(frame)
                self._ring.add(frame)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that wants answers
            self._failure = error
        self._ring.close()

    def _recognise(self) -> None:
        end: BaseException | None = None
        try:
            first = self._ring.first_picture(stop=self._stop)
            if first is not None:
                self._model.warm_up(*RgbConverter().shape(first)[:2])
            segment, convert = None, RgbConverter()
            while (window := self._ring.next_window(stop=self._stop)) is not None:
                if window.segment != segment:  # the size of the pictures may have changed
                    segment, convert = window.segment, RgbConverter()
                middle_s = (window.start_s + window.end_s) / 2
                result = self._model.predict(_clip(window.pictures, convert), middle_s)
                self._put(self._answer(window, result))
            end = self._failure
        except BaseException as error:  # noqa: BLE001 - as above
            end = error
        self._put(end)

    def _answer(self, window: Window, result: WindowResult) -> StreamAnswer:
        latency_s = max(time.monotonic() - window.due_s, 0.0)
        utc = datetime.now(UTC) - timedelta(seconds=latency_s)
        return StreamAnswer(
            start_s=window.start_s,
            end_s=window.end_s,
            utc=utc,
            predictions=result.predictions,
            people=result.people,
            latency_s=latency_s,
            counters=self._ring.counters,
        )

    def _put(self, answer: StreamAnswer | BaseException | None) -> None:
        """Hand over; whoever does not take answers makes windows be skipped, like a slow model."""
        while not self._stop.is_set():
            try:
                self._answers.put(answer, timeout=_TICK_S)
            except queue.Full:
                continue
            return


def _clip(pictures: list[VideoFrame], convert: RgbConverter) -> Rgb:
    """(T, H, W, 3) uint8; a picture that repeats is converted once."""
    rgb: dict[int, Rgb] = {}
    for picture in pictures:
        if id(picture) not in rgb:
            rgb[id(picture)] = convert(picture)
    return np.stack([rgb[id(picture)] for picture in pictures])
