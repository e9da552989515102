"""Whether a map shows what the network uses: the score falls when what it marks is taken away first, and
rises when that is shown first. A map of random values is the measure.

Source: Petsiuk et al. 2018, RISE (arXiv:1806.07421), deletion and insertion.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from twinpath.explain.where import Map
from twinpath.results.explanation import Faithfulness

#: (N, 3, T, H, W) clips to the (N,) logits of one class, without gradients.
Logit = Callable[[Tensor], Tensor]

_CELLS = 8  # of a picture's side, and as many of time at most
_STEPS = 8
_RANDOM_MAPS = 2


def faithfulness(spread: Map, clip: Tensor, logits: Logit, *, seed: int = 0, batch: int = 4) -> Faithfulness:
    """Measure a map.

    Args:
        spread: (T, H, W) of the clip.
        clip: (1, 3, T, H, W), normalised.
        logits: Of the class.
        seed: Of the random maps.
        batch: Clips at once.
    """
    cells = (min(_CELLS, clip.shape[2]), _CELLS, _CELLS)
    means = F.adaptive_avg_pool3d(torch.from_numpy(spread)[None, None], cells).numpy().ravel()
    whole, grey = (float(logits(part)[0]) for part in (clip, torch.zeros_like(clip)))

    def area(order: NDArray[np.int64], *, deleted: bool) -> float:
        curve = _curve(order, cells, clip, logits, deleted=deleted, batch=batch)
        ends = [whole, *curve, grey] if deleted else [grey, *curve, whole]
        return float(np.trapezoid(ends, dx=1 / (len(ends) - 1)))

    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(len(means)) for _ in range(_RANDOM_MAPS)]
    order = np.argsort(-means, kind="stable")
    return Faithfulness(
        area(order, deleted=True),
        area(order, deleted=False),
        float(np.mean([area(other, deleted=True) for other in shuffled])),
        float(np.mean([area(other, deleted=False) for other in shuffled])),
    )


def _curve(
    order: NDArray[np.int64],
    cells: tuple[int, int, int],
    clip: Tensor,
    logits: Logit,
    *,
    deleted: bool,
    batch: int,
) -> list[float]:
    """Logits with a growing share of the cells, the first of the order first, grey or shown alone."""
    masks = torch.full((_STEPS - 1, len(order)), float(deleted))
    for step, mask in enumerate(masks, start=1):
        mask[torch.from_numpy(order[: len(order) * step // _STEPS].copy())] = float(not deleted)
    found: list[float] = []
    for first in range(0, len(masks), batch):
        shown = F.interpolate(
            masks[first : first + batch].reshape(-1, 1, *cells), size=clip.shape[2:], mode="nearest"
        )
        found += logits(clip * shown.to(clip)).tolist()
    return found
