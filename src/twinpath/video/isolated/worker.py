"""One worker process, on the parent's side."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

from twinpath.cores import available_cores
from twinpath.errors import LimitExceeded, WorkerDied
from twinpath.paths import display_path
from twinpath.video.color import Rgb
from twinpath.video.isolated.messages import Channel, Message, ProtocolError, make_memory, map_memory, plain

START = """
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from twinpath.video.isolated.child import main
main(int(sys.argv[1]))
"""
# Only these variables of the parent's environment, which may hold secrets.
_INHERITED = re.compile(r"PATH|HOME|TMPDIR|LANG|LC_\w+|(DY)?LD_LIBRARY_PATH|PYTHONHOME|PYTHONUTF8")
# Threads reserve address space, which is limited.
_FRUGAL = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_START_S = 60.0  # time-out for Python and its libraries to load on a busy machine
_EXIT_S = 1.0  # time-out from the end of the connection to the end of the process


@dataclass(frozen=True, kw_only=True)
class ProcessLimits:
    """Limits of one worker process. On platforms without resource limits, only `wall_s` is enforced.

    Attributes:
        memory_bytes: Address space above the initial size of the process, frames included.
        cpu_s: Processor time of all its threads, for one request or one clip.
        wall_s: Wall-clock time for one request or one clip; `Limits.max_seconds` may allow less.
    """

    memory_bytes: int = 4 * 2**30
    cpu_s: float = 600.0
    wall_s: float = 300.0

    def __post_init__(self) -> None:
        if not all(0 < limit < float("inf") for limit in (self.memory_bytes, self.cpu_s, self.wall_s)):
            raise ValueError(f"limits of a process are numbers above 0: {self}")


class ProcessDied(Exception):
    """The process ended or was ended during a request. The text continues a sentence: "the process …".

    Attributes:
        by_limit: Whether it exceeded one of its `ProcessLimits`.
    """

    def __init__(self, reason: str, *, by_limit: bool = False) -> None:
        super().__init__(reason)
        self.by_limit = by_limit


class Worker:
    """A process that reads one file at a time. Not thread-safe."""

    def __init__(self, limits: ProcessLimits) -> None:
        """Start the process.

        Raises:
            WorkerDied: The process does not start.
        """
        self._limits = limits
        self._is_used_up = False
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _start(theirs)
            except BaseException:
                ours.close()
                raise
        self._channel = Channel(ours)
        self._end = weakref.finalize(self, _end, self._process, self._channel, os.getpid())
        self._begin()

    def _begin(self) -> None:
        settings = {"memory_bytes": self._limits.memory_bytes, "cpu_s": self._limits.cpu_s}
        complaints = self._process.stderr
        assert complaints is not None
        with complaints:
            try:
                deadline_s = time.monotonic() + _START_S
                self._channel.send(settings, deadline_s=deadline_s)
                reply = self._channel.receive(deadline_s=deadline_s)
            except (OSError, ProtocolError):
                reply = None
            if reply is None:
                self._process.kill()
                last = (complaints.read().decode(errors="replace").strip().splitlines() or ["no answer"])[-1]
                self.end()
                raise WorkerDied(f"the process that reads files does not start: {plain(last)}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_usable(self) -> bool:
        """Whether it accepts another request."""
        return self._end.alive and not self._is_used_up and self._process.poll() is None

    def end(self) -> None:
        """Kill the process; it has no state that could be lost."""
        self._end()

    def request(self, request: Message, *, path: Path, wall_s: float) -> tuple[Message, list[Rgb]]:
        """Send a request and wait for its reply.

        Args:
            request: See `messages`.
            path: The file, for messages.
            wall_s: Time-out for the reply in seconds; `ProcessLimits.wall_s` may be less.
        Returns:
            The reply, and the blocks of shared memory that were allocated for frames, each (size_bytes,)
            uint8.
        Raises:
            ProcessDied: The process ended, exceeded a limit, or violated the protocol. It is then killed.
            LimitExceeded: The frames need more memory than allowed. The process is then killed.
        """
        wall_s = min(wall_s, self._limits.wall_s)
        try:
            reply, memories = self._exchange(request, path, deadline_s=time.monotonic() + wall_s)
        except TimeoutError as error:
            self.end()
            raise ProcessDied(f"takes longer than {wall_s:g} s", by_limit=True) from error
        except ProtocolError as error:
            self.end()
            raise ProcessDied(str(error)) from error
        except BaseException:  # also Ctrl-C: the process is still busy with the request
            self.end()
            raise
        self._is_used_up = bool(reply.get("is_last"))
        if self._is_used_up:
            self.end()
        return reply, memories

    def _exchange(self, request: Message, path: Path, *, deadline_s: float) -> tuple[Message, list[Rgb]]:
        memories: list[Rgb] = []
        try:
            self._channel.send(request, deadline_s=deadline_s)
            while (reply := self._channel.receive(deadline_s=deadline_s)) is not None:
                if "allocate" not in reply:
                    return reply, memories
                memories.append(self._give_memory(reply["allocate"], path))
        except ConnectionError:
            pass
        raise self._death()

    def _give_memory(self, size_bytes: object, path: Path) -> Rgb:
        """Allocate shared memory and send it to the process."""
        if not isinstance(size_bytes, int) or size_bytes < 1:
            raise ProtocolError("requested memory of no size")
        if size_bytes > self._limits.memory_bytes:
            raise LimitExceeded(
                f"{display_path(path)}: its frames take {size_bytes} bytes and the process may use "
                f"{self._limits.memory_bytes}; take fewer views at a time or raise memory_bytes"
            )
        memory = make_memory(size_bytes)
        try:
            self._channel.send_memory(memory)
        except BaseException:
            os.close(memory)
            raise
        return map_memory(memory, size_bytes)

    def _death(self) -> ProcessDied:
        try:
            code = self._process.wait(timeout=_EXIT_S)
        except subprocess.TimeoutExpired:
            self.end()
            return ProcessDied("closed its end of the connection")
        if code == -getattr(signal, "SIGXCPU", 0):
            return ProcessDied(f"takes more than {self._limits.cpu_s:g} s of processor time", by_limit=True)
        if code == -signal.SIGKILL:
            return ProcessDied("was killed, most often for want of memory")
        if code < 0:
            return ProcessDied(f"crashed ({signal.strsignal(-code) or -code})")
        return ProcessDied(f"ended (exit code {code})")


def _start(connection: socket.socket) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    paths = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the current folder
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", START, str(connection.fileno()), json.dumps(paths)],
            pass_fds=[connection.fileno()],
            env=environment | _FRUGAL | {"OMP_NUM_THREADS": str(available_cores())},  # for the decoder
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends the process
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise WorkerDied(f"the process that reads files does not start: {reason}") from error


def _end(process: subprocess.Popen[bytes], channel: Channel, owner: int) -> None:
    if os.getpid() != owner:  # a fork of the parent: the process is not its child
        return
    channel.close()
    process.kill()
    process.wait()
