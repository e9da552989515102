"""Live sources: what an address is, how a stream's times go on, what happens when it breaks off."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from tests.support import live_sources as servers
from tests.support.http_server import cut, http_server, status, whole
from twinpath.errors import InputError, NoFrames, NotAFile, NotAVideo, SourceLost, UsageError
from twinpath.retry import RetryPolicy
from twinpath.video import live
from twinpath.video.decode import FrameStream
from twinpath.video.live import ConnectionOptions, LiveFrame, LiveReader, parse_source
from twinpath.video.writer import VideoWriter

FPS = 30
AT_ONCE_S = 10  # on a computer that is busy; what these tests would wait for otherwise takes twice as long
ONCE = RetryPolicy(max_retries=0)
SOON = RetryPolicy(max_retries=2, first_wait_s=0.02, longest_wait_s=0.04)


@pytest.fixture(scope="module")
def bar_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of a moving bar, with a keyframe every third of a second."""
    path = tmp_path_factory.mktemp("live") / "bar.mp4"
    with VideoWriter(path, width=64, height=48, fps=FPS) as writer:
        for number in range(FPS):
            frame = np.full((48, 64, 3), 40, dtype=np.uint8)
            frame[:, 2 * number : 2 * number + 4] = 220
            writer.write(frame)
    return path


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty seconds, two pictures each."""
    path = tmp_path_factory.mktemp("live") / "long.mp4"
    with VideoWriter(path, width=64, height=48, fps=2) as writer:
        for number in range(60):
            writer.write(np.full((48, 64, 3), 3 * number, dtype=np.uint8))
    return path


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


class Read:
    """Everything that a source gave until it ended or failed."""

    def __init__(self, source: str, *, at_most: int | None = None, **options: object) -> None:
        self.stop = threading.Event()
        self.told: list[str] = []
        self.frames: list[LiveFrame] = []
        self.error: InputError | None = None
        self.reader = LiveReader(
            parse_source(source), stop=self.stop, on_status=self.told.append, **{"retry": ONCE, **options}
        )
        self.at_most = at_most

    def go(self) -> Read:
        try:
            for frame in self.reader:
                self.frames.append(frame)
                if len(self.frames) == self.at_most:
                    self.stop.set()
        except InputError as error:
            self.error = error
        return self

    @property
    def times_s(self) -> list[float]:
        return [frame.time_s for frame in self.frames]


def read(source: str, **options: object) -> Read:
    return Read(source, **options).go()


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("0", "camera", "camera 0"),
        ("/dev/video2", "camera", "/dev/video2"),
        ("RTSP://cam/Live", "rtsp", "rtsp://cam/Live"),
        ("rtsps://joe:pa@ss@cam:322/live?token=abc", "rtsp", "rtsps://***@cam:322/live?***"),
        ("HTTP://joe:p%2Fw@host/a.ts ", "http", "http://***@host/a.ts"),
        ("http://host:8080/take@2.ts", "http", "http://***@2.ts"),
        ("https://host/a.ts", "http", "https://host/a.ts"),
        ("clips/a.mp4", "file", "clips/a.mp4"),
        ("./0", "file", "0"),
    ],
)
def test_an_address_is_told_by_its_form(
    text: str, kind: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    source = parse_source(text)
    assert (source.kind, source.shown) == (kind, shown)
    for secret in ("pa@ss", "p%2Fw", "abc"):
        assert secret not in repr(source)
    assert "RTSP" not in source.address  # FFmpeg finds no protocol of that name


@pytest.mark.parametrize("text", ["udp://host:1", "file:///etc/passwd", "concat://a", "ftp://u:p@host/a.mp4"])
def test_other_protocols_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"rtsp://, rtsps://, http:// or https://") as caught:
        parse_source(text)
    assert "u:p" not in str(caught.value)


def test_a_camera_number_needs_a_system_that_numbers_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UsageError, match="on Linux and macOS only"):
        parse_source("0")


@pytest.mark.parametrize(
    ("address", "shown", "words"),
    [
        ("rtsp://joe:s3#cret@cam/live", "rtsp://***@cam/live", "holds #; write %23"),
        ("rtsp://joe:1#s3cret@cam", "rtsp://***@cam", "holds #; write %23"),
        ("http://joe:s3/cret@cam", "http://***@cam", "holds /; write %2F"),
        ("rtsp://joe:s3?cret@cam", "rtsp://***@cam", "holds ?; write %3F"),
        ("rtsp://joe:s3 cret\n@cam/x", "rtsp://***@cam/x", "holds white space; write %20"),
        ("rtsp:/joe:s3cret@cam/live", "rtsp:/***@cam/live", "neither a file nor an address"),
        ("rtsp:joe:s3cret@cam", "rtsp:***@cam", "neither a file nor an address"),
        ("joe:s3cret@cam/live", "***@cam/live", "neither a file nor an address"),
    ],
)
def test_an_address_that_would_be_read_wrongly(address: str, shown: str, words: str) -> None:
    """FFmpeg ends the host at these characters, and would contact a host by the name of the user."""
    with pytest.raises(UsageError) as caught:
        parse_source(address)
    assert str(caught.value).startswith(shown)
    assert words in str(caught.value)
    assert "cret" not in str(caught.value)


def test_a_file_may_be_named_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rtsp:x.mp4").touch()
    assert parse_source("rtsp:x.mp4").kind == "file"


def test_a_file_plays_at_its_own_speed(bar_video: Path) -> None:
    began_s = time.monotonic()
    played = read(str(bar_video))
    took_s = time.monotonic() - began_s
    with FrameStream(bar_video) as stream:
        assert played.times_s == pytest.approx([time_s for time_s, _ in stream], abs=1e-6)
    assert took_s > 0.95
    assert {frame.segment for frame in played.frames} == {1}
    assert played.reader.fps == FPS
    assert played.told == []
    first_due_s = played.frames[0].due_s
    assert [frame.due_s - first_due_s for frame in played.frames] == pytest.approx(played.times_s, abs=1e-6)


def test_a_file_as_fast_as_it_comes(long_video: Path) -> None:
    began_s = time.monotonic()
    assert len(read(str(long_video), realtime=False).frames) == 60
    assert time.monotonic() - began_s < AT_ONCE_S


def test_stopping_ends_a_file_at_once(long_video: Path) -> None:
    played = Read(str(long_video))
    threading.Timer(0.2, played.stop.set).start()
    began_s = time.monotonic()
    played.go()
    assert time.monotonic() - began_s < AT_ONCE_S
    assert played.error is None


def test_what_is_no_video_file(tmp_path: Path) -> None:
    text = tmp_path / "a.mp4"
    text.write_text("#EXTM3U\nhttp://127.0.0.1/x.ts\n")
    for path, kind in ((text, NotAVideo), (tmp_path / "none.mp4", NotAFile), (Path("/dev/zero"), NotAFile)):
        played = Read(str(path))
        with pytest.raises(kind):
            played.reader.check()
        assert type(played.go().error) is kind
        assert played.told == []


def test_a_damaged_file_says_so(bar_video: Path, tmp_path: Path) -> None:
    data = servers.remuxed(bar_video, "mpegts")
    (tmp_path / "cut.ts").write_bytes(data[: len(data) // 2 - 700])
    played = read(str(tmp_path / "cut.ts"), realtime=False)
    assert 3 < len(played.frames) < FPS


def test_a_file_over_http_is_played_once(bar_video: Path) -> None:
    with http_server({"/a.ts": whole(servers.remuxed(bar_video, "mpegts"))}) as server:
        began_s = time.monotonic()
        played = read(server.url("/a.ts"))
    assert played.error is None
    assert played.told == []
    assert np.diff(played.times_s) == pytest.approx(1 / FPS, abs=2e-3)
    assert len(played.frames) == FPS
    assert time.monotonic() - began_s > 0.9


def test_mp4_over_http(bar_video: Path) -> None:
    with http_server({"/a": whole(bar_video.read_bytes(), "video/mp4")}) as server:
        assert len(read(server.url("/a"), realtime=False).frames) == FPS


def test_a_stream_over_http_comes_back_as_another_segment(bar_video: Path) -> None:
    data = servers.remuxed(bar_video, "mpegts")
    parts = [data[i : i + 188 * 8] for i in range(0, len(data), 188 * 8)]
    with http_server({"/live": servers.endless(parts, every_s=0.005)}) as server:
        url = server.url("/live", user="joe:secret@")
        played = read(url, retry=SOON, at_most=FPS + 5)
        assert len(server.paths) >= 2
    assert played.reader.reconnects == 1
    assert {frame.segment for frame in played.frames} == {1, 2}
    assert np.diff(played.times_s).min() >= 0
    broke, back, *_ = played.told
    assert broke.startswith(
        f"http://***@127.0.0.1:{server.server_port}/live: the connection was closed; retry 1 of 2"
    )
    assert "back after" in back
    assert "secret" not in str(played.told)


def test_mjpeg_has_the_times_at_which_it_comes(bar_video: Path) -> None:
    pictures = servers.jpegs(bar_video)[:12]
    with http_server({"/cam": servers.multipart(pictures, every_s=0.1)}) as server:
        played = read(server.url("/cam"), at_most=10)
    steps_s = np.diff(played.times_s[4:])  # the first come together, after FFmpeg has had a look at them
    assert np.median(steps_s) == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (whole(b"<html>no video here</html>" * 40, "text/html"), "is no video that Twinpath reads"),
        (status(401), "give user and password"),
        (status(404), "404 not found; check the address"),
        (status(302, Location="file:///etc/hostname"), "cannot be read"),
    ],
)
def test_a_server_without_video(answer: servers.Answer, words: str) -> None:
    with http_server({"/x": answer}) as server:
        played = read(server.url("/x", user="joe:secret@"))
    assert isinstance(played.error, SourceLost)
    assert words in str(played.error)
    assert "secret" not in str(played.error)
    assert played.error.__cause__ is None
    assert played.error.__context__ is None  # FFmpeg's own error names the whole address


def test_a_playlist_is_refused_and_not_followed(bar_video: Path) -> None:
    text = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n/inner.ts\n#EXT-X-ENDLIST\n"
    answers = {
        "/list.m3u8": whole(text, "application/vnd.apple.mpegurl"),
        "/inner.ts": whole(servers.remuxed(bar_video, "mpegts")),
    }
    with http_server(answers) as server:
        played = read(server.url("/list.m3u8"), retry=SOON)
        assert set(server.paths) == {"/list.m3u8"}
    assert "playlist" in str(played.error)
    assert played.told == []  # trying again would not help


def test_a_file_over_http_that_breaks_off_is_not_its_end(bar_video: Path) -> None:
    with http_server({"/a.ts": cut(servers.remuxed(bar_video, "mpegts"))}) as server:
        played = read(server.url("/a.ts"), realtime=False)
    assert isinstance(played.error, SourceLost)
    assert 3 < len(played.frames) < FPS


def test_a_silent_server_is_given_up(bar_video: Path) -> None:
    data = servers.remuxed(bar_video, "mpegts")
    with http_server({"/live": servers.endless([data], every_s=0, then_s=20)}) as server:
        began_s = time.monotonic()
        played = read(server.url("/live"), connection=ConnectionOptions(timeout_s=0.5))
        assert time.monotonic() - began_s < AT_ONCE_S
    assert "no data for 0.5 s" in str(played.error)


def test_https_needs_a_certificate_that_holds(
    bar_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None and not os.environ.get("CI"):
        pytest.skip("needs openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate))
    subprocess.run([*make.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with http_server({"/a.mp4": whole(bar_video.read_bytes(), "video/mp4")}) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = server.url("/a.mp4").replace("http:", "https:")
        refused = read(url, realtime=False)
        assert "no secure connection" in str(refused.error)
        assert "verify=False accepts it" in str(refused.error)
        assert len(read(url, realtime=False, connection=ConnectionOptions(verify=False)).frames) == FPS
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert len(read(url, realtime=False).frames) == FPS


def test_a_source_that_never_opens_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = read(f"rtsp://joe:secret@127.0.0.1:{servers.free_port()}/live", retry=SOON)
    assert isinstance(lost.error, SourceLost)
    assert "cannot be read: connection refused (2 retries in" in str(lost.error)
    assert [line.split("; ")[1][:12] for line in lost.told] == ["retry 1 of 2", "retry 2 of 2"]
    assert "secret" not in str(lost.error) + str(lost.told)


def test_retries_may_be_limited_by_time() -> None:
    url = f"http://127.0.0.1:{servers.free_port()}/live"
    began_s = time.monotonic()
    lost = read(url, retry=RetryPolicy(max_retries=None, max_s=0.5, first_wait_s=0.1, longest_wait_s=0.2))
    assert isinstance(lost.error, SourceLost)
    assert 0.2 < time.monotonic() - began_s < AT_ONCE_S
    assert len(lost.told) >= 2


def test_waits_double_up_to_a_limit_and_differ() -> None:
    retry = RetryPolicy(first_wait_s=0.5, longest_wait_s=4)
    for number, longest_s in ((1, 0.5), (2, 1), (3, 2), (4, 4), (5, 4), (5000, 4)):
        waits_s = {retry.wait_s(number) for _ in range(20)}
        assert len(waits_s) > 10
        assert all(longest_s / 2 <= wait_s <= longest_s for wait_s in waits_s)


def test_stopping_ends_a_wait_at_once() -> None:
    waiting = Read(f"rtsp://127.0.0.1:{servers.free_port()}/live", retry=RetryPolicy(first_wait_s=30))
    threading.Timer(0.2, waiting.stop.set).start()
    began_s = time.monotonic()
    assert waiting.go().error is None
    assert time.monotonic() - began_s < AT_ONCE_S


def test_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the camera's own path, with FFmpeg's test picture in place of the device."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(live.CAMERAS, "linux", ("lavfi", "testsrc2=size=64x48:rate=25:d=9{},realtime"))
    seen = read("0", at_most=25)
    assert len(seen.frames) == 25
    assert np.diff(seen.times_s) == pytest.approx(0.04, abs=1e-3)
    assert (seen.frames[0].av_frame.width, seen.reader.fps) == (64, 25)


def test_a_camera_that_is_not_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    missing = read("999", retry=SOON)
    assert str(missing.error) == (
        "camera 999 cannot be read: no such file or directory; "
        "check that it is plugged in and that you may use it"
    )
    assert missing.told == []


class Recording:
    """A connection that gives pictures at the times it is told, and then ends or breaks off."""

    fps = 25.0
    damaged = 0
    is_recorded = False

    def __init__(self, times_s: list[float | None], *, ends: bool = True, every_s: float = 0.0) -> None:
        self._times_s, self._ends, self._every_s = times_s, ends, every_s

    def frames(self) -> Iterator[tuple[float | None, VideoFrame]]:
        for time_s in self._times_s:
            time.sleep(self._every_s)
            yield time_s, VideoFrame(16, 16, "yuv420p")
        if not self._ends:
            raise live._Lost("it broke off")

    def close(self) -> None:
        pass


def play(monkeypatch: pytest.MonkeyPatch, *recordings: Recording) -> Read:
    waiting = list(recordings)
    monkeypatch.setattr(LiveReader, "_connect", lambda reader: waiting.pop(0))
    return read("rtsp://nowhere", retry=SOON)


def test_times_go_on_by_the_wall_over_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Recording([5.0, 5.04, 5.08], ends=False, every_s=0.04)
    after = Recording([900.0, 900.04], every_s=0.04)
    played = play(monkeypatch, before, after)
    assert played.times_s[:3] == pytest.approx([0.0, 0.04, 0.08])
    assert 0.08 + 0.04 + 0.01 < played.times_s[3] < AT_ONCE_S  # a picture's time and the wait for the retry
    assert played.times_s[4] - played.times_s[3] == pytest.approx(0.04)
    assert [frame.segment for frame in played.frames] == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("jump_s", [-3.0, 5000.0])
def test_a_clock_that_jumps_is_an_interruption(monkeypatch: pytest.MonkeyPatch, jump_s: float) -> None:
    played = play(monkeypatch, Recording([10.0, 10.04, 10.04 + jump_s, 10.08 + jump_s]))
    assert [frame.segment for frame in played.frames] == [1, 1, 2, 2]
    assert np.diff(played.times_s).min() >= 0
    assert played.times_s[-1] < 1


def test_pictures_without_a_time_get_that_of_their_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    began_s = time.monotonic()
    played = play(monkeypatch, Recording([None] * 6, every_s=0.05))
    took_s = time.monotonic() - began_s
    assert np.diff(played.times_s).min() > 0
    assert 5 * 0.05 - 0.01 < played.times_s[-1] < took_s


def test_late_pictures_are_known_to_be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where decoding is slower than the source: they come ever later after their own time."""
    played = play(monkeypatch, Recording([i * 0.01 for i in range(20)], every_s=0.03))
    late_s = time.monotonic() - played.frames[-1].due_s
    assert 19 * 0.02 - 0.01 < late_s < AT_ONCE_S


def test_a_source_without_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    played = play(monkeypatch, Recording([]))
    assert isinstance(played.error, NoFrames)


def test_retries_are_counted_from_the_last_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [Recording([float(i)], ends=False) for i in range(5)]
    played = play(monkeypatch, *broken, Recording([9.0]))
    assert played.error is None
    assert played.reader.reconnects == 5


def test_an_rtsp_server_asks_for_a_password(bar_video: Path) -> None:
    with servers.rtsp_server(bar_video, user="joe", password="s3cr:et") as server:
        refused = read(server.url.replace("s3cr:et", "other"))
        assert "give user and password" in str(refused.error)
        assert "other" not in str(refused.error)
        for transport in ("tcp", "udp"):
            played = read(
                server.url, connection=ConnectionOptions(rtsp_transport=transport), at_most=FPS // 2 + 1
            )
            assert played.error is None
            assert len(played.frames) > FPS // 2
