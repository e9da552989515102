"""MixUp and CutMix of batches, soft targets and the accuracy that is counted with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from twinpath.errors import ConfigError, UsageError
from twinpath.train.augment.mix import ClipMix, scores_for_accuracy, smoothed, soft_cross_entropy
from twinpath.train.sections import MixSection

BATCH = 4


def clips() -> torch.Tensor:
    """Each clip has its own constant value."""
    return (
        torch.arange(BATCH, dtype=torch.float32)[:, None, None, None, None].expand(-1, 3, 8, 20, 24).clone()
    )


def mixed(seed: int, **section: float) -> tuple[torch.Tensor, torch.Tensor]:
    mix = ClipMix(MixSection.model_validate(section), num_classes=BATCH)
    return mix(clips(), torch.eye(BATCH), np.random.default_rng(seed))


@pytest.mark.parametrize("section", [{"mixup_alpha": 0.8}, {"cutmix_alpha": 1.0}])
def test_targets_say_how_much_of_each_clip_is_seen(section: dict[str, float]) -> None:
    shares = []
    for seed in range(40):
        frames, targets = mixed(seed, **section)
        own = targets.diagonal()
        assert torch.allclose(targets.sum(1), torch.ones(BATCH))
        assert torch.allclose(targets.flip(0).diagonal() + own, torch.ones(BATCH))
        expected = own * torch.arange(BATCH) + (1 - own) * torch.arange(BATCH).flip(0)
        assert torch.allclose(frames.mean(dim=(1, 2, 3, 4)), expected, atol=1e-5)
        assert torch.equal(frames, frames[:, :1, :1].expand_as(frames))  # all frames alike: every pathway
        if "cutmix_alpha" in section:
            assert set(frames.unique().tolist()) <= set(range(BATCH))
        shares.append(float(own[0]))
    assert min(shares) < 0.4
    assert max(shares) > 0.9


def test_a_recipe_with_both_cuts_as_often_as_it_says() -> None:
    def is_cut(seed: int) -> bool:
        frames, _ = mixed(seed, mixup_alpha=0.8, cutmix_alpha=1.0, cutmix_share=0.3)
        return bool((frames == frames.round()).all())

    assert 0.2 < np.mean([is_cut(seed) for seed in range(200)]) < 0.45


def test_smoothing_stays_where_nothing_is_mixed() -> None:
    frames, targets = mixed(0, mixup_alpha=0.8, probability=0.0, label_smoothing=0.1)
    assert torch.equal(frames, clips())
    assert torch.allclose(targets, torch.eye(BATCH) * 0.9 + 0.1 / BATCH)
    assert float(smoothed(torch.eye(4), 0.1)[0, 0]) == pytest.approx(1 - 0.1 + 0.1 / 4)


def test_loss_and_accuracy_with_soft_targets() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 5), torch.tensor([[0.7, 0, 0.3, 0, 0], [0, 0.4, 0, 0, 0.6], [0.1] * 5])
    expected = -(targets * F.log_softmax(logits, 1)).sum(1).mean()  # the last row is not normalised
    assert torch.allclose(soft_cross_entropy(logits, targets), expected)
    scores = torch.tensor([[0.1, 0.2, 0.7, 0.0, 0.0], [0.0, 0.3, 0.5, 0.0, 0.2], [1.0, 0, 0, 0, 0]])
    counted, right = scores_for_accuracy(scores, targets)
    assert right[:2].tolist() == [0, 4]
    assert counted[0].tolist() == pytest.approx([0.8, 0.2, 0, 0, 0])
    assert counted[1].tolist() == pytest.approx([0, 0, 0.5, 0, 0.5])
    assert scores_for_accuracy(scores[:, :1], targets[:, :1])[1].tolist() == [0, 0, 0]


def test_what_cannot_be_mixed_is_an_error() -> None:
    mix = ClipMix(MixSection(mixup_alpha=0.8), num_classes=BATCH)
    with pytest.raises(UsageError, match="batch"):
        mix(clips()[:1], torch.eye(BATCH)[:1], np.random.default_rng(0))
    with pytest.raises(ConfigError, match="one label"):
        ClipMix.of(MixSection(label_smoothing=0.1), num_classes=3, is_multi_label=True)
    assert not ClipMix.of(MixSection(), num_classes=3, is_multi_label=True).is_needed
