"""The classification head of the 3D ResNets: pool every pathway, project, average over positions.

At the training crop the pooling window covers the whole map and there is one position. At a larger
test crop the window slides (stride 1) and there are several; upstreams differ in what they average
then, and published accuracies depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["softmax", "sigmoid"]
Averaging = Literal["logits", "scores"]


class PooledHead(nn.Module):
    """Average-pools each pathway with a sliding window and classifies every position.

    Args:
        channels: Channels of each pathway.
        num_classes: Logits per position.
        windows: (t, h, w) of each pathway's pooling window at the training size; on a smaller map the
            window shrinks to the map.
        dropout: Rate before the projection, in training.
        activation: Turns logits into scores: softmax for one label a clip, sigmoid for several.
        averaging: What `scores` averages over positions: "logits" (PyTorchVideo), then activates once,
            or "scores" (PySlowFast): activates at every position, then averages.
    Source: facts measured on both upstreams; see tests/parity.
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        *,
        windows: Sequence[tuple[int, int, int]],
        dropout: float,
        activation: Activation,
        averaging: Averaging,
    ) -> None:
        super().__init__()
        self.windows = tuple(windows)
        self.activation: Activation = activation
        self.averaging: Averaging = averaging
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(sum(channels), num_classes)

    def forward(self, pathways: Sequence[Tensor]) -> Tensor:
        """(B, C, T, H, W) of each pathway to logits (B, num_classes), averaged over positions."""
        return self._logits_at_positions(pathways).mean(dim=(1, 2, 3))

    def scores(self, pathways: Sequence[Tensor]) -> Tensor:
        """As `forward`, with the upstream's activation and order of averaging: (B, num_classes)."""
        logits = self._logits_at_positions(pathways)
        if self.averaging == "logits":
            return self._activate(logits.mean(dim=(1, 2, 3)))
        return self._activate(logits).mean(dim=(1, 2, 3))

    def _logits_at_positions(self, pathways: Sequence[Tensor]) -> Tensor:
        pooled = [
            F.avg_pool3d(x, [min(k, n) for k, n in zip(window, x.shape[2:], strict=True)], stride=1)
            for x, window in zip(pathways, self.windows, strict=True)
        ]
        x_BTHWC = torch.cat(pooled, dim=1).permute(0, 2, 3, 4, 1)
        return self.projection(self.dropout(x_BTHWC))  # type: ignore[no-any-return]

    def _activate(self, logits: Tensor) -> Tensor:
        return logits.softmax(dim=-1) if self.activation == "softmax" else logits.sigmoid()
