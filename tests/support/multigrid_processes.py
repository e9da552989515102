"""A tiny network learns by multigrid in one of several processes; run as a program.

python -m tests.support.multigrid_processes FOLDER PROCESS PROCESSES
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from twinpath.train.batch_norms.kinds import average_statistics, with_batch_norms_of
from twinpath.train.batch_norms.precise import update_statistics
from twinpath.train.multigrid.batches import EpochBatches
from twinpath.train.multigrid.schedule import MultigridSchedule, multigrid_schedule
from twinpath.train.optimization.groups import parameter_groups
from twinpath.train.optimization.optimizers import make_optimizer, set_learning_rate
from twinpath.train.optimization.schedule import learning_rate
from twinpath.train.sample_request import SampleRequest
from twinpath.train.sections import MultigridSection, OptimizerSection, ScheduleSection

NUM_CLIPS = 40


def schedule(processes: int) -> MultigridSchedule:
    """Two clips for a statistic: with one process 16 splits at first, with two in the end shared norms."""
    return multigrid_schedule(
        ScheduleSection(
            epochs=5, policy="steps", base_learning_rate=0.02, steps=(0, 4), factors=(1, 0.1), warmup_epochs=1
        ),
        MultigridSection(long_cycle=True, short_cycle=True, norm_clips=2),
        batch_size=2,
        frames=8,
        crop_px=16,
        sampling_rate=2,
        processes=processes,
    )


def clip(request: SampleRequest) -> tuple[Tensor, int]:
    """A clip that is drawn from its request alone, (1, T, H, W), and one of two labels."""
    generator = torch.Generator().manual_seed(1000 * request.epoch + request.sample)
    frames, side = request.shape.frames, request.shape.crop_px
    noise = torch.randn(1, frames, side, side, generator=generator, dtype=torch.float64)
    return noise + request.index % 5, request.index % 2


def trained(process: int, processes: int) -> tuple[dict[str, Tensor], list[str]]:
    """The network's state after all epochs, and the kinds of batch norms that it had."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    ).double()
    plan, section = schedule(processes), OptimizerSection()
    optimizer = make_optimizer(parameter_groups(network, section), section)
    batches = EpochBatches(plan.slots_of, num_clips=NUM_CLIPS, seed=0, process=process, processes=processes)
    kinds = []
    for epoch in range(plan.schedule.epochs):
        batches.start(epoch)
        with_batch_norms_of(network, plan.phase_of(epoch).batch_norm)
        kinds.append(plan.phase_of(epoch).batch_norm.kind)
        learner = DistributedDataParallel(network, broadcast_buffers=False) if processes > 1 else network
        for step, requests in enumerate(batches):
            set_learning_rate(optimizer, learning_rate(plan.schedule, epoch + step / len(batches)))
            optimizer.zero_grad()
            clips, labels = zip(*(clip(request) for request in requests), strict=True)
            nn.functional.cross_entropy(learner(torch.stack(clips)), torch.tensor(labels)).backward()
            optimizer.step()
        average_statistics(network)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batches.start(0)
    update_statistics(network, (torch.stack([clip(r)[0] for r in requests]) for requests in batches), 1)
    return state | {f"precise.{n}": b.clone() for n, b in network.named_buffers()}, kinds


def main(folder: Path, process: int, processes: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=(folder / "meeting").as_uri(), rank=process, world_size=processes
    )
    try:
        state, kinds = trained(process, processes)
    finally:
        dist.destroy_process_group()
    torch.save({"state": state, "kinds": kinds}, folder / f"{process}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
