"""Which clips are in which batch: each clip once, the same for any number of processes, from any step on."""

from __future__ import annotations

from typing import Any

import pytest
from torch.utils.data import DataLoader, Dataset

from twinpath.errors import ConfigError
from twinpath.train.multigrid.batches import EpochBatches
from twinpath.train.multigrid.schedule import BatchSlot
from twinpath.train.sample_request import ClipShape, SampleRequest

SLOTS = (BatchSlot(8, ClipShape(8, 16)), BatchSlot(4, ClipShape(8, 22)), BatchSlot(2, ClipShape(8, 32)))


def batches(slots: Any = SLOTS, **options: Any) -> EpochBatches:
    return EpochBatches(lambda epoch: slots, **{"num_clips": 61, "seed": 3, **options})


def test_batches_take_turns_and_each_clip_comes_once() -> None:
    found = list(batches())
    assert [len(batch) for batch in found] == [8, 4, 2] * 4  # 5 clips are left, fewer than 8
    assert [batch[0].shape for batch in found[:3]] == [slot.shape for slot in SLOTS]
    assert all(len({request.shape for request in batch}) == 1 for batch in found)
    indices = [request.index for batch in found for request in batch]
    assert len(set(indices)) == len(indices) == 56
    assert [request.sample for batch in found for request in batch] == list(range(56))


@pytest.mark.parametrize("num_clips", range(8, 36))
@pytest.mark.parametrize("drop_last", [True, False])
def test_its_length_is_what_comes(num_clips: int, drop_last: bool) -> None:
    one = batches(num_clips=num_clips, drop_last=drop_last)
    found = list(one)
    assert len(one) == len(found)
    assert drop_last or sum(len(batch) for batch in found) == num_clips


def test_the_order_follows_from_seed_and_epoch() -> None:
    one = batches()
    first = list(one)
    assert list(one) == first == list(batches())
    assert list(batches(seed=4)) != first
    one.start(1)
    second = list(one)
    assert [b[0].epoch for b in second] == [1] * 12
    assert [r.index for b in second for r in b] != [r.index for b in first for r in b]
    ordered = batches(shuffle=False, drop_last=False)
    assert [r.index for b in ordered for r in b] == list(range(61))


def test_it_goes_on_at_any_step() -> None:
    whole = list(batches())
    for step in range(len(whole) + 1):
        one = batches()
        one.start(0, step)
        assert list(one) == whole[step:]
        assert len(one) == 12  # of the epoch


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_share_each_batch(processes: int) -> None:
    alone = list(batches(repeats=2))
    each = [list(batches(repeats=2, process=p, processes=processes)) for p in range(processes)]
    for whole, *parts in zip(alone, *each, strict=True):
        assert sorted(request for part in parts for request in part) == sorted(whole)
        assert len({len(part) for part in parts}) == 1
        for p, part in enumerate(parts):  # clip n of the whole is in process n modulo their number
            assert [r.index for r in part[::2]] == [r.index for r in whole[::2]][p::processes]


def test_repeats_stand_side_by_side_and_differ_in_their_random_numbers() -> None:
    (batch, *_) = batches(repeats=3)
    assert len(batch) == 24
    assert batch[0].index == batch[1].index == batch[2].index != batch[3].index
    assert [request.sample for request in batch] == list(range(24))


def test_too_few_clips_and_uneven_batches_are_errors() -> None:
    with pytest.raises(ConfigError, match=r"there are 7 clips to learn from, fewer than the 8 of a batch in"):
        batches(num_clips=7)
    with pytest.raises(ConfigError, match="a batch of 2 clips cannot be shared evenly by 4 processes"):
        batches(process=0, processes=4)


class Echo(Dataset[SampleRequest]):
    def __getitem__(self, request: SampleRequest) -> SampleRequest:  # type: ignore[override]
        return request


def test_a_loader_keeps_its_workers_when_the_shape_changes() -> None:
    shapes = [ClipShape(8, 16), ClipShape(16, 32)]
    one = EpochBatches(lambda epoch: (BatchSlot(4, shapes[epoch]),), num_clips=8, seed=0)
    loader = DataLoader(Echo(), batch_sampler=one, num_workers=1, persistent_workers=True, collate_fn=list)
    seen, workers = [], set()
    for epoch in (0, 1):
        one.start(epoch)
        iterator = iter(loader)
        workers.add(iterator._workers[0].pid)
        seen.append({(r.epoch, r.shape) for batch in iterator for r in batch})
    del iterator, loader
    assert seen == [{(0, shapes[0])}, {(1, shapes[1])}]
    assert len(workers) == 1
