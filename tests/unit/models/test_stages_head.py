"""A last layer that sees several stages: what it pools, and that every engine and a model folder take it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinpath.engine.config import EngineConfig
from twinpath.engine.open import open_engine
from twinpath.errors import UsageError
from twinpath.models.layers.head import HeadConfig, StagesHead
from twinpath.weights.load import save_weights
from twinpath.zoo.create import create_model, input_spec
from twinpath.zoo.load_folder import load_folder_network, set_stages_head
from twinpath.zoo.model_card import ModelCard
from twinpath.zoo.model_folder import WEIGHTS, new_model_folder, read_model_folder, write_card

LABELS = ("one", "two", "three")


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    made = create_model("slowfast_tiny")
    set_stages_head(made, len(LABELS))
    return made.eval()


def test_means_of_quarters_change_and_maximum() -> None:
    x = torch.randn(2, 3, 4, 5, 6)
    head = StagesHead([3], 2, dropout=0.0, head_config=HeadConfig())
    pooled = head.pooled([x])[:, 0]
    assert pooled.shape == (2, 18)
    torch.testing.assert_close(pooled[:, :3], x[:, :, :, :3, :3].mean(dim=(2, 3, 4)))
    torch.testing.assert_close(pooled[:, 9:12], x[:, :, :, 2:, 3:].mean(dim=(2, 3, 4)))
    change = x.mean(dim=(3, 4)).std(dim=2, correction=0)
    torch.testing.assert_close(pooled[:, 12:15], change, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(pooled[:, 15:], x.amax(dim=(2, 3, 4)))


def test_it_sees_res3_to_res5_of_both_pathways() -> None:
    made = network()
    spec = input_spec("slowfast_tiny")
    clip = torch.randn(1, 3, spec.num_frames, spec.crop_px, spec.crop_px)
    maps = made.forward_features(clip)
    assert [x.shape[1] for x in maps] == made.stage_channels()
    assert made.embed(clip).shape == (1, 6 * sum(made.stage_channels()))
    plain = create_model("slowfast_tiny").eval()
    plain.load_state_dict({k: v for k, v in made.state_dict().items() if "head" not in k}, strict=False)
    for ours, theirs in zip(maps[-2:], plain.forward_features(clip), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_network_without_stages_has_none() -> None:
    with pytest.raises(UsageError, match="no stages"):
        set_stages_head(create_model("x3d_xs"), 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "mine"
    card = ModelCard(
        name="mine",
        network="slowfast_tiny.synthetic",
        task="classification",
        dataset="own",
        labels=LABELS,
        input=input_spec("slowfast_tiny.synthetic"),
        precision="fp32",
        views="1x2",
        head="stages",
    )
    with new_model_folder(path) as temporary:
        save_weights(network(), temporary / WEIGHTS)
        write_card(temporary, card)
    return path


def test_a_model_folder_keeps_it(folder: Path) -> None:
    read = read_model_folder(folder)
    assert (read.card.head, read.card.views) == ("stages", "1x2")
    for name, tensor in load_folder_network(read).state_dict().items():
        torch.testing.assert_close(tensor, network().state_dict()[name])


@pytest.mark.parametrize("output", ["scores", "embed"])
def test_openvino_computes_what_torch_does(folder: Path, output: str) -> None:
    spec = read_model_folder(folder).card.input
    side = spec.crop_px
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (spec.num_frames, side, side, 3), dtype=np.uint8)]
    fast, slow = (
        open_engine(str(folder), output=output, config=EngineConfig(engine=engine, precision="fp32"))(clips)[
            0
        ]
        for engine in ("openvino", "torch")
    )
    np.testing.assert_allclose(fast, slow, atol=2e-3 * np.abs(slow).max())
