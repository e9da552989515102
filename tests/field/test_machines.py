"""Cases from the field: the machine, its disks and who starts Twinpath there. Numbers as in README.md."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.bad_videos import make_truncated
from tests.support.commands import TINY, environment
from twinpath.device import mind_fork
from twinpath.errors import NotAFile, UsageError
from twinpath.locks import exclusive, open_locked
from twinpath.video import file_access
from twinpath.video.decode import EvenSpan, FrameStream, read_frames


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:  # 29
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with exclusive(tmp_path / "out.npz"):
        (tmp_path / "out.npz").write_bytes(b"features")
    with open_locked(tmp_path / "results.jsonl") as file:
        file.write(b"{}\n")
    assert (tmp_path / "results.jsonl").read_bytes() == b"{}\n"


def test_another_error_of_a_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # 29
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output"), exclusive(tmp_path / "out.npz"):
        pass


FORK = """
import os, sys
import torch
torch.set_num_threads(2)
import twinpath
from twinpath.engine.config import EngineConfig
classify = twinpath.Classifier("slowfast_tiny.synthetic", config=EngineConfig(engine="torch", threads=2))
print(classify(sys.argv[1]).predictions[0].score, flush=True)
child = os.fork()
if not child:
    print(classify(sys.argv[1]).predictions[0].score, flush=True)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_classifier_that_was_made_before_a_fork(good_video: Path) -> None:  # 30
    """As Gunicorn with preloading, Celery and `multiprocessing` with "fork" use it."""
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(good_video)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=True)
    first, forked = map(float, done.stdout.split())
    assert forked == pytest.approx(first, abs=1e-4)


def test_a_gpu_in_a_forked_process_is_a_usage_error() -> None:  # 30
    with pytest.raises(
        UsageError, match="make it in that process, or start processes with the method 'spawn'"
    ):
        mind_fork(os.getpid() + 1, torch.device("cuda"))
    mind_fork(os.getpid(), torch.device("cuda"))


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_disk_that_is_gone_is_no_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:  # 36
    """FFmpeg takes the error for the end of the file; half an answer would be kept as a whole one."""
    path = make_truncated(tmp_path)
    assert "decoded" in read_frames(path, [EvenSpan(0, 2, num_frames=4)]).warnings[0]

    def gone(_: Path) -> Any:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(file_access, "open_binary", gone)
    with pytest.raises(
        NotAFile, match=r"truncated\.mp4 cannot be read to its end: .*is its disk still there"
    ):
        read_frames(path, [EvenSpan(0, 2, num_frames=4)])
    with pytest.raises(NotAFile, match="its disk"), FrameStream(path) as stream:
        list(stream)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_to_a_console_that_is_not_utf_8(tmp_path: Path, good_video: Path, encoding: str) -> None:  # 31
    path = tmp_path / "größe 動画.mp4"
    path.write_bytes(good_video.read_bytes())
    command = [sys.executable, "-m", "twinpath", "classify", str(path), *TINY]
    done = subprocess.run(
        command,
        env=environment(PYTHONIOENCODING=encoding, PYTHONUTF8="0"),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert r"\u52d5\u753b.mp4" in done.stdout.decode(encoding)


NOTEBOOK = """
import asyncio, io, sys
class Stream(io.TextIOBase):  # as ipykernel's: it has no descriptor
    def __init__(self, real): self.real = real
    def write(self, text): return self.real.write(text)
    def fileno(self): raise io.UnsupportedOperation("fileno")
sys.stdout, sys.stderr = Stream(sys.__stdout__), Stream(sys.__stderr__)
async def cell():
    from twinpath.video.decode import EvenSpan
    from twinpath.video.isolated import read_frames_isolated
    print(len(read_frames_isolated(sys.argv[1], [EvenSpan(0, 2, num_frames=4)]).frames))
    sys.executable = ""
    from twinpath.video.isolated import ProcessLimits, Sandbox
    try:
        with Sandbox(ProcessLimits()) as sandbox:
            sandbox.probe(sys.argv[1])
    except Exception as error:
        print(type(error).__name__)
asyncio.run(cell())
"""


def test_a_notebook_and_a_program_with_python_inside(good_video: Path) -> None:  # 32
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, str(good_video)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["4", "WorkerDied"]
