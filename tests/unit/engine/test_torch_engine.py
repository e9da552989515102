"""The torch backend: devices, batches, and how it describes itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from twinpath.device import choose_device
from twinpath.engine.config import EngineConfig
from twinpath.engine.gpu_batch import clips_that_fit
from twinpath.engine.torch_engine import TorchEngine, choose_precision
from twinpath.errors import LimitExceeded, UsageError
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
    of_each = engine(clips(number))
    assert [scores.shape for scores in of_each] == [(num_crops, 3)] * number
    together = np.concatenate(of_each)
    assert together.dtype == np.float32
    assert max(network.batches) <= 2
    alone = np.concatenate([engine([clip])[0] for clip in clips(number)])
    assert together == pytest.approx(alone, abs=1e-6)
    if num_crops == 3:  # three crops of 8 cover all 24 columns
        whole = np.stack([clip.mean(axis=(0, 1, 2)) / 255 for clip in clips(number)])
        assert together.reshape(number, 3, 3).mean(axis=1) == pytest.approx(whole, abs=1e-5)


def test_a_network_answers_the_same_in_any_batch() -> None:
    torch.manual_seed(0)
    network = architecture("slowfast_tiny").build()
    spec = input_spec("slowfast_tiny")
    frames = list(np.random.default_rng(1).integers(0, 256, (3, 16, 96, 96, 3), dtype=np.uint8))
    ones = np.concatenate(TorchEngine(network, spec, config=ON_CPU, batch_clips=1)(frames))
    threes = np.concatenate(TorchEngine(network, spec, config=ON_CPU, batch_clips=3)(frames))
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


def test_it_describes_backend_device_and_precision() -> None:
    engine = TorchEngine(MeanColour(), SPEC, config=ON_CPU)
    assert engine.describe() == f"torch {torch.__version__.split('+')[0]}, cpu, fp32"


def test_precisions() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == "fp32"
    assert choose_precision("bf16", cpu) == "bf16"
    with pytest.raises(UsageError, match="precision fp16 is for GPUs"):
        choose_precision("fp16", cpu)


def test_bf16_is_close_to_fp32_and_threads_are_taken() -> None:
    torch.manual_seed(0)
    network, spec = architecture("slowfast_tiny").build(), input_spec("slowfast_tiny")
    frames = list(np.random.default_rng(1).integers(0, 256, (1, 16, 96, 96, 3), dtype=np.uint8))
    (exact,) = TorchEngine(network, spec, config=ON_CPU)(frames)
    engine = TorchEngine(network, spec, config=EngineConfig("torch", "cpu", "bf16", threads=1))
    assert torch.get_num_threads() == 1
    assert "bf16" in engine.describe()
    assert engine(frames)[0] == pytest.approx(exact, abs=0.01)


def test_embeddings_are_what_the_classifier_sees() -> None:
    torch.manual_seed(0)
    network, spec = architecture("slowfast_tiny").build(), input_spec("slowfast_tiny")
    frames = list(np.random.default_rng(1).integers(0, 256, (2, 16, 96, 96, 3), dtype=np.uint8))
    engine = TorchEngine(network, spec, output="embed", config=ON_CPU)
    embeddings = torch.from_numpy(np.concatenate(engine(frames)))
    with torch.inference_mode():
        scores = network.get_classifier()(embeddings).softmax(dim=1).numpy()
    expected = np.concatenate(TorchEngine(network, spec, config=ON_CPU)(frames))
    assert scores == pytest.approx(expected, abs=1e-5)


class TooLarge(MeanColour):
    """A network for which the device's memory holds `most` clips."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def scores(self, clip_BCTHW: Tensor) -> Tensor:
        if len(clip_BCTHW) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return super().scores(clip_BCTHW)


def test_batches_that_memory_does_not_hold_are_halved_once() -> None:
    network = TooLarge(most=3)
    engine = TorchEngine(network, SPEC, config=ON_CPU, batch_clips=8)
    found = np.concatenate(engine(clips(10)))
    assert network.batches == [2, 2, 2, 2, 2]
    assert engine.batch_clips == 2
    whole = TorchEngine(MeanColour(), SPEC, config=ON_CPU, batch_clips=1)
    assert found == pytest.approx(np.concatenate(whole(clips(10))), abs=1e-6)


def test_a_single_clip_that_memory_does_not_hold() -> None:
    engine = TorchEngine(TooLarge(most=0), SPEC, config=ON_CPU, batch_clips=4)
    with pytest.raises(LimitExceeded, match="one clip of 4 frames needs more memory than cpu has free"):
        engine(clips(2))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        MemoryError(),
    ],
)
def test_lack_of_memory_on_a_cpu(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TorchEngine(MeanColour(), SPEC, config=ON_CPU)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(engine, "_run", fail)
    with pytest.raises(LimitExceeded, match="one clip of 4 frames needs more memory than cpu has free"):
        engine(clips(1))


def test_clips_of_several_sizes_in_one_call() -> None:
    engine = TorchEngine(MeanColour(), SPEC, config=ON_CPU, batch_clips=4)
    sizes = [(8, 24), (16, 9), (8, 24), (31, 12)]
    mixed = [
        np.random.default_rng(i).integers(0, 256, (4, *size, 3), dtype=np.uint8)
        for i, size in enumerate(sizes)
    ]
    together = engine(mixed)
    assert [scores.shape for scores in together] == [(1, 3)] * 4
    for clip, scores in zip(mixed, together, strict=True):
        assert scores == pytest.approx(engine([clip])[0], abs=1e-6)
    assert engine([]) == []
    mixed[0].flags.writeable = False
    assert engine(mixed[:1])[0] == pytest.approx(together[0], abs=1e-6)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_with_graphs_batches_have_two_sizes_and_results_are_copies(number: int) -> None:
    """As on a GPU, where the next run of a graph overwrites the result of the last one."""
    network = MeanColour()
    engine = TorchEngine(network, SPEC, config=ON_CPU, batch_clips=3)
    plain = engine(clips(number))
    network.batches.clear()
    results: dict[int, Tensor] = {}
    compute = engine._compute

    def replay(frames_BTHWC: Tensor) -> Tensor:
        result = compute(frames_BTHWC)
        return results.setdefault(len(frames_BTHWC), torch.empty_like(result)).copy_(result)

    engine._has_graphs, engine._compute = True, replay
    assert np.array_equal(np.concatenate(engine(clips(number))), np.concatenate(plain))
    assert set(network.batches) <= {1, 3}


def test_clips_that_fit_a_gpu() -> None:
    gib = 1 << 30
    assert clips_that_fit(80 * gib, gib // 2) == 64
    assert clips_that_fit(79 * gib, gib) == 32
    assert clips_that_fit(24 * gib, gib) == 8
    assert clips_that_fit(gib, gib) == 8  # and is halved where that is too much


def test_boxes_and_crops_that_an_engine_does_not_take() -> None:
    whole = TorchEngine(MeanColour(), SPEC, config=ON_CPU)
    boxes = TorchEngine(MeanColour(), SPEC, output="boxes", config=ON_CPU)
    one_box = [np.zeros((1, 4))]
    for call, message in (
        (lambda: whole(clips(1), one_box), "boxes are for an engine with output='boxes'"),
        (lambda: boxes(clips(1)), "needs the boxes of each clip"),
        (lambda: boxes(clips(2), one_box), "2 clips and boxes for 1"),
        (lambda: whole.with_crops(2), "num_crops must be 1 or 3, not 2"),
        (lambda: boxes.with_crops(3), "takes whole frames"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
