"""Batch norms whose statistics are over neighbouring processes, for batches too small for one."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm

from twinpath.errors import ConfigError
from twinpath.train.batch_norms.sub import running_statistics

_groups: dict[tuple[int, int], Any] = {}  # by (processes, neighbours); making them is collective


class NeighbourBatchNorm3d(nn.BatchNorm3d):
    """A batch norm whose statistics in training are those of a group of processes.

    On a GPU it computes what torch's `SyncBatchNorm` does; it is no subclass, since torch's data-parallel
    module refuses that class on a CPU. The running variance is unbiased (n / (n - 1)), as that of all batch
    norms [better: upstream's is biased here alone, so a network would change with the kind of its norms].

    Args:
        group: Of processes; None: all.
        num_features, eps, momentum, affine: See `torch.nn.BatchNorm3d`.
    """

    def __init__(self, group: Any, num_features: int, **options: Any) -> None:
        super().__init__(num_features, **options)
        self.group = group

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, T, H, W) to the same shape; N must be the same in all processes of a group."""
        if not self.training or self.num_processes == 1:
            return super().forward(input)
        self._check_input_dim(input)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        if input.device.type == "cpu":
            return self._on_cpu(input, share)
        normed: Tensor = SyncBatchNorm.apply(
            input,
            self.weight,
            self.bias,
            *running_statistics(self),
            self.eps,
            share,
            self.group or dist.group.WORLD,
            self.num_processes,
        )
        return normed

    @property
    def num_processes(self) -> int:
        """That share statistics."""
        if not (dist.is_available() and dist.is_initialized()):
            return 1
        return dist.get_world_size(self.group or dist.group.WORLD)

    def _on_cpu(self, x_NCTHW: Tensor, share: float) -> Tensor:
        dims = (0, 2, 3, 4)
        x = x_NCTHW.to(torch.promote_types(x_NCTHW.dtype, torch.float32))
        # Twice, not the mean of squares minus the square of the mean: that loses digits.
        mean = self._mean_over_processes(x.mean(dim=dims, keepdim=True))
        var = self._mean_over_processes((x - mean).square().mean(dim=dims, keepdim=True))
        with torch.no_grad():
            running_mean, running_var = running_statistics(self)
            n = x[:, 0].numel() * self.num_processes
            running_mean.lerp_(mean.flatten().to(running_mean), share)
            running_var.lerp_((var.flatten() * n / max(n - 1, 1)).to(running_var), share)
        normed = (x - mean) * torch.rsqrt(var + self.eps)
        if self.weight is not None:
            normed = normed * self.weight.view(1, -1, 1, 1, 1) + self.bias.view(1, -1, 1, 1, 1)
        return normed.to(x_NCTHW.dtype)

    def _mean_over_processes(self, x: Tensor) -> Tensor:
        summed: Tensor = _SumOverProcesses.apply(x, self.group)
        return summed / self.num_processes


class _SumOverProcesses(torch.autograd.Function):
    """The sum over processes, and of its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x, group=group)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient, group=ctx.group)
        return gradient, None


def neighbours(devices: int) -> Any:
    """The process group of this process: it and its neighbours, so many together.

    Every process must call it, in the same order as all others.

    Args:
        devices: n; processes 0 to n - 1 are the first group. 1: all processes.
    Returns:
        A process group; None: all processes, or there is but one.
    Raises:
        ConfigError: The number of processes is no multiple of it.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return None
    processes = dist.get_world_size()
    if devices in (1, processes):
        return None
    if processes % devices:
        raise ConfigError(f"batch_norm.devices is {devices}; the {processes} processes are no multiple of it")
    if (processes, devices) not in _groups:
        made = [dist.new_group(list(range(begin, begin + devices))) for begin in range(0, processes, devices)]
        _groups[processes, devices] = made[dist.get_rank() // devices]
    return _groups[processes, devices]
