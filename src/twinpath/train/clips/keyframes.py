"""Clips around key frames with the boxes of the people in them: what a detection network learns from.

read = partial(keyframe_frames, training_sources(ava_sources(…), keyframes))
dataset = KeyframeDataset(keyframes, read, pixels, sampling_rate=2, seed=0)
batch = collate_keyframe_samples([dataset[request] for request in requests])
batch.clips.frames, batch.boxes, batch.box_targets
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from twinpath.data.ava.training import AvaKeyframe
from twinpath.errors import INPUT_FAILURES
from twinpath.train.augment.crops import whole_cut
from twinpath.train.augment.pipeline import ClipPixels
from twinpath.train.augment.times import drawn_rate
from twinpath.train.clips.batch import BrokenClip, ClipBatch, ClipSample, collate, plain_sample
from twinpath.train.finetune.augment import stream_seed
from twinpath.train.sample_request import SampleRequest
from twinpath.video.resize import check_whole, scaled_boxes

Frames = NDArray[np.uint8]

_TIMES, _PIXELS = 1, 2  # streams of random numbers, as in `dataset`


class KeyframeReader(Protocol):
    """Reads the clip around a key frame, see `keyframe_frames`."""

    def __call__(self, keyframe: AvaKeyframe, /, *, num_frames: int, sampling_rate: int) -> Frames: ...


class KeyframeSample(NamedTuple):
    """One clip, and the (P, 4) boxes in pixels of its crop that are left, with their (P, C) targets."""

    clip: ClipSample
    boxes: Tensor
    box_targets: Tensor


class KeyframeClips(NamedTuple):
    """A batch.

    Attributes:
        clips: Frames of B clips, without targets of their own.
        boxes: (N, 5) float32: index of the clip in the batch, x1, y1, x2, y2 in pixels of the crop.
        box_targets: (N, C) float32.
    """

    clips: ClipBatch
    boxes: Tensor
    box_targets: Tensor

    @property
    def indices(self) -> Tensor:
        """(B,) of the key frames."""
        return self.clips.indices

    @property
    def broken(self) -> tuple[BrokenClip, ...]:
        """What is wrong with key frames."""
        return self.clips.broken


@dataclass(frozen=True)
class KeyframeDataset(Dataset[KeyframeSample | BrokenClip]):
    """Clips around key frames to learn from.

    A crop may leave nobody: such a clip has no box, and still counts for batch norms.

    Attributes:
        keyframes: Boxes and targets.
        read: Reads the frames.
        pixels: What is done to them.
        sampling_rate: tau of the clips.
        seed: Of the run.
    """

    keyframes: Sequence[AvaKeyframe]
    read: KeyframeReader
    pixels: ClipPixels
    sampling_rate: int
    seed: int

    def __len__(self) -> int:
        return len(self.keyframes)

    def __getitem__(self, request: SampleRequest) -> KeyframeSample | BrokenClip:
        """The sample of a request; of frames that cannot be read what is wrong with them."""
        index, shape, keyframe = request.index, request.shape, self.keyframes[request.index]
        numbers = (self.seed, request.epoch, request.sample)
        rng = np.random.default_rng(stream_seed(*numbers, _TIMES))
        rate = drawn_rate(self.sampling_rate, shape, rng)
        try:
            frames = self.read(keyframe, num_frames=shape.frames, sampling_rate=rate)
        except INPUT_FAILURES as error:
            return BrokenClip(index, str(error))
        height, width = frames.shape[1:3]
        seed = stream_seed(*numbers, _PIXELS, 0) >> 1
        cut = self.pixels.cut(height, width, shape.crop_px, seed)
        clip = ClipSample(
            torch.from_numpy(self.pixels.changed(frames, seed, cut)[None]),
            torch.zeros(1, 0),
            torch.tensor([index]),
            torch.tensor([0]),
            torch.from_numpy(self.pixels.rectangles(shape.crop_px, [seed])),
            torch.from_numpy(self.pixels.shifts([seed])),
            torch.tensor([seed]),
        )
        boxes, kept = cut.boxes(keyframe.boxes_xyxy * np.array([width, height] * 2))
        targets = torch.from_numpy(np.asarray(keyframe.targets, dtype=np.float32)[kept])
        return KeyframeSample(clip, torch.from_numpy(boxes), targets)


@dataclass(frozen=True)
class WholeKeyframes(Dataset[KeyframeSample | BrokenClip]):
    """Clips around key frames to evaluate with: whole pictures and all boxes, as `Detector` has them. Item i
    is key frame i.

    Attributes:
        keyframes: Boxes; what people do is not asked for.
        read: Reads the frames.
        num_frames, sampling_rate: Of the clips.
        short_side_px: To which pictures are resized.
    """

    keyframes: Sequence[AvaKeyframe]
    read: KeyframeReader
    num_frames: int
    sampling_rate: int
    short_side_px: int

    def __len__(self) -> int:
        return len(self.keyframes)

    def __getitem__(self, index: int) -> KeyframeSample | BrokenClip:
        """One clip; of frames that cannot be read what is wrong with them."""
        keyframe = self.keyframes[index]
        try:
            frames = self.read(keyframe, num_frames=self.num_frames, sampling_rate=self.sampling_rate)
            height, width = frames.shape[1:3]
            check_whole(height, width)
        except INPUT_FAILURES as error:
            return BrokenClip(index, str(error))
        cut = whole_cut(height, width, short_side=self.short_side_px)
        clip = plain_sample(
            np.stack([cut.apply(frame) for frame in frames])[None], torch.zeros(1, 0), index, [0]
        )
        boxes_px = keyframe.boxes_xyxy * np.array([width, height] * 2)
        boxes = scaled_boxes(boxes_px, height, width, short_side=self.short_side_px)
        return KeyframeSample(clip, torch.from_numpy(boxes), torch.zeros(len(boxes), 0))


def collate_keyframe_samples(samples: Sequence[KeyframeSample | BrokenClip]) -> KeyframeClips:
    """Samples of one shape to a batch."""
    read = [sample for sample in samples if isinstance(sample, KeyframeSample)]
    broken = [sample for sample in samples if isinstance(sample, BrokenClip)]
    clips = collate([*(sample.clip for sample in read), *broken])
    if not read:
        return KeyframeClips(clips, torch.zeros(0, 5), torch.zeros(0, 0))
    boxes = [F.pad(sample.boxes, (1, 0), value=float(i)) for i, sample in enumerate(read)]
    return KeyframeClips(clips, torch.cat(boxes), torch.cat([sample.box_targets for sample in read]))


def collate_by_size(samples: Sequence[KeyframeSample | BrokenClip]) -> list[KeyframeClips]:
    """A batch for each size of pictures; what is broken is in the first one."""
    sizes: dict[tuple[int, ...], list[KeyframeSample | BrokenClip]] = {}
    broken = [sample for sample in samples if isinstance(sample, BrokenClip)]
    for sample in samples:
        if isinstance(sample, KeyframeSample):
            sizes.setdefault(tuple(sample.clip.frames.shape), []).append(sample)
    first, *others = sizes.values() or [[]]
    return [collate_keyframe_samples(part) for part in ([*first, *broken], *others)]
