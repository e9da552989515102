"""Runs `twinpath` as a user would: the installed script, in a process of its own, away from any cache."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = str(Path(sys.executable).with_name("twinpath"))
TINY = ("--model", "slowfast_tiny.synthetic")
COLUMNS = 80
# Without weights: a test must not depend on what was downloaded. Compiled networks stay there.
HOME = Path(tempfile.gettempdir()) / f"twinpath-tests-{os.getuid()}"


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What it printed, read as one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> dict[str, Any]:
        (only,) = self.objects
        return only

    @property
    def error(self) -> str:
        """The one line on stderr."""
        (line,) = self.err.splitlines()
        return line


def environment(**changes: str) -> dict[str, str]:
    """One thread: several tests run at once."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "TWINPATH_HOME": str(HOME), "PYTHONUTF8": "1", **changes}


def twinpath(
    *arguments: str | Path, code: int = 0, cwd: Path | None = None, timeout_s: float = 120, **changes: str
) -> Finished:
    """Run a command to its end; `changes` are of the environment. Its exit code must be `code`."""
    done = subprocess.run(
        [SCRIPT, *map(str, arguments)],
        cwd=cwd,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout_s,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Finished(done.returncode, done.stdout, done.stderr)


def in_process(*arguments: str | Path, code: int = 0) -> Finished:
    """Run a command in this process, without a new interpreter: for what has no need of one of its own.

    What a process changes of itself (signals, the working folder, the environment) wants `twinpath`.
    """
    from twinpath.cli import main

    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    arguments_before = sys.argv
    sys.argv = ["twinpath", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            main()
        status: object = 0
    except SystemExit as ended:
        status = ended.code or 0
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        sys.argv = arguments_before
    out, err = (stream.buffer.getvalue().decode() for stream in streams)  # type: ignore[attr-defined]
    assert "Traceback" not in err, err
    assert status == code, f"exit code {status}\n{out}\n{err}"
    return Finished(code, out, err)


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start a command whose output is read while it runs."""
    return subprocess.Popen(
        [SCRIPT, *map(str, arguments)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def read_first_line(*arguments: str | Path) -> tuple[int, str]:
    """Run a command whose stdout is closed after a line, as `| head -1` does; its exit code and stderr."""
    running = start(*arguments)
    assert running.stdout is not None
    assert running.stderr is not None
    assert running.stdout.readline()
    running.stdout.close()
    code = running.wait(timeout=120)
    with running.stderr:
        return code, running.stderr.read()


def on_terminal(
    *arguments: str | Path, stdout: Path | None = None, code: int = 0, cwd: Path | None = None
) -> str:
    """Run a command on a terminal of 80 columns, stdout in a file if one is named; what the terminal got."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    with (stdout or Path(os.devnull)).open("w") as file:
        running = subprocess.Popen(
            [SCRIPT, *map(str, arguments)],
            cwd=cwd,
            env=environment(TERM="xterm-256color"),
            stdin=terminal,
            stdout=file if stdout else terminal,
            stderr=terminal,
        )
    os.close(terminal)
    seen = bytearray()
    try:
        while piece := os.read(screen, 1 << 16):
            seen += piece
    except OSError:  # how Linux says that the other side is closed
        pass
    finally:
        os.close(screen)
    assert running.wait(timeout=60) == code, seen.decode()
    return seen.decode().replace("\r\n", "\n")
