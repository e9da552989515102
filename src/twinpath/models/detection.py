"""Detection networks: Slow and SlowFast with a head that scores the actions of the person in each box.

res5 keeps the resolution of res4 (stride 1) and has a dilation of 2, so the last maps have one cell for 16
pixels. The head averages them over time, crops each box by ROIAlign, takes the maximum over the box and
projects. Persons in AVA do several actions at once: scores are sigmoids.
Sources: Gu et al. 2018, AVA (arXiv:1705.08421); Feichtenhofer et al. 2019, SlowFast Networks
(arXiv:1812.03982), section 5.

    clip (B, 3, T, H, W) ──▶ pathways ──▶ maps (B, C, t, H/16, W/16) ──▶ mean over t ─┐
    boxes (N, 5) ─────────────────────────────────────────▶ ROIAlign 7x7 ─▶ max ─▶ projection (N, classes)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from twinpath.models.layers.head import Head, HeadConfig
from twinpath.models.layers.roi_align import roi_align
from twinpath.models.network import VideoNetwork
from twinpath.models.resnet3d import ResNet3D
from twinpath.models.slowfast import SlowFast

STRIDES = (1, 2, 2, 1)
DILATIONS = (1, 1, 1, 2)
PIXELS_TO_ONE = 16
BINS = 7


class RegionHead(Head):
    """Averages over time, pools each box and classifies it.

    Args:
        channels: Channels of each pathway.
        num_classes, dropout, head_config: See `Head`.
        aligned: See `roi_align`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        *,
        dropout: float,
        head_config: HeadConfig,
        aligned: bool,
    ) -> None:
        super().__init__(
            sum(channels), num_classes, dropout=dropout, head_config=head_config, aligned=aligned
        )

    def pooled(self, features: Sequence[Tensor]) -> Tensor:
        """(B, C, T, H, W) of each pathway, and boxes (N, 5) as the last item, to (N, 1, D)."""
        *maps, boxes = features
        x_BCHW = torch.cat([x.mean(dim=2) for x in maps], dim=1)
        cut = roi_align(
            x_BCHW, boxes, size=BINS, spatial_scale=1 / PIXELS_TO_ONE, aligned=self.aligned is True
        )
        return cut.amax(dim=(2, 3))[:, None]


class DetectionNetwork(VideoNetwork):
    """A network that scores boxes: `model(clip, boxes)`.

    Boxes are (N, 5): index of the clip in the batch, x1, y1, x2, y2 in pixels of the clip.
    """

    def forward(self, clip: Tensor, boxes: Tensor) -> Tensor:  # type: ignore[override]
        """(B, 3, T, H, W) and (N, 5) to logits (N, num_classes)."""
        logits: Tensor = self.head((*self.forward_features(clip), boxes))
        return logits

    def scores(self, clip: Tensor, boxes: Tensor) -> Tensor:  # type: ignore[override]
        """(B, 3, T, H, W) and (N, 5) to scores in 0..1, (N, num_classes)."""
        return self.head.scores((*self.forward_features(clip), boxes))

    def embed(self, clip: Tensor, boxes: Tensor) -> Tensor:  # type: ignore[override]
        """(B, 3, T, H, W) and (N, 5) to one feature vector a box, (N, D)."""
        return self.head.embed((*self.forward_features(clip), boxes))


class SlowDetector(DetectionNetwork, ResNet3D):
    """`ResNet3D` with a region head. Arguments: see there, and `aligned` of `roi_align`."""

    def __init__(
        self,
        *,
        num_classes: int = 80,
        dropout: float = 0.5,
        head_config: HeadConfig = HeadConfig("sigmoid"),
        aligned: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(num_classes=num_classes, strides=STRIDES, dilations=DILATIONS, **options)
        channels = [self.pathway.channels[-1]]
        self.head = RegionHead(
            channels, num_classes, dropout=dropout, head_config=head_config, aligned=aligned
        )
        self.reset_classifier(num_classes)


class SlowFastDetector(DetectionNetwork, SlowFast):
    """`SlowFast` with a region head. Arguments: see there, and `aligned` of `roi_align`."""

    def __init__(
        self,
        *,
        num_classes: int = 80,
        dropout: float = 0.5,
        head_config: HeadConfig = HeadConfig("sigmoid"),
        aligned: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(num_classes=num_classes, strides=STRIDES, dilations=DILATIONS, **options)
        channels = [self.slow.channels[-1], self.fast.channels[-1]]
        self.head = RegionHead(
            channels, num_classes, dropout=dropout, head_config=head_config, aligned=aligned
        )
        self.reset_classifier(num_classes)


class BoxEmbedder(VideoNetwork):
    """A detection network whose scores are what its last layer sees: a feature vector for a box."""

    def __init__(self, network: DetectionNetwork) -> None:
        super().__init__()
        self.network = network

    def scores(self, clip: Tensor, boxes: Tensor) -> Tensor:  # type: ignore[override]
        """(B, 3, T, H, W) and (N, 5) to (N, D)."""
        return self.network.embed(clip, boxes)

    def get_classifier(self) -> nn.Linear:
        """As wide as an embedding, and without weights: only its size is asked for."""
        width = self.network.get_classifier().in_features
        return nn.Linear(width, width, device="meta")
