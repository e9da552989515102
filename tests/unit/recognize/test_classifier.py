"""The Classifier on frames and files, with a network of random weights: what it takes and what it answers."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from twinpath import Classifier
from twinpath.data.synthetic import ACTIONS
from twinpath.engine.config import EngineConfig
from twinpath.errors import (
    InputError,
    LimitExceeded,
    UnknownModel,
    UsageError,
    WeightsMismatch,
    WorkerDied,
)
from twinpath.models.registry import architecture
from twinpath.video.clips import whole_frames
from twinpath.video.source import Limits
from twinpath.video.writer import VideoWriter
from twinpath.weights.load import save_weights

RNG = np.random.default_rng(0)
FP32 = EngineConfig(device="cpu", precision="fp32")  # figures are compared more closely than bf16 has them
FRAMES = RNG.integers(0, 256, (16, 96, 128, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def classify(tiny_weights: Path) -> Classifier:
    return Classifier("slowfast_tiny.synthetic", tiny_weights, config=FP32)


@pytest.fixture(scope="module")
def ramp_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds that grow brighter."""
    path = tmp_path_factory.mktemp("video") / "brighter.mp4"
    with VideoWriter(path, width=128, height=96, fps=30) as writer:
        for k in range(60):
            writer.write(np.full((96, 128, 3), 4 * k, dtype=np.uint8))
    return path


def test_an_answer_for_frames(classify: Classifier) -> None:
    answer = classify(FRAMES)
    assert answer.video is None
    assert (answer.model, answer.views) == ("slowfast_tiny.synthetic", "1x1")
    assert len(answer.predictions) == 5
    assert answer.label == answer.predictions[0].label == ACTIONS[answer.predictions[0].index]
    assert set(answer.timing_s) == {"decode", "infer"}
    assert json.loads(json.dumps(answer.to_dict()))["predictions"][0]["label"] == answer.label


def test_all_scores_sum_to_one_and_fall(classify: Classifier) -> None:
    scores = [p.score for p in classify(FRAMES, top_k=99).predictions]
    assert len(scores) == len(ACTIONS)
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-4)
    assert len(classify(FRAMES, top_k=1).predictions) == 1


def test_frames_are_taken_evenly_and_a_short_clip_repeats_them(classify: Classifier) -> None:
    same = classify(FRAMES).predictions
    assert classify(np.repeat(FRAMES, 2, axis=0)).predictions == same
    one = classify(FRAMES[:1]).predictions
    assert one == classify(np.repeat(FRAMES[:1], 16, axis=0)).predictions
    assert one != same


def test_three_crops_of_a_square_are_one(classify: Classifier) -> None:
    square = np.ascontiguousarray(FRAMES[:, :, :96])
    expected = [p.score for p in classify(square, top_k=12).predictions]
    answer = classify(square, views="3x1", top_k=12)
    assert answer.views == "3x1"
    assert [p.score for p in answer.predictions] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "frames",
    [
        FRAMES.astype(np.float32),
        FRAMES.astype(np.int64),
        FRAMES[0],
        FRAMES[..., 0],
        FRAMES[..., :2],
        FRAMES.transpose(0, 3, 1, 2),
        FRAMES[:0],
        FRAMES[:, :0],
    ],
    ids=["float", "int64", "one picture", "grey", "two channels", "channels first", "no frames", "no height"],
)
def test_other_arrays_are_refused(classify: Classifier, frames: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"frames must be \(T, H, W, 3\) uint8 RGB, not \("):
        classify(frames)


@pytest.mark.parametrize(
    "wrong", [{"top_k": 0}, {"start_s": -1.0}, {"start_s": float("nan")}, {"views": "9"}]
)
def test_other_numbers_are_refused(classify: Classifier, ramp_video: Path, wrong: dict) -> None:
    with pytest.raises(UsageError):
        classify(ramp_video, **wrong)


@pytest.mark.parametrize("wrong", [{"start_s": 1.0}, {"views": "1x10"}])
def test_frames_have_no_other_times(classify: Classifier, wrong: dict) -> None:
    """Better refused than not heeded."""
    with pytest.raises(UsageError, match="decoded frames are one clip"):
        classify(FRAMES, **wrong)


def test_a_file_gives_the_answer_of_its_frames(classify: Classifier, ramp_video: Path) -> None:
    answer = classify(os.fspath(ramp_video), top_k=12)
    assert answer.video == os.fspath(ramp_video)
    frames = np.stack([np.full((96, 128, 3), 4 * k, dtype=np.uint8) for k in range(60)])
    other = {p.index: p.score for p in classify(frames, top_k=12).predictions}
    for prediction in answer.predictions:
        assert prediction.score == pytest.approx(other[prediction.index], abs=0.01)


def test_the_clip_of_a_file_can_be_had_and_classified(classify: Classifier, ramp_video: Path) -> None:
    clip = classify.clip(ramp_video, start_s=0.5)
    brightness = whole_frames(clip).mean(axis=(1, 2, 3))
    assert np.all(np.diff(brightness) > 0)
    assert whole_frames(clip).shape == (16, 96, 128, 3)
    assert clip.times_s[0] == pytest.approx(0.5, abs=0.04)
    assert classify(whole_frames(clip)).predictions == classify(ramp_video, start_s=0.5).predictions
    with pytest.raises(UsageError, match="start_s must be 0"):
        classify.clip(ramp_video, start_s=-1)


def test_the_start_moves_the_clip(classify: Classifier, ramp_video: Path) -> None:
    assert classify(ramp_video, start_s=1.0).predictions != classify(ramp_video).predictions
    with pytest.raises(UsageError, match=r"lasts 2\.00 s; no clip starts at 2 s"):
        classify(ramp_video, start_s=2.0)


def test_views_are_averaged(classify: Classifier, ramp_video: Path) -> None:
    """Two clips of a video of a clip's length are that clip twice."""
    one = {p.index: p.score for p in classify(ramp_video, top_k=12).predictions}
    for prediction in classify(ramp_video, views="1x2", top_k=12).predictions:
        assert prediction.score == pytest.approx(one[prediction.index], abs=0.01)


def test_the_synthetic_model_always_says_so(classify: Classifier) -> None:
    assert "synthetic world only" in classify(FRAMES).warnings[-1]


def test_scores_that_are_no_numbers_are_no_answer(tiny_weights: Path) -> None:
    classify = Classifier("slowfast_tiny", tiny_weights, config=EngineConfig("torch", "cpu"))
    with torch.no_grad():
        classify.engine().network.get_parameter("head.projection.bias")[3] = float("nan")
    with pytest.raises(InputError, match="produced NaN or Inf"):
        classify(FRAMES)


def test_a_network_with_a_weight_file_keeps_its_own_name(tiny_weights: Path) -> None:
    """The file may hold other weights than those that are published."""
    assert Classifier("slowfast_tiny", tiny_weights, "cpu").model == "slowfast_tiny"
    assert Classifier("slowfast_tiny", device="cpu").model == "slowfast_tiny.synthetic"


def test_what_cannot_be_made_is_said_at_once(tiny_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="did you mean slowfast_tiny"):
        Classifier("slowfast_tny")
    with pytest.raises(UsageError, match="no weights are published"):
        Classifier("fast_r50_8x8")
    with pytest.raises(UsageError, match="device 'abacus' cannot be used"):
        Classifier("slowfast_tiny", tmp_path / "not looked at", device="abacus")
    other = tmp_path / "other.safetensors"
    save_weights(architecture("slowfast_tiny").build(num_classes=5), other)
    with pytest.raises(WeightsMismatch) as caught:
        Classifier("slowfast_tiny", other, "cpu")
    assert {name for name, _, _ in caught.value.shape_mismatch} == {
        "head.projection.weight",
        "head.projection.bias",
    }


def test_many_files_in_order_and_the_bad_ones_in_their_places(
    classify: Classifier, ramp_video: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video at all" * 9)
    answers = list(classify.each([ramp_video, bad, tmp_path / "gone.mp4", ramp_video], views="1x3"))
    assert [type(answer).__name__ for answer in answers] == [
        "Classification",
        "NotAVideo",
        "NotAFile",
        "Classification",
    ]
    alone = classify(ramp_video, views="1x3")
    assert [a.predictions for a in (answers[0], answers[3])] == [alone.predictions] * 2  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="views must be"):
        next(classify.each([ramp_video], views="2x2"))


def test_isolated_reading_and_a_file_that_kills_the_reader(
    tiny_weights: Path, ramp_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated = Classifier("slowfast_tiny.synthetic", tiny_weights, "cpu", isolate=True)
    plain = Classifier("slowfast_tiny.synthetic", tiny_weights, "cpu")
    assert isolated(ramp_video, views="3x2").predictions == plain(ramp_video, views="3x2").predictions

    def dies(*arguments: object, **options: object) -> None:
        raise WorkerDied(f"{ramp_video}: the process that read it crashed")

    monkeypatch.setattr("twinpath.recognize.read.open_clips", dies)
    assert [type(answer) for answer in isolated.each([ramp_video, ramp_video])] == [
        WorkerDied,
        WorkerDied,
    ]


def test_limits_hold_for_one_file_and_end_no_batch(tiny_weights: Path, ramp_video: Path) -> None:
    for isolate in (False, True):
        classify = Classifier(
            "slowfast_tiny.synthetic",
            tiny_weights,
            "cpu",
            limits=Limits(max_pixels=100),
            isolate=isolate,
        )
        with pytest.raises(LimitExceeded, match="max_pixels"):
            classify(ramp_video)
        (answer,) = classify.each([ramp_video])
        assert isinstance(answer, LimitExceeded)


def test_a_batch_spans_files(tiny_weights: Path, ramp_video: Path, tmp_path: Path) -> None:
    """Three files of one clip each, and one that is none: the engine sees two clips at a time."""
    classify = Classifier(
        "slowfast_tiny.synthetic", tiny_weights, config=EngineConfig("torch", "cpu", "fp32")
    )
    engine, sizes = classify.engine(), []
    assert engine.batch_clips == 2

    class Counted:
        batch_clips = 2

        def __call__(self, clips: Sequence[np.ndarray], boxes: None = None) -> list[np.ndarray]:
            sizes.append(len(clips))
            return engine(clips)

        def describe(self) -> str:
            return "counted"

    alone = classify(ramp_video).predictions
    classify._engines[1] = Counted()  # type: ignore[assignment]
    (tmp_path / "bad.mp4").write_bytes(b"no video at all")
    answers = list(classify.each([ramp_video, tmp_path / "bad.mp4", ramp_video, ramp_video]))
    assert sizes == [2, 1]
    assert [type(answer).__name__ for answer in answers] == [
        "Classification",
        "NotAVideo",
        *["Classification"] * 2,
    ]
    for answer in (answers[0], answers[2], answers[3]):
        assert answer.predictions[0].label == alone[0].label
        assert answer.predictions[0].score == pytest.approx(alone[0].score, abs=1e-5)
