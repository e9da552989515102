"""MViT: cost, pooled attention with relative positions, other sizes, old files, stochastic depth, export."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.golden_weights import golden
from twinpath.errors import WeightsMismatch
from twinpath.models.layers.attention import PooledAttention, PoolSpec, StochasticDepth
from twinpath.models.layers.positions import (
    JointPositions,
    RelativePositions,
    SeparatePositions,
    rows_by_distance,
)
from twinpath.models.measure import cost_of_clip, count_parameters
from twinpath.models.mvit import MViT
from twinpath.models.registry import architecture
from twinpath.weights.load import load_weights, save_weights
from twinpath.weights.names import convert_names
from twinpath.weights.positions import resize_positions

V1: dict[str, Any] = {}
V2: dict[str, Any] = {"positions": "relative", "residual_pooling": True, "widen_in_attention": True}
IMAGE: dict[str, Any] = {"image": True, "num_frames": 1, "kv_stride": 4}
KINDS: dict[str, dict[str, Any]] = {
    "v1": V1,
    "v1, kernels of stride + 1": {"pool_side": None},
    "v1, image": {"positions": "joint", **IMAGE},
    "v2": V2,
    "v2, image": {"class_token": False, **V2, **IMAGE},
    "maskfeat": {**V2, "widen_in_attention": False, "mean_first": True},
}
# Published millions of parameters and GFLOPs of a view. The image networks' GFLOPs are those of MViTv2's
# repository; it gives 42.1 for L.
PUBLISHED: dict[str, tuple[float, float | None]] = {
    "mvit_v1_b_16x4": (36.61, 70.6),
    "mvit_v1_b_32x3": (36.61, 170.37),
    "mvit_v2_t": (24, 4.7),
    "mvit_v2_s": (35, 7.0),
    "mvit_v2_b": (52, 10.2),
    "mvit_v2_l": (218, None),
    "mvit_v2_s_16x4": (34.5, 64.224),
    "mvit_v2_b_32x3": (51.2, 225),
    "mvit_v2_l_40x3": (213.1, 2828),
    "mvit_v2_s_16x4_maskfeat": (36, 71),
    "mvit_v2_l_16x4_maskfeat": (218, 377),
}
GOLDENS = {
    "ptv_mvit_base_16x4": "mvit_v1_b_16x4",
    "ptv_mvit_base_32x3": "mvit_v1_b_32x3",
    "psf_Kinetics_MVIT_B_16x4_CONV": "mvit_v1_b_16x4",
    "psf_Kinetics_MVIT_B_32x3_CONV": "mvit_v1_b24_32x3",
    "psf_ImageNet_MVIT_B_16_CONV": "mvit_v1_b",
    "psf_ImageNet_MVITv2_T": "mvit_v2_t",
    "psf_Kinetics_MVITv2_S_16x4": "mvit_v2_s_16x4",
    "psf_Kinetics_MVITv2_B_32x3": "mvit_v2_b_32x3",
    "psf_Kinetics_MVITv2_L_40x3_test": "mvit_v2_l_40x3",
    "psf_masked_ssl_k400_MVITv2_S_16x4_FT": "mvit_v2_s_16x4_maskfeat",
    "tv_mvit_v1_b": "mvit_v1_b_16x4",
    "tv_mvit_v2_s": "mvit_v2_s_16x4",
}


@cache
def on_meta(name: str) -> MViT:
    with torch.device("meta"):
        model = architecture(name).build()
    assert isinstance(model, MViT)
    return model.eval()


def small(**options: Any) -> MViT:
    """A thin MViT with one or two blocks a stage, and weights that make scores differ."""
    given = {"num_classes": 5, "num_frames": 4, "crop": 64, "blocks": (1, 1, 2, 1), "width": 8, **options}
    torch.manual_seed(0)
    model = MViT(**given).eval()
    nn.init.normal_(model.head.projection.weight)
    return model


def clip_for(model: MViT, *, frames: int = 4, height: int = 64, width: int = 64) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 3, 1 if model.patches.stride[0] == 1 else frames, height, width)


def file_names(name: str) -> list[str]:
    return [key for key, _ in golden(name)["state"]]


@pytest.mark.parametrize("name", PUBLISHED)
def test_cost_is_the_published(name: str) -> None:
    params_m, gflops = PUBLISHED[name]
    network, model = architecture(name), on_meta(name)
    assert count_parameters(model) / 1e6 == pytest.approx(params_m, rel=0.015)
    if gflops is not None:
        cost = cost_of_clip(model, num_frames=network.num_frames, crop=network.train_crop)
        assert cost.multiply_adds / 1e9 == pytest.approx(gflops, rel=0.015)


@pytest.mark.parametrize("name", GOLDENS)
def test_names_are_the_networks(name: str) -> None:
    """Each of our names is found once and nothing is left over; ours are not taken for theirs."""
    converted = convert_names(file_names(name))
    ours = on_meta(GOLDENS[name]).state_dict()
    assert converted.ours.keys() == ours.keys()
    assert not converted.incomplete
    assert not converted.repeated
    assert all("_attention_pool_" in dropped for dropped in converted.dropped)
    assert convert_names(ours).naming == "twinpath"


def test_queries_keys_and_values_may_be_apart_or_joined() -> None:
    joined, apart = file_names("psf_Kinetics_MVIT_B_16x4_CONV"), []
    for name in joined:
        apart += [name.replace("qkv", part) for part in "qkv"] if ".qkv." in name else [name]
    converted = convert_names(apart)
    assert converted.naming == "pyslowfast"
    assert converted.ours.keys() == convert_names(joined).ours.keys()
    assert converted.ours["blocks.3.attention.qkv.bias"] == tuple(f"blocks.3.attn.{p}.bias" for p in "qkv")


def test_old_pytorchvideo_files_have_poolings_once() -> None:
    both = file_names("ptv_mvit_base_16x4")
    once = [name for name in both if "_attention_pool_" not in name]
    assert len(once) < len(both)
    assert convert_names(once).ours == convert_names(both).ours


def test_old_pyslowfast_files_do_not_pool_where_the_stride_is_1() -> None:
    names = convert_names(file_names("psf_Kinetics_MVIT_B_16x4_CONV")).ours
    lacking = {n for n in names if n.startswith(("blocks.14.", "blocks.15.")) and "attention.pool_" in n}
    with torch.device("meta"):
        old = architecture("mvit_v1_b_16x4").build(pool_unstrided=False)
    assert old.state_dict().keys() == names.keys() - {n for n in lacking if "pool_q" not in n}


def test_attention_looks_up_each_distance() -> None:
    """Against sums written out token by token, with fewer keys than queries and a class token."""
    torch.manual_seed(0)
    q_grid, k_grid = (2, 4, 6), (2, 2, 3)
    relative = RelativePositions(8, sizes=(2, 4, 6))
    q = torch.randn(1, 3, 1 + 48, 8)
    bias = relative(q, q_grid, k_grid)
    assert bias.shape == (1, 3, 49, 13)
    assert not bias[:, :, 0].any()
    assert not bias[..., 0].any()
    tables = (relative.time, relative.height, relative.width)
    for query, place in enumerate(torch.cartesian_prod(*map(torch.arange, q_grid)).tolist()):
        for key, other in enumerate(torch.cartesian_prod(*map(torch.arange, k_grid)).tolist()):
            rows = []
            for table, n, m, i, j in zip(tables, q_grid, k_grid, place, other, strict=True):
                rows.append(table[i - j * (n // m) + (m - 1) * (n // m)])
            expected = (q[0, :, 1 + query] * sum(rows)).sum(-1)
            torch.testing.assert_close(bias[0, :, 1 + query, 1 + key], expected)


def test_tables_of_another_size_are_interpolated() -> None:
    """MViTv2-L at 312 pixels has tables of 37 where 39 distances are needed."""
    ramp = torch.arange(37.0)[:, None].expand(37, 2)
    rows = rows_by_distance(ramp, 20, 20)
    assert rows.shape == (20, 20, 2)
    assert rows[0, -1].tolist() == [0, 0]
    assert rows[-1, 0].tolist() == [36, 36]
    torch.testing.assert_close(rows.diagonal().T, torch.full((20, 2), 18.0))


def test_the_class_token_is_not_pooled() -> None:
    attention = PooledAttention(
        8,
        8,
        num_heads=2,
        pool_q=PoolSpec((3, 3, 3), (1, 2, 2)),
        pool_kv=PoolSpec((3, 3, 3), (1, 2, 2)),
        class_token=True,
        residual=True,
    )
    x = torch.randn(2, 1 + 2 * 4 * 4, 8)
    y, grid = attention(x, (2, 4, 4))
    assert (y.shape, grid) == ((2, 1 + 2 * 2 * 2, 8), (2, 2, 2))
    with torch.no_grad():
        for pool in (attention.pool_k, attention.pool_v):
            pool.conv.weight.zero_()  # every token but the class token is then the norm's bias
    spoilt = x.clone()
    spoilt[:, 1:] += 1
    torch.testing.assert_close(attention(x, (2, 4, 4))[0][:, 0], attention(spoilt, (2, 4, 4))[0][:, 0])
    assert not torch.allclose(attention(x, (2, 4, 4))[0][:, 1:], attention(spoilt, (2, 4, 4))[0][:, 1:])


def test_heads_share_channels_evenly() -> None:
    with pytest.raises(ValueError, match="10 channels cannot be shared by 4 heads"):
        PooledAttention(10, 10, num_heads=4)


@pytest.mark.parametrize("kind", KINDS)
def test_other_sizes_run(kind: str) -> None:
    model = small(**KINDS[kind])
    for frames, height, width in ((4, 64, 64), (8, 64, 64), (2, 48, 80), (5, 50, 67)):
        assert model(clip_for(model, frames=frames, height=height, width=width)).shape == (2, 5)


def test_too_small_sizes_are_errors() -> None:
    with pytest.raises(ValueError, match="no network of 4 stages for 4 frames of 28 pixels"):
        small(crop=28)
    with pytest.raises(ValueError, match="no network"):
        small(num_frames=0)
    with pytest.raises(ValueError, match="one frame of tokens, not 2"):
        small(positions="joint")


@pytest.mark.slow  # as for every network, see test_every_network
@pytest.mark.parametrize("kind", KINDS)
def test_export(kind: str) -> None:
    model = small(**KINDS[kind])
    clip = clip_for(model)
    program = torch.export.export(model, (clip,), strict=False)
    with torch.inference_mode():
        torch.testing.assert_close(program.module()(clip), model(clip))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_autocast(kind: str, dtype: torch.dtype) -> None:
    model = small(**KINDS[kind])
    clip = clip_for(model)
    with torch.inference_mode():
        expected = model(clip)
        with torch.autocast("cpu", dtype):
            logits = model(clip)
    assert (logits - expected).abs().max() < 0.05 * expected.abs().max()


def test_stochastic_depth_is_for_training() -> None:
    model = small(drop_path=0.5)
    clip = clip_for(model)
    assert [block.drop_path.rate for block in model.blocks] == [0, 0.125, 0.25, 0.375, 0.5]
    torch.testing.assert_close(model(clip), small()(clip), rtol=0, atol=0)
    model.train()
    model.head.eval()
    assert not torch.equal(model(clip), model(clip))


def test_stochastic_depth_leaves_out_whole_samples() -> None:
    torch.manual_seed(0)
    y = StochasticDepth(0.25).train()(torch.ones(4000, 2, 3))
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (y == y[:, :1, :1]).all()
    assert y.mean().item() == pytest.approx(1, abs=0.05)
    with pytest.raises(ValueError, match="from 0 to below 1, not 1"):
        StochasticDepth(1)


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_a_file_for_other_clips_loads_with_resized_positions(kind: str, tmp_path: Path) -> None:
    short, long = small(**KINDS[kind]), small(**KINDS[kind], num_frames=8, crop=96)
    path = tmp_path / "short.safetensors"
    save_weights(short, path)
    with pytest.raises(WeightsMismatch) as caught:
        load_weights(long, path)
    shape_mismatch = {name for name, _, _ in caught.value.shape_mismatch}
    assert shape_mismatch
    assert all("positions." in name or "relative." in name for name in shape_mismatch)
    report = load_weights(long, path, resize_positions=True)
    assert set(report.resized) == shape_mismatch
    clip = clip_for(long, frames=8, height=96, width=96)
    torch.testing.assert_close(long(clip), short(clip))  # a network resizes its tables in the same way


def test_positions_of_the_same_size_stay() -> None:
    short, same = small(), small()
    for name, table in short.state_dict().items():
        if name.startswith("positions.") and table.ndim == 2:
            resized = resize_positions(name, table, same.state_dict()[name])
            assert resized is not None
            assert torch.equal(resized, table)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("positions.temporal", (8, 4), (16, 4)),
        ("positions.temporal", (1, 1, 4), (16, 4)),  # as PySlowFast has it, for two frames
        ("positions.spatial", (1, 49, 4), (64, 4)),
        ("positions.joint", (1, 50, 4), (65, 4)),
        ("positions.joint", (49, 4), (64, 4)),
        ("blocks.3.attention.relative.time", (15, 4), (31, 4)),
        ("blocks.3.attention.relative.height", (37, 4), (39, 4)),
    ],
)
def test_resized_tables(name: str, old: tuple[int, ...], new: tuple[int, int]) -> None:
    resized = resize_positions(name, torch.full(old, 3.0), torch.empty(new))
    assert resized is not None
    torch.testing.assert_close(resized, torch.full(new, 3.0))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("head.projection.weight", (5, 4), (7, 4)),
        ("class_token", (4,), (8,)),
        ("blocks.0.attention.qkv.weight", (15, 4), (31, 4)),
        ("positions.spatial", (49, 4), (64, 8)),  # another width
        ("positions.spatial", (48, 4), (64, 4)),  # not square
        ("positions.joint", (50, 4), (64, 4)),  # one of them has a class token
        ("positions.class_token", (4,), (8,)),
    ],
)
def test_what_cannot_be_resized(name: str, old: tuple[int, ...], new: tuple[int, ...]) -> None:
    assert resize_positions(name, torch.ones(old), torch.empty(new)) is None


def test_added_positions_come_in_the_order_of_the_tokens() -> None:
    separate = SeparatePositions(3, grid=(2, 2, 3), class_token=True)
    rows = separate((2, 2, 3))
    assert rows.shape == (13, 3)
    torch.testing.assert_close(rows[0], separate.class_token)
    torch.testing.assert_close(rows[1 + 6 + 4], separate.temporal[1] + separate.spatial[4])
    joint = JointPositions(3, grid=(1, 2, 3), class_token=True)
    assert torch.equal(joint((1, 2, 3)), joint.joint)
    assert joint((1, 4, 6)).shape == (25, 3)
    torch.testing.assert_close(joint((1, 4, 6))[0], joint.joint[0])
