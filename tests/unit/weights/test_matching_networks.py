"""A file's network is recognised by names and shapes alone, whoever wrote it."""

from __future__ import annotations

import pytest
import torch

from tests.support.golden_weights import golden
from twinpath.models.registry import architecture
from twinpath.weights.names import convert_names
from twinpath.weights.state_dict import matching_networks


def tensors_of(reference: str) -> dict[str, torch.Tensor]:
    """Shapes of a reference's parameters by our names."""
    theirs = {key: torch.empty(shape, device="meta") for key, shape in golden(reference)["state"]}
    ours = convert_names(theirs).ours
    return {name: torch.cat([theirs[n] for n in parts]) for name, parts in ours.items()}


@pytest.mark.parametrize(
    ("reference", "network"),
    [
        ("ptv_c2d_r50", "c2d_r50_8x8"),
        ("ptv_slowfast_r50", "slowfast_r50_8x8"),
        ("ptv_slow_r50_detection", "slow_r50_4x16_det"),
        ("ptv_x3d_m", "x3d_m.ptv_k400"),
        ("ptv_mvit_base_16x4", "mvit_v1_b_16x4"),  # class token and positions have dimensions of length 1
        ("psf_Kinetics_MVITv2_S_16x4", "mvit_v2_s_16x4"),
        ("psf_Kinetics_c2_I3D_NLN_8x8_R50", "i3d_nln_r50_8x8"),
        ("psf_ImageNet_RES_R50", "resnet50"),
        ("psf_masked_ssl_k400_VIT_B_16x4_FT", "vit_b_16x4"),
        ("tv_r2plus1d_18", "r2plus1d_18"),
        ("tv_mvit_v2_s", "mvit_v2_s_16x4"),
    ],
)
def test_references(reference: str, network: str) -> None:
    tensors = tensors_of(reference)
    assert network in matching_networks(tensors)
    tensors.popitem()
    if "projection" not in next(reversed(tensors)):
        tensors.popitem()
    tensors["stranger"] = torch.empty(1)
    assert matching_networks(tensors) == []


def test_other_shapes_of_the_same_parameters() -> None:
    """An image network's kernels have no time; Caffe2 may keep a 1x1x1 convolution as a matrix."""
    with torch.device("meta"):
        state = architecture("i3d_nln_r50_8x8").build(num_classes=7).state_dict()
    flat = {
        name: t.flatten(1) if t.ndim == 5 and t.shape[2:].numel() == 1 else t.squeeze(2) if t.ndim == 5 else t
        for name, t in state.items()
    }
    assert {t.ndim for t in flat.values()} == {0, 1, 2, 4, 5}
    assert matching_networks(flat) == ["i3d_nln_r50_8x8"]
