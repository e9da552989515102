"""Masked pre-training hides what it should, learns from videos alone, and its encoder can be fine-tuned."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.square_clips import moving_squares
from twinpath.errors import ConfigError
from twinpath.models.mvit import MViT
from twinpath.models.vit import ViT
from twinpath.train.dry_run import dry_run
from twinpath.train.loop.figures import StepFigures
from twinpath.train.loop.network import recipe_network
from twinpath.train.loop.train import train_clips
from twinpath.train.masked.masks import TokenMasks
from twinpath.train.masked.network import MaskedNetwork
from twinpath.train.masked.targets import hog_targets, pixel_targets
from twinpath.train.recipe import Recipe, read_recipe, recipe_of
from twinpath.train.sections import MaskSection, MaskShape
from twinpath.weights.formats import read_weights
from twinpath.zoo.model_folder import WEIGHTS

MAE = MaskSection(ratio=0.75, decoder_depth=1, decoder_width=64)
MASKFEAT = MaskSection(ratio=0.4, shape="cube", window=(2, 4, 4))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tiny_vit(section: MaskSection = MAE, target: Any = "masked_pixels") -> MaskedNetwork:
    torch.manual_seed(0)
    encoder = ViT(
        num_classes=1, num_frames=4, crop=32, patch=(2, 8, 8), width=32, depth=2, num_heads=2, drop_path=0.0
    )
    return MaskedNetwork(encoder, section, target, num_frames=4, crop_px=32)


def tiny_mvit(target: Any = "masked_hog") -> MaskedNetwork:
    torch.manual_seed(0)
    encoder = MViT(
        num_classes=1, num_frames=4, crop=64, blocks=(1, 1, 1, 2), width=16, positions="relative",
        residual_pooling=True, mean_first=True,
    )  # fmt: skip
    return MaskedNetwork(encoder, MASKFEAT, target, num_frames=4, crop_px=64)


def drawn(network: MaskedNetwork, count: int) -> Tensor:
    return torch.from_numpy(network.masks.draw(count, rng()))


@pytest.mark.parametrize(
    ("shape", "ratio", "grid", "hidden"),
    [
        ("random", 0.9, (8, 14, 14), 1412),  # 156 of 1568 are visible in the reference, too
        ("random", 0.9, (10, 10, 10), 900),  # no rounding of 0.1
        ("tube", 0.9, (8, 14, 14), 8 * 177),
        ("cube", 0.4, (8, 7, 7), 157),
        ("cube", 0.97, (2, 3, 3), 17),  # blocks do not get there
    ],
)
def test_each_mask_hides_as_many_tokens(
    shape: MaskShape, ratio: float, grid: tuple[int, int, int], hidden: int
) -> None:
    masks = TokenMasks(shape, ratio, grid)
    found = masks.draw(20, rng())
    assert found.shape == (20, *grid)
    assert (found.sum(axis=(1, 2, 3)) == hidden).all()
    assert masks.num_hidden == hidden
    assert (found == masks.draw(20, rng())).all()
    assert (found != masks.draw(20, rng(1))).any()
    if shape == "tube":
        assert (found == found[:, :1]).all()


def test_blocks_hide_neighbours_and_every_token_now_and_then() -> None:
    blocks, single = (TokenMasks(s, 0.4, (8, 7, 7)).draw(200, rng()) for s in ("cube", "random"))
    along = [(m[:, :, :, 1:] == m[:, :, :, :-1]).mean() for m in (blocks, single)]
    assert along[0] > 0.75 > 0.6 > along[1]
    assert 0 < blocks.mean(axis=0).min() < blocks.mean(axis=0).max() < 0.9


def test_a_ratio_that_hides_all_or_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mask\.ratio: 0\.01 of 8 tokens"):
        TokenMasks("cube", 0.01, (2, 2, 2))


def test_pixels_of_a_token_are_those_of_its_place() -> None:
    clips = torch.randn(2, 3, 4, 16, 24, generator=torch.Generator().manual_seed(0))
    patch = clips[1, :, 2, 8:16, 16:24]  # token (1, 1, 2) of the grid (2, 2, 3): its first frame
    found = pixel_targets(clips, (2, 2, 3), normalized=False)[1, 6 + 3 + 2]
    torch.testing.assert_close(found, patch.flatten())
    whole = pixel_targets(clips, (2, 2, 3), first_frames_only=False)
    assert whole.shape == (2, 12, 2 * 8 * 8 * 3)
    torch.testing.assert_close(whole.mean(dim=2), torch.zeros(2, 12), atol=1e-5, rtol=0)
    torch.testing.assert_close(whole.var(dim=2), torch.ones(2, 12), atol=1e-4, rtol=0)
    assert pixel_targets(torch.ones(1, 3, 2, 8, 8), (1, 1, 1)).abs().max() == 0  # no division by zero


def slow_hog(picture_CHW: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 9, H / 8, W / 8), pixel by pixel."""
    channels, height, width = picture_CHW.shape
    cells = np.zeros((channels, 9, height // 8, width // 8))
    for c in range(channels):
        around = np.pad(picture_CHW[c], 1, mode="reflect")
        for y in range(height):
            for x in range(width):
                part = around[y : y + 3, x : x + 3]
                d_x = part[0, 0] + 2 * part[1, 0] + part[2, 0] - part[0, 2] - 2 * part[1, 2] - part[2, 2]
                d_y = part[0, 0] + 2 * part[0, 1] + part[0, 2] - part[2, 0] - 2 * part[2, 1] - part[2, 2]
                angle = np.degrees(np.arctan2(d_x, d_y)) % 180  # opposite gradients are one
                cells[c, int(angle // 20) % 9, y // 8, x // 8] += np.hypot(d_x, d_y)
    return cells / np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-12)


def test_histograms_of_gradients_are_those_of_the_formula() -> None:
    clips = torch.randn(1, 3, 4, 32, 16, generator=torch.Generator().manual_seed(3))
    found = hog_targets(clips, (2, 2, 1)).reshape(2, 2, 1, 3, 9, 2, 2)
    for token in range(2):  # the first frame of each tubelet; a token has 2x2 cells
        expected = slow_hog(clips[0, :, 2 * token].double().numpy())
        for row in range(2):
            cells = expected[:, :, 2 * row : 2 * row + 2]
            np.testing.assert_allclose(found[token, row, 0].numpy(), cells, atol=1e-5)


def test_the_encoder_sees_visible_tokens_alone_and_is_the_whole_one_where_all_are_visible() -> None:
    network = tiny_vit().eval()
    clips = torch.randn(2, 3, 4, 32, 32)
    everything = network.encoded_visible(clips, torch.zeros(2, 32, dtype=torch.bool))
    (tokens,) = network.encoder.forward_features(clips)
    torch.testing.assert_close(everything, network.encoder.head.norm(tokens))
    hidden = drawn(network, 2)
    seen = network.encoded_visible(clips, hidden.flatten(1))
    assert seen.shape == (2, 1 + 32 - 24, 32)
    pixels = hidden.repeat_interleave(2, 1).repeat_interleave(8, 2).repeat_interleave(8, 3)[:, None]
    other = torch.where(pixels, torch.randn_like(clips), clips)
    torch.testing.assert_close(network.encoded_visible(other, hidden.flatten(1)), seen)


@pytest.mark.parametrize(
    "network",
    [tiny_vit(), tiny_vit(MASKFEAT), tiny_vit(MAE, "masked_hog"), tiny_mvit(), tiny_mvit("masked_pixels")],
    ids=["MAE", "pixels, ViT", "HOG, decoder", "MaskFeat", "pixels, MViT"],
)
def test_every_kind_learns_with_all_its_parameters(network: MaskedNetwork) -> None:
    clips = torch.randn(2, 3, 4, 1, 1).expand(-1, -1, -1, 64, 64) + torch.linspace(-1, 1, 64)
    clips = clips[..., :32, :32] if isinstance(network.encoder, ViT) else clips
    hidden = drawn(network, 2)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 3e-3)
    losses = []
    for _ in range(8):
        loss = network(clips, hidden)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None] == []


def test_the_last_stage_of_an_mvit_is_larger_in_pre_training_only() -> None:
    network = tiny_mvit()
    assert network.grid == (2, 4, 4)
    fresh = MViT(
        num_classes=1, num_frames=4, crop=64, blocks=(1, 1, 1, 2), width=16, positions="relative",
        residual_pooling=True, mean_first=True,
    )  # fmt: skip
    finished = network.finished()
    fresh.load_state_dict(finished.state_dict())
    clips = torch.randn(1, 3, 4, 64, 64)
    torch.testing.assert_close(fresh.eval()(clips), finished.eval()(clips))


def test_the_published_recipes_have_the_published_parameters_and_decays() -> None:
    """Encoder, decoder and predictions of the papers' sizes; what has one dimension does not decay."""
    mae = dry_run(read_recipe("vit_b_16x4_mae"))
    blocks = 4 * (12 * 512**2 + 13 * 512)
    decoder = 769 * 512 + 512 + 1569 * 512 + blocks + 2 * 512 + 513 * 768  # narrower, tokens, blocks, values
    encoder = 86_702_224 - 400 * 769
    assert sum(group.num_values for group in mae.groups) == encoder + decoder
    assert [group.weight_decay for group in mae.groups] == [0.05, 0.0]
    maskfeat = dry_run(read_recipe("mvit_v2_s_16x4_maskfeat_pretraining"))
    encoder = 36_475_120 - 400 * 769 - 2 * 768 + 2 * 14 * 96  # larger tables of the last block
    assert sum(group.num_values for group in maskfeat.groups) == encoder + 96 + 2 * 768 + 769 * 108


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of videos, one of which is none, and one with labels."""
    root = tmp_path_factory.mktemp("videos")
    for number, clip in enumerate(moving_squares(tmp_path_factory.mktemp("squares"), num_clips=20)):
        for target in (root / "all", root / "labelled" / clip.labels[0]):
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(clip.path, target / f"{number}.mp4")
    (root / "all" / "broken.mp4").write_text("no video")
    (root / "list.txt").write_text("".join(f"{number}.mp4\n" for number in range(4)))
    return root


def recipe(videos: Path, *overrides: str, **sections: Any) -> Recipe:
    values: dict[str, Any] = {
        "name": "encoder",
        "model": {"network": "vit_tiny"},
        "data": {
            "kind": "unlabelled",
            "train": [str(videos / "all")],
            "validation": [str(videos / "list.txt")],
            "videos": str(videos / "all"),
        },
        "clip": {
            "frames": 8, "sampling_rate": 2, "short_side_px": [36, 44], "crop_px": 32, "temporal_clips": 2,
        },
        "optimizer": {"name": "adamw", "weight_decay": 0.01},
        "schedule": {"epochs": 3, "base_learning_rate": 2e-3, "warmup_epochs": 0.5},
        "loss": {"kind": "masked_pixels"},
        "mask": {"ratio": 0.75, "decoder_depth": 1, "decoder_width": 64, "first_frames_only": False},
        "evaluation": {"every_epochs": 1, "crop_px": 32, "crops": 1},
        "run": {"batch_size": 4, "workers": 0},
        **sections,
    }  # fmt: skip
    return recipe_of(values, overrides, origin="test")


class Stop(Exception):
    """In the midst of a run."""


def weights(run: Path) -> dict[str, Tensor]:
    return read_weights(run / "encoder" / WEIGHTS).tensors


def test_videos_without_labels_to_an_encoder_that_is_fine_tuned(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings, losses, results = recipe(videos), {}, []

    def on_step(figures: StepFigures) -> None:
        assert losses.setdefault(figures.total, figures.loss) == figures.loss

    def stop(figures: StepFigures) -> None:
        on_step(figures)
        if figures.total == 7:
            raise Stop

    made = train_clips(settings, tmp_path / "whole", on_step=on_step, on_epoch=results.append)
    assert made is not None
    assert any("broken.mp4" in record.message for record in caplog.records)
    assert [result.broken for result in results][-1] == 1
    assert results[-1].train_loss < results[0].train_loss
    assert 0 < results[2].figures["loss"] < 1.2  # of normalized pixels; 1 is a guess of their mean
    assert made.card.figures["validation_loss"] == round(results[2].figures["loss"], 4)
    with pytest.raises(Stop):
        train_clips(settings, tmp_path / "stopped", on_step=stop)
    train_clips(settings, tmp_path / "stopped", resume=True, on_step=on_step)
    ours, theirs = weights(tmp_path / "whole"), weights(tmp_path / "stopped")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    _fine_tune(videos, tmp_path, made.path, ours)


def _fine_tune(videos: Path, folder: Path, encoder: Path, expected: dict[str, Tensor]) -> None:
    settings = recipe(
        videos,
        f"model.start_from={encoder}",
        "schedule.epochs=1",
        "optimizer.layer_decay=0.75",
        data={"kind": "labelled", "train": [str(videos / "labelled")]},
        loss={},
        mask={},
    )
    begun = recipe_network(settings.model, num_classes=2, num_frames=8, is_multi_label=False, seed=0)
    for name, tensor in begun.state_dict().items():
        if name.startswith("head.projection"):
            assert tensor.shape[0] == 2
        else:
            torch.testing.assert_close(tensor, expected[name])
    made = train_clips(settings, folder / "fine")
    assert made is not None
    assert len(made.card.labels) == 2


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.network=slowfast_tiny"], "tokens are hidden of a ViT or an MViT"),
        (["model.network=mvit_v2_s_16x4"], r"mask\.decoder_depth: mvit_v2_s_16x4 pools tokens"),
        (["mask.shape=cube"], r"mask\.window: \(8, 7, 7\) does not divide the clip's \(2, 4, 4\) tokens"),
        (["clip.crop_px=36"], r"clip: a clip of 8 frames of 36x36 pixels is not made of whole patches"),
    ],
)
def test_settings_that_contradict_each_other_are_named(
    videos: Path, overrides: list[str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        dry_run(recipe(videos, *overrides))
