"""A command that is killed leaves no process behind that reads its video."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.support import live_sources
from tests.support.commands import TINY, start
from tests.support.processes import is_running

DETECT = ("--model", "slowfast_tiny_det.synthetic", "--people", "whole")
COMMANDS = {
    "classify": (*TINY, "--views", "3x100"),
    "timeline": (*TINY, "--every", "0.05", "--out"),
    "detect": (*DETECT, "--every", "0.1", "--out"),
    "features": (*TINY, "--every", "0.05", "--out"),
    "stream": TINY,
}


@pytest.fixture(scope="module")
def long_clip(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return live_sources.looped(clips / "a.mp4", tmp_path_factory.mktemp("long") / "long.mp4", times=50)


def readers_of(pid: int) -> list[int]:
    """The processes that a command has started to read files."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"isolated.child" in folder.joinpath("cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_command(command: str, long_clip: Path, tmp_path: Path) -> None:
    options = COMMANDS[command]
    out = [tmp_path / ("f.npz" if command == "features" else "out")] if "--out" in options else []
    running = start(command, long_clip, *options, *out, "--isolate")
    try:
        until_s = time.monotonic() + 60
        while not (readers := readers_of(running.pid)):
            assert running.poll() is None, running.communicate()[1]
            assert time.monotonic() < until_s
            time.sleep(0.01)
    finally:
        running.kill()
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    until_s = time.monotonic() + 30
    while any(map(is_running, readers)):
        assert time.monotonic() < until_s, "the process lives on"
        time.sleep(0.02)
