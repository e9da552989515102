"""From an image network to a video network: kernels that see one frame become kernels that see several.

A kernel is repeated over its frames and divided by their number, so that on a video in which nothing
moves the video network computes what the image network did.
Source: Carreira and Zisserman 2017, Quo Vadis, Action Recognition? (arXiv:1705.07750), section 2.4.
PySlowFast repeats the kernel that cuts a transformer's patches without dividing, and its recipes were
tuned with that; so it is here.
"""

from __future__ import annotations

from torch import Tensor

_PATCHES = "patches."


def inflate(name: str, tensor: Tensor, like: Tensor) -> Tensor:
    """Give a kernel of one frame as many frames as the network's own has.

    Args:
        name: Our name of it.
        tensor: (O, I, h, w) or (O, I, 1, h, w).
        like: (O, I, t, h, w), what the network has.
    Returns:
        (O, I, t, h, w); the tensor as it is where it is no such kernel.
    """
    if like.ndim != 5:
        return tensor
    kernel = tensor.unsqueeze(2) if tensor.ndim == 4 else tensor
    frames = like.shape[2]
    if kernel.ndim != 5 or kernel.shape[2] != 1 or frames == 1:
        return tensor
    repeated = kernel.expand(-1, -1, frames, -1, -1)
    return repeated if name.startswith(_PATCHES) else repeated / frames
