"""Rewritten networks: equal to the network up to rounding, which stays as it is."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from twinpath.models.layers.resnet import ResNetStem
from twinpath.models.registry import architecture
from twinpath.models.rewrites import RewrittenStem, StemConv, rewritten, slow_frames_first
from twinpath.models.slowfast import SlowFast


def near(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= 2e-6 * b.abs().max())


def with_random_norms(network: nn.Module) -> nn.Module:
    """As after training: scales, shifts, means and variances of batch norms are not those of the start."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((5, 7, 7), (1, 2, 2), (2, 3, 3)),  # SlowFast, fast
        ((1, 7, 7), (1, 2, 2), (0, 3, 3)),  # SlowFast, slow
        ((1, 3, 3), (1, 2, 2), (0, 1, 1)),  # X3D
        ((3, 7, 7), (1, 4, 4), (1, 3, 3)),  # MViT, without its stride in time
        ((3, 5, 5), (1, 3, 3), (1, 2, 2)),
        ((1, 1, 1), (1, 2, 2), (0, 0, 0)),
    ],
)
@pytest.mark.parametrize(("columns", "group"), [(True, 1), (False, 2), (True, 2), (True, 3)])
def test_stem_convolutions(
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int],
    padding: tuple[int, int, int],
    columns: bool,
    group: int,
) -> None:
    torch.manual_seed(0)
    for bias in (False, True):
        conv = nn.Conv3d(3, 4, kernel, stride=stride, padding=padding, bias=bias)
        other = StemConv(conv, columns=columns, group=group)
        for frames, height, width in product((1, 4, 5), (11,), (12, 13, 14, 15)):
            clip = torch.randn(2, 3, frames, height, width)
            with torch.inference_mode():
                assert near(other.ungrouped(other(clip), frames), conv(clip)), (frames, height, width)


def test_a_stem_with_its_norm_and_pool() -> None:
    torch.manual_seed(0)
    stem = with_random_norms(ResNetStem(8, temporal_kernel=5))
    other = RewrittenStem(stem, columns=True, group=2)
    clip = torch.randn(1, 3, 7, 37, 39)
    with torch.inference_mode():
        assert near(other(clip), stem(clip))


SMALL: dict[str, dict[str, Any]] = {
    "slowfast_tiny": {},
    "slowfast_tiny_det": {},
    "slow_r50_4x16": {"width": 8, "blocks": (1, 1, 1, 1)},
    "i3d_r50_8x8": {"width": 8, "blocks": (1, 1, 1, 1)},
    "x3d_xs": {"depth": 0.8},
    "efficient_x3d_xs": {"depth": 0.8},
    "mvit_v1_b_16x4": {"blocks": (1, 1, 2, 1)},
    "mvit_v1_b_32x3_2021": {"blocks": (1, 1, 2, 1), "num_frames": 8},
    "mvit_v2_s_16x4": {"blocks": (1, 1, 2, 1)},
    "mvit_v2_t": {"blocks": (1, 1, 2, 1)},
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("floats", "bf16", "fixed"), [(16, True, True), (16, False, False), (8, False, True)]
)
def test_networks(name: str, floats: int, bf16: bool, fixed: bool) -> None:
    torch.manual_seed(0)
    network = with_random_norms(architecture(name).build(**{"crop": 64, **SMALL[name]}))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    kind, modules = type(network), list(network.modules())
    other = rewritten(network, vector_floats=floats, bf16=bf16, is_fixed_size=fixed)
    num_frames = SMALL[name].get("num_frames", architecture(name).num_frames)
    height, width = (64, 64) if "mvit" in name else (65, 70)
    clip = torch.randn(2, 3, num_frames, height, width)
    boxes = (torch.tensor([[1.0, 3, 4, 40, 60]]),) if architecture(name).is_detector else ()
    with torch.inference_mode():
        assert near(other.scores(clip, *boxes), network.scores(clip, *boxes))
        assert near(other.embed(clip, *boxes), network.embed(clip, *boxes))
    assert type(network) is kind
    assert [id(m) for m in network.modules()] == [id(m) for m in modules]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    parameters = {id(p) for p in network.parameters()}
    shared = [p for p in other.parameters() if id(p) in parameters]
    assert len(shared) > len(parameters) / 4  # what is not rewritten


def test_what_is_rewritten_follows_the_cpu() -> None:
    network = architecture("slowfast_r50_4x16").build(blocks=(1, 1, 1, 1)).eval()

    def stems(floats: int, bf16: bool, fixed: bool = True) -> list[tuple[int, int]]:
        other = rewritten(network, vector_floats=floats, bf16=bf16, is_fixed_size=fixed)
        assert isinstance(other, SlowFast)
        parts = [other.slow.stem, other.fast.stem]
        return [
            (stem.conv.columns, stem.conv.group) if isinstance(stem, RewrittenStem) else (1, 1)
            for stem in parts
        ]

    assert stems(16, True) == [(2, 1), (2, 2)]
    assert stems(16, False) == [(1, 1), (2, 2)]
    assert stems(8, False) == [(1, 1), (2, 1)]
    assert stems(16, True, fixed=False) == [(1, 1), (1, 2)]
    x3d = architecture("x3d_xs").build().eval()
    assert rewritten(x3d, vector_floats=8, bf16=False) is x3d
    s3d = architecture("s3d").build().eval()
    assert rewritten(s3d, vector_floats=16, bf16=True) is s3d


def test_the_slow_frames_are_the_same() -> None:
    network = architecture("slowfast_tiny").build().eval()
    clip = torch.randn(2, 3, 10, 6, 5)
    for a, b in zip(slow_frames_first(network).pathways(clip), network.pathways(clip), strict=True):
        assert torch.equal(a, b)
