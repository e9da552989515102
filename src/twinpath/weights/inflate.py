"""Inflate an image network to a video network: kernels of one frame become kernels of several.

A kernel is repeated over the frames and divided by their number, so that the video network computes the image
network's output on a video without motion.
Source: Carreira and Zisserman 2017, Quo Vadis, Action Recognition? (arXiv:1705.07750), section 2.4.
The kernel of a transformer's patches is repeated and not divided, as PySlowFast does: its recipes were tuned
with that.
"""

from __future__ import annotations

from torch import Tensor

_PATCHES = "patches."


def inflate(name: str, tensor: Tensor, like: Tensor) -> Tensor:
    """Repeat a kernel of one frame to the number of frames of the network's kernel.

    Args:
        name: Our name of the kernel.
        tensor: (O, I, h, w) or (O, I, 1, h, w).
        like: (O, I, t, h, w), the network's kernel.
    Returns:
        (O, I, t, h, w); the tensor unchanged where it is no such kernel.
    """
    if like.ndim != 5:
        return tensor
    kernel = tensor.unsqueeze(2) if tensor.ndim == 4 else tensor
    frames = like.shape[2]
    if kernel.ndim != 5 or kernel.shape[2] != 1 or frames == 1:
        return tensor
    repeated = kernel.expand(-1, -1, frames, -1, -1)
    return repeated if name.startswith(_PATCHES) else repeated / frames
