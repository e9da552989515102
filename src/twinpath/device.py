"""Choose the device and torch's number of CPU threads. Importing it imports no torch."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import TYPE_CHECKING

from twinpath.cores import available_cores, granted_cores
from twinpath.errors import UsageError

if TYPE_CHECKING:
    import torch


@cache
def has_cuda_gpu() -> bool:
    """Whether the NVIDIA driver finds a GPU; does not import torch."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
        count = ctypes.c_int(0)
        found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (OSError, AttributeError):
        return False
    return found and count.value > 0


def choose_device(name: str) -> torch.device:
    """The torch device with a name; "auto" is the GPU if there is one, else the CPU.

    Raises:
        UsageError: torch or this computer has no such device.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {name!r} cannot be used here ({reason}); try the device 'cpu'") from error
    return device


def use_threads(threads: int | None = None) -> None:
    """Let torch compute with a number of threads; None: with no more than `available_cores`."""
    import torch

    torch.set_num_threads(threads or min(torch.get_num_threads(), available_cores()))


def leave_cores_to(workers: int) -> None:
    """Let torch use only the cores that a number of busy worker processes leave; at least one.

    With more threads than free cores, threads wait for each other at every step: a tiny network then takes
    ten times as long.
    """
    import torch

    torch.set_num_threads(max(1, min(torch.get_num_threads(), granted_cores() - workers)))


def mind_fork(made_by: int, device: torch.device) -> None:
    """Let torch compute in a process that was forked after a network was made, as Gunicorn and Celery do.

    The threads of torch stay in the first process; the forked one would wait for them for ever.

    Args:
        made_by: The id of the process that made the network.
        device: Where the network is.
    Raises:
        UsageError: A GPU cannot be used in a forked process.
    """
    if os.getpid() == made_by:
        return
    if device.type == "cuda":
        raise UsageError(
            "a network on a GPU cannot be used in a forked process; make it in that process, "
            "or start processes with the method 'spawn'"
        )
    import torch

    torch.set_num_threads(1)
