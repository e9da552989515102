"""Optimizers by their settings, the learning rate of a step, and clipped gradients.

The step sizes are torch's: on a GPU it steps all parameters of a group at once (foreach).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from twinpath.errors import ConfigError
from twinpath.train.optimization.groups import ParameterGroup
from twinpath.train.sections import OptimizerSection

TRUST = 1e-3  # of LARS
_SMALL = 1e-8


class Lars(torch.optim.SGD):
    """SGD whose rate for each parameter grows with its norm over that of its gradient.

    In groups with `lars`, the gradient of a parameter of several dimensions becomes
    (g + wd w) · 0.001 |w| / (|g| + wd |w|), which is not clipped. Parameters of one dimension, and those
    that are 0 or have no gradient, step as in SGD, and without decay.
    Sources: You et al. 2017, Large Batch Training of Convolutional Networks (arXiv:1708.03888); PySlowFast,
    models/optimizer.py.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the gradients are changed."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with self._without_decay() as adapted:
            for group, weight_decay in adapted:
                for parameter in group["params"]:
                    _adapt(parameter, weight_decay)
            super().step()
        return loss

    @contextmanager
    def _without_decay(self) -> Iterator[list[tuple[dict[str, Any], float]]]:
        """The groups that adapt their rates, with their decay, which is 0 in the block."""
        adapted = [(group, group["weight_decay"]) for group in self.param_groups if group.get("lars")]
        for group, _ in adapted:
            group["weight_decay"] = 0.0
        try:
            yield adapted
        finally:
            for group, weight_decay in adapted:
                group["weight_decay"] = weight_decay


def _adapt(parameter: Tensor, weight_decay: float) -> None:
    gradient = parameter.grad
    if gradient is None or parameter.ndim == 1:
        return
    weight_norm, gradient_norm = torch.linalg.vector_norm(parameter), torch.linalg.vector_norm(gradient)
    rate = TRUST * weight_norm / (gradient_norm + weight_norm * weight_decay + _SMALL)
    adapted = (gradient + weight_decay * parameter) * rate
    gradient.copy_(torch.where((weight_norm > 0) & (gradient_norm > 0), adapted, gradient))


def check_optimizer(section: OptimizerSection) -> None:
    """Check what one value cannot know of the others.

    Raises:
        ConfigError: Names the key.
    """
    if section.name == "sgd" and section.nesterov and (section.momentum == 0 or section.dampening > 0):
        raise ConfigError(
            "optimizer.nesterov needs optimizer.momentum above 0 and optimizer.dampening = 0, not "
            f"{section.momentum:g} and {section.dampening:g}"
        )
    if section.lars and section.name != "sgd":
        raise ConfigError(f'optimizer.lars is for optimizer.name = "sgd", not "{section.name}"')
    if section.clip_value is not None and section.clip_norm is not None:
        raise ConfigError("optimizer.clip_value and optimizer.clip_norm are both set; choose one")
    if section.name != "sgd" and max(section.betas) == 1:
        raise ConfigError(f"optimizer.betas is {list(section.betas)}; both must be below 1")


def make_optimizer(groups: Sequence[ParameterGroup], section: OptimizerSection) -> torch.optim.Optimizer:
    """An optimizer of these groups. Its learning rate is 0 until `set_learning_rate`.

    Its state holds the names of groups and parameters, too.

    Raises:
        ConfigError: The settings contradict each other, or nothing learns.
    """
    check_optimizer(section)
    if not groups:
        raise ConfigError("no parameter is left to learn; model.frozen names too much")
    given: list[dict[str, Any]] = [
        {
            "params": list(zip(group.parameter_names, group.parameters, strict=True)),
            "weight_decay": group.weight_decay,
            "name": group.name,
            "learning_rate_factor": group.learning_rate_factor,
            "lars": group.lars,
        }
        for group in groups
    ]
    if section.name == "sgd":
        kind = Lars if section.lars else torch.optim.SGD
        return kind(
            given,
            lr=0.0,
            momentum=section.momentum,
            dampening=section.dampening,
            nesterov=section.nesterov,
        )
    adam = torch.optim.Adam if section.name == "adam" else torch.optim.AdamW
    return adam(given, lr=0.0, betas=section.betas, eps=1e-8)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step, in each group times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["learning_rate_factor"]


def clip_gradients(parameters: Iterable[nn.Parameter], section: OptimizerSection) -> Tensor:
    """Clip the gradients by value or by their norm together, if that is set. They must not be scaled.

    Returns:
        () the L2 norm of all gradients before.
    """
    with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
    gradients = [parameter.grad for parameter in with_gradient if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if section.clip_value is not None:
        nn.utils.clip_grad_value_(with_gradient, section.clip_value)
    elif section.clip_norm is not None:
        nn.utils.clip_grads_with_norm_(with_gradient, section.clip_norm, norm)
    return norm
