"""How many clips go through a network at once on a GPU: as many as its memory holds, within limits."""

from __future__ import annotations

from collections.abc import Callable

import torch

MIN_CLIPS = 8  # fewer leave a GPU idle between kernels
MAX_CLIPS = 64  # more are no faster and only make results wait
STEP_BYTES = 256 << 20  # of frames that are copied to a GPU at once
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


def clips_at_once(batch_clips: int, clip_bytes: int) -> int:
    """How many clips of a call are computed at once: half of them or fewer, so that the next ones are copied
    meanwhile; at least 8 where there are as many.

    Args:
        batch_clips: Clips of a call.
        clip_bytes: Bytes of the frames of one clip.
    """
    step = max(MIN_CLIPS, min(batch_clips // 2, STEP_BYTES // clip_bytes))
    return min(batch_clips, step)


def padded_size(count: int, step_clips: int) -> int:
    """1 clip or a whole step: the sizes for which a compiled network is recorded."""
    return 1 if count == 1 else max(count, step_clips)


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
