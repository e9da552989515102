"""Batches on their way to a device, with a GPU that only notes what it is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from twinpath.engine.gpu_batch import clips_at_once, padded_size
from twinpath.engine.uploads import Uploads

CPU = torch.device("cpu")


class NotingGpu:
    """Copies when it is waited for, as late as a GPU may, and notes the order of calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.pending: list[tuple[Tensor, Tensor]] = []
        self.marks = 0

    def pinned(self, count: int) -> Tensor:
        self.calls.append(f"pinned {count}")
        return torch.empty(count)

    def to_device(self, values: Tensor) -> Tensor:
        self.calls.append(f"copy {len(values)}")
        copied = torch.full_like(values, float("nan"))
        self.pending.append((copied, values))
        return copied

    def mark(self) -> NotedMark:
        self.marks += 1
        return NotedMark(self, self.marks, len(self.pending))

    def finish(self, count: int) -> None:
        for copied, values in self.pending[:count]:
            if copied.isnan().any():
                copied.copy_(values)


class NotedMark:
    def __init__(self, gpu: NotingGpu, number: int, copies: int) -> None:
        self._gpu, self._number, self._copies = gpu, number, copies

    def synchronize(self) -> None:
        self._gpu.calls.append(f"wait {self._number}")
        self._gpu.finish(self._copies)


def batch(number: int, clips: int) -> list[np.ndarray]:
    return [np.full((2, 3, 4, 3), 10 * number + i, dtype=np.float32) for i in range(clips)]


def test_memory_is_not_filled_again_before_the_device_is_done_with_it() -> None:
    gpu = NotingGpu()
    uploads = Uploads(CPU, gpu)
    given = [batch(number, 2) for number in range(5)]
    found = [uploads(clips) for clips in given]
    gpu.finish(len(gpu.pending))
    for clips, on_device in zip(given, found, strict=True):
        assert np.array_equal(on_device.numpy(), np.stack(clips))


def test_the_next_batch_is_filled_while_one_is_computed() -> None:
    gpu = NotingGpu()
    uploads = Uploads(CPU, gpu)
    for number in range(4):
        uploads(batch(number, 2))
    # The third batch waits for the first one's end only, which is marked when the second one comes.
    assert gpu.calls == [
        "pinned 144",
        "copy 2",
        "pinned 144",
        "copy 2",
        "wait 1",
        "copy 2",
        "wait 2",
        "copy 2",
    ]


def test_memory_grows_with_the_largest_batch_only() -> None:
    gpu = NotingGpu()
    uploads = Uploads(CPU, gpu)
    for clips in (1, 1, 3, 2, 2, 3):
        uploads(batch(0, clips))
    assert [call for call in gpu.calls if call.startswith("pinned")] == [
        "pinned 72",
        "pinned 72",
        "pinned 216",
        "pinned 144",
        "pinned 216",
    ]


def test_parts_of_clips_and_clips_that_must_not_be_written() -> None:
    crops = np.arange(2 * 3 * 3 * 4 * 3, dtype=np.float32).reshape(2, 3, 3, 4, 3)
    crops.flags.writeable = False
    gpu = NotingGpu()
    for uploads in (Uploads(CPU), Uploads(CPU, gpu)):
        found = uploads([crops[:, k] for k in range(3)])
        gpu.finish(1)
        assert np.array_equal(found.numpy(), crops.transpose(1, 0, 2, 3, 4))


@pytest.mark.parametrize(
    ("batch_clips", "clip_mib", "step"),
    [(64, 25, 10), (64, 1, 32), (8, 25, 8), (16, 100, 8), (4, 1, 4), (1, 1, 1)],
)
def test_a_call_is_computed_in_steps(batch_clips: int, clip_mib: int, step: int) -> None:
    assert clips_at_once(batch_clips, clip_mib << 20) == step


def test_a_compiled_network_sees_two_sizes() -> None:
    assert [padded_size(count, 8) for count in range(1, 9)] == [1, 8, 8, 8, 8, 8, 8, 8]
    assert padded_size(3, 2) == 3  # a step that memory has made smaller since
