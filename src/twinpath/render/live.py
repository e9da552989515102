"""Draw the newest results on live frames, and write the frames to a file."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinpath.errors import TwinpathError, UsageError
from twinpath.paths import display_path
from twinpath.render.people import PeoplePainter, ShownPerson
from twinpath.render.prediction_panel import PredictionPanel
from twinpath.results.classification import Prediction
from twinpath.results.detections import Track
from twinpath.video.color import Rgb, RgbConverter
from twinpath.video.live import LiveFrame, LiveReader
from twinpath.video.source import open_video
from twinpath.video.writer import VideoWriter

COMMENT = "Twinpath: frames of a live source with results"  # in the metadata; such a file may be replaced
_QUEUE_FRAMES = 128  # in the encoder's queue: an RTSP server starts with a burst
_QUEUE_BYTES = 1 << 28  # of decoded frames in the queue
_MIN_STEP_S = 0.001  # frames closer than this have the same time


class LiveOverlay:
    """Draws the newest results on frames, all with the size of the first one.

    Both attributes may be set at any time, from any thread.

    Attributes:
        predictions: Best first; empty: no panel is drawn.
        people: Tracks with one point each, whose boxes are drawn.
    """

    def __init__(self) -> None:
        self.predictions: Sequence[Prediction] = ()
        self.people: Sequence[Track] = ()
        self._painter: PeoplePainter | None = None
        self._convert = RgbConverter()
        self._panel_predictions: Sequence[Prediction] = ()
        self._panel: PredictionPanel | None = None

    def draw(self, frame: LiveFrame) -> Rgb:
        """The frame with the results drawn on it: (H, W, 3) uint8 RGB."""
        rgb, predictions, people = self._convert(frame.av_frame), self.predictions, self.people
        if predictions is not self._panel_predictions:
            self._panel_predictions = predictions
            self._panel = PredictionPanel(predictions, rgb.shape[:2]) if predictions else None
        if people:
            if self._painter is None:
                self._painter = PeoplePainter(rgb.shape[:2])
            rgb = np.array(rgb)  # the decoder's buffer must not be modified
            self._painter.draw(rgb, shown_people(people))
        return self._panel.draw(rgb) if self._panel is not None else rgb


def shown_people(people: Sequence[Track]) -> list[ShownPerson]:
    """The people to draw, from tracks with one point each."""
    return [
        ShownPerson(track.track_id, point.box_xyxy_px, tuple((a.label, a.score) for a in point.actions))
        for track in people
        for point in track.points
    ]


def check_annotated(path: Path) -> None:
    """Check that an annotated file may be written: what is there must be one of an earlier run, or empty.

    Raises:
        UsageError: The folder does not exist, or there is another file.
    """
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {display_path(path)}: the folder does not exist; make it first")
    if path.is_file() and path.stat().st_size and not _is_annotated(path):
        raise UsageError(
            f"{display_path(path)} exists, and is no earlier recording of a live source; "
            "give another name, or remove it"
        )


def _is_annotated(path: Path) -> bool:
    try:
        with open_video(path) as video:
            return video.container.metadata.get("comment") == COMMENT
    except (TwinpathError, OSError):
        return False


class AnnotatedFile:
    """Writes every frame with the current results, in another thread, with the source's timestamps.

    If the encoder is slower than the source, frames are dropped and counted. The file appears when it is
    closed; it is complete, also after an interruption.

    Args:
        path: The MP4 to create or replace.
        reader: The source of the frame rate.
    Attributes:
        overlay: Holds the current results; set them here.
        frames_written, frames_left_out: Number of frames written and dropped.
        is_complete: Whether the file is in its place, with these frames.
    Raises:
        UsageError: See `check_annotated`.
    """

    def __init__(self, path: Path, reader: LiveReader) -> None:
        check_annotated(path)
        self.path = path
        self.is_complete = False
        self.overlay = LiveOverlay()
        self.frames_written = 0
        self.frames_left_out = 0
        self._reader = reader
        self._writer: VideoWriter | None = None
        self._first_s = self._last_s = 0.0
        self._error: BaseException | None = None
        self._queue: queue.Queue[LiveFrame | None] = queue.Queue(maxsize=_QUEUE_FRAMES)
        self._thread = threading.Thread(target=self._write_all, name="twinpath-write", daemon=True)
        self._thread.start()

    def add(self, frame: LiveFrame) -> None:
        """Queue a frame; never blocks.

        Raises: The error of the writing thread, for example on a full disk.
        """
        if self._error is not None:
            raise self._error
        size_bytes = sum(plane.buffer_size for plane in frame.av_frame.planes)
        try:
            if self._queue.qsize() * size_bytes > _QUEUE_BYTES:
                raise queue.Full
            self._queue.put_nowait(frame)
        except queue.Full:
            self.frames_left_out += 1

    def close(self) -> None:
        """Write the queued frames and finish the file; without a frame there is no file.

        Raises: The error of the writing thread.
        """
        try:
            while self._thread.is_alive():
                try:
                    self._queue.put(None, timeout=0.1)
                    break
                except queue.Full:
                    continue
            self._thread.join()
            if self._error is not None:
                raise self._error
            if self._writer is not None:
                self._writer.close()
                self.is_complete = True
        except BaseException:
            if self._writer is not None:
                self._writer.discard()
            raise

    def _write_all(self) -> None:
        try:
            while (frame := self._queue.get()) is not None:
                self._write(frame)
        except BaseException as error:  # noqa: BLE001 - raised again by `add` and `close`
            self._error = error

    def _write(self, frame: LiveFrame) -> None:
        rgb = self.overlay.draw(frame)
        if self._writer is None:
            height, width = rgb.shape[:2]
            self._writer = VideoWriter(
                self.path, width=width, height=height, fps=self._reader.fps, comment=COMMENT
            )
            self._first_s = frame.time_s
        elif frame.time_s < self._last_s + _MIN_STEP_S:
            self.frames_left_out += 1
            return
        self._writer.write(rgb, time_s=frame.time_s - self._first_s)
        self._last_s = frame.time_s
        self.frames_written += 1
