"""From frames of any size to clips: PyTorchVideo's sizes for one crop, PySlowFast's corners for three."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from twinpath.models.preprocess import Preprocess
from twinpath.video.resize import Resize, crop_corners

RULE = json.loads((Path(__file__).parents[2] / "golden" / "rules" / "spatial_crops.json").read_text())["rows"]


def preprocess(side: int, crop: int | None = None, num_crops: int = 1) -> Preprocess:
    resize = Resize(short_side_px=side, crop_px=crop or side, num_crops=num_crops)
    return Preprocess(resize, mean=(0.4, 0.45, 0.5), std=(0.2, 0.225, 0.25))


@pytest.mark.parametrize(("height", "width", "side", "scaled", "corners"), RULE)
def test_three_crops_follow_pyslowfast(
    height: int, width: int, side: int, scaled: list[int], corners: list[list[int]]
) -> None:
    got_scaled, got_corners = crop_corners(height, width, short_side=side, crop=side, num_crops=3)
    assert list(got_scaled) == scaled
    assert [list(corner) for corner in got_corners] == corners


@pytest.mark.parametrize(
    ("height", "width"), [(240, 320), (320, 240), (100, 100), (2, 2), (1, 640), (720, 33)]
)
@pytest.mark.parametrize("num_crops", [1, 3])
def test_every_size_gives_square_clips(height: int, width: int, num_crops: int) -> None:
    frames = torch.zeros((2, 4, height, width, 3), dtype=torch.uint8)
    clips = preprocess(32, 28, num_crops)(frames)
    assert clips.shape == (2 * num_crops, 3, 4, 28, 28)
    assert clips.dtype == torch.float32
    assert clips.is_contiguous()


def test_values_are_normalised_by_channel() -> None:
    frames = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 1, 8, 8, 3)
    clip = preprocess(8)(frames)
    expected = [(0 - 0.4) / 0.2, (0.2 - 0.45) / 0.225, (1 - 0.5) / 0.25]
    for channel, value in enumerate(expected):
        assert clip[0, channel].numpy() == pytest.approx(value, abs=1e-6)


def test_the_crops_of_one_clip_follow_each_other() -> None:
    """A picture of three stripes: left, centre and right of the first clip, then of the second."""
    stripes = np.zeros((1, 30, 90, 3), dtype=np.uint8)
    stripes[:, :, 30:60], stripes[:, :, 60:] = 100, 200
    frames = torch.from_numpy(np.stack([stripes, stripes + 10]))
    clips = preprocess(30, num_crops=3)(frames)
    values = ((clips[:, 0] * 0.2 + 0.4) * 255).mean(dim=(1, 2, 3)).tolist()
    assert values == pytest.approx([0, 100, 200, 10, 110, 210], abs=0.01)


def test_the_centre_is_rounded_to_even_as_in_the_tutorials() -> None:
    _, (centre,) = crop_corners(240, 320, short_side=256, crop=256)  # (341 - 256) / 2 = 42.5
    assert centre == (0, 42)
    _, (_, middle, _) = crop_corners(240, 320, short_side=256, crop=256, num_crops=3)
    assert middle == (0, 43)


def test_two_crops_make_no_sense() -> None:
    with pytest.raises(ValueError, match="1 or 3 spatial crops, not 2"):
        preprocess(32, num_crops=2)
    with pytest.raises(ValueError, match="1 or 3 spatial crops, not 3"):
        Resize(short_side_px=32, crop_px=None, num_crops=3)


@pytest.mark.parametrize(("height", "width"), [(240, 320), (100, 300), (64, 48)])
@pytest.mark.parametrize("num_crops", [1, 3])
def test_a_fixed_size_whatever_the_proportions(height: int, width: int, num_crops: int) -> None:
    """torchvision's 18-layer networks: 128x171, then a crop of 112 from the centre."""
    resize = Resize(short_side_px=128, crop_px=112, num_crops=num_crops, resize_px=(128, 171))
    fixed = Preprocess(resize, mean=(0,) * 3, std=(1,) * 3)
    scaled, corners = crop_corners(
        height, width, short_side=128, crop=112, num_crops=num_crops, resize=(128, 171)
    )
    assert scaled == (128, 171)
    centre = (8, 30)  # (171 - 112) / 2 = 29.5, to the even one
    assert corners == ([centre] if num_crops == 1 else [(8, 0), (8, 30), (8, 59)])
    frames = torch.randint(0, 256, (1, 2, height, width, 3), dtype=torch.uint8)
    clips = fixed(frames)
    resized = F.interpolate(
        frames[0].permute(0, 3, 1, 2).float() / 255, size=(128, 171), mode="bilinear", align_corners=False
    )
    assert clips.shape == (num_crops, 3, 2, 112, 112)
    index = 0 if num_crops == 1 else 1
    assert torch.allclose(clips[index].transpose(0, 1), resized[:, :, 8:120, 30:142], atol=1e-6)
