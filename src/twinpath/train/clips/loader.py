"""The processes that make clips, and how long the training waits for them.

    loader = clip_loader(dataset, batches, workers=8, pin_memory=True)
    for batch in loader: …
    loader.waiting.line()       # "the loader is the bottleneck: 210 of 400 ms a step; use more workers"

Each request says what shape it wants, so processes stay when shapes change, and from epoch to epoch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
from torch.utils.data import DataLoader, Dataset, Sampler

from twinpath.cores import available_cores
from twinpath.train.clips.batch import collate

_FEWEST_STEPS = 10  # before a share says anything
_BOTTLENECK = 0.2  # of the time


@dataclass
class LoaderWaiting:
    """How much of the training's time is spent on waiting for clips. The first step of an epoch does not
    count: the processes only start then.

    Attributes:
        steps: So far.
        waited_s, total_s: Of these steps.
    """

    steps: int = 0
    waited_s: float = 0.0
    total_s: float = 0.0

    @property
    def is_bottleneck(self) -> bool:
        """Whether more processes would make the training faster."""
        return self.steps >= _FEWEST_STEPS and self.waited_s > _BOTTLENECK * self.total_s

    def line(self) -> str | None:
        """What a user should do; None: nothing."""
        if not self.is_bottleneck:
            return None
        waited_ms, step_ms = (1000 * t / self.steps for t in (self.waited_s, self.total_s))
        return (
            f"the loader is the bottleneck: {waited_ms:.0f} of {step_ms:.0f} ms a step are waiting for "
            "clips; use more workers"
        )

    def over(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The same batches, with the waiting for them measured."""
        iterator = iter(batches)
        began_s = None
        while True:
            asked_s = time.perf_counter()
            batch = next(iterator, None)
            if batch is None:
                return
            if began_s is not None:
                now_s = time.perf_counter()
                self.steps += 1
                self.waited_s += now_s - asked_s
                self.total_s += now_s - began_s
            began_s = time.perf_counter()
            yield batch


class ClipLoader(DataLoader[Any]):
    """A `DataLoader` of clips that knows how long it was waited for.

    Attributes:
        waiting: Of all passes so far.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting = LoaderWaiting()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        with _opencv_on_one_thread():
            batches = super().__iter__()  # starts the processes
        yield from self.waiting.over(batches)


def clip_loader(
    dataset: Dataset[Any],
    batches: Sampler[list[Any]] | Sequence[list[Any]],
    *,
    workers: int | None = None,
    pin_memory: bool = False,
    collate: Callable[[Sequence[Any]], Any] = collate,
) -> ClipLoader:
    """Batches of clips.

    Args:
        dataset: One of `twinpath.train.clips.dataset`.
        batches: What is asked for: lists of requests, or of numbers where the dataset takes them. It is
            iterated anew in each epoch, and may say something else each time.
        workers: Processes that make clips; 0: this one; None: by the cores.
        pin_memory: Whether batches are put where a GPU reads them directly.
        collate: From samples to a batch.
    """
    if workers is None:
        workers = default_workers()
    return ClipLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
        worker_init_fn=start_worker if workers else None,
    )


def default_workers() -> int:
    """A process for each core; on a single core none, since it would only be waited for."""
    cores = available_cores()
    return cores if cores > 1 else 0


def start_worker(_number: int) -> None:
    """One thread for each process: those of decoders would be in each other's way."""
    os.environ["OMP_NUM_THREADS"] = "1"


@contextmanager
def _opencv_on_one_thread() -> Iterator[None]:
    """Processes that are forked meanwhile have no threads of OpenCV, either: it would wait forever for those
    of this process, which are not in theirs."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
