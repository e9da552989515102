"""Live pictures with the answer on them: in a file, and in a window."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from twinpath.errors import MissingExtra, UsageError
from twinpath.render.live import AnnotatedFile, LiveOverlay
from twinpath.render.live_window import LiveWindow
from twinpath.results.classification import Prediction
from twinpath.results.detections import Track, TrackPoint
from twinpath.video.decode import FrameStream
from twinpath.video.live import LiveFrame, LiveReader, parse_source
from twinpath.video.writer import VideoWriter

ANSWER = (Prediction("wave", 0, 0.9),)


def frame(number: int, *, time_s: float | None = None, size: tuple[int, int] = (48, 64)) -> LiveFrame:
    picture = VideoFrame.from_ndarray(np.full((*size, 3), 90, dtype=np.uint8), format="rgb24")
    return LiveFrame(picture, number / 25 if time_s is None else time_s, 0.0, 1)


def reader() -> LiveReader:
    return LiveReader(parse_source("rtsp://host"), stop=threading.Event(), on_status=print)


def written(path: Path) -> list[tuple[float, np.ndarray]]:
    with FrameStream(path, strict=True) as stream:
        return list(stream)


def test_pictures_have_the_answer_of_their_moment_and_their_own_times(tmp_path: Path) -> None:
    file = AnnotatedFile(tmp_path / "out.mp4", reader())
    for number in range(5):
        file.add(frame(number))
    while file.frames_written < 5:
        time.sleep(0.01)
    file.overlay.predictions = ANSWER
    for number in range(30, 35):  # after an interruption, in another size
        file.add(frame(number, size=(64, 64) if number > 32 else (48, 64)))
    file.overlay.predictions = ANSWER
    file.close()
    pictures = written(tmp_path / "out.mp4")
    times_s = [time_s for time_s, _ in pictures]
    assert times_s == pytest.approx([n / 25 for n in (0, 1, 2, 3, 4, 30, 31, 32, 33, 34)], abs=1e-3)
    assert {picture.shape for _, picture in pictures} == {(48, 64, 3)}
    is_drawn = [bool(np.ptp(picture) > 60) for _, picture in pictures]
    assert is_drawn == [False] * 5 + [True] * 5
    assert (file.frames_written, file.frames_left_out) == (10, 0)


def test_boxes_are_drawn_on_a_copy_of_the_decoded_picture() -> None:
    overlay = LiveOverlay()
    overlay.people = (Track(1, (TrackPoint(0.0, (10, 10, 40, 40), 0.9, ANSWER),)),)
    given = frame(0)
    assert np.ptp(overlay.draw(given)) > 60
    overlay.people = ()
    assert (overlay.draw(given) == 90).all()


def test_a_slow_encoder_leaves_pictures_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = VideoWriter.write

    def slow(*arguments: object, **options: object) -> None:
        time.sleep(0.02)
        write(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoWriter, "write", slow)
    monkeypatch.setattr("twinpath.render.live._QUEUE_BYTES", 8 * 64 * 48 * 3)
    file = AnnotatedFile(tmp_path / "out.mp4", reader())
    began_s = time.monotonic()
    for number in range(200):
        file.add(frame(number))
    assert time.monotonic() - began_s < 3, "whoever reads the source is never held up"
    file.close()
    assert file.frames_written == len(written(tmp_path / "out.mp4"))
    assert file.frames_written + file.frames_left_out == 200
    assert file.frames_left_out > 100


def test_pictures_of_one_time_are_written_once(tmp_path: Path) -> None:
    file = AnnotatedFile(tmp_path / "out.mp4", reader())
    for time_s in (3.0, 3.0, 3.0001, 3.1):
        file.add(frame(0, time_s=time_s))
    file.close()
    assert (file.frames_written, file.frames_left_out) == (2, 2)
    assert [time_s for time_s, _ in written(tmp_path / "out.mp4")] == pytest.approx([0, 0.1], abs=1e-3)


def test_a_full_disk_is_told_to_who_hands_in_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "out.mp4"
    earlier = AnnotatedFile(old, reader())
    earlier.add(frame(0))
    earlier.close()
    assert earlier.is_complete
    before = old.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(VideoWriter, "write", full)
    file = AnnotatedFile(old, reader())

    def add_for_a_while() -> None:
        for number in range(200):
            file.add(frame(number))
            time.sleep(0.01)

    with pytest.raises(OSError, match="No space left"):
        add_for_a_while()
    with pytest.raises(OSError, match="No space left"):
        file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert old.read_bytes() == before
    assert not file.is_complete


def test_no_picture_no_file(tmp_path: Path) -> None:
    AnnotatedFile(tmp_path / "out.mp4", reader()).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"my notes", b"\0\0\0\x18ftypisom", None])
def test_another_file_is_not_replaced(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "out.mp4"
    if data is None:  # a video of somebody else
        with VideoWriter(path, width=16, height=16, fps=25, comment="Twinpath") as writer:
            writer.write(np.zeros((16, 16, 3), dtype=np.uint8))
    else:
        path.write_bytes(data)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists, and is no earlier recording"):
        AnnotatedFile(path, reader())
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the folder does not exist"):
        AnnotatedFile(tmp_path / "no" / "out.mp4", reader())


OPENCV = """
import os, pathlib
WINDOW_NORMAL = WINDOW_KEEPRATIO = WINDOW_GUI_NORMAL = WND_PROP_VISIBLE = 0
class error(Exception): pass
log = pathlib.Path(os.environ["OPENCV_LOG"])
shown = 0
def namedWindow(title, flags):
    if os.environ.get("OPENCV_HEADLESS"): raise error("not implemented")
    import sys
    log.write_text(f"{title} {'av' in sys.modules}\\n")
def resizeWindow(title, width, height): pass
def imshow(title, picture):
    global shown
    shown += 1
    with log.open("a") as file: file.write(f"{picture.shape} {int(picture.max() - picture.min())}\\n")
def waitKey(ms):
    import time
    time.sleep(ms / 1000)
    return ord("q") if shown >= int(os.environ.get("OPENCV_PICTURES", 10 ** 9)) else -1
def getWindowProperty(title, which): return 1.0
"""


@pytest.fixture
def opencv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What looks like OpenCV, on what looks like a screen. Gives the file in which it says what it did."""
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))  # for find_spec; PYTHONPATH is for the window
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"), prepend=os.pathsep)
    monkeypatch.setenv("OPENCV_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("DISPLAY", ":0")
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "cv2.py").write_text(OPENCV)
    return tmp_path / "log"


def test_a_window_shows_the_newest_picture(opencv: Path) -> None:
    window = LiveWindow("twinpath: camera 0")
    assert window.is_open
    window.overlay.predictions = ANSWER
    window.add(frame(0))
    while len(opencv.read_text().splitlines()) < 2:
        time.sleep(0.01)
    for number in range(5000):
        window.add(frame(number))
    window.close()
    assert not window.is_open
    title, first, *rest = opencv.read_text().splitlines()
    assert title == "twinpath: camera 0 False", "the window's process must not load PyAV"
    shape, contrast = first.rsplit(" ", 1)
    assert shape == "(48, 64, 3)"
    assert int(contrast) > 60
    assert len(rest) < 4000, "what comes faster than it can be shown is left out"


def test_the_user_closes_the_window(opencv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCV_PICTURES", "1")
    window = LiveWindow("t")
    window.add(frame(0))
    for number in range(500):
        if not window.is_open:
            break
        time.sleep(0.01)
        window.add(frame(number))
    assert not window.is_open
    window.close()


def test_opencv_without_windows(opencv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCV_HEADLESS", "1")
    with pytest.raises(MissingExtra, match=r"without windows; remove it, and install it with: pip install"):
        LiveWindow("t")


def test_no_opencv(opencv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (opencv.parent / "modules" / "cv2.py").write_text("raise ImportError('broken')\n")
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[window\]'"):
        LiveWindow("t")


def test_no_screen(opencv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="no screen here"):
        LiveWindow("t")
