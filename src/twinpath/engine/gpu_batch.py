"""How many clips go through a network at once on a GPU: as many as its memory holds, within limits."""

from __future__ import annotations

from collections.abc import Callable

import torch

MIN_CLIPS = 8  # fewer leave a GPU idle between kernels
MAX_CLIPS = 64  # more are no faster and only make results wait
SHARE = 0.5  # of the free memory that a batch may take; the rest is for frames and for other programs


def clips_that_fit(free: int, clip_bytes: int) -> int:
    """8, 16, 32 or 64 clips: the most that take no more than half of the free memory; 8 where none does.

    Args:
        free: Bytes of memory that are free.
        clip_bytes: Most bytes that one clip takes on its way through the network.
    """
    batch = MAX_CLIPS
    while batch > MIN_CLIPS and batch * clip_bytes > SHARE * free:
        batch //= 2
    return batch


def free_bytes(device: torch.device) -> int:
    """Memory of a CUDA device that torch could still allocate, in bytes."""
    free, _ = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + kept)


def peak_bytes(compute: Callable[[], object], device: torch.device) -> int:
    """Memory that a call takes on a CUDA device at most, in bytes. Resets torch's peak statistics.

    Where the device does not hold it, all that is free.
    """
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    try:
        compute()
    except torch.OutOfMemoryError:
        return free_bytes(device)
    return max(1, torch.cuda.max_memory_allocated(device) - before)
