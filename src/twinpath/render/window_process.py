"""A separate process that shows frames in a window.

OpenCV and PyAV contain libraries of the same names, and a process that has loaded PyAV hangs when OpenCV
opens a window on Linux (PyAV's issues 978 and 1050). Therefore this process does not load PyAV. `LiveWindow`
of `render/live_window.py` starts it as `python -m twinpath.render.window_process TITLE` and writes frames to
its stdin, each as height and width (two uint32, little endian) and RGB bytes. The process prints READY, or
why no window can be opened, to stdout.
"""

from __future__ import annotations

import importlib
import signal
import struct
import sys
import threading
from typing import Any

import numpy as np

HEADER = struct.Struct("<II")
READY, NO_OPENCV, NO_WINDOWS = "ready", "no opencv", "no windows"
_POLL_MS = 15


def main(title: str) -> None:
    """Show frames until stdin ends, or the user closes the window or presses q or Esc."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError:
        print(NO_OPENCV, flush=True)
        return
    try:
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
    except cv2.error:
        print(NO_WINDOWS, flush=True)
        return
    print(READY, flush=True)
    stream = _NewestFrame()
    threading.Thread(target=stream.read_all, daemon=True).start()
    shown, size = None, None
    while not stream.has_ended:
        frame = stream.newest
        if frame is not None and frame is not shown:
            shown = frame
            if size != frame.shape:
                size = frame.shape
                cv2.resizeWindow(title, size[1], size[0])
            cv2.imshow(title, frame[..., ::-1])
        key = cv2.waitKey(_POLL_MS) & 0xFF
        if key in (ord("q"), 27) or cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1:
            return


class _NewestFrame:
    """Reads frames from stdin and stores the newest one."""

    def __init__(self) -> None:
        self.newest: np.ndarray[Any, np.dtype[np.uint8]] | None = None
        self.has_ended = False

    def read_all(self) -> None:
        stdin = sys.stdin.buffer
        while len(header := stdin.read(HEADER.size)) == HEADER.size:
            height, width = HEADER.unpack(header)
            data = stdin.read(height * width * 3)
            if len(data) < height * width * 3:
                break
            self.newest = np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3)
        self.has_ended = True


if __name__ == "__main__":
    main(sys.argv[1])
