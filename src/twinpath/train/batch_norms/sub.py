"""Batch norms whose statistics are over parts of a batch: the large batches of multigrid normalise as the
small ones that the learning rate was tuned for.

Source: PySlowFast, models/batchnorm_helper.py; Wu et al. 2020 (arXiv:1912.00998), section 3.3.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from twinpath.errors import ConfigError


class SubBatchNorm3d(nn.BatchNorm3d):
    """A batch norm that splits a training batch: clip n belongs to split n modulo `splits`.

    To the outside it is a plain batch norm. Its state dict is one's: what it saves are the statistics of all
    splits together, and what it loads is given to each split. In evaluation it uses those together; leaving
    the training mode brings them up to date, so an evaluation never has old ones [better: upstream has them
    gathered once an epoch]. Weight and bias are parameters of a batch norm, so they decay as such.

    Args:
        splits: k. A training batch must be a multiple of it.
        num_features, eps, momentum, affine: See `torch.nn.BatchNorm3d`.
    Attributes:
        split_mean, split_var: (k, C) running statistics of each split; not in the state dict.
    """

    def __init__(self, splits: int, num_features: int, **options: Any) -> None:
        super().__init__(num_features, **options)
        self.splits = splits
        self.split_mean: Tensor
        self.split_var: Tensor
        mean, var = running_statistics(self)
        self.register_buffer("split_mean", mean.repeat(splits, 1), persistent=False)
        self.register_buffer("split_var", var.repeat(splits, 1), persistent=False)
        self._has_news = False  # the splits know more than the whole

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, T, H, W) to the same shape; N is a multiple of `splits` in training.

        Raises:
            ConfigError: It is not.
        """
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        if input.shape[0] % self.splits:
            raise ConfigError(
                f"batch_norm.splits is {self.splits}, and a batch has {input.shape[0]} clips in this "
                "process: run.batch_size must be a multiple of splits times processes"
            )
        self._has_news = True
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # the mean of all batches
            momentum = 1 / int(self.num_batches_tracked)
        return self._whole(input, momentum) if input.is_contiguous() else self._one_by_one(input, momentum)

    def _whole(self, x_NCTHW: Tensor, momentum: float) -> Tensor:
        """The splits as further channels: no copy, where channels are not last in memory."""
        n, c, t, h, w = x_NCTHW.shape
        k = self.splits
        x = F.batch_norm(
            x_NCTHW.view(n // k, k * c, t, h, w),
            self.split_mean.view(-1),
            self.split_var.view(-1),
            None if self.weight is None else self.weight.repeat(k),
            None if self.bias is None else self.bias.repeat(k),
            True,
            momentum,
            self.eps,
        )
        return x.view(n, c, t, h, w)

    def _one_by_one(self, x_NCTHW: Tensor, momentum: float) -> Tensor:
        """The splits one after the other, where channels are last in memory."""
        k = self.splits
        normed = [
            F.batch_norm(
                x_NCTHW[j::k].contiguous(memory_format=torch.channels_last_3d),
                self.split_mean[j],
                self.split_var[j],
                self.weight,
                self.bias,
                True,
                momentum,
                self.eps,
            )
            for j in range(k)
        ]
        # As (N, T, H, W, C), which is how they lie in memory.
        x_NTHWC = torch.stack([y.permute(0, 2, 3, 4, 1) for y in normed], dim=1).flatten(0, 1)
        return x_NTHWC.permute(0, 4, 1, 2, 3)

    @torch.no_grad()
    def aggregate(self) -> None:
        """Set the running statistics from those of the splits.

        Mean of the means; mean of the variances, and the variance of the means.
        """
        if not self._has_news:
            return  # a file's values stay to the last bit
        mean, var = running_statistics(self)
        mean.copy_(self.split_mean.mean(dim=0))
        var.copy_(self.split_var.mean(dim=0) + self.split_mean.var(dim=0, correction=0))
        self._has_news = False

    @torch.no_grad()
    def repeat_statistics(self) -> None:
        """Give each split the running statistics."""
        mean, var = running_statistics(self)
        self.split_mean.copy_(mean.expand_as(self.split_mean))
        self.split_var.copy_(var.expand_as(self.split_var))
        self._has_news = False

    @torch.no_grad()
    def set_split_statistics(self, mean: Tensor, var: Tensor) -> None:
        """Set (k, C) means and variances of the splits."""
        self.split_mean.copy_(mean)
        self.split_var.copy_(var)
        self._has_news = True

    def train(self, mode: bool = True) -> SubBatchNorm3d:
        """Also brings the running statistics up to date where the training pauses."""
        if not mode:
            self.aggregate()
        return super().train(mode)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        self.aggregate()
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.repeat_statistics()

    def extra_repr(self) -> str:
        plain: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{plain}, splits={self.splits}"


def running_statistics(module: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Running means and variances of a batch norm that has them, (C,) each."""
    assert module.running_mean is not None, "it tracks its statistics"
    assert module.running_var is not None
    return module.running_mean, module.running_var


def split_statistics(network: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint needs beside the state dict so that a resumed run has the same statistics.

    Returns:
        (2, k, C) means and variances by the name of each sub-batch norm; empty where there are none.
    """
    return {
        name: torch.stack([module.split_mean, module.split_var]).cpu()
        for name, module in network.named_modules()
        if isinstance(module, SubBatchNorm3d)
    }


def set_split_statistics(network: nn.Module, statistics: dict[str, Tensor]) -> None:
    """Set what `split_statistics` gave of a network with the same splits, after its state dict."""
    for name, module in network.named_modules():
        if isinstance(module, SubBatchNorm3d) and name in statistics:
            module.set_split_statistics(*statistics[name].unbind())
