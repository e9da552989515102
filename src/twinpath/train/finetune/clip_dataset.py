"""Labelled clips as batches: which frames in which order follows from seed, epoch and sample only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from twinpath.models.input_spec import InputSpec
from twinpath.train.finetune.augment import Augmentation, stream_seed
from twinpath.train.finetune.decoded import DecodedClips
from twinpath.video.sampling import Times, on_screen_indices

_ORDER, _TIMES, _PIXELS = 0, 1, 2  # streams of random numbers
_FASTEST = 1.25  # clips are taken up to this factor faster or slower


class FrameBatch(NamedTuple):
    """Clips of a batch.

    Attributes:
        frames: (B, T, H, W, 3) uint8, RGB.
        targets: (B, C) float32, 1 for the classes of a clip.
        numbers: (B,) int64, the index of each clip.
    """

    frames: Tensor
    targets: Tensor
    numbers: Tensor


def random_picks(times_s: Times, spec: InputSpec, rng: np.random.Generator) -> NDArray[np.int64]:
    """The frames of a clip at a random time, a little faster or slower than the network's rate.

    Args:
        times_s: (N,) the times of the frames that there are, in seconds.
        spec: Input of the network.
        rng: Random numbers.
    Returns:
        (T,) indices into the times. A clip that is shorter than the network's ends with its last frame
        repeated, as views do; of "segments" one frame of each of T equal parts.
    """
    if spec.sampling == "segments":
        places = (np.arange(spec.num_frames) + rng.random(spec.num_frames)) / spec.num_frames
        return (places * len(times_s)).astype(np.int64)
    length_s = float(times_s[-1] - times_s[0])
    span_s = spec.clip_sampling.span_s * _FASTEST ** rng.uniform(-1, 1)
    start_s = times_s[0] + max(length_s - span_s, 0.0) * rng.random()
    places = (np.arange(spec.num_frames) + 0.5) / spec.num_frames
    return on_screen_indices(times_s, start_s + span_s * places)


@dataclass(frozen=True)
class TrainingClips(Dataset[FrameBatch]):
    """Augmented clips of one epoch. Sample `i` is clip `i % N`, where each is drawn several times.

    Attributes:
        decoded: The clips' frames.
        indices: (N,) those of the clips in `decoded` that can be read.
        targets: (N, C) float32.
        spec: Input of the network.
        augmentation: What is done to the pixels.
        seed, epoch: Of the run, and of this pass.
    """

    decoded: DecodedClips
    indices: Sequence[int]
    targets: Tensor
    spec: InputSpec
    augmentation: Augmentation
    seed: int
    epoch: int

    def __getitem__(self, sample: int) -> FrameBatch:
        number = sample % len(self.indices)
        index = self.indices[number]
        rng = np.random.default_rng(stream_seed(self.seed, self.epoch, sample, _TIMES))
        frames = self.decoded.read(index, random_picks(self.decoded.times_s(index), self.spec, rng))
        changed = self.augmentation(frames, seed=stream_seed(self.seed, self.epoch, sample, _PIXELS))
        return FrameBatch(changed, self.targets[number], torch.tensor(number))


@dataclass(frozen=True)
class ValidationClips(Dataset[FrameBatch]):
    """The views of clips, as an evaluation takes them. Sample `i` is view `i % V` of clip `i // V`.

    Attributes:
        decoded: The clips' views.
        indices: (N,) those of the clips in `decoded` that can be read.
        targets: (N, C) float32.
        num_views: V.
        num_frames: T of a view.
    """

    decoded: DecodedClips
    indices: Sequence[int]
    targets: Tensor
    num_views: int
    num_frames: int

    def __len__(self) -> int:
        return len(self.indices) * self.num_views

    def __getitem__(self, sample: int) -> FrameBatch:
        number, view = divmod(sample, self.num_views)
        picks = np.arange(view * self.num_frames, (view + 1) * self.num_frames)
        frames = self.decoded.read(self.indices[number], picks)
        return FrameBatch(torch.from_numpy(frames), self.targets[number], torch.tensor(number))


@dataclass(frozen=True)
class ShuffledBatches(Sampler[list[int]]):
    """Each sample once, in random order, in batches whose sizes differ by one at most.

    A small last batch would have the weight of a whole one and noisy statistics.
    """

    num_samples: int
    batch_size: int
    seed: int
    epoch: int

    def __len__(self) -> int:
        return -(-self.num_samples // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng(stream_seed(self.seed, self.epoch, _ORDER))
        order = rng.permutation(self.num_samples)
        yield from (batch.tolist() for batch in np.array_split(order, len(self)))


def training_loader(
    clips: TrainingClips, *, repeats: int, batch_size: int, workers: int
) -> DataLoader[FrameBatch]:
    """The batches of one epoch: every clip `repeats` times."""
    batches = ShuffledBatches(len(clips.indices) * repeats, batch_size, clips.seed, clips.epoch)
    return DataLoader(clips, batch_sampler=batches, num_workers=workers)


def validation_loader(clips: ValidationClips, *, batch_size: int, workers: int) -> DataLoader[FrameBatch]:
    """All views in order."""
    return DataLoader(clips, batch_size=batch_size, num_workers=workers)
