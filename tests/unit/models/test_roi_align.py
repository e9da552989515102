"""ROIAlign equals torchvision's."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import roi_align as reference

from twinpath.models.layers.roi_align import roi_align

SCALE = 1 / 16


def boxes_px(kind: str, count: int, side: int) -> torch.Tensor:
    """Boxes of a batch of 2 whose frames are `side` pixels: (count, 5)."""
    generator = torch.Generator().manual_seed(count)
    low, high = {"inside": (0.0, 1.0), "beyond": (-0.7, 1.7)}[kind]
    corners = (low + (high - low) * torch.rand(count, 2, 2, generator=generator)) * side
    first, last = corners.amin(dim=1), corners.amax(dim=1)
    index = torch.randint(0, 2, (count, 1), generator=generator).float()
    return torch.cat([index, first, last], dim=1)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("kind", ["inside", "beyond"])
@pytest.mark.parametrize("map_size", [(14, 14), (16, 28)])
def test_random_boxes(kind: str, map_size: tuple[int, int], sampling_ratio: int, aligned: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, *map_size)
    boxes = boxes_px(kind, 300, map_size[0] * 16)
    options = {"spatial_scale": SCALE, "sampling_ratio": sampling_ratio, "aligned": aligned}
    ours, theirs = roi_align(x, boxes, size=7, **options), reference(x, boxes, 7, **options)
    assert (ours - theirs).abs().max() <= 1e-5


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize(
    "corners",
    [
        (0.0, 0.0, 224.0, 224.0),
        (0.0, 0.0, 0.0, 0.0),
        (100.0, 100.0, 100.5, 100.5),
        (50.0, 40.0, 30.0, 20.0),  # turned inside out
        (223.0, 223.0, 224.0, 224.0),
        (-16.0, -16.0, 240.0, 240.0),
        (500.0, 500.0, 600.0, 600.0),
    ],
)
def test_boxes_at_the_borders(corners: tuple[float, ...], aligned: bool) -> None:
    x = torch.randn(1, 3, 14, 14, generator=torch.Generator().manual_seed(1))
    boxes = torch.tensor([[0.0, *corners]])
    ours = roi_align(x, boxes, size=7, spatial_scale=SCALE, aligned=aligned)
    theirs = reference(x, boxes, 7, spatial_scale=SCALE, sampling_ratio=0, aligned=aligned)
    assert (ours - theirs).abs().max() <= 1e-5


def test_no_boxes() -> None:
    assert roi_align(torch.zeros(1, 3, 14, 14), torch.zeros(0, 5), size=7, spatial_scale=SCALE).shape == (
        0,
        3,
        7,
        7,
    )


def test_gradient_is_torchvisions() -> None:
    boxes = boxes_px("beyond", 20, 224)
    gradients = []
    for function, options in ((roi_align, {"size": 7}), (reference, {"output_size": 7})):
        x = torch.randn(2, 3, 14, 14, generator=torch.Generator().manual_seed(2)).requires_grad_()
        function(x, boxes, spatial_scale=SCALE, **options).square().sum().backward()
        gradients.append(x.grad)
    assert (gradients[0] - gradients[1]).abs().max() <= 1e-4 * gradients[1].abs().max()


def test_boxes_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"boxes must be \(N, 5\)"):
        roi_align(torch.zeros(1, 3, 14, 14), torch.zeros(2, 4), size=7, spatial_scale=SCALE)
