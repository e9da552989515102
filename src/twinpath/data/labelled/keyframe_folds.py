"""Parts of labelled keyframes for cross-validation: by video, or by stretches of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.data.labelled.keyframes import LabelledKeyframes
from twinpath.data.labelled.split import folds, only_in_training
from twinpath.errors import InputError

_BLOCKS_A_FOLD = 4  # stretches of one video in a fold


@dataclass(frozen=True, eq=False)
class KeyframeFolds:
    """Which keyframes are held out together.

    Attributes:
        fold: (K,) of each keyframe, from 0; -1: always in training. None: there is nothing to hold out.
        how: For people: "5 folds by video".
    """

    fold: NDArray[np.int64] | None
    how: str

    def of_boxes(self, data: LabelledKeyframes) -> NDArray[np.int64] | None:
        """(boxes,) the fold of each box, in the order of the keyframes."""
        if self.fold is None:
            return None
        return np.repeat(self.fold, [len(keyframe.labels) for keyframe in data.keyframes])


def keyframe_folds(
    data: LabelledKeyframes, *, num_folds: int, seed: int = 0, span_s: float = 2.0
) -> KeyframeFolds:
    """Divide keyframes so that those that show the same are in one fold; the same arguments, the same folds.

    Args:
        data: The keyframes.
        num_folds: At least 2; fewer where there are not as many groups.
        seed: See `split.folds`.
        span_s: Of a clip around a keyframe: a stretch of time is at least twice as long.
    Returns:
        Folds by group where each action is done in two of them; else by stretches of time.
    """
    by_group = [keyframe.group for keyframe in data.keyframes]
    clips = _as_clips(data, by_group)
    if len(set(by_group)) > 1 and not only_in_training(clips):
        fold = folds(clips, num_folds, seed)
        return KeyframeFolds(fold, f"{fold.max() + 1} folds by video")
    why = "one video" if len(set(by_group)) == 1 else "an action is done in one video only"
    try:
        fold = folds(_as_clips(data, _stretches(data, num_folds, span_s)), num_folds, seed)
    except InputError:  # there is one stretch of each action
        fold = np.full(len(data.keyframes), -1)
    if len(np.unique(fold[fold >= 0])) < 2:
        return KeyframeFolds(None, "nothing is held out: there is too little")
    return KeyframeFolds(fold, f"{fold.max() + 1} folds by stretches of time ({why})")


def _as_clips(data: LabelledKeyframes, groups: list[str]) -> LabelledData:
    """A clip for each keyframe, with what anybody does in it."""
    clips = [
        LabelledClip(k.path, tuple({label for labels in k.labels for label in labels}), group=group)
        for k, group in zip(data.keyframes, groups, strict=True)
    ]
    return LabelledData(tuple(clips), data.classes, is_multi_label=True)


def _stretches(data: LabelledKeyframes, num_folds: int, span_s: float) -> list[str]:
    """A name for the stretch of time of each keyframe."""
    times_s: dict[str, list[float]] = {}
    for keyframe in data.keyframes:
        times_s.setdefault(keyframe.group, []).append(keyframe.time_s)
    names = []
    for keyframe in data.keyframes:
        first_s, last_s = min(times_s[keyframe.group]), max(times_s[keyframe.group])
        length_s = max(2 * span_s, (last_s - first_s + span_s) / (num_folds * _BLOCKS_A_FOLD))
        names.append(f"{keyframe.group} {int((keyframe.time_s - first_s) / length_s)}")
    return names
