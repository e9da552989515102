"""Samples to a batch, and a batch to what a network takes.

Clips travel between processes and to the device as bytes, a quarter of their normalised size. What the
reference does to normalised clips, erasing and lighting, is drawn with the clip and done on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import default_collate

from twinpath.models.input_spec import InputSpec
from twinpath.models.preprocess import Normalise
from twinpath.train.augment.erasing import Erasing


class BrokenClip(NamedTuple):
    """A clip that could not be read, or was read although its file is damaged.

    Attributes:
        clip_index: In its data set.
        reason: One line, which names it.
        is_lost: Whether it is not in the batch.
    """

    clip_index: int
    reason: str
    is_lost: bool = True


class ClipSample(NamedTuple):
    """What one request gives: R copies of a clip, with a row of each field for each of them.

    Attributes: As of `ClipBatch`.
    """

    frames: Tensor
    targets: Tensor
    indices: Tensor
    views: Tensor
    erased: Tensor
    shifts: Tensor
    seeds: Tensor
    broken: tuple[BrokenClip, ...] = ()


class ClipBatch(NamedTuple):
    """A batch. A clip that cannot be read is missing from it: B may be smaller than asked for, and 0.

    Attributes:
        frames: (B, T, H, W, 3) uint8, RGB. Copies of a clip follow each other.
        targets: (B, C) float32, 1 for the classes of a clip.
        indices: (B,) int64, of each clip in its data set.
        views: (B,) int64, which view of the clip: the temporal clip in training, crop and time in a test.
        erased: (B, E, 4) int64, rectangles that are erased: top, left, height, width.
        shifts: (B, 3) float32, added to red, green and blue, of values 0 to 1.
        seeds: (B,) int64, of the noise in erased rectangles.
        broken: What is wrong with clips; for `BrokenClips`.
    """

    frames: Tensor
    targets: Tensor
    indices: Tensor
    views: Tensor
    erased: Tensor
    shifts: Tensor
    seeds: Tensor
    broken: tuple[BrokenClip, ...] = ()


def plain_sample(
    frames_RTHWC: NDArray[np.uint8],
    targets_RC: Tensor,
    index: int,
    views: Sequence[int],
    broken: tuple[BrokenClip, ...] = (),
) -> ClipSample:
    """A sample of which nothing is erased or shifted."""
    copies = len(frames_RTHWC)
    return ClipSample(
        torch.from_numpy(frames_RTHWC),
        targets_RC,
        torch.full((copies,), index),
        torch.tensor(views),
        torch.zeros(copies, 0, 4, dtype=torch.int64),
        torch.zeros(copies, 3),
        torch.zeros(copies, dtype=torch.int64),
        broken,
    )


def collate(samples: Sequence[ClipSample | BrokenClip]) -> ClipBatch:
    """The clips that could be read as one batch, and those that could not."""
    read = [sample for sample in samples if isinstance(sample, ClipSample)]
    broken = tuple(sample for sample in samples if isinstance(sample, BrokenClip))
    broken += tuple(note for sample in read for note in sample.broken)
    if not read:
        return ClipBatch(
            torch.zeros(0, 0, 0, 0, 3, dtype=torch.uint8),
            torch.zeros(0, 0),
            torch.zeros(0, dtype=torch.int64),
            torch.zeros(0, dtype=torch.int64),
            torch.zeros(0, 0, 4, dtype=torch.int64),
            torch.zeros(0, 3),
            torch.zeros(0, dtype=torch.int64),
            broken,
        )
    return ClipBatch(
        _joined([sample.frames for sample in read]),
        _joined([sample.targets for sample in read]),
        _joined([sample.indices for sample in read]),
        _joined([sample.views for sample in read]),
        _joined([sample.erased for sample in read]),
        _joined([sample.shifts for sample in read]),
        _joined([sample.seeds for sample in read]),
        broken,
    )


def _joined(parts: list[Tensor]) -> Tensor:
    """(N * R, …): torch's own collation writes to shared memory where a worker makes the batch."""
    stacked: Tensor = default_collate(parts)
    return stacked.flatten(0, 1)


class ToClips(nn.Module):
    """A batch to normalised clips: scaled to 0..1, normalised, shifted, erased, in the order of channels that
    the network takes. Without gradients, on the device of the batch.

    Args:
        spec: The input of the network: mean and deviation.
        erasing: How rectangles are filled; None: there are none.
        lighting: Whether colours are shifted.
        bgr: Whether the network takes blue, green, red.
    """

    def __init__(
        self, spec: InputSpec, *, erasing: Erasing | None = None, lighting: bool = False, bgr: bool = False
    ) -> None:
        super().__init__()
        self.normalise = Normalise(mean=spec.mean, std=spec.std)
        self._erasing, self._lighting, self._bgr = erasing, lighting, bgr

    @torch.no_grad()
    def forward(self, batch: ClipBatch) -> Tensor:
        """(B, 3, T, H, W) float32."""
        # As `Normalise`, bit for bit, in a third of the time: channels first, and then in place.
        channels_first = batch.frames.permute(0, 4, 1, 2, 3)
        clips = channels_first.to(torch.float32, memory_format=torch.contiguous_format)
        scale, shift = self.normalise.scale, self.normalise.shift
        clips.mul_(scale[:, None, None, None]).add_(shift[:, None, None, None])
        if self._lighting:
            clips.add_((batch.shifts * 255 * scale)[:, :, None, None, None])
        if self._erasing is not None and batch.erased.shape[1]:
            self._erasing.erase_(clips, batch.erased, batch.seeds)
        return clips.flip(1) if self._bgr else clips
