"""How many cores this process may use, for torch, OpenVINO and the decoder alike; and what the CPU can."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

_ABILITIES = re.compile(r"(flags|Features)\s*:")  # on x86 and on ARM
_VECTORS = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve", "bf16", "i8mm")
_MOST_DECODER_THREADS = 16  # FFmpeg's own limit where it chooses


def available_cores(*, root: Path = Path("/")) -> int:
    """How many threads may compute at once here: for torch, OpenVINO and the decoder of videos. At least 1.

    The least of: the cores of the machine, those that this process may run on (its affinity), the quota of
    its control group and of those above it (v1 and v2, as containers have them), and the environment variable
    OMP_NUM_THREADS. More threads than that only wait for each other.

    Args:
        root: Where /proc and /sys lie; for tests.
    """
    granted = granted_cores(root=root)
    wished = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # "4,2": nested levels
    if wished.isascii() and wished.isdigit() and len(wished) < 10 and int(wished) > 0:
        return min(granted, int(wished))
    return granted


def decoder_threads() -> int:
    """Threads for one decoder, by FFmpeg's rule, for `available_cores`: FFmpeg knows of no quota."""
    cores = available_cores()
    return min(cores + 1, _MOST_DECODER_THREADS) if cores > 1 else 1


def granted_cores(*, root: Path = Path("/")) -> int:
    """`available_cores` without OMP_NUM_THREADS."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        with contextlib.suppress(OSError):  # a sandbox may refuse to tell
            cores = min(cores, len(os.sched_getaffinity(0)))
    return max(1, math.ceil(min([cores, *_quotas(root)])))


def cpu_abilities(*, root: Path = Path("/")) -> str:
    """The vector instructions of the CPU, which code compiled for it may use; empty where none are listed.

    Virtual machines on different computers may have CPUs of one name. A limit in the environment variable
    ONEDNN_MAX_CPU_ISA is part of it.

    Args:
        root: Where /proc lies; for tests.
    """
    lists = (line for line in _text(root / "proc/cpuinfo").splitlines() if _ABILITIES.match(line))
    flags = next(lists, "").partition(":")[2].split()
    vectors = sorted({flag for flag in flags if flag.startswith(_VECTORS)})
    return " ".join([*vectors, os.environ.get("ONEDNN_MAX_CPU_ISA", "")]).strip()


def has_avx512(*, root: Path = Path("/")) -> bool:
    """Whether the CPU has AVX-512, and the environment variable ONEDNN_MAX_CPU_ISA does not forbid it.

    Args:
        root: Where /proc lies; for tests.
    """
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() or "DEFAULT"
    may_use = any(name in limit for name in ("DEFAULT", "ALL", "AVX512", "AVX10"))
    return may_use and "avx512f" in cpu_abilities(root=root).split()


def _quotas(root: Path) -> Iterator[float]:
    """The quotas of this process's control groups, in cores."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:  # v2
            mounts, read = ("sys/fs/cgroup", "sys/fs/cgroup/unified"), _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, read = (f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu"), _quota_v1
        else:
            continue
        # In a container the path may be the host's, while what is mounted is the container's own group: so
        # all folders down to the mount are tried, and those that are not there have no quota.
        parts = [part for part in group.split("/") if part not in ("", ".", "..")]
        for mount in mounts:
            for depth in range(len(parts) + 1):
                quota = read(root.joinpath(mount, *parts[:depth]))
                if quota is not None:
                    yield quota


def _quota_v2(folder: Path) -> float | None:
    """The quota of a group in cores, from "max 100000" or "150000 100000"; None: it has none."""
    return _ratio(*(_text(folder / "cpu.max").split() or [""])[:2])


def _quota_v1(folder: Path) -> float | None:
    """As `_quota_v2`; "-1" is no quota."""
    return _ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _ratio(quota_us: str, period_us: str = "100000") -> float | None:
    try:
        quota, period = int(quota_us), int(period_us)
    except ValueError:
        return None
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    """The content of a small file; empty where there is none."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
