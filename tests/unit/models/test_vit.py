"""The video ViT: cost, positions, errors."""

from __future__ import annotations

import pytest
import torch

from twinpath.models.measure import cost_of_clip, count_parameters
from twinpath.models.registry import architecture
from twinpath.models.vit import ViT


def small(**options: object) -> ViT:
    torch.manual_seed(0)
    given = {
        "num_classes": 5,
        "num_frames": 4,
        "crop": 32,
        "width": 24,
        "depth": 2,
        "num_heads": 2,
        **options,
    }
    return ViT(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "params_m", "gflops"),
    [("vit_b_16x4", 87, 180), ("vit_l_16x4", 304, 598)],
)
def test_cost_is_the_published(name: str, params_m: float, gflops: float) -> None:
    """Figures of PySlowFast, projects/mae."""
    with torch.device("meta"):
        model = architecture(name).build()
        assert count_parameters(model) / 1e6 == pytest.approx(params_m, rel=0.01)
        cost = cost_of_clip(model, num_frames=16, crop=224).multiply_adds
    assert cost / 1e9 == pytest.approx(gflops, rel=0.01)


def test_other_sizes_interpolate_positions() -> None:
    model = small().eval()
    for frames, height, width in ((4, 32, 32), (8, 32, 32), (4, 48, 64)):
        clip = torch.randn(2, 3, frames, height, width)
        (tokens,) = model.forward_features(clip)
        assert tokens.shape == (2, 1 + frames // 2 * (height // 16) * (width // 16), 24)
        assert model(clip).shape == (2, 5)


def test_positions_tell_places_apart() -> None:
    """Without them a clip whose patches change places would give the same scores."""
    model = small().eval()
    clip = torch.randn(1, 3, 4, 32, 32)
    swapped = clip.roll(16, dims=4)
    assert not torch.allclose(model.embed(clip), model.embed(swapped), atol=1e-4)
    with torch.no_grad():
        model.positions.spatial.zero_()
    torch.testing.assert_close(model.embed(clip), model.embed(swapped))


def test_fine_tuning_starts_from_almost_equal_scores() -> None:
    scores = small().eval().scores(torch.randn(2, 3, 4, 32, 32))
    torch.testing.assert_close(scores, torch.full((2, 5), 0.2), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 40}, "40x40 pixels is not made of whole patches"),
        ({"num_frames": 3}, "3 frames"),
        ({"num_frames": 0}, "0 frames"),
        ({"num_heads": 5}, "cannot be shared"),
    ],
)
def test_sizes_that_do_not_fit(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
