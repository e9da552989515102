"""When a network finds a class, and by which pathway: what its score loses without a part of the clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twinpath.models.network import VideoNetwork
from twinpath.models.slowfast import SlowFast

#: (N, 3, T, H, W) clips to (N, L) logits of some classes, or their scores, without gradients.
Logits = Callable[[Tensor], Tensor]

_WINDOW = 5 / 16  # of a clip; half as long ones find the middle of a movement less often
_STEPS = 16  # windows of a clip, at most


class Losses(NamedTuple):
    """What logits lose without the movement around some times.

    Attributes:
        frames: (S,) middles of the frames that stand still.
        logits: (S, L) how much lower the logits are; negative: the movement speaks against the class.
    """

    frames: NDArray[np.float64]
    logits: NDArray[np.float64]


def occlusion_losses(clip: Tensor, logits: Logits, *, batch: int = 4) -> Losses:
    """Let the frames of one window after the other stand still: each is the mean of its window.

    Args:
        clip: (1, 3, T, H, W), normalised.
        logits: Of the classes.
        batch: Clips at once.
    """
    frames = clip.shape[2]
    length = min(max(round(frames * _WINDOW), 2), frames)
    starts = range(0, frames - length + 1, max(frames // _STEPS, 1))
    whole = logits(clip)
    found = []
    for first in range(0, len(starts), batch):
        part = starts[first : first + batch]
        still = clip.repeat(len(part), 1, 1, 1, 1)
        for row, start in zip(still, part, strict=True):
            row[:, start : start + length] = row[:, start : start + length].mean(dim=1, keepdim=True)
        found.append(whole - logits(still))
    middles = np.array([start + (length - 1) / 2 for start in starts])
    return Losses(middles, torch.cat(found).double().cpu().numpy())


def over_frames(losses: Losses, num_frames: int) -> NDArray[np.float64]:
    """(T, L) the losses at each frame, between windows linearly."""
    times = np.arange(num_frames)
    return np.stack([np.interp(times, losses.frames, of_one) for of_one in losses.logits.T], axis=1)


def without_pathway(network: VideoNetwork, clip: Tensor, scores: Logits) -> dict[str, NDArray[np.float64]]:
    """(L,) scores with the slow or the fast pathway seeing grey; of other networks nothing.

    Args:
        network: Of the scores.
        clip: (1, 3, T, H, W), normalised.
        scores: Of the classes.
    """
    if not isinstance(network, SlowFast):
        return {}
    found = {}
    for name in ("slow", "fast"):
        with _silenced(network, name):
            found[name] = scores(clip)[0].double().cpu().numpy()
    return found


@contextmanager
def _silenced(network: SlowFast, name: str) -> Iterator[None]:
    """A pathway sees the mean colour of the training data, which is 0 after normalisation."""
    stem = getattr(network, name).stem
    with ExitStack() as stack:
        handle = stem.register_forward_pre_hook(lambda _module, inputs: (torch.zeros_like(inputs[0]),))
        stack.callback(handle.remove)
        yield
