"""The current answer on live pictures: written to a file, or shown in a window."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinpath.errors import MissingExtra, UsageError
from twinpath.paths import display_path
from twinpath.render import window
from twinpath.render.answer import AnswerPanel
from twinpath.render.people import PeoplePainter, ShownPerson
from twinpath.results.classification import Prediction
from twinpath.results.detections import Track
from twinpath.video.color import Rgb, RgbConverter
from twinpath.video.live import LiveFrame, LiveReader
from twinpath.video.writer import VideoWriter

_WAITING_FRAMES = 128  # pictures that may wait for the encoder: an RTSP server begins with a burst
_WAITING_BYTES = 1 << 28  # of them, as decoded
_INSTALL = "install it with: pip install 'twinpath[window]'"
_CLOSING_S = 2.0  # then the window's process is ended
_LEAST_STEP_S = 0.001  # pictures nearer than this have the same time


class AnswerOverlay:
    """Draws the newest answer on pictures, all in the size of the first. The answer may change any time.

    Attributes:
        predictions: Best first; none: the picture stays as it is.
        people: Tracks of one keyframe each; as many boxes are drawn.
    """

    def __init__(self) -> None:
        self.predictions: Sequence[Prediction] = ()
        self.people: Sequence[Track] = ()
        self._painter: PeoplePainter | None = None
        self._convert = RgbConverter()
        self._drawn: Sequence[Prediction] = ()
        self._panel: AnswerPanel | None = None

    def draw(self, frame: LiveFrame) -> Rgb:
        """(H, W, 3) uint8 RGB."""
        picture, predictions = self._convert(frame.picture), self.predictions
        if predictions is not self._drawn:
            self._drawn = predictions
            self._panel = AnswerPanel(predictions, picture.shape[:2]) if predictions else None
        people = self.people
        if people:
            if self._painter is None:
                self._painter = PeoplePainter(picture.shape[:2])
            picture = np.array(picture)  # the decoder's own stays as it is
            self._painter.draw(picture, shown_people(people))
        return self._panel.draw(picture) if self._panel is not None else picture


def shown_people(people: Sequence[Track]) -> list[ShownPerson]:
    """Tracks of one keyframe each, to draw."""
    return [
        ShownPerson(track.track_id, seen.box_xyxy_px, tuple((a.label, a.score) for a in seen.actions))
        for track in people
        for seen in track.points
    ]


class AnnotatedFile:
    """Writes every picture with the answer of its moment, in a thread of its own, at the source's times.

    Where the encoder is slower than the source, pictures are left out of the file and counted. The file
    appears when it is closed, whole, also after an interruption.

    Args:
        path: An MP4 to make or replace.
        reader: Tells the frame rate.
    Attributes:
        overlay: Takes the answers.
        frames_written, frames_left_out: So far.
    Raises:
        UsageError: The folder does not exist.
    """

    def __init__(self, path: Path, reader: LiveReader) -> None:
        if not path.parent.is_dir():
            raise UsageError(f"cannot write {display_path(path)}: the folder does not exist; make it first")
        self.path = path
        self.overlay = AnswerOverlay()
        self.frames_written = 0
        self.frames_left_out = 0
        self._reader = reader
        self._writer: VideoWriter | None = None
        self._first_s = self._last_s = 0.0
        self._failure: BaseException | None = None
        self._waiting: queue.Queue[LiveFrame | None] = queue.Queue(maxsize=_WAITING_FRAMES)
        self._thread = threading.Thread(target=self._write_all, name="twinpath-write", daemon=True)
        self._thread.start()

    def add(self, frame: LiveFrame) -> None:
        """Take a picture; never waits.

        Raises: what writing raised, for example that the disk is full.
        """
        if self._failure is not None:
            raise self._failure
        size_bytes = sum(plane.buffer_size for plane in frame.picture.planes)
        try:
            if self._waiting.qsize() * size_bytes > _WAITING_BYTES:
                raise queue.Full
            self._waiting.put_nowait(frame)
        except queue.Full:
            self.frames_left_out += 1

    def close(self) -> None:
        """Write what waits, finish the file and put it in its place; no file where no picture came.

        Raises: what writing raised.
        """
        try:
            while self._thread.is_alive():
                try:
                    self._waiting.put(None, timeout=0.1)
                    break
                except queue.Full:
                    continue
            self._thread.join()
            if self._failure is not None:
                raise self._failure
            if self._writer is not None:
                self._writer.close()
        except BaseException:
            if self._writer is not None:
                self._writer.discard()
            raise

    def _write_all(self) -> None:
        try:
            while (frame := self._waiting.get()) is not None:
                self._write(frame)
        except BaseException as error:  # noqa: BLE001 - raised where pictures are handed in
            self._failure = error

    def _write(self, frame: LiveFrame) -> None:
        picture = self.overlay.draw(frame)
        if self._writer is None:
            height, width = picture.shape[:2]
            self._writer = VideoWriter(self.path, width=width, height=height, fps=self._reader.fps)
            self._first_s = frame.time_s
        elif frame.time_s < self._last_s + _LEAST_STEP_S:
            self.frames_left_out += 1
            return
        self._writer.write(picture, time_s=frame.time_s - self._first_s)
        self._last_s = frame.time_s
        self.frames_written += 1


class LiveWindow:
    """Shows the newest picture with the newest answer; pictures between may be left out.

    Attributes:
        overlay: Takes the answers.
    Raises:
        MissingExtra: OpenCV is not installed, or without windows.
        UsageError: There is no screen.
    """

    def __init__(self, title: str) -> None:
        self.overlay = AnswerOverlay()
        self._newest: LiveFrame | None = None
        self._changed = threading.Condition()
        self._closed = False
        if importlib.util.find_spec("cv2") is None:
            raise MissingExtra(f"--window needs OpenCV; {_INSTALL}")
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UsageError("--window: no screen here (DISPLAY is not set); --annotate FILE.mp4 needs none")
        self._process = subprocess.Popen(
            [sys.executable, "-m", window.__name__, title],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # Qt's complaints about fonts
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline().decode().strip()
        if said != window.READY:
            self._process.kill()
            self._process.communicate()
        if said == window.NO_OPENCV:
            raise MissingExtra(f"--window: OpenCV cannot be imported; {_INSTALL}")
        if said == window.NO_WINDOWS:
            raise MissingExtra(f"--window: this is OpenCV without windows; remove it, and {_INSTALL}")
        if said != window.READY:
            raise UsageError("--window: no window can be opened on this screen; is DISPLAY right?")
        self._process.stdout.close()
        self._thread = threading.Thread(target=self._send_all, name="twinpath-window", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether the user has not closed it."""
        return self._process.poll() is None

    def add(self, frame: LiveFrame) -> None:
        """Take a picture; never waits."""
        with self._changed:
            self._newest = frame
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_CLOSING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send_all(self) -> None:
        assert self._process.stdin is not None
        sent = None
        while True:
            with self._changed:
                while self._newest is sent and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                sent = self._newest
            assert sent is not None
            picture = self.overlay.draw(sent)
            try:
                self._process.stdin.write(window.HEADER.pack(*picture.shape[:2]))
                self._process.stdin.write(np.ascontiguousarray(picture).data)
                self._process.stdin.flush()
            except OSError:  # the user closed it
                return
