"""Reads files that nobody trusts in a process of their own, which may crash, hang or want too much.

    decoded = read_frames_isolated("upload.mp4", views)     # as decode.read_frames
    info = probe_isolated("upload.mp4")                     # as probe.probe

    with Sandbox(ProcessLimits(memory_bytes=2**30, wall_s=20)) as sandbox:
        decoded = sandbox.read_frames("upload.mp4", views)

The process is started afresh, not forked, on the first file, and serves one file after the other. It may use
so much memory and processor time, write no file and leave no core dump; the clock on the wall is watched from
here. Frames come through shared memory, everything else as JSON. What goes wrong in it is raised here as if
it had gone wrong here; its own end is a `WorkerDied` or a `LimitExceeded`.

This holds crashes, endless loops and bombs. It is no wall against code that a file might bring to run: the
process is the same user's, and reads the same files. Against that, put all of it into a container.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from twinpath.errors import LimitExceeded, TwinpathError, UsageError, WorkerDied
from twinpath.paths import display_path
from twinpath.video.color import Rgb
from twinpath.video.decode import DecodedFrames, Selection
from twinpath.video.isolated.messages import (
    Channel,
    Message,
    ProtocolError,
    decoded_from_json,
    error_from_json,
    info_from_json,
    make_memory,
    map_memory,
    plain,
    selection_to_json,
)
from twinpath.video.probe import VideoInfo
from twinpath.video.source import DEFAULT_LIMITS, Limits

_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from twinpath.video.isolated.child import main
main(int(sys.argv[1]))
"""
# Little of the parent's environment: it may hold what a file's reader has no business with.
_INHERITED = re.compile(r"PATH|HOME|TMPDIR|LANG|LC_\w+|(DY)?LD_LIBRARY_PATH|PYTHONHOME|PYTHONUTF8")
# Threads reserve memory for themselves; address space is what is limited.
_FRUGAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_START_S = 60.0  # for Python and its libraries to load, on a machine that is busy
_GRACE_S = 1.0  # for the child to keep `max_seconds` by itself
_DEATHS = 2  # after so many a file is set aside

Answer = TypeVar("Answer")
_File = tuple[int, int, int, int]  # device, inode, bytes and time of change: another upload is another file


@dataclass(frozen=True, kw_only=True)
class ProcessLimits:
    """What the process may use for one file. Where a platform has no such limit, the clock remains."""

    memory_bytes: int = 4 * 2**30  # of address space above what it starts with, frames included
    cpu_s: float = 600.0  # of all its threads together
    wall_s: float = 300.0  # `Limits.max_seconds` may ask for less

    def __post_init__(self) -> None:
        if not all(0 < limit < float("inf") for limit in (self.memory_bytes, self.cpu_s, self.wall_s)):
            raise ValueError(f"limits of a process are numbers above 0: {self}")


class _Died(Exception):
    """The process ended, or had to be ended, in the midst of a file; the message goes on from "it"."""

    def __init__(self, reason: str, *, by_limit: bool = False) -> None:
        super().__init__(reason)
        self.by_limit = by_limit


class Sandbox:
    """A process that reads files, started when the first one comes. Calls from several threads take turns.

    A file at which the process crashes is tried once more in a new one. A file that ends it twice in a row,
    by a crash or by a limit, is set aside: from then on it is refused at once.
    """

    def __init__(self, process_limits: ProcessLimits | None = None) -> None:
        """Nothing is started yet.

        Raises:
            UsageError: This platform cannot pass memory between processes (Windows).
        """
        if not hasattr(socket, "send_fds"):
            raise UsageError("reading in a process of its own needs Linux or macOS; read without isolation")
        self._limits = process_limits or ProcessLimits()
        self._worker: _Worker | None = None
        self._lock = threading.Lock()
        self._deaths: dict[tuple[str, _File | None], list[_Died]] = {}  # at a task, in a row

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process. Another call would start a new one."""
        with self._lock:
            self._stop()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        worker = self._worker
        return worker.pid if worker else None

    def read_frames(
        self,
        path: str | os.PathLike[str],
        selections: Sequence[Selection],
        *,
        strict: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> DecodedFrames:
        """As `decode.read_frames`, by PyAV, in the other process.

        Raises:
            InputError, LimitExceeded: everything that `decode.read_frames` raises.
            LimitExceeded: also for what the process may use.
            WorkerDied: The file ended the process twice, or no process can be started.
        """
        if not selections:
            raise ValueError("read_frames needs at least one selection")

        def frames(reply: Message, memory: Rgb | None) -> DecodedFrames:
            if memory is None:
                raise ProtocolError("sent frames without pixels")
            return decoded_from_json(reply.get("frames"), memory=memory, selections=selections)

        request: Message = {
            "do": "read",
            "selections": [selection_to_json(selection) for selection in selections],
            "strict": strict,
        }
        return self._answer(Path(path), request, limits, frames)

    def probe(self, path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> VideoInfo:
        """As `probe.probe`, in the other process.

        Raises:
            InputError, LimitExceeded: everything that `probe.probe` raises.
            LimitExceeded, WorkerDied: as `read_frames`.
        """

        def info(reply: Message, memory: Rgb | None) -> VideoInfo:
            return info_from_json(reply.get("info"), path=str(Path(path)))

        return self._answer(Path(path), {"do": "probe"}, limits, info)

    def _answer(
        self, path: Path, request: Message, limits: Limits, read: Callable[[Message, Rgb | None], Answer]
    ) -> Answer:
        request |= {"path": str(path), "folder": _folder(), "limits": asdict(limits)}
        wall_s = self._limits.wall_s
        if limits.max_seconds is not None:
            wall_s = min(wall_s, limits.max_seconds + _GRACE_S)
        with self._lock:
            case = (request["do"], _identity(path))
            deaths = self._deaths.get(case, [])
            while len(deaths) < _DEATHS:
                try:
                    answer = read(*self._ask(request, wall_s))
                    self._deaths.pop(case, None)
                    return answer
                except ProtocolError as what:
                    self._stop()
                    deaths = [*deaths, _Died(str(what))]
                except _Died as death:
                    deaths = [*deaths, death]
                if case[1] is not None:
                    self._deaths[case] = deaths
                if deaths[-1].by_limit:
                    break
        raise _as_error(path, deaths)

    def _ask(self, request: Message, wall_s: float) -> tuple[Message, Rgb | None]:
        if self._worker is None or not self._worker.is_alive():
            self._stop()
            self._worker = _Worker(self._limits)
        try:
            reply, memory = self._worker.ask(request, deadline_s=time.monotonic() + wall_s)
        except TimeoutError as error:
            self._stop()
            raise _Died(f"takes longer than {wall_s:g} s", by_limit=True) from error
        except BaseException:  # also Ctrl-C: the process is in the midst of something
            self._stop()
            raise
        if reply.get("is_last"):
            self._stop()
        if "error" in reply:
            raise error_from_json(reply["error"])
        return reply, memory

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None


class _Worker:
    """The process as its parent sees it."""

    def __init__(self, limits: ProcessLimits) -> None:
        """Raises: WorkerDied: it does not start."""
        self._limits = limits
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _start(theirs)
            except BaseException:
                ours.close()
                raise
        self._channel = Channel(ours)
        self.end = weakref.finalize(self, _end, self._process, self._channel, os.getpid())
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

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Message, *, deadline_s: float) -> tuple[Message, Rgb | None]:
        """The reply, and the memory that was filled with frames, if any was wanted.

        Raises:
            TimeoutError: The deadline has passed.
            ProtocolError: The reply makes no sense.
            _Died: There is none.
        """
        memory: Rgb | None = None
        try:
            self._channel.send(request, deadline_s=deadline_s)
            while (reply := self._channel.receive(deadline_s=deadline_s)) is not None:
                if "allocate" not in reply:
                    return reply, memory
                memory = self._hand_over(reply["allocate"], path=Path(request["path"]))
        except ConnectionError:
            pass
        raise self._death()

    def _hand_over(self, size_bytes: object, *, path: Path) -> Rgb:
        """Memory for frames, so many bytes."""
        if not isinstance(size_bytes, int) or size_bytes < 1:
            raise ProtocolError("asked for memory of no size")
        if size_bytes > self._limits.memory_bytes:
            raise LimitExceeded(
                f"{display_path(path)}: its frames take {size_bytes} bytes and the process may use "
                f"{self._limits.memory_bytes}; ask for fewer views at a time or raise memory_bytes"
            )
        memory = make_memory(size_bytes)
        try:
            self._channel.send_memory(memory)
        except BaseException:
            os.close(memory)
            raise
        return map_memory(memory, size_bytes)

    def _death(self) -> _Died:
        try:
            code = self._process.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            return _Died("closed its end of the connection")
        if code == -getattr(signal, "SIGXCPU", 0):
            return _Died(f"takes more than {self._limits.cpu_s:g} s of processor time", by_limit=True)
        if code == -signal.SIGKILL:
            return _Died("was killed, most often for want of memory")
        if code < 0:
            return _Died(f"crashed ({signal.strsignal(-code) or -code})")
        return _Died(f"ended (exit code {code})")


def _start(connection: socket.socket) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    paths = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the current folder
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(connection.fileno()), json.dumps(paths)],
            pass_fds=[connection.fileno()],
            env=environment | _FRUGAL,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends it
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise WorkerDied(f"the process that reads files does not start: {reason}") from error


def _end(process: subprocess.Popen[bytes], channel: Channel, owner: int) -> None:
    """There is nothing in the process that could be lost."""
    if os.getpid() != owner:  # a fork of the parent: the process is not its child
        return
    channel.close()
    process.kill()
    process.wait()


def _as_error(path: Path, deaths: list[_Died]) -> TwinpathError:
    *_, last = deaths
    if last.by_limit:
        aside = "; it is set aside" if len(deaths) >= _DEATHS else ""
        return LimitExceeded(f"{display_path(path)}: reading it {last}{aside}; cut the video or allow more")
    return WorkerDied(
        f"{display_path(path)}: the process that read it {last}, in two attempts; it is set aside"
    )


def _identity(path: Path) -> _File | None:
    try:
        status = path.stat()
    except (OSError, ValueError):  # the process will say what is wrong with it
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _folder() -> str | None:
    """Where relative names begin; None: in a folder that was removed."""
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return None


_shared: dict[int, Sandbox] = {}  # by process: a fork starts its own


def _sandbox() -> Sandbox:
    return _shared.setdefault(os.getpid(), Sandbox())


def read_frames_isolated(
    path: str | os.PathLike[str],
    selections: Sequence[Selection],
    *,
    strict: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> DecodedFrames:
    """As `decode.read_frames`, in a process that all calls share; see `Sandbox.read_frames`."""
    return _sandbox().read_frames(path, selections, strict=strict, limits=limits)


def probe_isolated(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> VideoInfo:
    """As `probe.probe`, in a process that all calls share; see `Sandbox.probe`."""
    return _sandbox().probe(path, limits=limits)
