"""Masked pre-training for the loop: masks by the step's random numbers, and the loss on validation videos."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from twinpath.train.masked.masks import TokenMasks
from twinpath.train.masked.network import MaskedNetwork

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from twinpath.train.clips.batch import ClipBatch
    from twinpath.train.loop.data import RecipeData

_VALIDATION = 0x6D61736B  # a stream of random numbers


class MaskedObjective:
    """Finding again what is hidden of clips.

    Args:
        masks: Of the network.
        seed: Of the run.
    """

    def __init__(self, masks: TokenMasks, seed: int) -> None:
        self._masks, self._seed = masks, seed

    def clips_of(self, batch: ClipBatch) -> ClipBatch:
        return batch

    def forward(self, network: nn.Module, clips: Tensor) -> None:
        """Nothing: transformers have no batch norms."""

    def loss(self, module: nn.Module, clips: Tensor, batch: ClipBatch, rng: np.random.Generator) -> Tensor:
        hidden = torch.from_numpy(self._masks.draw(len(clips), rng)).to(clips.device)
        return cast("Tensor", module(clips, hidden))

    @torch.no_grad()
    def figures(self, network: nn.Module, data: RecipeData, fabric: Fabric) -> dict[str, float]:
        """The mean loss of the validation videos, each with the same mask each time [better]: upstream
        evaluates no masked training."""
        assert isinstance(network, MaskedNetwork)
        was_training, to_clips = network.training, fabric.to_device(data.to_clips)
        network.eval()
        total = torch.zeros(2, dtype=torch.float64, device=fabric.device)
        for batch in data.validation():
            masks = [self._masks.draw(1, self._rng_of(int(index)))[0] for index in batch.indices]
            clips = to_clips(fabric.to_device(batch))
            with fabric.autocast():
                loss = network(clips, torch.from_numpy(np.stack(masks)).to(clips.device))
            total += torch.stack([loss.double() * len(clips), loss.new_tensor(len(clips)).double()])
        network.train(was_training)
        if fabric.world_size > 1:
            total = cast("Tensor", fabric.all_reduce(total, reduce_op="sum"))
        return {"loss": float(total[0] / total[1])} if total[1] else {}

    def _rng_of(self, index: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, _VALIDATION, index))
