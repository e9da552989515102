"""At 256 px a network trained at 224 sees 2x2 positions. What it makes of them, written out by hand.

The rule: pool with the window of the training crop at every position, project. PyTorchVideo averages the
logits and applies the softmax once; PySlowFast applies the softmax at every position and averages that.
After short-cycle multigrid training PySlowFast pools the whole map instead.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support.golden_weights import golden, write_golden_checkpoint
from twinpath.models.layers.head import HeadConfig
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.weights.load import load_weights

SIDE = 224 // 32  # of the pooling window
NETWORKS = {
    "psf_Kinetics_SLOW_4x16_R50": "slow_r50_4x16",
    "psf_Kinetics_SLOWFAST_4x16_R50": "slowfast_r50_4x16",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_at_256_px(name: str, tmp_path: Path) -> None:
    path = write_golden_checkpoint(name, tmp_path / "weights.pyth")
    clip = torch.randn(
        1, 3, golden(name)["input"]["frames"], 256, 256, generator=torch.Generator().manual_seed(0)
    )
    model = architecture(NETWORKS[name]).build()
    assert isinstance(model, VideoNetwork)
    load_weights(model, path)
    path.unlink()
    model.eval()
    with torch.inference_mode():
        maps = model.forward_features(clip)
        logits = logits_at_2x2(model, maps)
        assert (logits.std(dim=0) > 0).all()  # the positions differ, so the order of averaging shows
        expected = {
            HeadConfig(averaging="logits"): logits.mean(dim=0).softmax(dim=0),
            HeadConfig(averaging="scores"): logits.softmax(dim=1).mean(dim=0),
            HeadConfig(averaging="scores", pooling="whole"): whole_map(model, maps).softmax(dim=0),
        }
        for head_config, scores in expected.items():
            model.head.head_config = head_config
            ours = model.head.scores(maps)[0]
            assert (ours - scores).abs().max() <= 1e-5 * scores.abs().max()
    first, second, third = expected.values()
    assert not torch.allclose(first, second, rtol=1e-3)
    assert not torch.allclose(second, third, rtol=1e-3)


def logits_at_2x2(model: VideoNetwork, maps: tuple[Tensor, ...]) -> Tensor:
    """(4, classes): a window of 7x7 cells in each corner of the 8x8 map."""
    rows = []
    for top in (0, 1):
        for left in (0, 1):
            windows = [x[0, :, :, top : top + SIDE, left : left + SIDE] for x in maps]
            rows.append(model.head.projection(torch.cat([w.mean(dim=(1, 2, 3)) for w in windows])))
    return torch.stack(rows)


def whole_map(model: VideoNetwork, maps: tuple[Tensor, ...]) -> Tensor:
    return model.head.projection(torch.cat([x[0].mean(dim=(1, 2, 3)) for x in maps]))
