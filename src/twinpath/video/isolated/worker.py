"""One worker process, on the parent's side."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

from twinpath.cores import available_cores
from twinpath.errors import LimitExceeded, NotAFile, WorkerDied
from twinpath.paths import display_path
from twinpath.video.color import Rgb
from twinpath.video.file_access import folder_names, open_regular
from twinpath.video.frame_folder import frames_folder, is_picture_name
from twinpath.video.isolated.messages import (
    Channel,
    Message,
    ProtocolError,
    error_to_json,
    make_memory,
    map_memory,
    plain,
)

logger = logging.getLogger(__name__)

START = """
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from twinpath.video.isolated.child import main
main(*json.loads(sys.argv[1]))
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


@dataclass(frozen=True)
class OfferedFile:
    """The one video that a worker process may read: it gets descriptors from here, and opens nothing itself.

    Attributes:
        path: As the caller named it.
        folder: The working directory at that time, for a relative path; None: it was removed.
        frames: If the video is a folder of pictures: the folder, and the names of the pictures.
    """

    path: Path
    folder: str | None
    frames: tuple[Path, frozenset[str]] | None = None

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> OfferedFile:
        try:
            folder = os.getcwd()  # noqa: PTH109
        except FileNotFoundError:
            folder = None
        return cls(Path(path), folder, _offered_frames(Path(path)))

    def to_json(self) -> Message:
        """What the process is told of the video."""
        frames = None
        if self.frames is not None:
            frames = {"folder": str(self.frames[0]), "names": sorted(self.frames[1])}
        return {"path": str(self.path), "frames": frames}

    def open(self, name: object) -> int:
        """A descriptor for reading, which the caller closes.

        Raises:
            ProtocolError: Another file is asked for.
            NotAFile, OSError: As `open_regular`.
        """
        path = self.path
        if name != str(self.path):
            path = self._picture(name)
        return open_regular(Path(self.folder or "", path), name=display_path(path))

    def _picture(self, name: object) -> Path:
        if self.frames is not None and isinstance(name, str):
            folder, names = self.frames
            path = Path(name)
            if path.name in names and str(folder / path.name) == name:
                return path
        raise ProtocolError("asked for a file that it must not read")


def _offered_frames(path: Path) -> tuple[Path, frozenset[str]] | None:
    folder = frames_folder(path)
    if folder is None:
        return None
    try:
        names = folder_names(folder) or []
    except OSError as error:
        raise NotAFile(f"{display_path(path)} cannot be read: {error.strerror or error}") from error
    return folder, frozenset(name for name in names if is_picture_name(name))


class ProcessDied(Exception):
    """The process ended or was ended during a request. The text continues a sentence: "the process …".

    Attributes:
        by_limit: Whether it exceeded one of its `ProcessLimits`.
    """

    def __init__(self, reason: str, *, by_limit: bool = False) -> None:
        super().__init__(reason)
        self.by_limit = by_limit


class Worker:
    """A process that reads one file at a time. Not thread-safe.

    Attributes:
        unconfined_because: Why it can reach more than the file that it reads; None: it cannot.
    """

    unconfined_because: str | None = None

    def __init__(self, limits: ProcessLimits) -> None:
        """Start the process.

        Raises:
            WorkerDied: The process does not start.
        """
        self._limits = limits
        self._is_used_up = False
        with contextlib.ExitStack() as unless_started:
            ours, theirs = socket.socketpair()
            unless_started.callback(ours.close)
            ends_with_us, lifeline = os.pipe()
            unless_started.callback(os.close, lifeline)
            try:
                self._process = _start(theirs, ends_with_us)
            finally:
                theirs.close()
                os.close(ends_with_us)
            unless_started.pop_all()
        _lifelines.add(lifeline)
        self._channel = Channel(ours)
        self._end = weakref.finalize(self, _end, self._process, self._channel, lifeline, os.getpid())
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
        if reply.get("unconfined") is not None:
            self.unconfined_because = plain(str(reply["unconfined"]))
            _note_unconfined(self.unconfined_because)

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

    def request(self, request: Message, *, file: OfferedFile, wall_s: float) -> tuple[Message, list[Rgb]]:
        """Send a request and wait for its reply.

        Args:
            request: See `messages`.
            file: The file to read.
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
            reply, memories = self._exchange(request, file, deadline_s=time.monotonic() + wall_s)
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

    def _exchange(
        self, request: Message, file: OfferedFile, *, deadline_s: float
    ) -> tuple[Message, list[Rgb]]:
        memories: list[Rgb] = []
        try:
            self._channel.send(request, deadline_s=deadline_s)
            while (reply := self._channel.receive(deadline_s=deadline_s)) is not None:
                if "allocate" in reply:
                    memories.append(self._give_memory(reply["allocate"], file.path))
                elif "open" in reply:
                    self._give_file(reply["open"], file)
                else:
                    return reply, memories
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
            self._channel.give(memory)
        except BaseException:
            os.close(memory)
            raise
        return map_memory(memory, size_bytes)

    def _give_file(self, name: object, file: OfferedFile) -> None:
        """Open the file for the process, or send why it cannot be opened."""
        try:
            descriptor = file.open(name)
        except NotAFile as error:
            self._channel.send({"error": error_to_json(error)})
        except OSError as error:
            self._channel.send({"errno": error.errno, "reason": error.strerror or str(error)})
        else:
            try:
                self._channel.give(descriptor)
            finally:
                os.close(descriptor)

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


def _start(connection: socket.socket, lifeline: int) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    paths = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the current folder
    by_main_thread = threading.current_thread() is threading.main_thread()
    arguments = json.dumps([connection.fileno(), lifeline, os.getpid(), by_main_thread])
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", START, arguments, json.dumps(paths)],
            pass_fds=[connection.fileno(), lifeline],
            env=environment | _FRUGAL | {"OMP_NUM_THREADS": str(available_cores())},  # for the decoder
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends the process
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise WorkerDied(f"the process that reads files does not start: {reason}") from error


def _end(process: subprocess.Popen[bytes], channel: Channel, lifeline: int, owner: int) -> None:
    if os.getpid() != owner:  # a fork of the parent: the process is not its child
        return
    channel.close()
    _lifelines.discard(lifeline)
    os.close(lifeline)
    process.kill()
    process.wait()


_lifelines: set[int] = set()  # the ends of pipes that let the processes live


def _close_lifelines() -> None:
    """In a fork of this process, which must not keep the processes alive."""
    while _lifelines:
        os.close(_lifelines.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_lifelines)


@functools.cache
def _note_unconfined(reason: str) -> None:
    """Say once that isolation is less here than it could be."""
    logger.warning(
        "the process that reads files is limited in memory and time only, not confined: %s; "
        "see docs/security.md",
        reason,
    )
