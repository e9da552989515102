"""A small pool of processes that read files, and a record of the files at which one ended."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from twinpath.errors import LimitExceeded, TwinpathError, WorkerDied
from twinpath.paths import display_path
from twinpath.video.isolated.worker import ProcessDied, ProcessLimits, Worker

_MAX_IDLE = 2  # processes that wait for the next file
_MAX_DEATHS = 2  # after so many a file is set aside

_FileIdentity = tuple[int, int, int, int]  # device, inode, bytes and time of change
_Case = tuple[str, _FileIdentity | None]  # what is done, and to which file


class WorkerPool:
    """Processes that read files, started when they are needed. Threads may share it."""

    def __init__(self, limits: ProcessLimits) -> None:
        """
        Args:
            limits: Of each process.
        """
        self._limits = limits
        self._lock = threading.Lock()
        self._idle: list[Worker] = []  # the one used last is at the end
        self._deaths: dict[_Case, list[ProcessDied]] = {}  # in a row

    def take(self) -> Worker:
        """A process for one request or one stream of clips.

        Raises:
            WorkerDied: None can be started.
        """
        while True:
            with self._lock:
                if not self._idle:
                    break
                worker = self._idle.pop()
            if worker.is_usable:
                return worker
            worker.end()
        return Worker(self._limits)

    def give_back(self, worker: Worker) -> None:
        """Keep a process for the next request; end it where it is not usable or not needed."""
        if worker.is_usable:
            with self._lock:
                if len(self._idle) < _MAX_IDLE:
                    self._idle.append(worker)
                    return
        worker.end()

    def close(self) -> None:
        """End the processes that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    @property
    def next_pid(self) -> int | None:
        """Of the process that will be taken next; None: it is not started yet."""
        with self._lock:
            return self._idle[-1].pid if self._idle else None

    def attempts(self, task: str, path: Path) -> Attempts:
        """The attempts at one task on one file.

        Raises:
            WorkerDied, LimitExceeded: The file ended two processes in a row at this task before.
        """
        return Attempts(self._deaths, self._lock, task, path)


class Attempts:
    """Counts how often a process ended at one task on one file, over all calls."""

    def __init__(
        self, deaths: dict[_Case, list[ProcessDied]], lock: threading.Lock, task: str, path: Path
    ) -> None:
        self._recorded = deaths
        self._lock = lock
        self._path = path
        self._case = (task, _identity(path))
        with lock:
            self._deaths = list(deaths.get(self._case, ()))
        if len(self._deaths) >= _MAX_DEATHS:
            raise self._error()

    def died(self, death: ProcessDied) -> None:
        """The process ended. Another attempt is allowed where this returns.

        Raises:
            LimitExceeded: It exceeded a limit.
            WorkerDied: It is the second time in a row.
        """
        self._deaths.append(death)
        if self._case[1] is not None:
            with self._lock:
                self._recorded[self._case] = list(self._deaths)
        if death.by_limit or len(self._deaths) >= _MAX_DEATHS:
            raise self._error() from death

    def succeeded(self) -> None:
        """The task is done: the file is not to blame for earlier ends."""
        with self._lock:
            self._recorded.pop(self._case, None)

    def _error(self) -> TwinpathError:
        name, last = display_path(self._path), self._deaths[-1]
        if last.by_limit:
            aside = "; it is set aside" if len(self._deaths) >= _MAX_DEATHS else ""
            return LimitExceeded(f"{name}: reading it {last}{aside}; cut the video or allow more")
        return WorkerDied(f"{name}: the process that read it {last}, in two attempts; it is set aside")


def _identity(path: Path) -> _FileIdentity | None:
    """Another upload under the same name is another file."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # the process will report what is wrong with it
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def current_folder() -> str | None:
    """Where relative names begin; None: in a folder that was removed."""
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return None
