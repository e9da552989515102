"""How long the rest of a run will take. No torch."""

from __future__ import annotations

from twinpath.train.multigrid.schedule import MultigridSchedule


class TimeLeft:
    """Estimates from the epochs so far. Multigrid's epochs differ: what counts is pixels.

    Args:
        schedule: Of the run.
    """

    def __init__(self, schedule: MultigridSchedule) -> None:
        self._work = [_pixels_a_clip(schedule, epoch) for epoch in range(schedule.schedule.epochs)]
        self._took_s = self._done = 0.0

    def after(self, epoch: int, took_s: float, part: float = 1.0) -> float:
        """Seconds from the end of an epoch to that of the run.

        Args:
            epoch: From 0; those of an earlier process are not counted.
            took_s: Of it.
            part: Of the epoch that this process has made, the rest being of an earlier one.
        """
        self._took_s, self._done = self._took_s + took_s, self._done + part * self._work[epoch]
        return self._took_s / max(self._done, 1e-9) * sum(self._work[epoch + 1 :])


def _pixels_a_clip(schedule: MultigridSchedule, epoch: int) -> float:
    """The mean over an epoch, which shows each clip once."""
    slots = schedule.slots_of(epoch)
    pixels = [slot.batch_size * slot.shape.frames * slot.shape.crop_px**2 for slot in slots]
    return sum(pixels) / sum(slot.batch_size for slot in slots)
