"""The processes of a run, on one machine or many: Lightning's Fabric, launched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from twinpath.cores import available_cores
from twinpath.engine.config import EngineConfig
from twinpath.formats.journal_parts import Share
from twinpath.train.machine import Machine

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def start_processes(machine: Machine, *, precision: Precision = "32-true") -> Fabric:
    """Device, precision and processes. From here on every process runs the same program.

    Args:
        machine: Where; processes that torchrun started are taken as they are.
        precision: Of `RunSection`.
    """
    from lightning.fabric import Fabric
    from lightning.fabric.strategies.ddp import DDPStrategy

    from twinpath.train.fitting import quiet_lightning

    quiet_lightning()
    local, world = (int(os.environ.get(name, 0)) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    devices = local or machine.devices or 1
    nodes = max(world // devices, 1) if local else 1
    options: dict[str, Any] = {}
    if devices * nodes > 1:
        from twinpath.train.loop.sharded import sharding_strategy

        is_shared = machine.strategy == "fsdp"
        # Statistics of norms are averaged before an evaluation, not at each step.
        strategy = sharding_strategy(devices * nodes) if is_shared else DDPStrategy(broadcast_buffers=False)
        options = {"strategy": strategy}
    fabric = Fabric(
        accelerator=machine.accelerator, devices=devices, num_nodes=nodes, precision=precision, **options
    )
    fabric.launch()
    return fabric


def share_of(fabric: Fabric) -> Share:
    """What of an evaluation this process does."""
    if fabric.world_size == 1:
        return Share()
    return Share(fabric.global_rank, fabric.world_size, _gather)


def _gather(own: Any) -> list[Any]:
    import torch.distributed as dist

    is_first = dist.get_rank() == 0
    gathered: list[Any] = [None] * dist.get_world_size() if is_first else []
    dist.gather_object(own, gathered if is_first else None)
    return gathered


def engine_config(fabric: Fabric) -> EngineConfig:
    """The GPU of this process, or its share of the cores."""
    if fabric.device.type == "cuda":
        return EngineConfig(device=f"cuda:{fabric.device.index or 0}")
    local = max(fabric.world_size // getattr(fabric.strategy, "num_nodes", 1), 1)
    return EngineConfig(device="cpu", threads=max(available_cores() // local, 1) if local > 1 else None)
