"""A network that is divided among processes learns what a whole one does, and so do those that go on with its
checkpoint, whole or divided."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from twinpath.errors import ConfigError
from twinpath.train.loop.sharded import (
    _shard,
    check_can_shard,
    load_optimizer_whole,
    load_weights_whole,
    whole,
)
from twinpath.train.recipe import read_recipe


def test_what_cannot_be_divided_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"multigrid\.long_cycle.*take ddp"):
        check_can_shard(read_recipe("slowfast_r50_8x8_kinetics_multigrid"))
    with pytest.raises(ConfigError, match=r"ema_decay"):
        check_can_shard(read_recipe("slowfast_tiny_clips", ["ema_decay=0.9"]))


@pytest.mark.slow
def test_two_processes_go_on_with_the_checkpoint_of_the_other_strategy() -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "-m", __name__]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("same") == 6


class Run:
    """A small network in one of two processes, divided or whole."""

    def __init__(self, divided: bool) -> None:
        torch.manual_seed(0)
        self.divided = divided
        self.network: nn.Module = nn.Sequential(nn.Linear(8, 7), nn.LayerNorm(7), nn.ReLU(), nn.Linear(7, 2))
        if divided:
            mesh = init_device_mesh("cpu", (2, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
            self.network = _shard(self.network, mesh)
        parameters = list(self.network.parameters())
        groups = [{"params": parameters[:2]}, {"params": parameters[2:], "weight_decay": 0.1}]
        self.optimizer = torch.optim.AdamW(groups, lr=0.01)

    def step(self, number: int) -> None:
        torch.manual_seed(100 * number + dist.get_rank())
        self.optimizer.zero_grad()
        self.network(torch.randn(4, 8)).square().mean().backward()
        for parameter in [] if self.divided else self.network.parameters():
            assert parameter.grad is not None
            dist.all_reduce(parameter.grad)
            parameter.grad /= 2
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()

    def continued(self, divided: bool) -> Run:
        file, other = io.BytesIO(), Run(divided)
        torch.save([whole(self.network.state_dict()), whole(self.optimizer.state_dict())], file)
        file.seek(0)
        weights, state = torch.load(file, weights_only=True)
        load_weights_whole(other.network, weights)
        load_optimizer_whole(other.optimizer, state)
        return other


def main() -> None:
    dist.init_process_group("gloo")
    expected = Run(divided=False)
    for number in range(4):
        expected.step(number)
    for before, after in ((True, True), (True, False), (False, True)):
        run = Run(before)
        for number in range(4):
            if number == 2:
                run = run.continued(after)
            run.step(number)
        found = whole(run.network.state_dict())
        for name, tensor in expected.network.state_dict().items():
            torch.testing.assert_close(found[name], tensor)
        print("same", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
