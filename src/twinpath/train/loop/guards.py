"""What stops a run with the cause in one line, before it trains on for nothing or ends in torch's error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from twinpath.errors import ConfigError, InputError, TrainingDiverged
from twinpath.train.clips.batch import ClipBatch

_EARLIER = slice(-6, -1)  # the five losses before the newest one
_FEWEST = 7  # losses before anything is said
_ONE_VALUE = "Expected more than 1 value per channel"  # torch's words


def check_loss(losses: Sequence[float], factor: float, *, total: int, epoch: int) -> None:
    """Check that the loss has not exploded.

    Args:
        losses: Of the steps of this epoch, the newest last.
        factor: Of the mean of the five losses before; 0: nothing is checked.
        total, epoch: Which step, from 1, and which epoch, from 0; for the error.
    Raises:
        TrainingDiverged: The newest loss is above the factor times that mean.
    Source: PySlowFast, TRAIN.KILL_LOSS_EXPLOSION_FACTOR.
    """
    if factor <= 0 or len(losses) < _FEWEST:
        return
    mean = float(np.mean(losses[_EARLIER]))
    if losses[-1] > factor * mean:
        raise TrainingDiverged(
            f"the loss is {losses[-1]:.4g} at step {total} (epoch {epoch + 1}), more than {factor:g} times "
            f"the mean of the five before, {mean:.4g}. Lower schedule.base_learning_rate, set "
            "optimizer.clip_norm, or raise run.loss_explosion_factor"
        )


@contextmanager
def too_few_for_batch_norm(batch: ClipBatch | None, *, splits: int) -> Iterator[None]:
    """A batch norm that has a single value of each channel has no variance: torch's error becomes one that
    names the cause.

    Args:
        batch: That the network is given; None: one of several.
        splits: Parts of it with statistics of their own.
    Raises:
        InputError: Clips of the batch could not be read.
        ConfigError: Batches are too small.
    """
    try:
        yield
    except ValueError as error:
        if _ONE_VALUE not in str(error):
            raise
        lost = [clip.reason for clip in batch.broken if clip.is_lost] if batch is not None else []
        of = f" for {splits} splits" if splits > 1 else ""
        clips = (
            f"{len(batch.indices)} clips{of} are" if batch is not None else f"the clips of a batch{of} are"
        )
        problem = f"{clips} too few for the batch norms, which see one value a channel"
        if lost:
            raise InputError(f"{problem}; the others could not be read: {'; '.join(lost)}") from error
        raise ConfigError(f"run.batch_size: {problem}; take more clips, or larger ones") from error
