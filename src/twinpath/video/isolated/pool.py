"""A small pool of worker processes, and a count of the files at which one ended."""

from __future__ import annotations

import threading
from pathlib import Path

from twinpath.errors import LimitExceeded, TwinpathError, WorkerDied
from twinpath.paths import display_path
from twinpath.video.isolated.worker import ProcessDied, ProcessLimits, Worker

_MAX_IDLE = 2  # processes that wait for the next file
_MAX_DEATHS = 2  # then the file is rejected

_FileIdentity = tuple[int, int, int, int]  # device, inode, size in bytes, modification time in ns
_Case = tuple[str, _FileIdentity | None]  # the task, and the file


class WorkerPool:
    """Worker processes, started on demand. Thread-safe."""

    def __init__(self, limits: ProcessLimits) -> None:
        """
        Args:
            limits: The limits of each process.
        """
        self._limits = limits
        self._lock = threading.Lock()
        self._idle: list[Worker] = []  # most recently used last
        self._deaths: dict[_Case, list[ProcessDied]] = {}  # in a row

    def take(self) -> Worker:
        """A worker for one request or one stream of clips.

        Raises:
            WorkerDied: No process can be started.
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
        """Keep a worker for the next request, or end it if it is not usable or not needed."""
        if worker.is_usable:
            with self._lock:
                if len(self._idle) < _MAX_IDLE:
                    self._idle.append(worker)
                    return
        worker.end()

    def close(self) -> None:
        """End the idle processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    @property
    def next_pid(self) -> int | None:
        """The process id of the next worker; None: it is not started yet."""
        with self._lock:
            return self._idle[-1].pid if self._idle else None

    def attempts(self, task: str, path: Path) -> Attempts:
        """The attempts at one task on one file.

        Raises:
            WorkerDied, LimitExceeded: Two processes in a row ended at this task on this file.
        """
        return Attempts(self._deaths, self._lock, task, path)


class Attempts:
    """Counts the processes that ended at one task on one file, over all calls."""

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
        """Count an ended process. If this returns, another attempt is allowed.

        Raises:
            LimitExceeded: The process exceeded a limit.
            WorkerDied: It is the second one in a row.
        """
        self._deaths.append(death)
        if self._case[1] is not None:
            with self._lock:
                self._recorded[self._case] = list(self._deaths)
        if death.by_limit or len(self._deaths) >= _MAX_DEATHS:
            raise self._error() from death

    def succeeded(self) -> None:
        """The task is done: reset the count."""
        with self._lock:
            self._recorded.pop(self._case, None)

    def _error(self) -> TwinpathError:
        name, last = display_path(self._path), self._deaths[-1]
        if last.by_limit:
            refused = "; it is refused from now on" if len(self._deaths) >= _MAX_DEATHS else ""
            return LimitExceeded(f"{name}: reading it {last}{refused}; cut the video or raise the limit")
        return WorkerDied(
            f"{name}: the process that read it {last}, in two attempts; it is refused from now on"
        )


def _identity(path: Path) -> _FileIdentity | None:
    """Identifies a file by more than its path: another upload under the same name is another file."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # the worker will report the error
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
