"""Reversible transformers: cost, and training that finds activations again instead of remembering them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from twinpath.models.measure import cost_of_clip
from twinpath.models.registry import architecture
from twinpath.models.reversible import ReversibleBlock, ReversibleMViT, run_reversibly
from twinpath.weights.names import convert_names
from twinpath.weights.names import reversible as names

GRID = (1, 2, 3)
CLIP = (2, 3, 4, 32, 32)


def some_blocks(depth: int, **options: Any) -> list[ReversibleBlock]:
    torch.manual_seed(0)
    given = {"num_heads": 2, "pool_q": None, "pool_kv": None, "qkv_bias": True, "drop_path": 0.0, **options}
    return [ReversibleBlock(8, 8, **given).double() for _ in range(depth)]


def streams(batch: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x1, x2 = torch.randn(2, batch, 6, 8, generator=generator, dtype=torch.float64)
    return x1.requires_grad_(), x2.requires_grad_()


def run_plainly(blocks: Sequence[ReversibleBlock], x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    for block in blocks:
        x1, x2 = block(x1, x2, GRID)
    return x1, x2


def small(**options: Any) -> ReversibleMViT:
    torch.manual_seed(0)
    given = {"num_frames": 4, "crop": 32, "blocks": (1, 2, 1), "width": 8, "drop_path": 0.0, "dropout": 0.0}
    return ReversibleMViT(**{"num_classes": 5, **given, **options})


@pytest.mark.parametrize(
    ("name", "gflops"),
    [("rev_vit_s", 4.6), ("rev_vit_b", 17.6), ("rev_mvit_b", 8.7), ("rev_mvit_b_16x4", 64)],
)
def test_cost_is_the_published(name: str, gflops: float) -> None:
    """Figures of PySlowFast, projects/rev."""
    network = architecture(name)
    with torch.device("meta"):
        cost = cost_of_clip(network.build(), num_frames=network.num_frames, crop=224).multiply_adds
    assert cost / 1e9 == pytest.approx(gflops, rel=0.01)


@pytest.mark.parametrize("drop_path", [0.0, 0.5])
def test_gradients_are_plain_autograds(drop_path: float) -> None:
    """With branches left out too: the same samples lose the same branches when they run again."""
    results = []
    for run in (run_plainly, lambda *args: run_reversibly(*args, GRID)):
        blocks = some_blocks(5, drop_path=drop_path)
        x1, x2 = streams()
        torch.manual_seed(2)
        y1, y2 = run(blocks, x1, x2)
        (y1.square() + y2.sin()).sum().backward()
        gradients = [p.grad for block in blocks for p in block.parameters()]
        results.append(
            [y1, y2, x1.grad, x2.grad, *gradients, torch.rand(3)]
        )  # and the generator goes on alike
    for plain, reversible in zip(*results, strict=True):
        torch.testing.assert_close(reversible, plain, rtol=1e-9, atol=1e-9)


def test_remembers_as_much_at_any_depth() -> None:
    def remembered(depth: int) -> int:
        blocks, sizes = some_blocks(depth), []
        parameters = {p.data_ptr() for block in blocks for p in block.parameters()}

        def note(tensor: Tensor) -> Tensor:
            if tensor.data_ptr() not in parameters:
                sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            run_reversibly(blocks, *streams(), GRID)
        return sum(sizes)

    assert remembered(2) == remembered(9) == 2 * 4 * 6 * 8


@pytest.mark.parametrize("options", [{}, {"fusion": "mlp"}, {"kv_stride": None, "blocks": (3,)}])
def test_a_network_in_training_has_the_gradients_of_one_in_evaluation(options: dict[str, Any]) -> None:
    """Nothing is left out at random here, so both are the same function; only training runs reversibly."""
    clip = torch.randn(CLIP, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    gradients = []
    for training in (True, False):
        model = small(**options).double().train(training)
        model(clip).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for reversible, plain in zip(*gradients, strict=True):
        assert reversible is not None
        torch.testing.assert_close(reversible, plain, rtol=1e-9, atol=1e-12)


def test_frozen_parameters_stay_without_gradients() -> None:
    model = small().train()
    model.patches.requires_grad_(False)
    for block in model.blocks[:2]:
        block.mlp.requires_grad_(False)
    model(torch.randn(CLIP)).sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


def test_branches_run_again_with_the_precision_that_they_had() -> None:
    # 8 frames: PyTorch 2.14's bfloat16 gradients of pooling kernels over 2 tokens in time are wrong on a CPU.
    clip = torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(4))
    gradients = []
    for training in (True, False):
        model = small(num_frames=8).train(training)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(clip).float().square().sum()
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    reversible, plain = gradients
    assert reversible.shape == plain.shape
    assert (reversible - plain).norm() <= 0.006 * plain.norm()  # to float32 it is 0.012


def test_parameters_changed_before_backward() -> None:
    blocks = some_blocks(2)
    y1, y2 = run_reversibly(blocks, *streams(), GRID)
    with torch.no_grad():
        blocks[0].mlp.widen.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (y1 + y2).sum().backward()


def test_other_sizes() -> None:
    model = small().eval()
    for frames, height, width in ((4, 32, 32), (6, 40, 64)):
        (tokens,) = model.forward_features(torch.randn(1, 3, frames, height, width))
        assert tokens.shape[2] == 2 * 32
        assert model.head([tokens]).shape == (1, 5)


def test_names_of_the_video_network() -> None:
    """No golden has them: its queries, keys and values come from one matrix, not three."""
    (table,) = names.PYSLOWFAST
    with torch.device("meta"):
        ours = [name for name, _ in architecture("rev_mvit_b_16x4").build().named_parameters()]
    theirs = {}
    for name in ours:
        first, *more = table.to_theirs(name) or ()
        theirs[name] = first.replace(".q.", ".qkv.") if more else first
    assert theirs["blocks.0.attention.qkv.weight"] == "rev_backbone.layers.0.F.attn.qkv.weight"
    converted = convert_names(theirs.values())
    assert converted.naming == "pyslowfast"
    assert converted.ours == {name: (their,) for name, their in theirs.items()}


def test_too_small_for_its_stages() -> None:
    with pytest.raises(ValueError, match="no network of 3 stages for 4 frames of 8 pixels"):
        small(crop=8)
