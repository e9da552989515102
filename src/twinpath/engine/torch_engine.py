"""The torch machine: runs a network with its preprocessing on any device that torch has.

The interface that every machine has: frames uint8 (N, T, H, W, 3) in, scores (N * crops, classes) out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twinpath.errors import UsageError
from twinpath.models.preprocess import Preprocess
from twinpath.zoo.records import InputSpec


class ScoringNetwork(Protocol):
    """What an engine needs of a network."""

    def scores(self, clip: Tensor) -> Tensor: ...


def choose_device(wish: str) -> torch.device:
    """`auto`: the GPU if there is one, else the CPU.

    Raises:
        UsageError: torch knows no such device, or this machine has none.
    """
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wish)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {wish!r} cannot be used here ({reason}); try --device cpu") from error
    return device


def leave_cores_to(workers: int) -> None:
    """Let torch use only the cores that so many busy processes leave; at least one.

    With more threads than free cores, those that have one wait at every step for those that have none:
    a tiny network then takes ten times as long.
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) - workers)))


class TorchEngine:
    """A network and its preprocessing on one device, in float32.

    Args:
        network: In evaluation mode from here on.
        spec: Size, crop and normalisation of its input.
        num_crops: 1 or 3 crops of each clip in space.
        device: As for `choose_device`.
        batch_clips: Clips that go through the network at once.
    """

    name = "torch"

    def __init__(
        self,
        network: nn.Module,
        spec: InputSpec,
        *,
        num_crops: int = 1,
        device: str = "auto",
        batch_clips: int = 2,
    ) -> None:
        self.device = choose_device(device)
        self.network = network.eval().to(self.device)
        self.batch_clips = batch_clips
        self.preprocess = Preprocess(
            short_side=spec.short_side_px,
            crop=spec.crop_px,
            mean=spec.mean,
            std=spec.std,
            num_crops=num_crops,
            resize=spec.resize_px,
        ).to(self.device)

    def describe(self) -> str:
        """For people: machine, device, precision."""
        return f"{self.name} {torch.__version__.split('+')[0]}, {self.device}, float32"

    def __call__(self, clips_NTHWC: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Score clips.

        Args:
            clips_NTHWC: N clips (T, H, W, 3), RGB, all of one size.
        Returns:
            (N * num_crops, classes) float32; the crops of one clip follow each other.
        """
        return self._run("scores", clips_NTHWC)

    def embed(self, clips_NTHWC: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """What the classifier sees of clips, as feature vectors.

        Args:
            clips_NTHWC: N clips (T, H, W, 3), RGB, all of one size.
        Returns:
            (N * num_crops, D) float32; the crops of one clip follow each other.
        """
        return self._run("embed", clips_NTHWC)

    @torch.inference_mode()
    def _run(self, what: str, clips_NTHWC: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """`network.scores` or `network.embed` of every crop."""
        of_crops: Callable[[Tensor], Tensor] = getattr(self.network, what)
        found: list[Tensor] = []
        for first in range(0, len(clips_NTHWC), self.batch_clips):
            batch = torch.from_numpy(np.stack(clips_NTHWC[first : first + self.batch_clips]))
            crops = self.preprocess(batch.to(self.device)).split(self.batch_clips)
            found += [of_crops(crop).float().cpu() for crop in crops]
        return torch.cat(found).numpy()
