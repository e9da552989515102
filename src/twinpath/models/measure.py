"""Cost and fingerprint of a network, computed on the meta device without its memory."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

_CLASSIFIER = "head.projection."


def count_parameters(model: nn.Module) -> int:
    """Parameters, buffers not counted."""
    return sum(p.numel() for p in model.parameters())


@dataclass(frozen=True)
class Cost:
    """Cost of one clip.

    Attributes:
        multiply_adds: Of convolutions and matrix products: what papers call the FLOPs of a view.
        normalised: Outputs of norms. Some upstreams count 5 operations for each of them.
    """

    multiply_adds: int
    normalised: int


def cost_of_clip(model: nn.Module, *, num_frames: int, crop: int, boxes: int = 0) -> Cost:
    """Cost of one clip, by PyTorch's own counter.

    Args:
        model: Best on the meta device: nothing is computed, shapes are enough. Left in evaluation mode.
        num_frames, crop: T and the side of the clip in pixels.
        boxes: For a detection network, the number of boxes.
    """
    normalised = 0

    def count(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal normalised
        normalised += output.numel()

    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm3d, nn.LayerNorm))]
    hooks = [norm.register_forward_hook(count) for norm in norms]
    multiply_adds = multiply_adds_by_module(model, num_frames=num_frames, crop=crop, boxes=boxes)[""]
    for hook in hooks:
        hook.remove()
    return Cost(multiply_adds, normalised)


def multiply_adds_by_module(
    model: nn.Module, *, num_frames: int, crop: int, boxes: int = 0
) -> dict[str, int]:
    """Multiply-adds of one clip, by the name of the module in which they happen; "" is the whole network.

    Arguments as of `cost_of_clip`. A module that is not there needs none.
    """
    device = next(model.parameters()).device
    inputs = [torch.empty(1, 3, num_frames, crop, crop, device=device)]
    if boxes:
        inputs.append(torch.zeros(boxes, 5, device=device))
    counter = FlopCounterMode(display=False)
    # The math backend computes attention by matrix products, which the counter counts on every device.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model.eval()(*inputs)
    root = type(model).__name__ + "."
    counts = {name: sum(of_ops.values()) // 2 for name, of_ops in counter.get_flop_counts().items()}
    inside = {name.removeprefix(root): count for name, count in counts.items() if name.startswith(root)}
    return {**inside, "": counts["Global"]}


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """A hash of names and shapes, without the classifier's.

    Lengths of 1 are ignored, since upstreams add and remove them: see `weights.load`.

    Args:
        state: Parameters and buffers by our names; `num_batches_tracked` is ignored.
    """
    lines = sorted(
        f"{name} {'x'.join(str(n) for n in tensor.shape if n != 1)}"
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked") and not name.startswith(_CLASSIFIER)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@cache
def fingerprints() -> dict[str, str]:
    """Fingerprints by name, from the table that `make models` writes.

    It has every registered network, and the records whose network differs from the registered one.
    """
    text = resources.files("twinpath.models").joinpath("fingerprints.csv").read_text(encoding="utf-8")
    return {row["name"]: row["fingerprint"] for row in csv.DictReader(text.splitlines())}
