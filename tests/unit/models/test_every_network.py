"""What holds for every network: it learns, it loads again, it can be exported, its names stay."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.narrow_networks import CROP, MAX_FRAMES, narrow, same_when_narrow, small
from twinpath.models.measure import fingerprint, fingerprints
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import ARCHITECTURES, architecture
from twinpath.weights.load import load_weights, save_weights
from twinpath.zoo.create import create_model
from twinpath.zoo.records import records

# `make test` tries these in their whole size, since they have no narrow form or a narrow one is as large; the
# others in their narrow form, with every kind of block. `make test-slow` tries all in their whole size.
WHOLE = {"slowfast_tiny", "slowfast_tiny_det", "s3d"}
BOXES = torch.tensor([[0.0, 3.0, 5.0, 40.0, 60.0], [1.0, 0.0, 0.0, 64.0, 64.0]])


def inputs(name: str) -> tuple[torch.Tensor, ...]:
    """A batch of two clips, and boxes where the network takes them."""
    network = architecture(name)
    clips = torch.randn(2, 3, min(network.num_frames, MAX_FRAMES), CROP, CROP)
    return (clips, BOXES) if network.is_detector else (clips,)


@pytest.mark.parametrize("name", [names[0] for names in same_when_narrow().values() if {*names} - WHOLE])
def test_narrow_network(name: str, tmp_path: Path) -> None:
    check(name, tmp_path, **narrow(name))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in WHOLE)) for name in ARCHITECTURES]
)
def test_network(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


def test_every_network_is_tried() -> None:
    assert set(ARCHITECTURES) >= WHOLE
    assert all(narrow(name) or name in WHOLE for name in ARCHITECTURES)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_whole_network_is_exported(name: str) -> None:
    """`make test` exports narrow ones of each family, see tests/unit/engine/test_export_families.py."""
    clip, model = inputs(name), small(name, num_classes=3).eval()
    with torch.inference_mode():
        expected = model(*clip)
    assert_exports(model, clip, expected)


def check(name: str, folder: Path, **options: Any) -> None:
    clip = inputs(name)
    model = small(name, num_classes=3, **options)
    assert_learns(model, clip)
    model.eval()
    with torch.inference_mode():
        expected = model(*clip)
        assert_handles(model, clip)
    assert_loads_again(model, clip, expected, folder / "w.safetensors")
    model.reset_classifier(7)
    assert model(*clip).shape == (2, 7)


@pytest.mark.parametrize("name", fingerprints())
def test_names_and_shapes_stay(name: str) -> None:
    """A change here makes files that users have saved unreadable. `make models` writes the table."""
    with torch.device("meta"):
        state = create_model(name).state_dict()
    assert fingerprint(state) == fingerprints()[name]


def test_the_table_of_fingerprints_is_complete() -> None:
    assert set(fingerprints()) == {*ARCHITECTURES, *(r.name for r in records() if r.options)}


def assert_learns(model: VideoNetwork, clip: tuple[torch.Tensor, ...]) -> None:
    """Every parameter gets a gradient: logits of noise, so that none is zero by symmetry."""
    model.train()
    logits = model(*clip)
    assert logits.shape == (2, 3)
    nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not without


def assert_handles(model: VideoNetwork, clip: tuple[torch.Tensor, ...]) -> None:
    scores, embedding = model.scores(*clip), model.embed(*clip)
    classifier = model.get_classifier()
    assert scores.shape == (2, 3)
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert embedding.shape == (2, classifier.in_features)
    assert all(isinstance(maps, torch.Tensor) for maps in model.forward_features(clip[0]))


def assert_loads_again(
    model: VideoNetwork, clip: tuple[torch.Tensor, ...], expected: torch.Tensor, path: Path
) -> None:
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.5)
    save_weights(model, path)
    report = load_weights(other, path)
    path.unlink()  # some hundred megabytes
    assert report.naming == "twinpath"
    with torch.inference_mode():
        assert torch.equal(other(*clip), expected)


def assert_exports(model: VideoNetwork, clip: tuple[torch.Tensor, ...], expected: torch.Tensor) -> None:
    program = torch.export.export(model, clip, strict=False)
    with torch.inference_mode():
        again = program.module()(*clip)
    assert (again - expected).abs().max() <= 1e-4 * expected.abs().max()


SHRINK_IN_TIME = sorted(name for name, network in ARCHITECTURES.items() if network.min_frames > 1)


@pytest.mark.parametrize("name", SHRINK_IN_TIME)
def test_the_shortest_clip_of_a_network(name: str) -> None:
    """`min_frames` of the registry is what strides and pooling in time need, and no more."""
    network = ARCHITECTURES[name]
    shortest, side = network.min_frames, 64
    boxes = [torch.zeros(1, 5, device="meta")] if network.is_detector else []
    with torch.device("meta"), torch.inference_mode():
        model = network.build(num_frames=shortest).eval()
        assert model(torch.empty(1, 3, shortest, side, side), *boxes).shape == (
            1,
            model.head.projection.out_features,
        )
        with pytest.raises((ValueError, RuntimeError)):
            network.build(num_frames=shortest - 1).eval()(torch.empty(1, 3, shortest - 1, side, side), *boxes)
