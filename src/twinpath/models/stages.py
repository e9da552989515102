"""The stages of a network: which modules they are, and what goes out of each for one clip.

for stage in stages_of(network, num_frames=32, crop=224):
    stage.name, stage.place, stage.shape, stage.params, stage.multiply_adds
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from twinpath.models.layers.attention import PooledAttention
from twinpath.models.layers.positions import Grid
from twinpath.models.layers.resnet import NonLocal
from twinpath.models.measure import count_parameters, multiply_adds_by_module
from twinpath.models.network import VideoNetwork
from twinpath.models.resnet3d import Pathway, ResNet3D
from twinpath.models.slowfast import SlowFast
from twinpath.results.network_plan import NetworkStage, Place


class Part(NamedTuple):
    """A stage as modules.

    Attributes:
        name, place: See `NetworkStage`.
        modules: By their names in the network, in order.
    """

    name: str
    place: Place
    modules: dict[str, nn.Module]


class Passed(NamedTuple):
    """What went out of a module.

    Attributes:
        maps: (B, C, T, H, W), or the tokens (B, N, C) of a transformer, class token first.
        grid: Of the tokens; None: they are maps.
    """

    maps: Tensor
    grid: Grid | None

    @property
    def on_grid(self) -> Tensor:
        """(B, C, T, H, W): tokens on their grid, without class tokens."""
        if self.grid is None:
            return self.maps
        count = self.grid[0] * self.grid[1] * self.grid[2]
        tokens_BNC = self.maps[:, self.maps.shape[1] - count :]
        maps: Tensor = tokens_BNC.transpose(1, 2).unflatten(2, self.grid)  # type: ignore[no-untyped-call]
        return maps


def stages_of(network: VideoNetwork, *, num_frames: int, crop: int, boxes: int = 0) -> list[NetworkStage]:
    """The stages of a network, with the cost of one clip.

    Args:
        network: Best on the meta device; left in evaluation mode.
        num_frames, crop, boxes: See `cost_of_clip`.
    """
    with passed(network) as outputs:
        costs = multiply_adds_by_module(network, num_frames=num_frames, crop=crop, boxes=boxes)
    parts = parts_of(network, outputs)
    counted = sum(count_parameters(module) for part in parts for module in part.modules.values())
    stages: list[NetworkStage] = []
    for part in parts:
        out = [outputs[name] for name in part.modules if name in outputs]
        shape = None if part.name == "head" else tuple(out[-1].on_grid.shape[1:])
        # Class tokens and tables of positions belong to no module that is a stage: to the first one.
        others = count_parameters(network) - counted if not stages else 0
        stages.append(
            NetworkStage(
                part.name,
                part.place,
                shape,  # type: ignore[arg-type]  # of four dimensions
                () if part.name == "head" else tuple(_in_words(list(part.modules.values()))),
                sum(map(count_parameters, part.modules.values())) + others,
                sum(costs.get(name, 0) for name in part.modules),
            )
        )
    return stages


def parts_of(network: VideoNetwork, outputs: dict[str, Passed]) -> list[Part]:
    """The stages as modules; the head is the last.

    Args:
        outputs: Of a pass: a stage of a transformer begins where the grid of the tokens changes.
    """
    head = Part("head", "", {"head": network.head})
    if isinstance(network, SlowFast):
        laterals = network.laterals.named_children()
        names = [name for name, _ in _of_pathway(network.fast)]
        return [
            *(Part(name, "slow", _named("slow", of)) for name, of in _of_pathway(network.slow)),
            *(Part(name, "fast", _named("fast", of)) for name, of in _of_pathway(network.fast)),
            *(
                Part(name, "lateral", {f"laterals.{number}": module})
                for name, (number, module) in zip(names, laterals, strict=False)
            ),
            head,
        ]
    if isinstance(network, ResNet3D):
        return [
            *(Part(name, "", _named("pathway", of)) for name, of in _of_pathway(network.pathway)),
            head,
        ]
    blocks = getattr(network, "blocks", None)
    if isinstance(blocks, nn.ModuleList):
        patches = Part("patches", "", {"patches": network.get_submodule("patches")})
        return [patches, *_of_blocks(blocks, outputs), head]
    return [
        *(Part(name, "", {name: module}) for name, module in network.named_children() if name != "head"),
        head,
    ]


def _of_pathway(pathway: Pathway) -> Iterator[tuple[str, dict[str, nn.Module]]]:
    for name, module in pathway.named_children():
        if name == "res2":
            yield name, {name: module, "pool": pathway.pool}
        elif name != "pool":
            yield name, {name: module}


def _named(prefix: str, modules: dict[str, nn.Module]) -> dict[str, nn.Module]:
    return {f"{prefix}.{name}": module for name, module in modules.items()}


def _of_blocks(blocks: nn.ModuleList, outputs: dict[str, Passed]) -> list[Part]:
    """Blocks of a transformer, divided where the grid of the tokens changes."""
    stages: list[dict[str, nn.Module]] = []
    before = None
    for number, block in blocks.named_children():
        name = f"blocks.{number}"
        grid = outputs[name].grid
        if grid != before:
            stages.append({})
        stages[-1][name] = block
        before = grid
    if len(stages) == 1:
        return [Part("blocks", "", stages[0])]
    return [Part(f"stage {i}", "", stage) for i, stage in enumerate(stages, start=1)]


@contextmanager
def passed(network: nn.Module) -> Iterator[dict[str, Passed]]:
    """What goes out of the modules of a network in the next pass, by their names."""
    outputs: dict[str, Passed] = {}
    grids: list[Grid] = []

    def hook(name: str, *, is_block: bool) -> Callable[[nn.Module, Any, Any], None]:
        def record(module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(module, PooledAttention):
                grids[:] = [output[1]]
                return
            first = output[0] if isinstance(output, tuple) else output
            if not isinstance(first, Tensor) or first.ndim not in (3, 5):
                return
            if first.ndim == 5:
                outputs[name] = Passed(first, None)
            elif is_block:
                both = [x for x in output if isinstance(x, Tensor)] if isinstance(output, tuple) else [first]
                outputs[name] = Passed(torch.cat(both, dim=2), grids[-1])

        return record

    with ExitStack() as stack:
        for name, module in network.named_modules():
            is_block = name.startswith("blocks.") and name.count(".") == 1
            if is_block or isinstance(module, PooledAttention) or name.count(".") <= 1:
                handle = module.register_forward_hook(hook(name, is_block=is_block))
                stack.callback(handle.remove)
        yield outputs


def _in_words(modules: Sequence[nn.Module]) -> Iterator[str]:
    """How many blocks, and how many frames their widest kernel takes."""
    attention = [m for module in modules for m in module.modules() if isinstance(m, PooledAttention)]
    if attention:
        yield "1 block" if len(modules) == 1 else f"{len(modules)} blocks"
        heads = attention[-1].num_heads
        yield "1 head" if heads == 1 else f"{heads} heads"
        return
    blocks = [m for module in modules if isinstance(module, nn.Sequential) for m in module.children()]
    non_local = sum(isinstance(block, NonLocal) for block in blocks)
    if blocks:
        count = len(blocks) - non_local
        yield "1 block" if count == 1 else f"{count} blocks"
    if non_local:
        yield f"{non_local} non-local"
    kernels = [m.kernel_size for module in modules for m in module.modules() if isinstance(m, nn.Conv3d)]
    frames = max((kernel[0] for kernel in kernels), default=1)
    if frames > 1:
        yield f"over {frames} frames"
    elif kernels:
        yield "frame by frame"
