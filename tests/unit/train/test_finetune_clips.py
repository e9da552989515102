"""Frames for training: decoded once, at random times, changed alike in all frames of a clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.bad_videos import FPS, grey_of
from tests.support.square_clips import moving_squares
from twinpath.data.labelled.clip import LabelledClip
from twinpath.errors import InputError
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import architecture
from twinpath.recognize.labelled import LabelledReader
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.train.finetune.augment import Augmentation, stream_seed
from twinpath.train.finetune.clip_dataset import ShuffledBatches, random_picks
from twinpath.train.finetune.decoded import DecodedClips, SpanFrames, ViewFrames
from twinpath.train.finetune.depth import STAGES, stages

SPEC = InputSpec(num_frames=8, sampling_rate=2, short_side_px=32, crop_px=32)
READER = LabelledReader(VideoReader(), SPEC, Views(1, 2))
ALL = Augmentation(24, smallest_area=0.3, color=0.5, randaugment=9, erasing=0.5)


def still(seed: int) -> np.ndarray:
    picture = np.random.default_rng(seed).integers(0, 256, (36, 48, 3), dtype=np.uint8)
    return np.repeat(picture[None], 5, axis=0)


@pytest.mark.parametrize("seed", range(12))
def test_all_frames_of_a_clip_are_changed_alike(seed: int) -> None:
    changed = ALL(still(seed), seed=seed)
    assert changed.shape == (5, 24, 24, 3)
    assert changed.dtype == torch.uint8
    assert all(torch.equal(frame, changed[0]) for frame in changed)


def test_the_same_seed_makes_the_same_changes_and_leaves_other_random_numbers_alone() -> None:
    torch.manual_seed(5)
    first = torch.rand(1)
    torch.manual_seed(5)
    one = ALL(still(0), seed=stream_seed(1, 2, 3))
    assert torch.equal(torch.rand(1), first)
    assert torch.equal(one, ALL(still(0), seed=stream_seed(1, 2, 3)))
    assert not torch.equal(one, ALL(still(0), seed=stream_seed(1, 2, 4)))


def test_no_clip_is_mirrored_where_sides_matter() -> None:
    ramp = np.zeros((2, 24, 24, 3), dtype=np.uint8)
    ramp[:] = np.linspace(0, 250, 24, dtype=np.uint8)[:, None]  # brighter to the right

    def mirrored(flip: bool) -> int:
        augmentation = Augmentation(24, flip=flip, color=0.0)
        changed = [augmentation(ramp, seed=seed).float() for seed in range(20)]
        return sum(bool(clip[0, 0, 0, 0] > clip[0, 0, -1, 0]) for clip in changed)

    assert mirrored(False) == 0
    assert 0 < mirrored(True) < 20


@pytest.mark.parametrize("length_s", [0.1, 0.5, 3.0])
def test_random_times_lie_within_the_clip(length_s: float) -> None:
    times_s = 7.0 + np.arange(0, length_s, 0.02)
    picks = [random_picks(times_s, SPEC, np.random.default_rng(seed)) for seed in range(50)]
    assert all(pick.shape == (8,) and (np.diff(pick) >= 0).all() for pick in picks)
    assert min(pick[0] for pick in picks) < 5
    assert max(pick[-1] for pick in picks) >= 0.95 * (len(times_s) - 1)
    spans_s = [times_s[pick[-1]] - times_s[pick[0]] for pick in picks]
    assert max(spans_s) <= min(length_s, 1.25 * SPEC.clip_sampling.span_s)
    segments = random_picks(times_s, replace(SPEC, sampling="segments"), np.random.default_rng(0))
    assert segments[-1] >= 0.8 * (len(times_s) - 1)


def test_batches_of_nearly_one_size_with_each_sample_once() -> None:
    batches = list(ShuffledBatches(17, 8, seed=1, epoch=0))
    assert [len(batch) for batch in batches] == [6, 6, 5]
    assert sorted(sample for batch in batches for sample in batch) == list(range(17))
    assert batches == list(ShuffledBatches(17, 8, seed=1, epoch=0))
    assert batches != list(ShuffledBatches(17, 8, seed=1, epoch=1))


def test_frames_of_a_span_are_those_of_the_video(good_video: Path, tmp_path: Path) -> None:
    clip = LabelledClip(good_video, ("a",), start_s=0.4, end_s=1.2)
    kept = DecodedClips(tmp_path, [clip], SpanFrames(READER, 16), max_bytes=10**9)
    kept.decode()
    numbers = np.round(kept.times_s(0) * FPS).astype(int)
    assert (numbers[0], numbers[-1]) == (10, 29)
    pixels = kept.read(0)
    assert pixels.shape == (len(numbers), 16, 21, 3)
    assert np.abs(pixels.mean(axis=(1, 2, 3)) - [grey_of(n) for n in numbers]).max() < 3
    picks = np.array([3, 3, 0, 5])
    assert np.array_equal(kept.read(0, picks), pixels[picks])
    anew = DecodedClips(tmp_path / "none", [clip], SpanFrames(READER, 16), max_bytes=0)
    anew.decode()
    assert not list((tmp_path / "none").iterdir())
    assert np.array_equal(anew.read(0, picks), pixels[picks])


def test_kept_frames_are_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = moving_squares(tmp_path / "videos", num_clips=3)
    one = DecodedClips(tmp_path / "kept", clips, ViewFrames(READER), max_bytes=10**9)
    one.decode(threads=2)
    assert one.read(1).shape == (16, 32, 32, 3)
    damaged = sorted((tmp_path / "kept").iterdir())[0]
    damaged.write_bytes(damaged.read_bytes()[:200])
    read: list[LabelledClip] = []
    original = ViewFrames.read
    monkeypatch.setattr(
        ViewFrames, "read", lambda self, clip, times_s: read.append(clip) or original(self, clip, times_s)
    )
    again = DecodedClips(tmp_path / "kept", clips, ViewFrames(READER), max_bytes=10**9)
    again.decode()
    assert len(read) == 1
    assert all(np.array_equal(again.read(i), one.read(i)) for i in range(3))


def test_a_file_that_is_gone_later_is_an_error(tmp_path: Path) -> None:
    clips = moving_squares(tmp_path / "videos", num_clips=1)
    decoded = DecodedClips(tmp_path / "kept", clips, SpanFrames(READER, 16), max_bytes=0)
    decoded.decode()
    clips[0].path.unlink()
    with pytest.raises(InputError, match=r"000\.mp4"):
        decoded.read(0)


@pytest.mark.parametrize("name", ["slowfast_tiny", "x3d_xs", "mvit_v1_b_16x4", "s3d"])
def test_stages_grow_from_the_first_layer_to_the_last(name: str) -> None:
    from twinpath.models.shapes_only import shapes_only

    chosen = architecture(name)
    with shapes_only():
        network = chosen.build()
    spec = InputSpec(chosen.num_frames, chosen.sampling_rate, chosen.train_crop, chosen.train_crop)
    found = stages(network, spec)
    assert found.keys() == dict(network.named_parameters()).keys()
    assert set(found.values()) == set(range(STAGES))
    assert found["head.projection.weight"] == STAGES - 1
    assert min(found, key=found.__getitem__).split(".")[0] in (
        "slow",
        "fast",
        "stem",
        "patches",
        "class_token",
        "positions",
    )
