"""Classification heads: from a network's last maps to logits, scores and embeddings.

At the training crop the pooling window covers the whole map, and there is one position. At a larger test crop
the window slides with a stride of 1, and there are several. Upstreams differ in what they average then, and
published accuracies depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["softmax", "sigmoid"]
Averaging = Literal["logits", "scores"]
HeadPooling = Literal["window", "whole"]

_LEAST_VARIANCE = 1e-8


@dataclass(frozen=True)
class HeadConfig:
    """How a head computes scores at test time. The record of a weight file has the values.

    Attributes:
        activation: From logits to scores: softmax for one label a clip, sigmoid for several.
        averaging: What `scores` averages over positions: "logits" (PyTorchVideo), then activates once,
            or "scores" (PySlowFast): activates at every position, then averages.
        pooling: "window": the pooling window of the training size slides over a larger map;
            "whole": the window is the map, whatever its size.
    """

    activation: Activation = "softmax"
    averaging: Averaging = "logits"
    pooling: HeadPooling = "window"


class Head(nn.Module):
    """Base of all heads: an embedding at every position, a projection, an average over positions.

    Subclasses implement `pooled`: from the network's last maps to embeddings.

    Args:
        channels: D, of an embedding.
        num_classes: Logits per position.
        dropout: Rate before the projection, in training.
        head_config: See `HeadConfig`.
    Attributes:
        takes_stages: Whether it takes the maps of res3 to res5, see `StagesHead`; else the last ones.
        follows_file: Whether a weight file may decide how scores are computed: nobody has said so yet.
            Setting `head_config` or `aligned` says it.
    """

    takes_stages = False

    def __init__(
        self,
        channels: int,
        num_classes: int,
        *,
        dropout: float,
        head_config: HeadConfig,
        aligned: bool | None = None,
    ) -> None:
        super().__init__()
        self.read_as(head_config, aligned=aligned)
        self.follows_file = False
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(channels, num_classes)

    @property
    def head_config(self) -> HeadConfig:
        """How scores are computed."""
        return self._head_config

    @head_config.setter
    def head_config(self, head_config: HeadConfig) -> None:
        self._head_config, self.follows_file = head_config, False

    @property
    def aligned(self) -> bool | None:
        """Of RoIAlign, see `roi_align`; None: the network does not score boxes."""
        return self._aligned

    @aligned.setter
    def aligned(self, aligned: bool | None) -> None:
        self._aligned, self.follows_file = aligned, False

    def read_as(self, head_config: HeadConfig, *, aligned: bool | None) -> None:
        """Compute scores as a weight file wants it; another file may decide again."""
        self._head_config, self._aligned = head_config, aligned

    def pooled(self, features: Sequence[Tensor]) -> Tensor:
        """The network's last maps to embeddings at P positions: (B, P, D)."""
        raise NotImplementedError

    def embed(self, features: Sequence[Tensor]) -> Tensor:
        """One embedding a clip, the mean over positions: (B, D)."""
        return self.pooled(features).mean(dim=1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (B, num_classes), averaged over positions."""
        return self._logits_at_positions(features).mean(dim=1)

    def scores(self, features: Sequence[Tensor]) -> Tensor:
        """Scores (B, num_classes) in 0 to 1, with the upstream's activation and order of averaging."""
        logits = self._logits_at_positions(features)
        if self.head_config.averaging == "logits":
            return self.activate(logits.mean(dim=1))
        return self.activate(logits).mean(dim=1)

    def activate(self, logits: Tensor) -> Tensor:
        """Logits to scores in 0 to 1."""
        return logits.softmax(dim=-1) if self.head_config.activation == "softmax" else logits.sigmoid()

    def _logits_at_positions(self, features: Sequence[Tensor]) -> Tensor:
        return self.projection(self.dropout(self.pooled(features)))  # type: ignore[no-any-return]


class PooledHead(Head):
    """Average-pools each pathway with a sliding window and classifies every position.

    Args:
        channels: Channels of each pathway.
        num_classes: Logits per position.
        windows: (t, h, w) of each pathway's pooling window at the training size; on a smaller map the
            window shrinks to the map.
        dropout, head_config: See `Head`.
    Raises:
        ValueError: A window is empty: the clip is too small.
    Source: measured on both upstreams, see tests/parity.
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        *,
        windows: Sequence[tuple[int, int, int]],
        dropout: float,
        head_config: HeadConfig,
    ) -> None:
        super().__init__(sum(channels), num_classes, dropout=dropout, head_config=head_config)
        if any(side < 1 for window in windows for side in window):
            raise ValueError(f"the clip is too small: pooling windows of {list(windows)} positions")
        self.windows = tuple(windows)

    def pooled(self, features: Sequence[Tensor]) -> Tensor:
        """(B, C, T, H, W) of each pathway to (B, P, D)."""
        maps = [self._pool(x, window) for x, window in zip(features, self.windows, strict=True)]
        return torch.cat(maps, dim=1).flatten(2).transpose(1, 2)

    def _pool(self, x_BCTHW: Tensor, window: tuple[int, int, int]) -> Tensor:
        return sliding_mean(x_BCTHW, window, whole=self.head_config.pooling == "whole")


class StagesHead(Head):
    """Classifies what the stages res3 to res5 see, of each channel: its means, its change, its maximum.

    The last stage of a network that was trained for few classes has forgotten what others need; earlier ones
    have not. The means are those of the four quarters of the picture; the change is the standard deviation
    over time of the mean over space.

    Args:
        channels: Of each map that it takes.
        num_classes, dropout, head_config: See `Head`.
    """

    takes_stages = True

    def __init__(
        self, channels: Sequence[int], num_classes: int, *, dropout: float, head_config: HeadConfig
    ) -> None:
        super().__init__(6 * sum(channels), num_classes, dropout=dropout, head_config=head_config)

    def pooled(self, features: Sequence[Tensor]) -> Tensor:
        """(B, C, T, H, W) of each stage of each pathway to (B, 1, D)."""
        pooled = []
        for x_BCTHW in features:
            quarters = _quarter_means(x_BCTHW.mean(dim=2))
            over_time = x_BCTHW.mean(dim=(3, 4))
            change = (
                (over_time - over_time.mean(dim=2, keepdim=True))
                .square()
                .mean(dim=2)
                .add(_LEAST_VARIANCE)
                .sqrt()
            )
            pooled += [quarters, change, x_BCTHW.amax(dim=(2, 3, 4))]
        return torch.cat(pooled, dim=1)[:, None]


def _quarter_means(x_BCHW: Tensor) -> Tensor:
    """(B, 4 * C): the mean of each quarter; of an odd side the middle belongs to both halves."""
    height, width = (int(side) for side in x_BCHW.shape[2:])  # numbers, not sizes that are traced
    rows = (slice(0, (height + 1) // 2), slice(height // 2, height))
    columns = (slice(0, (width + 1) // 2), slice(width // 2, width))
    return torch.cat([x_BCHW[:, :, i, j].mean(dim=(2, 3)) for i in rows for j in columns], dim=1)


def sliding_mean(x_BCTHW: Tensor, window: tuple[int, int, int], *, whole: bool = False) -> Tensor:
    """Mean in a window that slides by 1 and shrinks to a smaller map; `whole`: in one as large as the map."""
    if whole:
        return x_BCTHW.mean(dim=(2, 3, 4), keepdim=True)
    # A traced size is a tensor, and a graph needs numbers here.
    kernel = [min(k, int(n)) for k, n in zip(window, x_BCTHW.shape[2:], strict=True)]
    return F.avg_pool3d(x_BCTHW, kernel, stride=1)
