"""Recognition on a live source: the model scores the newest window, again and again.

    with LiveRecognition(LiveReader(source, stop=stop, on_status=print), model, stop=stop) as live:
        for answer in live.answers():
            ...

One thread reads and buffers the newest frames, another runs the model. Windows that are due while the model
is busy are skipped and counted, never queued, so that the latency stays minimal.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import numpy as np
from av.video.frame import VideoFrame

from twinpath.recognize.frame_ring import DEFAULT_MAX_BYTES, Counters, FrameRing, Window
from twinpath.recognize.live_models import LiveModel, WindowResult
from twinpath.recognize.plan import check_every_s
from twinpath.results.classification import Prediction
from twinpath.results.detections import Track
from twinpath.video.color import RgbConverter
from twinpath.video.frame_converter import FrameConverter
from twinpath.video.live import LiveFrame
from twinpath.video.resize import Picture, Pixels, ResizedFrames

_TICK_S = 0.1  # interval of checking the stop event
_READ_JOIN_S = 2.0  # then a reading thread that is blocked by its server is abandoned
_INFER_JOIN_S = 60.0


@dataclass(frozen=True)
class StreamAnswer:
    """The result of one window of a live source.

    Attributes:
        start_s, end_s: Start and end of the window, in seconds since the first frame.
        utc: When its newest frame was due, by this computer's clock.
        predictions: Best first; empty if no score reaches the threshold.
        people: For a detection model: the people in the middle of the window and their actions, each a track
            of one point; None: the model classifies whole windows.
        latency_s: Age of the newest frame when the result was ready, in seconds.
        counters: The counters up to this result.
    """

    start_s: float
    end_s: float
    utc: datetime
    predictions: tuple[Prediction, ...]
    people: tuple[Track, ...] | None
    latency_s: float
    counters: Counters

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
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


class LiveRecognition:
    """Runs a model on a live source. Use as a context manager and iterate `answers` once.

    Args:
        frames: A `LiveReader`; a reading thread iterates over it.
        model: Scores windows, one at a time, in another thread.
        stop: The event that ends `frames`; set on exit.
        every_s, max_bytes: See `FrameRing`.
        on_frame: Called with every frame in the reading thread; must return quickly.
    Raises:
        UsageError: `every_s` is out of range.
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
        """Stop both threads; waiting frames are counted as dropped."""
        self._stop.set()
        self._reader.join(timeout=_READ_JOIN_S)
        self._recogniser.join(timeout=_INFER_JOIN_S)
        self._ring.finish()

    @property
    def counters(self) -> Counters:
        """The current counters."""
        return self._ring.counters

    def answers(self, *, tick_s: float = 0.1) -> Iterator[StreamAnswer | None]:
        """Yield answers until the source ends or `stop` is set; None at every tick without an answer.

        Raises:
            Exception: The error of the reader or of the model.
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
        except BaseException as error:  # noqa: BLE001 - raised again in `answers`
            self._failure = error
        self._ring.close()

    def _recognise(self) -> None:
        end: BaseException | None = None
        try:
            first = self._ring.first_frame(stop=self._stop)
            if first is not None:
                self._model.warm_up(*RgbConverter().shape(first)[:2])
            segment, convert = None, FrameConverter(self._model.resize)
            while (window := self._ring.next_window(stop=self._stop)) is not None:
                if window.segment != segment:  # the frame size may have changed
                    segment, convert = window.segment, FrameConverter(self._model.resize)
                middle_s = (window.start_s + window.end_s) / 2
                result = self._model.predict(*_clip(window.frames, convert), middle_s)
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
        """Pass an answer to `answers`; blocks until the last one is taken, so that windows are skipped."""
        while not self._stop.is_set():
            try:
                self._answers.put(answer, timeout=_TICK_S)
            except queue.Full:
                continue
            return


def _clip(frames: list[VideoFrame], convert: FrameConverter) -> tuple[ResizedFrames, Picture]:
    """The resized frames and the whole picture of the middle one; a repeated frame is converted once."""
    middle = frames[len(frames) // 2]
    pixels: dict[int, Pixels] = {}
    pictures = []  # the middle one
    for frame in frames:
        if id(frame) not in pixels:
            converted = convert(frame)
            pixels[id(frame)] = converted.pixels
            if frame is middle:
                pictures.append(converted.picture)
    clip = np.stack([pixels[id(frame)] for frame in frames])
    return ResizedFrames(clip, *convert.rgb.size_px), pictures[0]
