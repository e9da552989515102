"""Change the kind of all batch norms of a network in place; parameters and statistics stay the same tensors,
so an optimizer and an average of the weights go on as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from twinpath.train.batch_norms.sub import SubBatchNorm3d, running_statistics
from twinpath.train.batch_norms.sync import NeighbourBatchNorm3d, neighbours
from twinpath.train.sections import BatchNormSection


def with_batch_norms_of(network: nn.Module, batch_norm: BatchNormSection) -> nn.Module:
    """Change all batch norms of a network to the kind that a recipe, or a phase of multigrid, wants.

    Returns:
        The network itself.
    Raises:
        ConfigError: The number of processes is no multiple of `devices`.
    """
    if batch_norm.kind == "sub":
        return with_sub_batch_norms(network, batch_norm.splits)
    if batch_norm.kind == "sync":
        return with_sync_batch_norms(network, batch_norm.devices)
    return with_batch_norms(network)


def with_batch_norms(network: nn.Module) -> nn.Module:
    """Change all batch norms to plain ones."""
    return _replaced(network, lambda old: nn.BatchNorm3d(old.num_features, device="meta"))


def with_sub_batch_norms(network: nn.Module, splits: int) -> nn.Module:
    """Change all batch norms to `SubBatchNorm3d`. One split is a plain batch norm."""
    if splits == 1:
        return with_batch_norms(network)
    return _replaced(network, lambda old: SubBatchNorm3d(splits, old.num_features, device="meta"))


def with_sync_batch_norms(network: nn.Module, devices: int = 1) -> nn.Module:
    """Change all batch norms to ones over `devices` neighbouring processes; 1: over all. Collective.

    Raises:
        ConfigError: The number of processes is no multiple of it.
    """
    group = neighbours(devices)
    return _replaced(
        network,
        lambda old: NeighbourBatchNorm3d(group, old.num_features, device="meta"),
    )


def freeze_statistics(network: nn.Module, *, of_frozen_only: bool = False) -> None:
    """Evaluation mode for batch norms: running statistics stay, weights and biases learn.

    `network.train()` ends it, so it is for the beginning of each epoch, or step.

    Args:
        network: In training mode.
        of_frozen_only: Only where weights do not learn, either.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm) and not (of_frozen_only and module.weight.requires_grad):
            module.eval()


@torch.no_grad()
def average_statistics(network: nn.Module) -> None:
    """Make the running statistics of all batch norms equal in all processes. Collective.

    Mean of the means; mean of the variances, and the variance of the means: a process knows its own clips
    only, and a network that is evaluated should not depend on whose file is kept [better: upstream keeps
    those of the first process].
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm)]
    norms = [m for m in norms if m.running_mean is not None]
    if not norms:
        return
    for module in norms:
        if isinstance(module, SubBatchNorm3d):
            module.aggregate()
    means, variances = (torch.cat(each) for each in zip(*map(running_statistics, norms), strict=True))
    mean = _mean_over_processes(means)
    var = _mean_over_processes(variances + (means - mean).square())
    sizes = [m.num_features for m in norms]
    for module, of_mean, of_var in zip(norms, torch.split(mean, sizes), torch.split(var, sizes), strict=True):
        own_mean, own_var = running_statistics(module)
        own_mean.copy_(of_mean)
        own_var.copy_(of_var)
        if isinstance(module, SubBatchNorm3d):
            module.repeat_statistics()


def _mean_over_processes(x: Tensor) -> Tensor:
    x = x.clone()
    dist.all_reduce(x)
    return x / dist.get_world_size()


def _replaced(network: nn.Module, make: Callable[[_BatchNorm], _BatchNorm]) -> nn.Module:
    """Replace every batch norm by a new one, with its tensors and settings."""
    for parent, name, old in list(_batch_norms(network)):
        if isinstance(old, SubBatchNorm3d):
            old.aggregate()
        new = make(old)
        new.eps, new.momentum = old.eps, old.momentum
        new.affine, new.track_running_stats = old.affine, old.track_running_stats
        new.weight, new.bias = old.weight, old.bias
        new.running_mean, new.running_var = old.running_mean, old.running_var
        new.num_batches_tracked = old.num_batches_tracked
        if isinstance(new, SubBatchNorm3d):
            mean, var = running_statistics(old)
            new.split_mean, new.split_var = mean.repeat(new.splits, 1), var.repeat(new.splits, 1)
        new.training = old.training
        setattr(parent, name, new)
    return network


def _batch_norms(network: nn.Module) -> Iterator[tuple[nn.Module, str, _BatchNorm]]:
    """Each batch norm with the module that has it and its name there."""
    for parent in network.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm3d):
                yield parent, name, child
