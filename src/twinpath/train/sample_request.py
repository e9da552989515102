"""What a loader asks its workers for. A request says everything, so workers keep no state of their own: the
shape of clips may change from batch to batch, and a resumed run asks for the same. No torch."""

from __future__ import annotations

from typing import NamedTuple


class ClipShape(NamedTuple):
    """Shape of a training clip.

    Attributes:
        frames: T.
        crop_px: Its side.
        longest_sampling_rate: The clip's own sampling rate is drawn from the recipe's to this, both included;
            0: it is the recipe's.
    """

    frames: int
    crop_px: int
    longest_sampling_rate: int = 0


class SampleRequest(NamedTuple):
    """One sample of a batch. All of its random numbers follow from (seed of the run, epoch, sample).

    Attributes:
        index: Of the clip in its data set.
        epoch: From 0.
        sample: Its place in the epoch, 0 to the number of samples.
        shape: Of the clip.
    """

    index: int  # type: ignore[assignment]  # in place of the method of tuples
    epoch: int
    sample: int
    shape: ClipShape
