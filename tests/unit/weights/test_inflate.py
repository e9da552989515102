"""Image networks become video networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.golden_weights import golden, write_golden_checkpoint
from twinpath.errors import WeightsMismatch
from twinpath.models.registry import architecture
from twinpath.weights.inflate import inflate
from twinpath.weights.load import load_weights

IMAGE = "psf_ImageNet_RES_R50"


@pytest.mark.parametrize("name", ["slow_r50_4x16", "i3d_r50_8x8", "c2d_r50_8x8"])
def test_a_video_in_which_nothing_moves_looks_like_its_image(name: str, tmp_path: Path) -> None:
    """Away from the ends of the clip, where a kernel in time sees the padding."""
    path = write_golden_checkpoint(IMAGE, tmp_path / "r50.pyth")
    image, video = architecture("resnet50").build(), architecture(name).build(num_classes=1000)
    load_weights(image, path)
    report = load_weights(video, path, inflate=True)
    path.unlink()
    assert report.loaded == len(golden(IMAGE)["state"])
    assert bool(report.inflated) == (not name.startswith("c2d"))
    picture = torch.randn(1, 3, 1, 64, 64)
    with torch.inference_mode():
        of_image = image.eval().forward_features(picture)[0][0, :, 0]
        of_video = video.eval().forward_features(picture.expand(-1, -1, 40, -1, -1))[0][0]
    middle = of_video[:, of_video.shape[1] // 2]
    assert (middle - of_image).abs().max() <= 1e-4 * of_image.abs().max()


def test_without_being_asked_nothing_is_inflated(tmp_path: Path) -> None:
    path = write_golden_checkpoint(IMAGE, tmp_path / "r50.pyth")
    with pytest.raises(WeightsMismatch, match="with another shape"):
        load_weights(architecture("slow_r50_4x16").build(num_classes=1000), path)
    path.unlink()


def test_kernels() -> None:
    flat, deep = torch.randn(4, 2, 3, 3), torch.zeros(4, 2, 5, 3, 3)
    inflated = inflate("stem.conv.weight", flat, deep)
    assert inflated.shape == deep.shape
    assert torch.allclose(inflated.sum(dim=2), flat)
    assert torch.equal(inflate("stem.conv.weight", flat[:, :, None], deep), inflated)
    patches = inflate("patches.weight", flat, deep)
    assert torch.equal(patches, flat[:, :, None].expand_as(deep))
    bias = torch.randn(4)
    assert inflate("stem.bn.bias", bias, torch.zeros(4)) is bias
