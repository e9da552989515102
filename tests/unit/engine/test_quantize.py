"""Networks in int8: the answers of float, layers that go back to float, and clear errors."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from twinpath.data.synthetic import TEST_SEED, labelled_scene, write_clip
from twinpath.engine.calibration import (
    CALIBRATION_SEED,
    COMPARISON_SEED,
    ClipFile,
    read_clips,
    render_clips,
)
from twinpath.engine.config import EngineConfig
from twinpath.engine.layer_errors import layer_errors, layers, names_for_float
from twinpath.engine.openvino_convert import convert
from twinpath.engine.openvino_engine import capabilities, compile_network
from twinpath.engine.openvino_import import ov
from twinpath.engine.quantize import (
    CalibrationClip,
    QuantizationProgress,
    QuantizedModel,
    inputs_of,
    quantize,
)
from twinpath.errors import InputError, MissingExtra, NotAVideo, UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.models.preprocess import Normalise
from twinpath.video.resize import ResizedFrames
from twinpath.zoo.create import create_model, input_spec

TINY, TINY_DETECTOR = "slowfast_tiny.synthetic", "slowfast_tiny_det.synthetic"
SMALL = InputSpec(4, 2, 16, 16)
COLOURS = ((220, 30, 30), (30, 220, 30), (30, 30, 220), (220, 220, 30), (30, 220, 220), (220, 220, 220))


class Small(nn.Module):
    """Three convolutions. `outlier`: one channel between them is that much larger, with the same answers.

    A range of 8 bits for all channels then leaves nothing of the others.
    """

    def __init__(self, *, outlier: float = 1.0, depthwise: bool = False) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.first = nn.Conv3d(3, 8, 3, stride=2, padding=1, bias=False)
        self.middle = nn.Conv3d(8, 8, 3, padding=1, groups=8 if depthwise else 1, bias=False)
        self.last = nn.Conv3d(8, 16, 1, bias=False)
        self.head = nn.Linear(16, 6)
        if outlier != 1:
            with torch.no_grad():
                self.first.weight[0] *= outlier
                self.middle.weight[:, 0] /= outlier
        self.depthwise = depthwise
        with torch.no_grad():  # the answer is the nearest of the pictures below
            seen = torch.from_numpy(np.stack([clip.pixels[:, 0] for clip in noisy_pictures(6, noise=0)]))
            features = self.features(Normalise(mean=SMALL.mean, std=SMALL.std)(seen))
            sharpness = 10 / torch.pdist(features).min() ** 2
            self.head.weight[:] = 2 * sharpness * features
            self.head.bias[:] = -sharpness * (features**2).sum(dim=1)

    def features(self, clip: torch.Tensor) -> torch.Tensor:
        x = self.first(clip)
        x = self.middle(x if self.depthwise else torch.relu(x))
        return torch.relu(self.last(torch.relu(x))).mean(dim=(2, 3, 4))

    def scores(self, clip: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.head(self.features(clip)), dim=1)


def noisy_pictures(count: int, *, noise: float, seed: int = 1) -> list[ResizedFrames]:
    """Clips of six colours in turn, each with its own noise."""
    pictures = np.array(COLOURS, dtype=np.float64)[:, None, None, None, None]
    rng = np.random.default_rng(seed)
    pixels = pictures[np.arange(count) % 6] + rng.normal(0, noise, (count, 4, 1, 16, 16, 3))
    return [ResizedFrames(np.clip(clip, 0, 255).astype(np.float32), 16, 16) for clip in pixels]


CALIBRATION, VALIDATION = (noisy_pictures(count, noise=15, seed=count) for count in (18, 100))


def float_model(**options: float) -> ov.Model:
    return convert(Small(**options), SMALL)


def answers(model: ov.Model, clips: Iterable[CalibrationClip]) -> np.ndarray:
    compiled = compile_network(model, precision="fp32", config=EngineConfig())
    given = (inputs for clip in clips for inputs in inputs_of(clip, with_boxes=False))
    return np.concatenate([compiled(inputs)[0] for inputs in given])


@pytest.fixture
def clip_files() -> Iterator[tuple[ClipFile, ClipFile]]:
    with ClipFile() as calibration, ClipFile() as validation:
        yield calibration, validation


@pytest.mark.parametrize("name", [TINY, pytest.param(TINY_DETECTOR, marks=pytest.mark.slow)])
def test_an_embedded_model_gives_the_same_answers_on_fresh_clips(
    name: str, clip_files: tuple[ClipFile, ClipFile]
) -> None:
    spec, boxes = input_spec(name), name == TINY_DETECTOR
    model = convert(create_model(name, pretrained=True), spec, output="boxes" if boxes else "scores")
    for clips, num_clips, seed in zip(clip_files, (8, 20), (CALIBRATION_SEED, COMPARISON_SEED), strict=True):
        render_clips(spec, clips, num_clips=num_clips, first_seed=seed, whole=boxes)
    made = quantize(model, *clip_files)
    assert made.agreement >= 0.99
    assert made.num_int8_layers >= 30
    assert made.num_int8_layers + made.num_float_layers == sum(layers(model))
    if not boxes:
        with ClipFile() as fresh:
            render_clips(spec, fresh, num_clips=20, first_seed=TEST_SEED)
            ours, theirs = (answers(m, fresh).argmax(axis=1) for m in (made.model, model))
        assert (ours == theirs).mean() >= 0.99
    kinds = Counter(str(op.get_rt_info()["runtimePrecision"].astype(str)) for op in running(made.model))
    assert kinds["u8"] + kinds["i8"] >= 0.9 * sum(kinds.values())


def running(model: ov.Model) -> list[ov.Node]:
    """The convolutions as OpenVINO runs them."""
    compiled = compile_network(model, precision="fp32", config=EngineConfig())
    nodes = compiled.get_runtime_model().get_ops()
    return [op for op in nodes if op.get_rt_info()["layerType"].astype(str) == "Convolution"]


def test_all_layers_are_int8_where_the_answers_agree() -> None:
    model, seen = float_model(), []
    before = answers(model, VALIDATION)
    made = quantize(model, CALIBRATION, VALIDATION, min_agreement=0.8, on_progress=seen.append)
    assert (made.num_int8_layers, made.num_float_layers, made.reverted) == (4, 0, ())
    assert (made.num_answers, layers(model)) == (100, (0, 4))
    assert np.array_equal(answers(model, VALIDATION), before)  # the float network is as it was
    assert made.agreement == (answers(made.model, VALIDATION).argmax(1) == before.argmax(1)).mean()
    steps = list(dict.fromkeys(progress.step for progress in seen))
    assert steps == ["float answers", "calibration", "comparison"]
    assert all(isinstance(progress, QuantizationProgress) for progress in seen)
    assert seen[-1].done == seen[-1].total - 1
    assert seen[-1].eta_s >= 0


def test_a_layer_that_8_bits_do_not_suffice_goes_back_to_float() -> None:
    model = float_model(outlier=1000)
    careless = quantize(model, CALIBRATION, VALIDATION, min_agreement=0)
    assert careless.agreement < 0.9
    errors = layer_errors(
        model, careless.model, (x for c in CALIBRATION for x in inputs_of(c, with_boxes=False))
    )
    worst = max(errors, key=errors.__getitem__)
    made = quantize(model, CALIBRATION, VALIDATION)
    assert made.agreement >= 0.99
    assert made.reverted[0] == worst
    assert made.num_int8_layers >= 1  # a CPU whose 8-bit products saturate puts more than one back
    assert made.num_float_layers >= 1


def test_the_same_clips_give_the_same_network(tmp_path: Path) -> None:
    def weights(made: QuantizedModel, name: str) -> bytes:
        ov.save_model(made.model, tmp_path / f"{name}.xml", compress_to_fp16=False)
        return (tmp_path / f"{name}.bin").read_bytes()

    first, second = (quantize(float_model(), CALIBRATION, VALIDATION) for _ in range(2))
    assert weights(first, "first") == weights(second, "second")


def test_the_precisions_of_this_cpu_compile_a_depthwise_network() -> None:
    """OpenVINO has no int8 kernel for depthwise convolutions of values with a sign."""
    model = float_model(depthwise=True)
    assert len(names_for_float(model)) == 1
    made = quantize(model, CALIBRATION, VALIDATION, min_agreement=0)
    assert (made.num_int8_layers, made.num_float_layers) == (3, 1)
    for precision in ("fp32", "bf16") if "BF16" in capabilities() else ("fp32",):
        compile_network(made.model, precision=precision, config=EngineConfig())


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    model = float_model()
    with pytest.raises(UsageError, match="at least 8 clips for calibration, not 7"):
        quantize(model, CALIBRATION[:7], VALIDATION)
    with pytest.raises(UsageError, match="at least 20 clips for validation, not 3"):
        quantize(model, CALIBRATION, VALIDATION[:3])
    with pytest.raises(UsageError, match="min_agreement must be from 0 to 1, not 99"):
        quantize(model, CALIBRATION, VALIDATION, min_agreement=99)
    larger = [ResizedFrames(np.zeros((4, 1, 20, 20, 3), np.float32), 20, 20)] * 20
    with pytest.raises(UsageError, match="this network cannot be made int8"):
        quantize(model, larger, larger)
    with pytest.raises(UsageError, match="takes no boxes"):
        quantize(model, [(clip, np.zeros((1, 4))) for clip in CALIBRATION], VALIDATION)
    with pytest.raises(InputError, match="NaN or Inf; the checkpoint may be corrupt"):
        quantize(float_model(outlier=math.nan), CALIBRATION, VALIDATION)
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[int8\]'"):
        quantize(model, CALIBRATION, VALIDATION)


def test_no_agreement_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer in float again is no int8 network."""
    monkeypatch.setattr("twinpath.engine.quantize._Trials._answers", lambda *_: np.array([next(numbers)]))
    numbers = iter(range(1000))
    with pytest.raises(UsageError, match=r"at most 0\.0% of the validation clips, not for 99\.0%"):
        quantize(float_model(), CALIBRATION, VALIDATION)


def test_clips_of_videos(tmp_path: Path, clip_files: tuple[ClipFile, ClipFile]) -> None:
    """Several videos: other ones for validation. One: its parts."""
    videos = [tmp_path / f"{i}.mp4" for i in range(2)]
    for i, video in enumerate(videos):
        write_clip(video, labelled_scene(i), height_px=32, duration_s=1.5)
    told: list[tuple[int, int]] = []
    read_clips(
        SMALL, videos, *clip_files, num_calibration=3, num_validation=5,
        on_clip=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    calibration, validation = clip_files
    assert (len(calibration), len(validation)) == (3, 5)
    assert told == [(i, 8) for i in range(1, 9)]
    assert calibration[0].pixels.shape == (4, 1, 16, 16, 3)
    assert calibration[0].height_px == 32
    assert len(calibration[1:]) == 2
    with ClipFile() as first, ClipFile() as rest:
        read_clips(SMALL, videos[:1], first, rest, num_calibration=4, num_validation=4)
        assert len(first) == len(rest) == 4
        assert not any(np.array_equal(a.pixels, b.pixels) for a in first for b in rest)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"no video at all")
    with pytest.raises(NotAVideo, match=r"damaged\.mp4"):
        read_clips(SMALL, [videos[0], damaged], *clip_files)
    with pytest.raises(UsageError, match="no video for calibration"):
        read_clips(SMALL, [], *clip_files)
