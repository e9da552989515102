"""Locks between runs, in one process and in several."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twinpath.errors import UsageError
from twinpath.locks import exclusive, open_locked

HOLD = """
import sys, time
from pathlib import Path
from twinpath.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_one_run_at_a_time(tmp_path: Path) -> None:
    out, other = tmp_path / "new" / "out.npz", tmp_path / "new" / "other.npz"
    with exclusive(out):
        with exclusive(other):  # in the same folder
            pass
        with pytest.raises(UsageError, match=r"out\.npz: another run is writing to it; wait"), exclusive(out):
            pass
    assert not out.parent.exists()  # nothing was written there
    with exclusive(out):
        out.write_bytes(b"features")
    assert list(out.parent.iterdir()) == [out]


def test_a_run_that_was_killed_leaves_nothing_locked(tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    running = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    with running:
        assert running.stdout is not None
        assert running.stdout.readline() == "locked\n"
        with pytest.raises(UsageError, match="another run"), exclusive(out):
            pass
        os.kill(running.pid, signal.SIGKILL)
    assert list(tmp_path.iterdir())  # the lock file, which is free
    with exclusive(out):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_replaced_between_opening_and_locking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    path, lock, calls = tmp_path / "file", fcntl.flock, []

    def lock_late(file: int, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            path.unlink()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with open_locked(path) as file:
        assert len(calls) == 2
        assert os.path.samestat(os.fstat(file.fileno()), path.stat())
