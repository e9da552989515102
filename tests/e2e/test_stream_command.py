"""`twinpath stream`, as a user meets it: files, servers on loopback, and what stands in for a camera."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import bad_videos
from tests.support import live_sources as servers
from tests.support.commands import TINY, environment, in_process, on_terminal, start, twinpath
from tests.support.http_server import http_server
from twinpath.video.decode import FrameStream
from twinpath.video.probe import probe

SPAN_S = 16 * 4 / 30
CAMERA = "testsrc2=size=96x64:rate=20:duration=9{},realtime"


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def long_clip(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of the same 2.4 s."""
    return servers.looped(clips / "a.mp4", tmp_path_factory.mktemp("long") / "long.mp4", times=5)


def check(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Every line of a run: counters add up and never fall. Gives the last one."""
    *windows, end = objects
    assert end["event"] == "end"
    assert end["frames_waiting"] == 0
    for line in objects:
        assert line["frames_read"] == line["frames_used"] + line["frames_dropped"] + line["frames_waiting"]
    for number, line in enumerate(windows, start=1):
        assert line["event"] == "window"
        assert line["windows"] == number
        assert 0 < line["end_s"] - line["start_s"] <= SPAN_S + 0.05
        assert 0 <= line["latency_s"] < 5
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["utc"])
    for name in ("frames_read", "frames_used", "frames_dropped", "windows_skipped", "end_s"):
        values = [line[name] for line in windows]
        assert values == sorted(values)
    assert end["windows"] == len(windows)
    return end


def frames_of(video: Path) -> tuple[list[float], list[np.ndarray]]:
    with FrameStream(video, strict=True) as stream:
        times_s, frames = zip(*stream, strict=True)
    return list(times_s), list(frames)


def test_a_file_in_real_time(clips: Path, tmp_path: Path) -> None:
    video, annotated = servers.looped(clips / "a.mp4", tmp_path / "a.mp4", times=2), tmp_path / "out.mp4"
    done = twinpath("stream", video, *TINY, "--every", "0.5", "--top-k", "2", "--annotate", annotated)
    end = check(done.objects)
    assert end["reason"] == "end of the source"
    assert end["frames_read"] == 144
    assert end["windows"] + end["windows_skipped"] == pytest.approx(6, abs=1)
    first = done.objects[0]
    assert first["source"] == str(video)
    assert (first["start_s"], first["model"]) == (pytest.approx(0, abs=0.5), TINY[1])
    answer = twinpath("classify", video, *TINY, "--json").object
    assert len(first["predictions"]) == 2
    assert first["predictions"][0]["label"] == answer["predictions"][0]["label"]
    times_s, frames = frames_of(annotated)
    assert len(times_s) == end["frames_written"] == 144
    assert np.diff(times_s) == pytest.approx(1 / 30, abs=1e-3)
    original = frames_of(video)[1]
    changed = [np.abs(a.astype(int) - b).max() > 60 for a, b in zip(frames, original, strict=True)]
    assert changed[-1], "the last pictures have the answer on them"
    assert not changed[0], "the first ones come before there is one"
    *_, loaded, warned, summed_up = done.err.splitlines()
    assert loaded.startswith(TINY[1])
    assert "synthetic world only" in warned
    assert summed_up.startswith("end of the source; ")
    assert f"144 frames read, {end['frames_used']} used, {end['frames_dropped']} dropped" in summed_up
    assert summed_up.endswith(f"wrote {annotated} (144 frames)")


def test_rtsp_comes_back_after_the_server_died(long_clip: Path, tmp_path: Path) -> None:
    annotated = tmp_path / "rtsp.mp4"
    with servers.rtsp_server(long_clip, user="joe", password="s3cret") as server:
        options = ("--every", "0.5", "--retry-for", "60", "--annotate", annotated)
        running = start("stream", server.url, *TINY, *options)
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(2)]
        server.kill()
        server.start()
        lines += [running.stdout.readline() for _ in range(2)]
        running.send_signal(signal.SIGINT)
        rest, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    objects = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    end = check(objects)
    assert end["reconnects"] == 1
    assert end["windows"] >= 4
    windows = objects[:-1]
    steps_s = np.diff([line["end_s"] for line in windows])
    gap = int(np.argmax(steps_s))
    assert steps_s[gap] > SPAN_S, "after the gap the window fills anew"
    for line in windows:  # no window reaches over the gap
        assert line["end_s"] <= windows[gap]["end_s"] or line["start_s"] > windows[gap]["end_s"]
    said = err.splitlines()
    assert any("; retry 1 in " in line for line in said)
    assert any(": back after " in line for line in said)
    assert "reconnections: 1" in said[-1]
    assert "s3cret" not in err + rest + "".join(lines)
    times_s, _ = frames_of(annotated)
    assert len(times_s) == end["frames_written"]
    assert max(np.diff(times_s)) > 0.2, "the gap is in the file, too"


def test_an_mjpeg_camera_over_http(clips: Path) -> None:
    pictures = servers.jpegs(clips / "a.mp4")
    answer = servers.multipart(pictures * 3, every_s=1 / 30)
    with http_server({"/cam": answer}) as server:
        url = server.url("/cam", user="joe:s3cret@")
        done = twinpath("stream", url, *TINY, "--for", "6", "--min-score", "0.3")
    end = check(done.objects)
    assert end["reason"] == "stopped as asked"
    assert end["windows"] >= 1
    for line in done.objects[:-1]:
        assert all(p["score"] >= 0.3 for p in line["predictions"])
    assert "s3cret" not in done.out + done.err
    assert "http://***@127.0.0.1" in done.out


def stream_from_camera(*arguments: str) -> subprocess.Popen[str]:
    """`twinpath stream 0` where the camera is FFmpeg's test picture."""
    code = (
        "from twinpath.video import live\n"
        f"live.CAMERAS[__import__('sys').platform] = ('lavfi', {CAMERA!r})\n"
        "from twinpath.cli import main\n"
        "main()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "stream", "0", *TINY, *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.mark.parametrize(
    ("signum", "code", "word"),
    [
        (signal.SIGINT, 130, "stopped"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "terminated"),  # the terminal was closed
    ],
)
def test_a_signal_ends_a_camera_in_order(
    tmp_path: Path, signum: signal.Signals, code: int, word: str
) -> None:
    annotated = tmp_path / "camera.mp4"
    running = stream_from_camera("--annotate", str(annotated), "--every", "0.3")
    assert running.stdout is not None
    lines = [running.stdout.readline() for _ in range(2)]
    running.send_signal(signum)
    rest, err = running.communicate(timeout=30)
    assert running.returncode == code, err
    end = check([json.loads(line) for line in [*lines, *rest.splitlines()]])
    assert end["reason"] == {"stopped": "interrupted"}.get(word, word)
    assert end["source"] == "camera 0"
    last = err.splitlines()[-1]
    assert last.startswith(f"twinpath: {word}; {end['windows']} windows answered")
    assert f"wrote {annotated}" in last
    times_s, _ = frames_of(annotated)
    assert len(times_s) == end["frames_written"] > 40
    assert probe(annotated).average_fps == pytest.approx(20, abs=0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["camera.mp4"]


def test_more_signals_do_not_lose_the_file(tmp_path: Path) -> None:
    """Whoever closes a terminal, or stops a service, often sends several."""
    annotated = tmp_path / "camera.mp4"
    running = stream_from_camera("--annotate", str(annotated), "--every", "0.3")
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGTERM)
    began_s = time.monotonic()
    while running.poll() is None and time.monotonic() < began_s + 20:
        running.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    _, err = running.communicate(timeout=30)
    assert running.returncode in (129, 143, -signal.SIGHUP), err  # the last one when all is done
    assert f"wrote {annotated}" in err
    assert len(frames_of(annotated)[0]) > 40
    assert [path.name for path in tmp_path.iterdir()] == ["camera.mp4"]


def silent(port: socket.socket) -> None:
    """Accept connections and answer nothing."""
    with contextlib.suppress(OSError):
        while True:
            kept.append(port.accept()[0])


kept: list[socket.socket] = []


@pytest.mark.parametrize("state", ["connecting", "waiting to retry"])
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_before_the_first_picture(
    tmp_path: Path, state: str, signum: signal.Signals, code: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as port:
        number = port.getsockname()[1]
        if state == "connecting":
            threading.Thread(target=silent, args=(port,), daemon=True).start()
        else:
            port.close()
        url = f"rtsp://joe:s3cret@127.0.0.1:{number}/live"
        options = ("--retry-for", "600", "--timeout", "60", "--annotate", tmp_path / "out.mp4")
        running = start("stream", url, *TINY, *options)
        assert running.stderr is not None
        wanted = "; retry 4 in" if state == "waiting to retry" else "; reading rtsp://***@"
        lines = []
        while not lines or wanted not in lines[-1]:
            lines.append(running.stderr.readline())
            assert lines[-1], lines
        time.sleep(0.3)
        running.send_signal(signum)
        out, err = running.communicate(timeout=30)  # half of the time that it would wait for the server
    assert running.returncode == code, err
    assert json.loads(out.splitlines()[-1])["windows"] == 0
    assert "s3cret" not in out + err + "".join(lines)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_the_server_is_silent(
    clips: Path, tmp_path: Path, signum: signal.Signals, code: int
) -> None:
    """The thread that reads waits for data; what came before is in the file."""
    annotated = tmp_path / "out.mp4"
    data = servers.remuxed(clips / "a.mp4", "mpegts")
    with http_server({"/live": servers.endless([data], every_s=0, then_s=30)}) as server:
        options = ("--timeout", "60", "--every", "0.3", "--annotate", annotated)
        running = start("stream", server.url("/live"), *TINY, *options)
        assert running.stdout is not None
        lines = [running.stdout.readline()]
        time.sleep(0.5)
        began_s = time.monotonic()
        running.send_signal(signum)
        rest, err = running.communicate(timeout=30)
        assert time.monotonic() - began_s < 15
    assert running.returncode == code, err
    end = json.loads([*lines, *rest.splitlines()][-1])
    assert f"wrote {annotated}" in err
    assert len(frames_of(annotated)[0]) == end["frames_written"] > 40


@pytest.mark.parametrize("limit_bytes", [4096, 16_000])
def test_a_full_disk_is_said(clips: Path, tmp_path: Path, limit_bytes: int) -> None:
    """A limit of the file size stands in for a full disk: at the first frames, and at the end."""
    annotated = tmp_path / "out.mp4"
    code = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))\n"
        "from twinpath.cli import main\n"
        "main()\n"
    )
    arguments = ("stream", str(clips / "a.mp4"), *TINY, "--no-realtime", "--annotate", str(annotated))
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"twinpath: {annotated}: ")
    assert "wrote" not in done.stderr
    end = json.loads(done.stdout.splitlines()[-1])
    assert (end["reason"], end["frames_written"]) == ("failed", 0)
    assert list(tmp_path.iterdir()) == []


def test_only_its_own_file_is_replaced(clips: Path, tmp_path: Path) -> None:
    """A film that somebody has there stays; a recording of an earlier run goes, and so does an empty file."""
    annotated = tmp_path / "out.mp4"
    wanted = ("stream", clips / "a.mp4", *TINY, "--no-realtime", "--annotate", annotated)
    annotated.write_bytes((clips / "b.mp4").read_bytes())
    before = annotated.read_bytes()
    refused = in_process(*wanted, code=2)
    assert f"{annotated} exists, and is no earlier recording" in refused.error
    assert annotated.read_bytes() == before
    annotated.write_bytes(b"")
    for _ in range(2):
        assert twinpath(*wanted).objects[-1]["frames_written"] > 40
    annotated.write_text("my notes")
    in_process(*wanted, code=2)
    assert annotated.read_text() == "my notes"


def test_pauses_of_a_recording_are_in_its_times(tmp_path: Path) -> None:
    """Doorbells and dashcams record what moves: 42 s of which 5 s have pictures."""
    pts = [*range(62), *range(1000, 1063)]
    video = bad_videos.encode(tmp_path / "doorbell.mp4", numbers=[n % 60 for n in range(125)], pts=pts)
    *windows, end = twinpath("stream", video, *TINY, "--no-realtime", "--every", "0.5").objects
    assert end["windows_skipped"] + end["windows"] <= 8
    assert windows[-1]["end_s"] == pytest.approx(1063 / 25, abs=0.5)
    check([*windows, end])


def test_a_source_that_never_opens(tmp_path: Path) -> None:
    url = f"rtsp://joe:s3cret@127.0.0.1:{servers.free_port()}/live"
    options = ("--max-retries", "1", "--annotate", tmp_path / "out.mp4")
    done = twinpath("stream", url, *TINY, *options, code=3)
    assert "; retry 1 of 1 in " in done.err
    assert "cannot be read: connection refused (1 retries in " in done.err.splitlines()[-1]
    assert done.object["reason"] == "failed"
    assert "s3cret" not in done.out + done.err
    assert list(tmp_path.iterdir()) == []


def test_a_table_on_a_terminal(clips: Path) -> None:
    seen = on_terminal("stream", "a.mp4", *TINY, "--top-k", "3", cwd=clips)  # a long path would wrap
    assert "filling the first window" in seen
    assert re.search(r"█.* \d+\.\d %", seen)
    assert "1 windows, 0 skipped" in seen
    assert "end of the source; 1 windows answered, 0 skipped; 72 frames read" in seen
    assert '"event"' not in seen


def test_lines_of_text(clips: Path) -> None:
    done = twinpath("stream", clips / "a.mp4", *TINY, "--no-json", "--no-realtime", "--top-k", "1")
    assert re.fullmatch(r"0\.\d-2\.\d s  [a-z ]+ \d+\.\d %", done.out.strip())


def test_a_reader_of_one_line(clips: Path) -> None:
    running = start("stream", clips / "a.mp4", *TINY, "--every", "0.05")
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.close()
    _, err = running.communicate(timeout=30)
    assert running.returncode == 0
    assert "Traceback" not in err
    assert "bug" not in err


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("ftp://u:s3cret@host/a",), "give a camera (0), an rtsp://", 2),
        (("a.mp4", "--every", "0"), "--every must be at least 0.01 s, not 0", 2),
        (("a.mp4", "--rtsp-transport", "sctp"), "give tcp or udp", 2),
        (("a.mp4", "--annotate", "a.avi"), "something.mp4", 2),
        (("a.mp4", "--annotate", "a.mp4"), "would be overwritten, and is an input of this run", 2),
        (("a.mp4", "--annotate", "no/b.mp4"), "the folder does not exist", 2),
        (("a.mp4", "--window"), "pip install 'twinpath[window]'", 2),
        (("none.mp4",), "none.mp4 does not exist", 3),
        (("http://127.0.0.1:1/a", "--max-retries", "0"), "connection refused; check the address", 3),
    ],
)
def test_a_wrong_argument(
    clips: Path, tmp_path: Path, arguments: tuple[str, ...], words: str, code: int
) -> None:
    os.link(clips / "a.mp4", tmp_path / "a.mp4")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "cv2.py").write_text("raise ImportError('not here')\n")
    hidden = {"PYTHONPATH": str(tmp_path / "hidden"), "DISPLAY": ":0"}
    done = twinpath("stream", *arguments, *TINY, code=code, cwd=tmp_path, **hidden)
    assert words in done.err.splitlines()[-1]
    assert "s3cret" not in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "hidden"]


def test_people_of_a_live_source(clips: Path, tmp_path: Path) -> None:
    """With a detection model each answer is about people; a file of boxes is refused."""
    wanted = ("stream", clips / "a.mp4", "--model", "slowfast_tiny_det.synthetic", "--min-score", "0")
    *windows, end = twinpath(
        *wanted,
        "--people",
        "whole",
        "--no-realtime",
        "--top-k",
        "2",
        "--json",
        "--annotate",
        tmp_path / "out.mp4",
    ).objects
    assert windows
    for window in windows:
        assert "predictions" not in window
        (track,) = window["people"]
        (seen,) = track["points"]
        assert len(seen["actions"]) == 2
        assert window["start_s"] < seen["time_s"] < window["end_s"]
    assert end["frames_written"] == 72
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("a,0001,0.1,0.1,0.4,0.9\n")
    assert "live" in in_process(*wanted, "--people", boxes, code=2).error
