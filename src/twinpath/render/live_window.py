"""Show live frames with the newest results in a window."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import threading

import numpy as np

from twinpath.errors import MissingExtra, UsageError
from twinpath.render import window_process
from twinpath.render.live import LiveOverlay
from twinpath.video.live import LiveFrame

_INSTALL = "install it with: pip install 'twinpath[window]'"
_CLOSE_TIMEOUT_S = 2.0  # then the window's process is killed


class LiveWindow:
    """Shows the newest frame with the newest results; may skip frames.

    Args:
        title: The title of the window.
    Attributes:
        overlay: Holds the current results; set them here.
    Raises:
        MissingExtra: OpenCV is not installed, or is a build without GUI.
        UsageError: There is no screen, or no window can be opened.
    """

    def __init__(self, title: str) -> None:
        self.overlay = LiveOverlay()
        self._newest: LiveFrame | None = None
        self._changed = threading.Condition()
        self._is_closed = False
        self._process = _start_process(title)
        self._thread = threading.Thread(target=self._send_all, name="twinpath-window", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether the window is open; the user can close it."""
        return self._process.poll() is None

    def add(self, frame: LiveFrame) -> None:
        """Replace the newest frame; never blocks."""
        with self._changed:
            self._newest = frame
            self._changed.notify()

    def close(self) -> None:
        """Close the window and wait until its process has ended."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send_all(self) -> None:
        assert self._process.stdin is not None
        sent = None
        while True:
            with self._changed:
                while self._newest is sent and not self._is_closed:
                    self._changed.wait()
                if self._is_closed:
                    return
                sent = self._newest
            assert sent is not None
            rgb = self.overlay.draw(sent)
            try:
                self._process.stdin.write(window_process.HEADER.pack(*rgb.shape[:2]))
                self._process.stdin.write(np.ascontiguousarray(rgb).data)
                self._process.stdin.flush()
            except OSError:  # the user closed the window
                return


def _start_process(title: str) -> subprocess.Popen[bytes]:
    """Start the process that shows the window, and wait until the window is open.

    Raises: as `LiveWindow`.
    """
    if importlib.util.find_spec("cv2") is None:
        raise MissingExtra(f"a window needs OpenCV; {_INSTALL}")
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UsageError("cannot open a window: no screen here (DISPLAY is not set)")
    process = subprocess.Popen(
        [sys.executable, "-m", window_process.__name__, title],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # Qt's warnings about fonts
    )
    assert process.stdout is not None
    status = process.stdout.readline().decode().strip()
    if status != window_process.READY:
        process.kill()
        process.communicate()
    if status == window_process.NO_OPENCV:
        raise MissingExtra(f"cannot open a window: OpenCV cannot be imported; {_INSTALL}")
    if status == window_process.NO_WINDOWS:
        raise MissingExtra(f"cannot open a window: this is OpenCV without windows; remove it, and {_INSTALL}")
    if status != window_process.READY:
        raise UsageError("cannot open a window on this screen; is DISPLAY right?")
    process.stdout.close()
    return process
