"""X3D: what follows from its factors, its head at crops larger than in training, its names upstream."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from tests.support.golden_weights import GOLDEN, golden
from twinpath.models.layers.head import HeadConfig
from twinpath.models.registry import architecture
from twinpath.models.x3d import X3D, InvertedBottleneck, SqueezeExcitation, X3DHead
from twinpath.weights.names import NameTable, convert_names
from twinpath.weights.names import x3d as names
from twinpath.weights.names.caffe2 import CAFFE2

BARE = {"res2_shortcut_norm": False}  # PyTorchVideo's X3D
PTV, EFFICIENT = names.PYTORCHVIDEO
(PSF,) = names.PYSLOWFAST
TABLES: dict[str, tuple[NameTable, dict[str, Any]]] = {
    "ptv_x3d": (PTV, BARE),
    "ptv_efficient_x3d": (EFFICIENT, {}),
    "psf_Kinetics_X3D": (PSF, {}),
}
GOLDENS = [
    *((f"ptv_x3d_{size}", f"x3d_{size}") for size in ("xs", "s", "m", "l")),
    *((f"psf_Kinetics_X3D_{size.upper()}", f"x3d_{size}") for size in ("xs", "s", "m", "l")),
    *((f"ptv_efficient_x3d_{size}", f"efficient_x3d_{size}") for size in ("xs", "s")),
]


@cache
def on_meta(name: str, **options: Any) -> nn.Module:
    with torch.device("meta"):
        return architecture(name).build(**options).eval()


def our_shapes(model: nn.Module) -> dict[str, list[int]]:
    state = model.state_dict()
    return {name: list(t.shape) for name, t in state.items() if not name.endswith("num_batches_tracked")}


def small(**options: Any) -> X3D:
    """A thin X3D for crops of 40 (the pooling window is 2x2), with weights that make scores differ."""
    torch.manual_seed(0)
    model = X3D(num_classes=5, num_frames=2, crop=40, width=0.5, depth=0.5, **options).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
    nn.init.normal_(model.head.projection.weight)
    return model


@pytest.mark.parametrize(
    ("size", "blocks"),
    [("xs", (3, 5, 11, 7)), ("s", (3, 5, 11, 7)), ("m", (3, 5, 11, 7)), ("l", (5, 10, 25, 15))],
)
def test_blocks_and_channels_follow_from_the_factors(size: str, blocks: tuple[int, ...]) -> None:
    model = on_meta(f"x3d_{size}")
    assert isinstance(model, X3D)
    stages = (model.res2, model.res3, model.res4, model.res5)
    assert tuple(map(len, stages)) == blocks
    assert model.stem.conv_xy.out_channels == 24
    for stage, channels, width in zip(stages, (24, 48, 96, 192), (54, 108, 216, 432), strict=True):
        for i, block in enumerate(stage):
            assert isinstance(block, InvertedBottleneck)
            assert (block.conv_c.out_channels, block.conv_a.out_channels) == (channels, width)
            assert block.conv_b.groups == width
            assert isinstance(block.se, SqueezeExcitation) == (i % 2 == 0)


@pytest.mark.parametrize(("channels", "width"), [(54, 8), (108, 8), (216, 16), (432, 32), (8, 8)])
def test_squeeze_is_a_sixteenth_in_steps_of_8(channels: int, width: int) -> None:
    """432 / 16 = 27 becomes 32: 24, which is nearer, lies more than a tenth below."""
    assert SqueezeExcitation(channels).reduce.out_channels == width


@pytest.mark.parametrize(("size", "window"), [("xs", 5), ("s", 5), ("m", 7), ("l", 10)])
def test_pooling_window_is_the_last_map_of_the_training_crop(size: str, window: int) -> None:
    arch = architecture(f"x3d_{size}")
    model = on_meta(f"x3d_{size}")
    clip = torch.empty(1, 3, arch.num_frames, arch.train_crop, arch.train_crop, device="meta")
    (last,) = model.forward_features(clip)
    assert tuple(last.shape[2:]) == model.head.window == (arch.num_frames, window, window)


PUBLISHED = [  # parameters in millions: the upstreams' tables of models
    *(("x3d_" + size, BARE, 3.79) for size in ("xs", "s", "m")),
    ("x3d_l", BARE, 6.15),
    *(("x3d_" + size, {}, 3.8) for size in ("xs", "s", "m")),
    ("x3d_l", {}, 6.2),
    *(("efficient_x3d_" + size, {}, 3.8) for size in ("xs", "s")),
]


@pytest.mark.parametrize(("name", "options", "params_m"), PUBLISHED)
def test_parameters_are_as_many_as_published(name: str, options: dict[str, Any], params_m: float) -> None:
    count = sum(p.numel() for p in on_meta(name, **options).parameters())
    assert count / 1e6 == pytest.approx(params_m, rel=0.01)


@pytest.mark.parametrize(
    ("name", "gflops"), [("x3d_xs", 0.605), ("x3d_s", 1.96), ("x3d_m", 4.73), ("x3d_l", 18.37)]
)
def test_multiply_adds_are_as_many_as_published(name: str, gflops: float) -> None:
    """PySlowFast's figures, at the training crop; its 0.6 for the smallest is given one digit more."""
    arch = architecture(name)
    clip = torch.empty(1, 3, arch.num_frames, arch.train_crop, arch.train_crop, device="meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        on_meta(name)(clip)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gflops, rel=0.01)


def logits_by_the_rule(head: X3DHead, x_BCTHW: Tensor, window: tuple[int, int, int]) -> list[Tensor]:
    """Widen each cell, average the cells of a window, widen, project; one window after the other."""
    t, h, w = window
    T, H, W = x_BCTHW.shape[2:]
    scale = head.bn.weight / (head.bn.running_var + head.bn.eps).sqrt()
    shift = head.bn.bias - head.bn.running_mean * scale
    cells = torch.einsum("dc,bcthw->bthwd", head.conv.weight[:, :, 0, 0, 0], x_BCTHW)
    cells = F.relu(cells * scale + shift)
    at = []
    for k in range(T - t + 1):
        for i in range(H - h + 1):
            for j in range(W - w + 1):
                mean = cells[:, k : k + t, i : i + h, j : j + w].mean(dim=(1, 2, 3))
                embedding = F.relu(mean @ head.embedding.weight[:, :, 0, 0, 0].T)
                at.append(embedding @ head.projection.weight.T + head.projection.bias)
    return at


@pytest.mark.parametrize("averaging", ["logits", "scores"])
@pytest.mark.parametrize("pooling", ["window", "whole"])
@torch.inference_mode()
def test_head_at_a_larger_crop(averaging: Any, pooling: Any) -> None:
    model = small(head_config=HeadConfig("softmax", averaging, pooling))
    clip = torch.randn(2, 3, 3, 100, 72)  # last map 3x4x3; the window 2x2x2 has 2 * 3 * 2 positions
    (last,) = model.forward_features(clip)
    window = (2, 2, 2) if pooling == "window" else tuple(last.shape[2:])
    at = logits_by_the_rule(model.head, last, window)
    assert len(at) == (12 if pooling == "window" else 1)
    mean_of_logits = sum(at) / len(at)
    mean_of_scores = sum(logits.softmax(dim=-1) for logits in at) / len(at)
    torch.testing.assert_close(model(clip), mean_of_logits)
    expected = mean_of_logits.softmax(dim=-1) if averaging == "logits" else mean_of_scores
    torch.testing.assert_close(model.scores(clip), expected)
    if pooling == "window":
        assert (mean_of_logits.softmax(dim=-1) - mean_of_scores).abs().max() > 1e-3


@pytest.mark.parametrize(("file", "name"), GOLDENS)
def test_names_both_ways(file: str, name: str) -> None:
    """Each of theirs has its place of the same shape, all of ours are taken, and the way back is the same."""
    table, options = TABLES[file.rpartition("_")[0]]
    ours = our_shapes(on_meta(name, **options))
    theirs = dict(golden(file)["state"])
    converted = convert_names(theirs)
    assert converted.naming == table.naming
    assert {place: theirs[file_name] for place, (file_name,) in converted.ours.items()} == ours
    for place, file_names in converted.ours.items():
        assert table.to_theirs(place) == file_names


def test_caffe2_names_reach_ours() -> None:
    ours = our_shapes(on_meta("x3d_s"))
    of_x3d = {name for name, _ in golden("psf_Kinetics_X3D_S")["state"]}
    rows = json.loads((GOLDEN / "rules" / "caffe2_names.json").read_text())
    rows = [(caffe2, pyslowfast) for caffe2, pyslowfast in rows if pyslowfast in of_x3d]
    assert {"conv1_xy_w", "res2_0_branch2b_bn_fc1_w", "res2_0_branch2b_bn_fc1_b"} <= {row[0] for row in rows}
    for caffe2, pyslowfast in rows:
        place = CAFFE2.to_ours(caffe2)
        assert place is not None
        assert place.ours == pyslowfast
        found = PSF.to_ours(place.ours)
        assert found is not None
        assert found.ours in ours


@pytest.mark.parametrize("size", ["xs", "s"])
def test_the_efficient_form_is_the_same_network(size: str) -> None:
    assert our_shapes(on_meta(f"efficient_x3d_{size}")) == our_shapes(on_meta(f"x3d_{size}"))


def test_only_the_shortcut_of_res2_may_lack_its_norm() -> None:
    bare, whole = our_shapes(on_meta("x3d_s", **BARE)), our_shapes(on_meta("x3d_s"))
    lacking = {name.rpartition(".")[0] for name in whole.keys() - bare.keys()}
    assert lacking == {"res2.0.shortcut.bn"}


def test_a_new_network_learns_in_every_parameter() -> None:
    model = small().train()
    model(torch.randn(2, 3, 2, 40, 48)).logsumexp(dim=-1).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_a_new_block_passes_its_shortcut_on() -> None:
    block = X3D(num_frames=1, crop=32, width=0.5, depth=2.0).eval().res2[1]
    x = torch.rand(1, 8, 2, 6, 6)
    torch.testing.assert_close(block(x), x)


@torch.inference_mode()
def test_a_clip_smaller_than_in_training() -> None:
    model = small()
    assert model(torch.randn(1, 3, 1, 24, 32)).shape == (1, 5)


@torch.inference_mode()
def test_export_gives_the_same() -> None:
    model, clip = small(), torch.randn(1, 3, 2, 72, 40)
    exported = torch.export.export(model, (clip,), strict=False)
    torch.testing.assert_close(exported.module()(clip), model(clip))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.inference_mode()
def test_lower_precision_is_near(dtype: torch.dtype) -> None:
    model, clip = small(), torch.randn(1, 3, 2, 40, 40)
    with torch.autocast("cpu", dtype=dtype):
        low = model.scores(clip)
    torch.testing.assert_close(low.float(), model.scores(clip), atol=0.03, rtol=0)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"depth": -1.0}, {"bottleneck": 0}, {"num_frames": 0}])
def test_factors_that_make_no_network(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"above 0|at least one"):
        X3D(**wrong)
