"""Commands in new processes, timed from outside, and what other processes used of the CPU meanwhile."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


class CommandFailed(Exception):
    """A measured command failed. The message holds its exit code and the last line of its stderr."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended.

    Attributes:
        wall_s: From its start to its exit, in seconds.
        peak_bytes: Its peak memory (resident set).
        out: Its stdout.
    """

    wall_s: float
    peak_bytes: int
    out: str


def run(command: Sequence[str], environment: Mapping[str, str]) -> Finished:
    """Run a command to its end.

    Raises:
        CommandFailed: Its exit code was not 0.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall_s = time.perf_counter() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for it again
        out.seek(0)
        err.seek(0)
        if process.returncode:
            last = err.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise CommandFailed(f"{' '.join(command)}: exit code {process.returncode}: {last[0]}")
        return Finished(wall_s, usage.ru_maxrss * 1024, out.read().decode())


class OtherLoad:
    """Measures the CPU time that other processes, or other virtual machines on the same host, take."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._began = _ticks()
        self._own_s = _own_s()

    def shares(self) -> dict[str, float]:
        """Shares of the time of all cores, 0 to 1. Call it when all measured processes have ended."""
        total_s = (time.monotonic() - self._began_s) * (os.cpu_count() or 1)
        busy_s, stolen_s = (now - then for now, then in zip(_ticks(), self._began, strict=True))
        others_s = busy_s - (_own_s() - self._own_s)
        return {"others": round(max(others_s, 0) / total_s, 3), "stolen": round(stolen_s / total_s, 3)}


def _ticks() -> tuple[float, float]:
    """CPU seconds since the machine started: busy ones, and those that the host gave to other machines."""
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0, 0.0
    values = [int(word) / os.sysconf("SC_CLK_TCK") for word in path.read_text().split("\n")[0].split()[1:]]
    user, nice, system, _, _, irq, soft_irq, stolen = values[:8]
    return user + nice + system + irq + soft_irq, stolen


def _own_s() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
