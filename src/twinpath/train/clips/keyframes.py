"""Clips around key frames with the boxes of the people in them: what a detection network learns from.

dataset = KeyframeDataset(read_ava_training(…), read, pixels, sampling_rate=2, seed=0)
batch = collate_keyframe_samples([dataset[request] for request in requests])
batch.clips.frames, batch.boxes, batch.box_targets
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from twinpath.errors import INPUT_FAILURES, InputError
from twinpath.train.augment.crops import Cut
from twinpath.train.augment.pipeline import ClipPixels, ViewPixels
from twinpath.train.clips.batch import BrokenClip, ClipBatch, ClipSample, collate, plain_sample
from twinpath.train.finetune.augment import stream_seed
from twinpath.train.sample_request import SampleRequest

Frames = NDArray[np.uint8]

_PIXELS = 2  # stream of random numbers, as in `dataset`


class BoxedKeyframe(Protocol):
    """A key frame and who does what.

    Attributes:
        boxes_xyxy: (P, 4) relative to the picture, 0 to 1.
        targets: (P, C) 1 for the actions of each person; all 0: none.
    """

    @property
    def boxes_xyxy(self) -> NDArray[np.float32]: ...

    @property
    def targets(self) -> NDArray[np.float32]: ...


#: Given the index of a key frame, T and tau: (T, H, W, 3) uint8 frames of the clip around it.
KeyframeReader = Callable[[int, int, int], Frames]


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


@dataclass(frozen=True)
class KeyframeDataset(Dataset[KeyframeSample | BrokenClip]):
    """Clips around key frames.

    A crop may leave nobody: such a clip has no box, and still counts for batch norms.

    Attributes:
        keyframes: Boxes and targets.
        read: Reads the frames.
        pixels: What is done to them: `ClipPixels` in training, `ViewPixels` for the central crop.
        sampling_rate: tau of the clips.
        seed: Of the run.
    """

    keyframes: Sequence[BoxedKeyframe]
    read: KeyframeReader
    pixels: ClipPixels | ViewPixels
    sampling_rate: int
    seed: int

    def __len__(self) -> int:
        return len(self.keyframes)

    def __getitem__(self, request: SampleRequest) -> KeyframeSample | BrokenClip:
        """The sample of a request; of frames that cannot be read what is wrong with them."""
        keyframe = self.keyframes[request.index]
        try:
            frames = self.read(request.index, request.shape.frames, self.sampling_rate)
            if not frames.size:
                raise InputError(f"key frame {request.index} has no frames")
        except INPUT_FAILURES as error:
            return BrokenClip(request.index, str(error))
        clip, cut = self._clip(frames, request)
        height, width = frames.shape[1:3]
        boxes, kept = cut.boxes(keyframe.boxes_xyxy * np.array([width, height] * 2))
        targets = torch.from_numpy(np.asarray(keyframe.targets, dtype=np.float32)[kept])
        return KeyframeSample(clip, torch.from_numpy(boxes), targets)

    def _clip(self, frames: Frames, request: SampleRequest) -> tuple[ClipSample, Cut]:
        """The sample, and what was made of the pictures."""
        crop_px, (height, width) = request.shape.crop_px, frames.shape[1:3]
        if isinstance(self.pixels, ViewPixels):
            (cut,) = self.pixels.reduction(crop_px).plan(height, width).cuts
            cropped = np.stack([cut.apply(frame) for frame in frames])[None]
            return plain_sample(cropped, torch.zeros(1, 0), request.index, [0]), cut
        seed = stream_seed(self.seed, request.epoch, request.sample, _PIXELS, 0) >> 1
        cut = self.pixels.cut(height, width, crop_px, seed)
        sample = ClipSample(
            torch.from_numpy(self.pixels.changed(frames, seed, cut)[None]),
            torch.zeros(1, 0),
            torch.tensor([request.index]),
            torch.tensor([0]),
            torch.from_numpy(self.pixels.rectangles(crop_px, [seed])),
            torch.from_numpy(self.pixels.shifts([seed])),
            torch.tensor([seed]),
        )
        return sample, cut


def collate_keyframe_samples(samples: Sequence[KeyframeSample | BrokenClip]) -> KeyframeClips:
    """Samples of one shape to a batch."""
    read = [sample for sample in samples if isinstance(sample, KeyframeSample)]
    broken = [sample for sample in samples if isinstance(sample, BrokenClip)]
    clips = collate([*(sample.clip for sample in read), *broken])
    if not read:
        return KeyframeClips(clips, torch.zeros(0, 5), torch.zeros(0, 0))
    boxes = [F.pad(sample.boxes, (1, 0), value=float(i)) for i, sample in enumerate(read)]
    return KeyframeClips(clips, torch.cat(boxes), torch.cat([sample.box_targets for sample in read]))
