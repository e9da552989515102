"""Frames on their way to a network's device: on a GPU through pinned memory, while it computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SLOTS = 2  # one is filled and copied while the network computes what was in the other


class Mark(Protocol):
    """A point in the device's work, such as a CUDA event."""

    def synchronize(self) -> None:
        """Wait until the device is there."""


class Transfers(Protocol):
    """What `Uploads` needs of a GPU."""

    def pinned(self, count: int) -> Tensor:
        """Memory for float32 values that the GPU reads by itself."""

    def to_device(self, values: Tensor) -> Tensor:
        """Start to copy pinned values; what is computed next waits for the copy."""

    def mark(self) -> Mark:
        """The end of the work that was given to the device so far."""


class CudaTransfers:
    """See `Transfers`. Copies have a CUDA stream of their own.

    Args:
        device: A CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def pinned(self, count: int) -> Tensor:
        """See `Transfers`."""
        return torch.empty(count, dtype=torch.float32, pin_memory=True)

    def to_device(self, values: Tensor) -> Tensor:
        """See `Transfers`."""
        with torch.cuda.stream(self._copies):
            copied = values.to(self._device, non_blocking=True)
        computing = torch.cuda.current_stream(self._device)
        computing.wait_stream(self._copies)
        copied.record_stream(computing)  # or its memory would be taken for the next copy too early
        return copied

    def mark(self) -> Mark:
        """See `Transfers`."""
        event: Mark = torch.cuda.current_stream(self._device).record_event()
        return event


@dataclass(eq=False)
class _Slot:
    """Pinned memory, and when the device is done with what was last copied from it."""

    memory: Tensor | None = None
    done: Mark | None = None


class Uploads:
    """Puts clips together to a batch on a device. One thread at a time may use it.

    On a GPU the call returns before the copy is done. At most two batches are on the device: the call waits
    until what was computed from the last but one is done.

    Args:
        device: Where the batches go.
        transfers: How, for a GPU; None: as the device needs it.
    """

    def __init__(self, device: torch.device, transfers: Transfers | None = None) -> None:
        self._transfers = transfers or (CudaTransfers(device) if device.type == "cuda" else None)
        self._device = device
        self._slots = [_Slot() for _ in range(SLOTS)]
        self._next = 0

    def __call__(self, clips: Sequence[NDArray[np.float32]]) -> Tensor:
        """A batch on the device.

        Args:
            clips: At least one; float32 arrays of one shape, for example (T, H, W, 3).
        Returns:
            (N, …) float32, to be used on the current stream.
        """
        if self._transfers is None:
            return torch.from_numpy(np.stack(clips)).to(self._device)
        last, slot = self._slots[self._next - 1], self._slots[self._next]
        self._next = (self._next + 1) % SLOTS
        if last.memory is not None:
            last.done = self._transfers.mark()  # what is computed of its batch was given to the device since
        values = self._free_memory(slot, (len(clips), *clips[0].shape), self._transfers)
        for clip, place in zip(clips, values.numpy(), strict=True):
            np.copyto(place, clip)
        return self._transfers.to_device(values)

    def _free_memory(self, slot: _Slot, shape: tuple[int, ...], transfers: Transfers) -> Tensor:
        """The slot's memory in a shape, once the device does not need it any more."""
        if slot.done is not None:
            slot.done.synchronize()
            slot.done = None
        count = math.prod(shape)
        if slot.memory is None or len(slot.memory) < count:
            slot.memory = None  # free it first
            slot.memory = transfers.pinned(count)
        return slot.memory[:count].view(shape)
