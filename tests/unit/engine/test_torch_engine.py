"""The torch machine: devices, batches, and what it says of itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from twinpath.device import choose_device
from twinpath.engine.config import EngineConfig
from twinpath.engine.torch_engine import TorchEngine, choose_precision
from twinpath.errors import UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import architecture
from twinpath.zoo.create import input_spec

ON_CPU = EngineConfig("torch", "cpu")
SPEC = InputSpec(num_frames=4, sampling_rate=2, short_side_px=8, crop_px=8, mean=(0.0,) * 3, std=(1.0,) * 3)


class MeanColour(nn.Module):
    """Scores of a clip: its mean red, green and blue. Remembers the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def scores(self, clip_BCTHW: Tensor) -> Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.batches.append(len(clip_BCTHW))
        return clip_BCTHW.mean(dim=(2, 3, 4))


def clips(number: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (number, 4, 8, 24, 3), dtype=np.uint8))


@pytest.mark.parametrize("num_crops", [1, 3])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_scores_of_many_clips_are_those_of_each(number: int, num_crops: int) -> None:
    network = MeanColour()
    engine = TorchEngine(network, SPEC, num_crops=num_crops, config=ON_CPU, batch_clips=2)
    together = engine(clips(number))
    assert together.shape == (number * num_crops, 3)
    assert together.dtype == np.float32
    assert max(network.batches) <= 2
    alone = np.concatenate([engine([clip]) for clip in clips(number)])
    assert together == pytest.approx(alone, abs=1e-6)
    if num_crops == 3:  # three crops of 8 cover all 24 columns
        whole = np.stack([clip.mean(axis=(0, 1, 2)) / 255 for clip in clips(number)])
        assert together.reshape(number, 3, 3).mean(axis=1) == pytest.approx(whole, abs=1e-5)


def test_a_network_answers_the_same_in_any_batch() -> None:
    torch.manual_seed(0)
    network = architecture("slowfast_tiny").build()
    spec = input_spec("slowfast_tiny")
    frames = list(np.random.default_rng(1).integers(0, 256, (3, 16, 96, 96, 3), dtype=np.uint8))
    ones = TorchEngine(network, spec, config=ON_CPU, batch_clips=1)(frames)
    threes = TorchEngine(network, spec, config=ON_CPU, batch_clips=3)(frames)
    assert ones == pytest.approx(threes, abs=1e-6)
    assert ones.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_auto_finds_a_device() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("config", ["abacus", "", "cuda:99", "meta", "cpu:x"])
def test_a_device_that_is_not_there(config: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be used here \(.*\); try the device 'cpu'") as caught:
        choose_device(config)
    assert repr(config) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_it_tells_machine_device_and_precision() -> None:
    engine = TorchEngine(MeanColour(), SPEC, config=ON_CPU)
    assert engine.describe() == f"torch {torch.__version__.split('+')[0]}, cpu, fp32"


def test_precisions() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == "fp32"
    assert choose_precision("bf16", cpu) == "bf16"
    with pytest.raises(UsageError, match="--precision fp16 is for GPUs"):
        choose_precision("fp16", cpu)


def test_bf16_is_close_to_fp32_and_threads_are_taken() -> None:
    torch.manual_seed(0)
    network, spec = architecture("slowfast_tiny").build(), input_spec("slowfast_tiny")
    frames = list(np.random.default_rng(1).integers(0, 256, (1, 16, 96, 96, 3), dtype=np.uint8))
    exact = TorchEngine(network, spec, config=ON_CPU)(frames)
    engine = TorchEngine(network, spec, config=EngineConfig("torch", "cpu", "bf16", threads=1))
    assert torch.get_num_threads() == 1
    assert "bf16" in engine.describe()
    assert engine(frames) == pytest.approx(exact, abs=0.01)


def test_embeddings_are_what_the_classifier_sees() -> None:
    torch.manual_seed(0)
    network, spec = architecture("slowfast_tiny").build(), input_spec("slowfast_tiny")
    frames = list(np.random.default_rng(1).integers(0, 256, (2, 16, 96, 96, 3), dtype=np.uint8))
    engine = TorchEngine(network, spec, output="embed", config=ON_CPU)
    embeddings = torch.from_numpy(engine(frames))
    with torch.inference_mode():
        scores = network.get_classifier()(embeddings).softmax(dim=1).numpy()
    assert scores == pytest.approx(TorchEngine(network, spec, config=ON_CPU)(frames), abs=1e-5)
