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

#: (N, 3, T, H, W) clips to the (N,) logits of one class, without gradients.
Logits = Callable[[Tensor], Tensor]

_WINDOW = 5 / 16  # of a clip; half as long ones find the middle of a movement less often
_STEPS = 16  # windows of a clip, at most


class Loss(NamedTuple):
    """What the logit loses without the movement around a time.

    Attributes:
        frame: Middle of the frames that stand still.
        logit: How much lower the logit is; negative: the movement speaks against the class.
    """

    frame: float
    logit: float


def occlusion_losses(clip: Tensor, logits: Logits, *, batch: int = 4) -> list[Loss]:
    """Let the frames of one window after the other stand still: each is the mean of its window.

    Args:
        clip: (1, 3, T, H, W), normalised.
        logits: Of the class.
        batch: Clips at once.
    """
    frames = clip.shape[2]
    length = min(max(round(frames * _WINDOW), 2), frames)
    starts = range(0, frames - length + 1, max(frames // _STEPS, 1))
    whole = float(logits(clip)[0])
    losses = []
    for first in range(0, len(starts), batch):
        part = starts[first : first + batch]
        still = clip.repeat(len(part), 1, 1, 1, 1)
        for row, start in zip(still, part, strict=True):
            row[:, start : start + length] = row[:, start : start + length].mean(dim=1, keepdim=True)
        losses += [
            Loss(start + (length - 1) / 2, whole - float(value))
            for start, value in zip(part, logits(still), strict=True)
        ]
    return losses


def over_frames(losses: list[Loss], num_frames: int) -> NDArray[np.float64]:
    """(T,) the loss at each frame, between windows linearly."""
    return np.interp(np.arange(num_frames), [loss.frame for loss in losses], [loss.logit for loss in losses])


def without_pathway(network: VideoNetwork, clip: Tensor, logits: Logits) -> dict[str, float]:
    """The logit of the class with the slow or the fast pathway seeing grey; of other networks nothing.

    Args:
        network: Of the logits.
        clip: (1, 3, T, H, W), normalised.
        logits: Of the class.
    """
    if not isinstance(network, SlowFast):
        return {}
    found = {}
    for name in ("slow", "fast"):
        with _silenced(network, name):
            found[name] = float(logits(clip)[0])
    return found


@contextmanager
def _silenced(network: SlowFast, name: str) -> Iterator[None]:
    """A pathway sees the mean colour of the training data, which is 0 after normalisation."""
    stem = getattr(network, name).stem
    with ExitStack() as stack:
        handle = stem.register_forward_pre_hook(lambda _module, inputs: (torch.zeros_like(inputs[0]),))
        stack.callback(handle.remove)
        yield
