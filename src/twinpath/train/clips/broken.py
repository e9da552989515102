"""Clips that cannot be read: each is named once, all are counted, and too many stop the run.

None is replaced by another clip: a batch is smaller by those that are missing.
"""

from __future__ import annotations

from collections.abc import Iterable

from twinpath.data.labelled.clip import MOST_BROKEN
from twinpath.errors import InputError
from twinpath.train.clips.batch import BrokenClip

_FEWEST = 64  # samples before a share says anything
_MOST_NAMED = 5


class BrokenClips:
    """What the main process knows of them.

    A file is named once, although several clips of it cannot be read.

    Args:
        num_clips: In the data set.
        copies: Clips of a batch for each of them.
    Attributes:
        lost: The reason for each clip that could not be read, by index.
        damaged: The same for those that were read although their files are damaged.
    """

    def __init__(self, num_clips: int, *, copies: int = 1) -> None:
        self._num_clips, self._copies, self._seen, self._lost = num_clips, copies, 0, 0
        self.lost: dict[int, str] = {}
        self.damaged: dict[int, str] = {}
        self._named: set[str] = set()

    def add(self, broken: Iterable[BrokenClip], *, num_read: int) -> list[str]:
        """Add a batch.

        Args:
            broken: Of the batch.
            num_read: B of the batch.
        Returns:
            A line for each clip that was not known to be broken, if it says something new.
        Raises:
            InputError: More than a third of the clips so far cannot be read.
        """
        lines = []
        self._seen += num_read // self._copies
        for clip in broken:
            known = self.lost if clip.is_lost else self.damaged
            if clip.clip_index not in known:
                known[clip.clip_index] = clip.reason
                if clip.reason not in self._named:
                    self._named.add(clip.reason)
                    lines.append(clip.reason)
            if clip.is_lost:
                self._seen += 1
                self._lost += 1
        if self._seen >= min(self._num_clips, _FEWEST) and self._lost > MOST_BROKEN * self._seen:
            reasons = list(dict.fromkeys(self.lost.values()))
            named = reasons[:_MOST_NAMED]
            more = len(reasons) - len(named)
            raise InputError(
                f"{self._lost} of {self._seen} clips cannot be read, more than a third; mend or remove them: "
                + "; ".join(named)
                + (f"; and {more} more" if more else "")
            )
        return lines
