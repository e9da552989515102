"""Networks in the form of the Hugging Face Hub, in folders of this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from twinpath.errors import ConfigError, MissingExtra, UnknownModel, UsageError, WeightsMismatch
from twinpath.models.layers.head import HeadConfig
from twinpath.zoo.create import create_model
from twinpath.zoo.hub import HubModel

TINY = "slowfast_tiny.synthetic"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    HubModel(create_model(TINY, pretrained=True), TINY).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_round_trip_through_a_folder(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    again = HubModel.from_pretrained(saved)
    assert not again.network.training
    clip = torch.randn(1, 3, 16, 64, 64)
    with torch.inference_mode():
        expected = create_model(TINY, pretrained=True).eval()(clip)
        assert torch.equal(again.network(clip), expected)
    assert json.loads((saved / "config.json").read_text()) == {
        "architecture": "slowfast_tiny",
        "model": TINY,
        "num_classes": 12,
        "num_frames": 16,
        "head_config": {"activation": "softmax", "averaging": "logits", "pooling": "window"},
    }
    assert "library_name: twinpath" in (saved / "README.md").read_text()


def test_what_was_changed_is_kept(tmp_path: Path) -> None:
    network = create_model("slowfast_tiny", num_classes=5, in_frames=8)
    network.reset_classifier(3)
    network.head.head_config = HeadConfig("sigmoid", "scores", "whole")
    HubModel(network, "slowfast_tiny", in_frames=8).save_pretrained(tmp_path)
    again = HubModel.from_pretrained(tmp_path)
    assert (again.config.num_classes, again.config.num_frames) == (3, 8)
    assert again.network.head.head_config == HeadConfig("sigmoid", "scores", "whole")
    assert again.network(torch.zeros(1, 3, 8, 64, 64)).shape == (1, 3)


def test_a_records_own_variant(tmp_path: Path) -> None:
    """PyTorchVideo's X3D has no norm in its first shortcut."""
    HubModel(create_model("x3d_s.ptv_k400", num_classes=2), "x3d_s.ptv_k400").save_pretrained(tmp_path)
    again = HubModel.from_pretrained(tmp_path).network
    assert "res2.0.shortcut.bn.weight" not in again.state_dict()
    with pytest.raises(UsageError, match="no x3d_s of 13 frames"):
        HubModel(again, "x3d_s")


def test_what_is_no_network_of_that_name() -> None:
    with pytest.raises(UsageError, match="network must come from create_model; a Linear does not"):
        HubModel(torch.nn.Linear(1, 1), "slowfast_tiny")
    with pytest.raises(UnknownModel, match="did you mean slowfast_tiny"):
        HubModel(create_model("slowfast_tiny"), "slowfast_tny")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_classes": 0}, r"config\.json of .*: num_classes"),
        ({"head_config": {"activation": "relu"}}, r"head_config\.activation"),
        ({"model": 3}, "model"),
    ],
)
def test_a_broken_config_names_its_key(saved: Path, change: dict[str, object], words: str) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ConfigError, match=words):
        HubModel.from_pretrained(saved)


def test_a_folder_of_something_else(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {"num_classes": 5}))
    with pytest.raises(WeightsMismatch):
        HubModel.from_pretrained(saved)
    (saved / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        HubModel.from_pretrained(saved)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "twinpath.zoo.hub", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[hub\]'"):
        import twinpath.zoo.hub  # noqa: F401
