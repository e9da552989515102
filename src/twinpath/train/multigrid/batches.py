"""Which clips are in which batch of an epoch, for each process. No torch: a `DataLoader` takes it as its
`batch_sampler`.

    batches = EpochBatches(schedule.slots_of, num_clips=len(clips), seed=0, process=0, processes=2)
    loader = DataLoader(clips, batch_sampler=batches, persistent_workers=True, num_workers=2)
    for epoch in range(first_epoch, epochs):
        batches.start(epoch, step=first_step)
        for batch in loader: ...

Everything follows from the seed and the epoch, so workers live on when the shape changes, and a resumed run
goes on at any step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import ConfigError
from twinpath.train.multigrid.schedule import BatchSlot
from twinpath.train.sample_request import SampleRequest

_ORDER = 0x6F726465  # a stream of random numbers that no sample has


class EpochBatches:
    """The batches of one epoch after another, as lists of what is asked of the data set.

    The epoch's order is drawn from (seed, epoch). Batches take turns through the slots. Process p of P gets
    each P-th clip of a batch, from the p-th on, so all together draw what one process would draw alone, and
    sub-batch norms split alike. An incomplete last batch is left out.

    Args:
        slots_of: The slots of an epoch, `MultigridSchedule.slots_of`.
        num_clips: Of the data set.
        seed: Of the run.
        process, processes: Which one of how many.
        repeats: Samples of each clip of a batch, side by side, so that it is decoded once; a batch is larger
            by that.
        shuffle: Whether the order is drawn; else it is that of the data set.
        drop_last: Whether an incomplete last batch is left out; else it is kept, but for what the processes
            cannot share evenly.
    Attributes:
        epoch, step: Where the next iteration begins.
    Raises:
        ConfigError: See `start`.
    """

    def __init__(
        self,
        slots_of: Callable[[int], Sequence[BatchSlot]],
        *,
        num_clips: int,
        seed: int,
        process: int = 0,
        processes: int = 1,
        repeats: int = 1,
        shuffle: bool = True,
        drop_last: bool = True,
    ) -> None:
        self._slots_of, self.num_clips, self.seed = slots_of, num_clips, seed
        self.process, self.processes = process, processes
        self.repeats, self.shuffle, self.drop_last = repeats, shuffle, drop_last
        self.start(0)

    def start(self, epoch: int, step: int = 0) -> None:
        """The next iteration is over this epoch, from this step on.

        Raises:
            ConfigError: The data set has fewer clips than a batch, or processes cannot share one evenly.
        """
        self.epoch, self.step = epoch, step
        self.slots = tuple(self._slots_of(epoch))
        uneven = next((slot for slot in self.slots if slot.batch_size % self.processes), None)
        if uneven is not None:
            raise ConfigError(
                f"a batch of {uneven.batch_size} clips cannot be shared evenly by {self.processes} "
                "processes; change run.batch_size"
            )
        if len(self) == 0:
            raise ConfigError(
                f"there are {self.num_clips} clips to learn from, fewer than the {self.slots[0].batch_size} "
                f"of a batch in epoch {epoch}; lower run.batch_size"
            )

    def __len__(self) -> int:
        """Batches of the whole epoch, wherever the iteration begins.

        Exactly as many as are drawn [better: with a short cycle upstream divides by the mean size, and is off
        by one at times].
        """
        one_turn = sum(slot.batch_size for slot in self.slots)
        turns, left = divmod(self.num_clips, one_turn)
        count = turns * len(self.slots)
        for slot in self.slots:
            if left < slot.batch_size:
                break
            count, left = count + 1, left - slot.batch_size
        return count + int(not self.drop_last and left >= self.processes)

    def __iter__(self) -> Iterator[list[SampleRequest]]:
        order = self._order()
        for step in range(self.step, len(self)):
            yield self._batch(order, step)

    def slot_of(self, step: int) -> BatchSlot:
        """The shape of a batch, and the number of its clips, unless it is an incomplete last one."""
        return self.slots[step % len(self.slots)]

    def _order(self) -> NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(self.num_clips)
        rng = np.random.default_rng((self.seed, self.epoch, 0, _ORDER))
        return rng.permutation(self.num_clips)

    def _batch(self, order: NDArray[np.int64], step: int) -> list[SampleRequest]:
        slot = self.slot_of(step)
        turns, earlier = divmod(step, len(self.slots))
        sizes = [one.batch_size for one in self.slots]
        begin = turns * sum(sizes) + sum(sizes[:earlier])
        end = min(begin + slot.batch_size, self.num_clips)
        end -= (end - begin) % self.processes
        return [
            SampleRequest(int(order[place]), self.epoch, place * self.repeats + repeat, slot.shape)
            for place in range(begin + self.process, end, self.processes)
            for repeat in range(self.repeats)
        ]
