"""S3D: published cost, its sliding window at other sizes."""

from __future__ import annotations

import pytest
import torch

from twinpath.models.measure import cost_of_clip, count_parameters
from twinpath.models.registry import architecture
from twinpath.models.s3d import S3D


def build() -> S3D:
    model = architecture("s3d").build(num_classes=5)
    assert isinstance(model, S3D)
    return model


def test_cost_is_the_published() -> None:
    """torchvision gives the cost of 16 frames, though its accuracy is that of 128."""
    with torch.device("meta"):
        model = architecture("s3d").build()
        assert count_parameters(model) == 8_320_048
        cost = cost_of_clip(model, num_frames=16, crop=224).multiply_adds
    assert cost / 1e9 == pytest.approx(17.979, rel=1e-4)


@pytest.mark.parametrize(
    ("frames", "height", "width", "maps", "positions"),
    [
        (64, 224, 224, (8, 7, 7), 7),
        (16, 256, 320, (2, 8, 10), 2 * 4),
        (8, 32, 64, (1, 1, 2), 1),  # smaller than the window
    ],
)
def test_window_slides(frames: int, height: int, width: int, maps: tuple[int, ...], positions: int) -> None:
    with torch.device("meta"):
        model = build()
        features = model.forward_features(torch.empty(1, 3, frames, height, width))
        assert features[0].shape == (1, 1024, *maps)
        assert model.head.pooled(features).shape == (1, positions, 1024)
        assert model.head(features).shape == (1, 5)
