"""Statistics of batch norms over many training batches with the weights as they are, for an evaluation.

Running statistics are a mean over the last steps, while the weights changed; these are not.
Source: Wu and Johnson 2021, Rethinking "Batch" in BatchNorm (arXiv:2105.07576), section 3; fvcore,
update_bn_stats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from twinpath.errors import ConfigError
from twinpath.train.batch_norms.sub import SubBatchNorm3d, running_statistics
from twinpath.train.batch_norms.sync import NeighbourBatchNorm3d


def update_statistics(
    network: nn.Module,
    batches: Iterable[Any],
    num_batches: int,
    *,
    forward: Callable[[Any], Any] | None = None,
) -> None:
    """Set the statistics of all batch norms that are in training mode from training batches.

    Over batches of n elements a channel: the mean of means and of second moments, weighted by n. All layers
    stay in their mode, so dropout is active. Sub-batch norms get those of each split. With several processes
    the batches of all count [better: upstream's are those of the first process].

    Args:
        network: In training mode.
        batches: Each is what `forward` takes.
        num_batches: How many are used; more are not drawn. 0: nothing is done.
        forward: Runs the network on a batch; None: `network(batch)`.
    Raises:
        ConfigError: There are fewer batches. The statistics are as before then.
    """
    sums = [
        _Sums(module) for module in network.modules() if isinstance(module, _BatchNorm) and module.training
    ]
    if not sums or num_batches == 0:
        return
    forward = network if forward is None else forward
    seen = 0
    with _measured(sums), torch.no_grad():
        for batch in islice(batches, num_batches):
            forward(batch)
            seen += 1
    if seen < num_batches:
        raise ConfigError(f"batch_norm.precise_batches is {num_batches}, but there are {seen} batches only")
    for one in sums:
        one.apply()


@contextmanager
def _measured(sums: list[_Sums]) -> Iterator[None]:
    """In the block each forward pass is added to the sums; afterwards the batch norms are as before."""
    hooks = [one.module.register_forward_hook(one.add) for one in sums]
    momenta = [one.module.momentum for one in sums]
    before = [[statistic.clone() for statistic in one.statistics] for one in sums]
    for one in sums:
        one.module.momentum = 1.0  # the running statistics are then those of the last batch
    try:
        yield
    finally:
        for one, hook, momentum, (mean, var) in zip(sums, hooks, momenta, before, strict=True):
            hook.remove()
            one.module.momentum = momentum
            one.statistics[0].copy_(mean)
            one.statistics[1].copy_(var)


class _Sums:
    """Sums over batches for one batch norm: of elements, and weighted by them of means and second moments."""

    def __init__(self, module: _BatchNorm) -> None:
        self.module = module
        mean, _ = self.statistics
        wide = torch.float32 if mean.device.type == "mps" else torch.float64
        self.sums = torch.zeros(3, *mean.shape, dtype=wide, device=mean.device)

    @property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Running means and variances: (C,), or (k, C) of the splits."""
        if isinstance(self.module, SubBatchNorm3d):
            return self.module.split_mean, self.module.split_var
        return running_statistics(self.module)

    def add(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """A forward hook."""
        n: float = inputs[0].numel() / self.module.num_features
        if isinstance(module, SubBatchNorm3d):
            n /= module.splits
        if isinstance(module, NeighbourBatchNorm3d):
            n *= module.num_processes
        mean, var = (statistic.to(self.sums.dtype) for statistic in self.statistics)
        biased = var * (n - 1) / n
        self.sums += torch.stack([torch.full_like(mean, n), n * mean, n * (mean.square() + biased)])

    def apply(self) -> None:
        """Set the statistics of the batch norm."""
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(self.sums)
        count, of_mean, of_square = self.sums
        if not bool(count.all()):
            return  # it took no part in the forward pass
        mean = of_mean / count
        var = of_square / count - mean.square()
        own_mean, own_var = self.statistics
        if isinstance(self.module, SubBatchNorm3d):
            self.module.set_split_statistics(mean.to(own_mean), var.to(own_var))
        else:
            own_mean.copy_(mean)
            own_var.copy_(var)
