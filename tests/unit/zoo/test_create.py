"""From a name to a network with its weights."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest
import torch

from tests.support.golden_weights import write_golden_checkpoint
from twinpath.errors import DownloadFailed, UnknownModel, UsageError
from twinpath.models.layers.head import HeadConfig, PooledHead
from twinpath.models.registry import ARCHITECTURES, architecture
from twinpath.weights.fetch import cached_path
from twinpath.weights.load import load_weights, save_weights
from twinpath.zoo.create import create_model, input_spec, list_models, resolve, weights_path
from twinpath.zoo.records import record

TINY = "slowfast_tiny.synthetic"
LARGEST_RUN = {"slowfast_tiny", "slow_r50_4x16", "fast_r50_8x8", "slowfast_r50_4x16"}


pytestmark = pytest.mark.usefixtures("empty_home")


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_network(name: str) -> None:
    """Builds with the given classes; those that are affordable run a small clip."""
    network = architecture(name)
    if name not in LARGEST_RUN:
        with torch.device("meta"):
            model = create_model(name, num_classes=3)
        assert model.head.projection.out_features == 3
        return
    model = create_model(name, num_classes=3).eval()
    clip = torch.zeros(2, 3, network.num_frames, 64, 64)
    with torch.inference_mode():
        logits, scores = model(clip), model.scores(clip)
    assert logits.shape == scores.shape == (2, 3)
    assert torch.allclose(scores.sum(dim=1), torch.ones(2))


def test_backward_reaches_every_parameter() -> None:
    model = create_model("slowfast_tiny")
    assert model.training
    model(torch.randn(2, 3, 16, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_saved_weights_load_again(empty_home: Path) -> None:
    model = create_model("slowfast_tiny").eval()
    save_weights(model, empty_home / "w.safetensors")
    again = create_model("slowfast_tiny").eval()
    load_weights(again, empty_home / "w.safetensors")
    clip = torch.randn(1, 3, 16, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model(clip), again(clip))


def test_list_is_sorted_and_every_name_resolves() -> None:
    names = list_models()
    assert names == sorted(set(names))
    assert {"slowfast_r50_8x8", "slowfast_r50_8x8.ptv_k400", TINY} <= set(names)
    assert set(list_models("slowfast_r101*")) == {n for n in names if n.startswith("slowfast_r101")}
    for name in names:
        network, rec = resolve(name)
        spec = input_spec(name)
        assert name == network.name or (rec is not None and rec.name == name)
        assert spec.num_frames == network.num_frames
        assert spec.short_side_px >= spec.crop_px >= network.train_crop


def test_a_record_shapes_its_network() -> None:
    with torch.device("meta"):
        charades = create_model("slow_r50_8x8.ptv_charades").head
        ssv2 = create_model("slowfast_r50_16x8.psf_ssv2_multigrid").head
    assert isinstance(charades, PooledHead)
    assert charades.head_config == HeadConfig("sigmoid", "logits", "window")
    assert charades.projection.out_features == 157
    assert ssv2.head_config == HeadConfig("softmax", "scores", "whole")
    assert input_spec("slowfast_r50_16x8.psf_ssv2").sampling == "segments"


@pytest.mark.parametrize(
    ("name", "near"),
    [("slowfast_r50_8x", "slowfast_r50_8x8"), ("slowfast_r50_8x8.ptv_k40", r"slowfast_r50_8x8\.ptv_k400")],
)
def test_unknown_name(name: str, near: str) -> None:
    with pytest.raises(UnknownModel, match=f"did you mean {near}"):
        create_model(name)


def test_no_published_weights() -> None:
    with pytest.raises(UnknownModel, match="no weights are published"):
        create_model("fast_r50_8x8", pretrained=True)


def test_no_classes() -> None:
    with pytest.raises(UsageError, match="num_classes must be at least 1, not 0"):
        create_model("slowfast_tiny", num_classes=0)


@pytest.mark.parametrize("name", ["slowfast_tiny", TINY])
def test_embedded_weights(name: str) -> None:
    model = create_model(name, pretrained=True)
    fresh = create_model(name)
    assert not torch.equal(model.slow.stem.conv.weight, fresh.slow.stem.conv.weight)


def test_another_number_of_classes_says_what_was_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model = create_model(TINY, pretrained=True, num_classes=5)
    assert model.head.projection.out_features == 5
    assert len(caplog.records) == 1
    assert "head.projection.weight and .bias were left out" in caplog.text
    assert torch.equal(model.slow.stem.conv.weight, create_model(TINY, pretrained=True).slow.stem.conv.weight)
    caplog.clear()
    create_model(TINY, pretrained=True, num_classes=12)
    assert not caplog.records


def test_weights_in_the_cache_are_used(empty_home: Path) -> None:
    rec = record("slow_r50_4x16.ptv_k400")
    source = architecture("slow_r50_4x16").build()
    path = cached_path(rec)
    save_weights(source, path)  # whatever its name and format, the content decides
    model = create_model(rec.name, pretrained=True)
    assert torch.equal(model.pathway.stem.conv.weight, source.pathway.stem.conv.weight)
    path.with_name(path.name + ".json").unlink()
    path.write_bytes(gzip.compress(path.read_bytes(), 0))
    assert weights_path(rec) == path


def test_offline_says_where_to_put_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINPATH_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    rec = record("slow_r50_4x16.ptv_k400")
    with pytest.raises(DownloadFailed) as caught:
        create_model(rec.name, pretrained=True)
    assert str(cached_path(rec)) in str(caught.value)
    assert "http://127.0.0.1:9/pytorchvideo/model_zoo/kinetics/SLOW_4x16_R50.pyth" in str(caught.value)


def test_multigrid_records_pool_the_whole_map() -> None:
    with torch.device("meta"):
        stepwise, multigrid = (
            create_model(f"slowfast_r50_8x8.psf_k400_{training}").head.head_config
            for training in ("stepwise", "multigrid")
        )
    assert (stepwise.pooling, multigrid.pooling) == ("window", "whole")


# handles that users of timm know


def test_another_number_of_frames_keeps_a_resnets_weights() -> None:
    short, own = (create_model(TINY, pretrained=True, in_frames=n).eval() for n in (8, 16))
    assert torch.equal(short.slow.stem.conv.weight, own.slow.stem.conv.weight)
    clip = torch.randn(1, 3, 8, 96, 96)
    with torch.inference_mode():
        slow, fast = short.forward_features(clip)
        assert (slow.shape[2], fast.shape[2]) == (2, 8)
        assert short.head.windows[1][0] == 8
        assert short(clip).shape == (1, 12)


def test_another_number_of_frames_resizes_a_transformers_positions() -> None:
    rec = record("mvit_v1_b_16x4.ptv_k400")
    source = create_model(rec.name)
    save_weights(source, cached_path(rec))
    longer = create_model(rec.name, pretrained=True, in_frames=32)
    own, resized = source.positions.temporal, longer.positions.temporal
    assert (own.shape[0], resized.shape[0]) == (8, 16)
    assert torch.allclose(resized.mean(dim=0), own.mean(dim=0), atol=0.02)
    assert torch.equal(longer.patches.weight, source.patches.weight)


@pytest.mark.parametrize(
    ("name", "in_frames", "words"),
    [
        ("slowfast_r50_8x8", 30, "a multiple of 4 frames, not in_frames=30"),
        ("slow_r50_8x8", 0, "at least one frame, not in_frames=0"),
        ("i3d_r50_8x8", 1, "more frames than in_frames=1"),
        ("mvit_v2_s", 16, "made for images"),
        ("vit_b_16x4", 3, "cannot be made for in_frames=3: .*whole patches"),
    ],
)
def test_frames_that_a_network_cannot_take(name: str, in_frames: int, words: str) -> None:
    with torch.device("meta"), pytest.raises(UsageError, match=words):
        create_model(name, in_frames=in_frames)


def test_the_classifier_is_a_linear_layer_that_can_be_replaced() -> None:
    model = create_model("slowfast_tiny").eval()
    clip = torch.randn(2, 3, 16, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(model.get_classifier()(model.embed(clip)), model(clip), atol=1e-5)
    model.reset_classifier(5)
    assert model.get_classifier().out_features == 5
    assert model(clip).shape == (2, 5)
    with pytest.raises(ValueError, match="at least one class"):
        model.reset_classifier(0)


def test_a_video_network_starts_from_an_image_network(
    empty_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    donor = record("resnet50.psf_in1k")
    cached_path(donor).parent.mkdir(parents=True)
    write_golden_checkpoint("psf_ImageNet_RES_R50", cached_path(donor))
    image = create_model(donor.name, pretrained=True).pathway.res4[0].conv_a.weight
    model = create_model("slow_r50_4x16", pretrained=donor.name)
    assert "head.projection.weight and .bias were left out" in caplog.text
    started = model.pathway.res4[0].conv_a.weight
    assert started.shape[2] == 3
    assert torch.allclose(started, image.expand_as(started) / 3)
    with pytest.raises(UnknownModel, match="did you mean resnet50"):
        create_model("slow_r50_4x16", pretrained="resnet50.psf_in1")
