"""R3D, MC3 and R(2+1)D: published cost, shapes at other sizes, errors."""

from __future__ import annotations

import pytest
import torch

from twinpath.models.layers.head import HeadConfig
from twinpath.models.measure import cost_of_clip, count_parameters
from twinpath.models.registry import architecture
from twinpath.models.resnet18 import ResNet18, middle_width

PUBLISHED = [("r3d_18", 33.37, 40.697), ("mc3_18", 11.70, 43.343), ("r2plus1d_18", 31.51, 40.519)]


def build(name: str) -> ResNet18:
    model = architecture(name).build(num_classes=5)
    assert isinstance(model, ResNet18)
    return model


@pytest.mark.parametrize(("name", "params_m", "gflops"), PUBLISHED)
def test_cost_is_the_published(name: str, params_m: float, gflops: float) -> None:
    with torch.device("meta"):
        model = architecture(name).build()
        assert count_parameters(model) / 1e6 == pytest.approx(params_m, rel=1e-3)
        cost = cost_of_clip(model, num_frames=16, crop=112).multiply_adds
    assert cost / 1e9 == pytest.approx(gflops, rel=1e-4)


@pytest.mark.parametrize(("name", "frames"), [("r3d_18", 1), ("mc3_18", 8), ("r2plus1d_18", 1)])
def test_maps_at_another_size(name: str, frames: int) -> None:
    with torch.device("meta"):
        model = build(name)
        clip = torch.empty(2, 3, 8, 64, 96)
        (maps,) = model.forward_features(clip)
        assert maps.shape == (2, 512, frames, 4, 6)
        assert model.embed(clip).shape == (2, 512)
        assert model(clip).shape == (2, 5)


def test_head_averages_the_whole_map_whatever_the_readout_says() -> None:
    with torch.device("meta"):
        model = architecture("r3d_18").build(head_config=HeadConfig(averaging="scores", pooling="window"))
        assert model.head.pooled([torch.empty(1, 512, 2, 16, 16)]).shape == (1, 1, 512)


def test_middle_width_keeps_the_parameters_of_a_3d_convolution() -> None:
    assert middle_width(64, 64) == 144
    assert middle_width(64, 128) == 230


@pytest.mark.parametrize("convolutions", [("3d",) * 4, ("3d", "3d", "3d", "3d", "1d")])
def test_unknown_convolutions(convolutions: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="five convolutions of 3d, 2d"):
        ResNet18(convolutions=convolutions)  # type: ignore[arg-type]
