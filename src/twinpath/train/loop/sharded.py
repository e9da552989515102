"""Networks that one GPU has no room for: each process keeps a part of the weights, of their gradients and of
the optimizer's state, and has those of a block together while it computes (FSDP).

Source: Zhao et al. 2023, PyTorch FSDP (arXiv:2304.11277); torch's `fully_shard`, which leaves names and
modules as they are. What is kept of a run is whole, so it goes on with or without this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.strategies.model_parallel import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map_only

from twinpath.errors import ConfigError
from twinpath.train.recipe import Recipe
from twinpath.train.recomputed_blocks import BLOCKS

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from torch.distributed.device_mesh import DeviceMesh


def sharding_strategy(processes: int) -> ModelParallelStrategy:
    """Lightning's part, for so many processes."""
    return ModelParallelStrategy(_shard, data_parallel_size=processes, tensor_parallel_size=1)


def _shard(network: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Give each process its part of the parameters, block by block."""
    of_data = mesh["data_parallel"]
    for block in [module for module in network.modules() if isinstance(module, BLOCKS)]:
        fully_shard(block, mesh=of_data)
    fully_shard(network, mesh=of_data)
    return network


def is_sharding(fabric: Fabric) -> bool:
    """Whether networks are divided among the processes."""
    return isinstance(fabric.strategy, ModelParallelStrategy)


def check_can_shard(recipe: Recipe) -> None:
    """Raises: ConfigError: The recipe changes modules while it trains, or keeps a second network."""
    if recipe.multigrid.long_cycle:
        raise ConfigError("multigrid.long_cycle: it changes batch norms, which fsdp cannot; take ddp")
    if recipe.optimizer.ema_decay:
        raise ConfigError(
            "optimizer.ema_decay: fsdp keeps no average of the weights; take ddp, or leave it out"
        )
    if recipe.optimizer.lars:
        raise ConfigError("optimizer.lars: it needs the whole of each tensor, which fsdp divides; take ddp")


def whole(values: Any) -> Any:
    """The same values with divided tensors put together, on the CPU. Collective."""
    return tree_map_only(DTensor, lambda tensor: tensor.full_tensor().cpu(), values)


def load_weights_whole(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a whole state dict into a network that may be divided. Collective."""
    own = network.state_dict()
    network.load_state_dict({name: _placed(tensor, own.get(name)) for name, tensor in state.items()})


def load_optimizer_whole(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load a whole state dict into an optimizer of a network that may be divided. Collective."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    placed = {
        number: {
            name: _placed(value, parameters[number])
            if isinstance(value, Tensor) and value.shape == parameters[number].shape
            else value
            for name, value in values.items()
        }
        for number, values in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": placed})


def _placed(tensor: Tensor, like: Tensor | None) -> Tensor:
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device, like.dtype), like.device_mesh, like.placements)
