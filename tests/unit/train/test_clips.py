"""Clips of a training as batches: the same in every process, and nothing is replaced in silence."""

from __future__ import annotations

import copy
import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.bad_videos import FPS, encode, grey_of
from tests.support.square_clips import CLASSES, moving_squares
from twinpath.data.ava import AvaKeyframe
from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.errors import InputError
from twinpath.models.input_spec import InputSpec
from twinpath.models.preprocess import Normalise
from twinpath.recognize.labelled import LabelledReader
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.train.augment.pipeline import ClipPixels, ViewPixels
from twinpath.train.augment.times import TimeRule
from twinpath.train.clips.batch import BrokenClip, ClipBatch, ClipSample, ToClips, collate
from twinpath.train.clips.broken import BrokenClips
from twinpath.train.clips.dataset import CentreViews, ClipDataset
from twinpath.train.clips.keyframes import (
    KeyframeClips,
    KeyframeDataset,
    WholeKeyframes,
    collate_by_size,
    collate_keyframe_samples,
)
from twinpath.train.clips.loader import LoaderWaiting, clip_loader
from twinpath.train.clips.pictures import ClipPictures, FramesCache
from twinpath.train.kept_frames import KeptFrames
from twinpath.train.sample_request import ClipShape, SampleRequest
from twinpath.train.sections import AugmentationSection, ClipSection

SPEC = InputSpec(num_frames=8, sampling_rate=2, short_side_px=36, crop_px=32)
SHAPE = ClipShape(8, 32)
CROPS = ClipSection(short_side_px=(34, 40))
CHANGES = AugmentationSection(
    rand_augment="m7-n4-mstd0.5-inc1", erasing=0.5, brightness=0.4, hue=0.1, blur=0.3, pca_lighting=0.1
)


def reader(isolate: bool = False) -> LabelledReader:
    return LabelledReader(VideoReader(isolate=isolate), SPEC, Views(3, 2))


def dataset(
    clips: list[LabelledClip],
    section: ClipSection = CROPS,
    augmentation: AugmentationSection | None = None,
    *,
    isolate: bool = False,
    cache: FramesCache | None = None,
) -> ClipDataset:
    return ClipDataset(
        LabelledData(tuple(clips), CLASSES),
        ClipPictures(reader(isolate), cache),
        TimeRule.of(section, sampling_rate=SPEC.sampling_rate),
        ClipPixels.of(section, augmentation, crop_px=SPEC.crop_px),
        seed=1,
        repeats=section.repeats,
    )


def request(index: int, sample: int = 0, shape: ClipShape = SHAPE, epoch: int = 0) -> SampleRequest:
    return SampleRequest(index, epoch, sample, shape)


def read(found: ClipSample | BrokenClip) -> ClipSample:
    assert isinstance(found, ClipSample), found
    return found


def same(one: ClipSample | ClipBatch, other: ClipSample | ClipBatch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[:-1], other[:-1], strict=True))


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledClip]:
    return moving_squares(tmp_path_factory.mktemp("squares"), num_clips=5)


@pytest.fixture(scope="module")
def greys(tmp_path_factory: pytest.TempPathFactory) -> LabelledClip:
    """Frame k has the grey value of k."""
    return LabelledClip(encode(tmp_path_factory.mktemp("greys") / "greys.mp4"), (CLASSES[0],))


@pytest.mark.parametrize("isolate", [False, True])
def test_the_frames_of_a_clip_are_those_of_its_times(greys: LabelledClip, isolate: bool) -> None:
    clip = replace(greys, start_s=0.4, end_s=1.6)
    data = dataset([clip], isolate=isolate)
    firsts = set()
    for sample in range(4 if isolate else 12):
        found = read(data[request(0, sample)])
        assert found.frames.shape == (1, 8, 32, 32, 3)
        numbers = (found.frames[0].float().mean(dim=(1, 2, 3)) - grey_of(0)) / 4
        steps = torch.diff(numbers)
        assert float(numbers[0]) > 9.5  # 0.4 s at 25 frames a second
        assert float(numbers[-1]) < 39.5
        assert abs(float(steps.mean()) - 2 * FPS / 30) < 0.3
        firsts.add(round(float(numbers[0])))
    assert len(firsts) > 2
    assert found.targets.tolist() == [[1, 0]]


@pytest.mark.parametrize("augmentation", [None, CHANGES])
def test_kept_frames_change_nothing(
    squares: list[LabelledClip], tmp_path: Path, augmentation: AugmentationSection | None
) -> None:
    clip = replace(squares[1], start_s=0.2)
    plain = read(dataset([clip], CROPS, augmentation)[request(0, 3)])
    cache = FramesCache(KeptFrames(tmp_path, 10**8), 1000)
    copy = replace(clip, path=Path(shutil.copy(clip.path, tmp_path / clip.path.name)))
    cached = dataset([copy], CROPS, augmentation, cache=cache)
    assert same(plain, read(cached[request(0, 3)]))
    facts = copy.path.stat()
    copy.path.write_bytes(bytes(facts.st_size))
    os.utime(copy.path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert same(plain, read(cached[request(0, 3)]))  # from the kept frames: the file is damaged
    os.utime(copy.path)
    assert isinstance(cached[request(0, 3)], BrokenClip)


def test_reduced_frames_are_the_same_with_and_without_room(
    squares: list[LabelledClip], tmp_path: Path
) -> None:
    caches = [FramesCache(KeptFrames(tmp_path / str(room), room), 34) for room in (10**8, 0)]
    kept, not_kept = (read(dataset(squares, cache=cache)[request(2, 3)]) for cache in caches)
    assert same(kept, not_kept)
    assert [len(list(folder.glob("*.npy"))) for folder in sorted(tmp_path.iterdir())] == [0, 1]


def test_a_picture_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    paths = [tmp_path / "a.JPEG", tmp_path / "b.png"]
    Image.new("RGB", (80, 60), (200, 100, 50)).save(paths[0])
    paths[1].write_bytes(b"no picture")
    data = dataset([LabelledClip(path, (CLASSES[0],)) for path in paths])
    found = read(data[request(0, shape=ClipShape(1, 32))])
    assert found.frames.shape == (1, 1, 32, 32, 3)
    assert np.abs(found.frames[0, 0, 5, 5].numpy() - np.array([200.0, 100, 50])).max() < 4
    broken = data[request(1, shape=ClipShape(1, 32))]
    assert isinstance(broken, BrokenClip)
    assert "b.png" in broken.reason


def test_a_request_says_everything(squares: list[LabelledClip]) -> None:
    data = dataset(squares, CROPS, CHANGES)
    once = read(data[request(3, 7)])
    assert same(once, read(copy.deepcopy(data)[request(3, 7)]))
    assert same(once, read(dataset(squares, CROPS, CHANGES, isolate=True)[request(3, 7)]))
    for other in (request(3, 8), request(3, 7, epoch=1)):
        assert not same(once, read(data[other]))
    small = read(data[request(3, 7, ClipShape(4, 20))])
    assert small.frames.shape == (1, 4, 20, 20, 3)


@pytest.mark.parametrize("augmentation", [None, CHANGES])
def test_copies_show_the_same_times_and_follow_each_other(
    greys: LabelledClip, augmentation: AugmentationSection | None
) -> None:
    section = CROPS.model_copy(update={"repeats": 3, "temporal_clips": 2, "flip": False})
    data = dataset([greys], section, augmentation)
    found = read(data[request(0)])
    assert found.frames.shape == (6, 8, 32, 32, 3)
    assert found.views.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(set(found.seeds.tolist())) == 6
    if augmentation is None:
        means = found.frames.float().mean(dim=(2, 3, 4))
        assert float((means[1:3] - means[0]).abs().max()) < 1
        assert float((means[4:] - means[3]).abs().max()) < 1
        assert float((means[3] - means[0]).abs().max()) > 2
    else:
        assert len({frames.sum().item() for frames in found.frames}) == 6


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a single core
def test_batches_are_the_same_with_any_number_of_workers(squares: list[LabelledClip]) -> None:
    data = dataset(squares, CROPS, CHANGES)
    shapes = [ClipShape(8, 32), ClipShape(4, 20), ClipShape(8, 32)]
    batches = [
        [request(i, 2 * n + k, shape) for k, i in enumerate((n, n + 1))] for n, shape in enumerate(shapes)
    ]
    for _ in range(20):  # OpenCV has threads in this process, which the others must not wait for
        cv2.resize(np.zeros((1080, 1920, 3), np.uint8), (1500, 900))
    alone, loader = list(clip_loader(data, batches, workers=0)), clip_loader(data, batches, workers=2)
    for _ in range(2):  # the second epoch has the same processes
        for batch, expected in zip(loader, alone, strict=True):
            assert same(batch, expected)
    assert [tuple(batch.frames.shape[:3]) for batch in alone] == [(2, 8, 32), (2, 4, 20), (2, 8, 32)]
    assert loader.waiting.steps == 4


def test_what_cannot_be_read_is_missing_named_once_and_too_much_of_it_stops(
    squares: list[LabelledClip], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    damaged = tmp_path / "noise.mp4"
    damaged.write_bytes(squares[0].path.read_bytes()[:200] + bytes(500))
    clips = [
        *squares,
        *(LabelledClip(path, (CLASSES[1],)) for path in (empty, damaged, tmp_path / "none.mp4")),
    ]
    data = dataset(clips)
    batch = collate([data[request(i, i)] for i in range(len(clips))])
    assert batch.indices.tolist() == [0, 1, 2, 3, 4]
    known = BrokenClips(len(clips))
    lines = known.add(batch.broken, num_read=len(batch.frames) + 3)
    assert [line.partition(".mp4")[0].rpartition("/")[2] for line in lines] == ["empty", "noise", "none"]
    assert known.add(batch.broken, num_read=len(batch.frames) + 3) == []
    assert set(known.lost) == {5, 6, 7}
    with pytest.raises(InputError, match=r"more than a third; .*empty\.mp4"):
        BrokenClips(len(clips)).add(batch.broken, num_read=5)
    nothing = collate([data[request(5)]])
    assert len(nothing.frames) == 0
    assert len(nothing.broken) == 1


def test_labels_are_those_of_the_frames_that_are_seen(greys: LabelledClip) -> None:
    from twinpath.data.labelled.clip import LabelSpan

    spans = (LabelSpan(CLASSES[0], 0.0, 0.5), LabelSpan(CLASSES[1], 1.5, 2.0))
    data = replace(dataset([replace(greys, labels=CLASSES, spans=spans)]), times=TimeRule("stride", 1))
    found = {tuple(read(data[request(0, sample)]).targets[0].tolist()) for sample in range(40)}
    assert found == {(1, 0), (0, 0), (0, 1)}
    whole = CentreViews(data.data, data.pictures, data.times, ViewPixels(36), SHAPE)[0]
    assert read(whole).targets.tolist() == [[1, 1]]  # an evaluation asks for those of the video


def test_evaluation_takes_the_middle(greys: LabelledClip) -> None:
    data = dataset([greys])
    centre = read(CentreViews(data.data, data.pictures, data.times, ViewPixels(36), SHAPE)[0])
    numbers = (centre.frames[0].float().mean(dim=(1, 2, 3)) - grey_of(0)) / 4
    assert abs(float(numbers[0] + numbers[-1]) / 2 - 24.5) < 1


def test_clips_reach_the_network_normalised_shifted_and_erased(squares: list[LabelledClip]) -> None:
    data = dataset(squares, CROPS, AugmentationSection(erasing=1.0, pca_lighting=0.1))
    batch = collate([data[request(i, i)] for i in range(2)])
    clips = ToClips(SPEC, erasing=data.pixels.erasing, lighting=True)(batch)
    assert clips.shape == (2, 3, 8, 32, 32)
    assert torch.equal(ToClips(SPEC)(batch), Normalise(mean=SPEC.mean, std=SPEC.std)(batch.frames))
    plain = (batch.frames.permute(0, 4, 1, 2, 3) / 255 + batch.shifts[:, :, None, None, None] - 0.45) / 0.225
    top, left, height, width = batch.erased[0, 0].tolist()
    is_erased = torch.zeros(32, 32, dtype=torch.bool)
    is_erased[top : top + height, left : left + width] = True
    assert torch.allclose(clips[0][..., ~is_erased], plain[0][..., ~is_erased], atol=1e-4)
    assert not torch.isclose(clips[0][..., is_erased], plain[0][..., is_erased]).any(-1).all()
    bgr = ToClips(SPEC, erasing=data.pixels.erasing, lighting=True, bgr=True)(batch)
    assert torch.equal(bgr, clips.flip(1))


BOXES = np.array([[0.25, 0.25, 0.75, 0.75], [0.0, 0.0, 0.01, 0.01]], dtype=np.float32)
KEYFRAMES = [
    AvaKeyframe("film", second, BOXES, np.array([[1, 0, 1], [0, 1, 0]], dtype=np.float32))
    for second in range(3)
]


def film(keyframe: AvaKeyframe, /, *, num_frames: int, sampling_rate: int) -> np.ndarray:
    """A bright rectangle; the picture of second 1 is upright."""
    if keyframe.second == 2:
        raise InputError("there is no second 2")
    picture = np.zeros((num_frames, 60, 80, 3), dtype=np.uint8)
    picture[:, 15:45, 20:60] = 255
    return picture if keyframe.second == 0 else picture.swapaxes(1, 2)


def check_boxes(batch: KeyframeClips) -> None:
    """The first box of each clip is where its pixels are."""
    for i, frames in enumerate(batch.clips.frames):
        first = batch.boxes[batch.boxes[:, 0] == i][0, 1:]
        ys, xs = np.nonzero(frames[0, ..., 0].numpy() > 127)
        found = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert float((first - found).abs().max()) < 2.1


def test_boxes_of_key_frames_follow_their_pictures() -> None:
    pixels = ClipPixels.of(CROPS, None, crop_px=32)
    data = KeyframeDataset(KEYFRAMES, film, pixels, sampling_rate=2, seed=0)
    batch = collate_keyframe_samples([data[request(i, i)] for i in range(3)])
    assert batch.indices.tolist() == [0, 1]
    assert [clip.reason for clip in batch.broken] == ["there is no second 2"]
    assert len(batch.boxes) == len(batch.box_targets)
    assert batch.box_targets[:, 0].sum() == 2
    check_boxes(batch)


def test_whole_pictures_of_several_sizes_are_several_batches() -> None:
    data = WholeKeyframes(KEYFRAMES, film, 8, 2, short_side_px=32)
    wide, upright = collate_by_size([data[i] for i in (0, 2, 1)])
    assert (wide.clips.frames.shape, upright.clips.frames.shape) == ((1, 8, 32, 42, 3), (1, 8, 42, 32, 3))
    assert len(wide.broken) == 1
    for batch in (wide, upright):
        assert len(batch.boxes) == len(BOXES)  # nobody is left out
        check_boxes(batch)
    (nothing,) = collate_by_size([data[2]])
    assert len(nothing.indices) == 0
    assert len(nothing.broken) == 1


def test_waiting_for_clips_is_measured_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now_s)

    def batches(needs_s: float) -> object:
        nonlocal now_s
        for _ in range(21):
            now_s += needs_s
            yield object()

    def line(needs_s: float) -> str | None:
        nonlocal now_s
        waiting = LoaderWaiting()
        for _ in waiting.over(batches(needs_s)):  # type: ignore[arg-type]
            now_s += 0.1
        return waiting.line()

    assert line(0.01) is None
    assert line(0.3) == (
        "the loader is the bottleneck: 300 of 400 ms a step are waiting for clips; use more workers"
    )
