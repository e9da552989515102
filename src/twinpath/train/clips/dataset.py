"""What a process that makes clips does: a request to a sample. It keeps no state that changes a result.

dataset = ClipDataset(data, ClipPictures(reader), times, pixels, seed=0)
dataset[SampleRequest(index=7, epoch=0, sample=123, shape=ClipShape(32, 224))]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.errors import INPUT_FAILURES
from twinpath.jobs.batch import input_failure
from twinpath.paths import display_path
from twinpath.train.augment.pipeline import ClipPixels, ViewPixels
from twinpath.train.augment.times import TimeRule
from twinpath.train.clips.batch import BrokenClip, ClipSample, plain_sample
from twinpath.train.clips.pictures import ClipPictures
from twinpath.train.finetune.augment import stream_seed
from twinpath.train.sample_request import ClipShape, SampleRequest
from twinpath.video.sampling import Indices, Times

_TIMES, _PIXELS = 1, 2  # streams of random numbers; 0 is the order of samples

Made = ClipSample | BrokenClip


def targets_of(data: LabelledData, clip: LabelledClip) -> Tensor:
    """(C,) 1 for the classes of a clip."""
    return _one_for(data.class_indices(clip), len(data.classes))


def covered_targets(data: LabelledData, clip: LabelledClip, times_s: Times) -> Tensor:
    """(C,) 1 for the classes that the frames from the first to the last one show. Source: PySlowFast,
    datasets/charades.py."""
    indices = data.class_indices(clip, between_s=(float(times_s[0]), float(times_s[-1])))
    return _one_for(indices, len(data.classes))


def _one_for(indices: Sequence[int], num_classes: int) -> Tensor:
    targets = torch.zeros(num_classes)
    targets[list(indices)] = 1.0
    return targets


def broken_clip(index: int, clip: LabelledClip, error: Exception) -> BrokenClip:
    """A clip that cannot be read."""
    return BrokenClip(index, str(input_failure(error, clip.path)))


@dataclass(frozen=True)
class ClipDataset(Dataset[Made]):
    """Clips of a training, or with `pixels` without changes a validation at random places.

    A request gives `times.clips` clips at different times with `repeats` copies of each, which follow each
    other in the batch. Copies share their frames, which are decoded once.

    Attributes:
        data: Clips and classes.
        pictures: Reads frames.
        times: Which frames.
        pixels: What is done to them.
        seed: Of the run.
        repeats: Copies of each clip, changed differently. (PySlowFast's AUG.NUM_SAMPLE.)
    """

    data: LabelledData
    pictures: ClipPictures
    times: TimeRule
    pixels: ClipPixels
    seed: int
    repeats: int = 1

    def __len__(self) -> int:
        return len(self.data.clips)

    @property
    def samples_per_request(self) -> int:
        """Clips of a batch for one request."""
        return self.times.clips * self.repeats

    def __getitem__(self, request: SampleRequest) -> Made:
        """The sample of a request; of a file that cannot be used what is wrong with it."""
        clip = self.data.clips[request.index]
        try:
            return self._sample(clip, request)
        except INPUT_FAILURES as error:
            return broken_clip(request.index, clip, error)

    def _sample(self, clip: LabelledClip, request: SampleRequest) -> ClipSample:
        shape, numbers = request.shape, (self.seed, request.epoch, request.sample)
        rng = np.random.default_rng(stream_seed(*numbers, _TIMES))
        times_s = self.pictures.times_s(clip)
        picks = self.times.random(times_s, shape, rng)
        seeds = [
            stream_seed(*numbers, _PIXELS, copy) >> 1  # an int64 holds it
            for copy in range(self.samples_per_request)
        ]
        parts = [seeds[i * self.repeats : (i + 1) * self.repeats] for i in range(len(picks))]
        whole = len(picks) > 1  # one reduction serves all of them
        reduction = self.pixels.reduction(shape.crop_px, seeds, whole=whole)
        read, warnings = self.pictures.read(clip, picks, reduction)
        copies = [
            self.pixels.finish(pixels, shape.crop_px, of_clip, whole=whole)
            for pixels, of_clip in zip(read, parts, strict=True)
        ]
        targets = [covered_targets(self.data, clip, times_s[of_clip]) for of_clip in picks]
        return ClipSample(
            torch.from_numpy(copies[0] if len(copies) == 1 else np.concatenate(copies)),
            torch.stack(targets).repeat_interleave(self.repeats, dim=0),
            torch.full((len(seeds),), request.index),
            torch.arange(len(picks)).repeat_interleave(self.repeats),
            torch.from_numpy(self.pixels.rectangles(shape.crop_px, seeds)),
            torch.from_numpy(self.pixels.shifts(seeds)),
            torch.tensor(seeds),
            tuple(
                BrokenClip(request.index, f"{display_path(clip.path)}: {line}", is_lost=False)
                for line in warnings[:1]
            ),
        )


@dataclass(frozen=True)
class CentreViews(Dataset[Made]):
    """One clip in the middle of each video, its central crop: an evaluation during training.

    Attributes:
        data, pictures, times: As of `ClipDataset`.
        view: Short side and crop.
        shape: Of the clips.
    """

    data: LabelledData
    pictures: ClipPictures
    times: TimeRule
    view: ViewPixels
    shape: ClipShape

    def __len__(self) -> int:
        return len(self.data.clips)

    def __getitem__(self, index: int) -> Made:
        """The view of a clip; of a file that cannot be used what is wrong with it."""
        clip = self.data.clips[index]
        try:
            picks: Indices = self.times.centre(self.pictures.times_s(clip), self.shape.frames)
            (pixels,), _ = self.pictures.read(clip, [picks], self.view.reduction(self.shape.crop_px))
        except INPUT_FAILURES as error:
            return broken_clip(index, clip, error)
        frames = np.ascontiguousarray(pixels.swapaxes(0, 1))
        return plain_sample(frames, targets_of(self.data, clip)[None], index, [0])
