"""Which labelled clips are learned from, and which are evaluated by what has not seen them. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.data.labelled.split import folds as divide
from twinpath.data.labelled.split import groups_across_parts, only_in_training
from twinpath.errors import InputError
from twinpath.paths import display_path

NUM_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Parts:
    """Which clips are learned from, and which are evaluated by what has not seen them.

    Attributes:
        data: The clips.
        folds: (N,): the fold of each clip, -1: always in training.
        given: (N,): whether the data says that a clip is for evaluation; None: it says nothing.
        notes: What a user should know of it.
    """

    data: LabelledData
    folds: NDArray[np.int64]
    given: NDArray[np.bool_] | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: LabelledData, *, num_folds: int, seed: int) -> Parts:
        parts = Counter(clip.part for clip in data.clips)
        wanted = "test" if parts["test"] else "validation" if parts["validation"] else None
        given = None if wanted is None else np.array([clip.part == wanted for clip in data.clips])
        learned = data if given is None else replace(data, clips=where(data.clips, ~given))
        if not learned.clips:
            raise InputError(f"all clips are for {wanted}; none is left to learn from")
        folds = np.full(len(data.clips), -1, dtype=np.int64)
        try:
            folds[slice(None) if given is None else ~given] = divide(learned, num_folds, seed)
        except InputError:
            if given is None:
                raise
        return cls(data, folds, given, _notes(data, learned, is_given=given is not None))

    @property
    def learned(self) -> NDArray[np.bool_]:
        """(N,): which clips the model that is kept is made of."""
        return np.ones(len(self.data.clips), dtype=bool) if self.given is None else ~self.given

    @property
    def targets(self) -> NDArray[np.bool_]:
        """(N, C): the classes of each clip."""
        targets = np.zeros((len(self.data.clips), len(self.data.classes)), dtype=bool)
        for row, clip in zip(targets, self.data.clips, strict=True):
            row[list(self.data.class_indices(clip))] = True
        return targets

    def name_of(self, index: int) -> str:
        """The part of a clip, for people."""
        if self.given is not None:
            return str(self.data.clips[index].part or "train")
        return f"fold {self.folds[index] + 1}" if self.folds[index] >= 0 else "train"


def _notes(data: LabelledData, learned: LabelledData, *, is_given: bool) -> tuple[str, ...]:
    """What a reader of the figures should know of the parts."""
    if not is_given:
        return tuple(
            f"the clips of {label!r} are all of one group (one source), so they are learned from only: add "
            "clips of another scene to see how right the model is"
            for label in only_in_training(learned)
        )
    return tuple(
        f"{display_path(group)} has clips for training and for evaluation: the figures are too high"
        for group in groups_across_parts(data)
    )


def where(clips: Sequence[LabelledClip], chosen: NDArray[np.bool_]) -> tuple[LabelledClip, ...]:
    return tuple(clip for clip, is_chosen in zip(clips, chosen, strict=True) if is_chosen)
