"""What the tests of live sources read: streams for `http_server`, and an RTSP server as a process."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import av
import pytest
from av.video.frame import VideoFrame

from tests.support.http_server import Answer
from twinpath.video.decode import FrameStream

SYSTEM_PYTHON = "/usr/bin/python3"  # for which Debian has GStreamer
RTSP_PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good"


def remuxed(video: Path, container: str) -> bytes:
    """The same pictures in another container, "mpegts" for one."""
    out = io.BytesIO()
    with av.open(str(video)) as source, av.open(out, "w", format=container) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()


def looped(video: Path, out: Path, times: int) -> Path:
    """A video that shows another one several times."""
    with av.open(str(video)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream("libx264", rate=30, options={"g": "30", "preset": "ultrafast"})
        pictures = [picture.to_ndarray(format="yuv420p") for picture in source.decode(video=0)]
        stream.height, stream.width = pictures[0].shape[0] * 2 // 3, pictures[0].shape[1]
        for picture in pictures * times:
            target.mux(stream.encode(VideoFrame.from_ndarray(picture, format="yuv420p")))
        target.mux(stream.encode(None))
    return out


def jpegs(video: Path) -> list[bytes]:
    """Each picture of a video as a JPEG."""
    from PIL import Image

    found = []
    with FrameStream(video) as stream:
        for _, frame in stream:
            data = io.BytesIO()
            Image.fromarray(frame).save(data, "JPEG")
            found.append(data.getvalue())
    return found


def endless(parts: list[bytes], *, every_s: float, kind: str = "video/mp2t", then_s: float = 0) -> Answer:
    """A stream without a known length: pieces, one every so often, and then silence for a while."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Type", kind)
        to.end_headers()
        for part in parts:
            to.wfile.write(part)
            to.wfile.flush()
            time.sleep(every_s)
        time.sleep(then_s)

    return answer


def multipart(pictures: list[bytes], *, every_s: float) -> Answer:
    """MJPEG, as cameras serve it to browsers."""
    parts = [
        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)
        for data in pictures
    ]
    return endless(parts, every_s=every_s, kind="multipart/x-mixed-replace; boundary=frame")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class RtspServer:
    """GStreamer's RTSP server with one video at /live; may be killed and started again at the same port."""

    def __init__(self, video: Path, *, user: str = "", password: str = "") -> None:
        self._video = video
        self._login = [user, password] if user else []
        self._running: subprocess.Popen[str] | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        login = ":".join(self._login) + "@" if self._login else ""
        return f"rtsp://{login}127.0.0.1:{self.port}/live"

    def start(self) -> None:
        script = Path(__file__).with_name("rtsp_server.py")
        self._running = subprocess.Popen(
            [SYSTEM_PYTHON, str(script), str(self._video), str(self.port), *self._login],
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self._running.stdout is not None
        self.port = int(self._running.stdout.readline())

    def kill(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.communicate()
            self._running = None


@contextlib.contextmanager
def rtsp_server(video: Path, *, user: str = "", password: str = "") -> Iterator[RtspServer]:
    """Skips the test where Debian's packages are missing; in CI they must be there."""
    imports = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        found = subprocess.run([SYSTEM_PYTHON, "-c", imports], capture_output=True, check=False)
        is_there = found.returncode == 0
    except OSError:
        is_there = False
    if not is_there and not os.environ.get("CI"):
        pytest.skip(f"needs Debian's {RTSP_PACKAGES}")
    server = RtspServer(video, user=user, password=password)
    try:
        yield server
    finally:
        server.kill()
