"""Parts of labelled keyframes for cross-validation: by video, or by stretches of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.keyframes import LabelledKeyframes

_BLOCKS_A_FOLD = 4  # stretches of one video in a fold


@dataclass(frozen=True, eq=False)
class KeyframeFolds:
    """Which keyframes are held out together.

    Attributes:
        fold: (K,) of each keyframe, from 0; None: there are too few to hold some out.
        how: For people.
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
        num_folds: At least 2; fewer where there are not as many videos.
        seed: Of the order in which groups are dealt out.
        span_s: Of a clip around a keyframe: a stretch of time is at least twice as long.
    Returns:
        Folds by group where each action is done in two of them; else stretches of time dealt out in turn.
    """
    groups = {group: g for g, group in enumerate(dict.fromkeys(k.group for k in data.keyframes))}
    group = np.array([groups[keyframe.group] for keyframe in data.keyframes])
    counts = _counts(data, group, len(groups))
    if len(groups) > 1 and ((counts > 0).sum(axis=0)[:-1] > 1).all():
        number = min(num_folds, len(groups))
        fold = _dealt(counts, number, np.random.default_rng(seed))[group]
        return KeyframeFolds(fold, f"{number} folds by video")
    block = _blocks(data, group, num_folds, span_s)
    number = min(num_folds, len(np.unique(block)))
    if number < 2:
        return KeyframeFolds(None, "nothing: there are too few keyframes")
    why = "one video" if len(groups) == 1 else "an action is done in one video only"
    fold = np.unique(block, return_inverse=True)[1] % number
    return KeyframeFolds(fold.astype(np.int64), f"{number} folds by stretches of time ({why})")


def _counts(data: LabelledKeyframes, group: NDArray[np.int64], num_groups: int) -> NDArray[np.int64]:
    """(groups, C + 1): the boxes of each action in each group, and all its boxes."""
    boxes = np.repeat(group, [len(keyframe.labels) for keyframe in data.keyframes])
    counts = np.zeros((num_groups, len(data.classes) + 1), dtype=np.int64)
    np.add.at(counts, boxes, np.pad(data.targets(), ((0, 0), (0, 1)), constant_values=True))
    return counts


def _dealt(counts: NDArray[np.int64], num_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(groups,) the fold of each: the largest first, each to where its actions are fewest."""
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order, -1], kind="stable")]
    share = counts / np.maximum(counts.sum(axis=0), 1)
    total = np.zeros((num_folds, counts.shape[1]))
    fold = np.zeros(len(counts), dtype=np.int64)
    for n, g in enumerate(order):
        empty = num_folds - len(np.unique(fold[order[:n]])) if n else num_folds
        after = ((total + share[g]) ** 2).sum(axis=1) - (total**2).sum(axis=1)
        if empty >= len(order) - n:  # no fold may stay empty
            after[np.unique(fold[order[:n]])] = np.inf
        fold[g] = int(after.argmin())
        total[fold[g]] += share[g]
    return fold


def _blocks(
    data: LabelledKeyframes, group: NDArray[np.int64], num_folds: int, span_s: float
) -> NDArray[np.int64]:
    """(K,) a number for each stretch of time of each group, in order."""
    times_s = np.array([keyframe.time_s for keyframe in data.keyframes])
    block = np.zeros(len(times_s), dtype=np.int64)
    for g in np.unique(group):
        of_group = group == g
        since_s = times_s[of_group] - times_s[of_group].min()
        length_s = max(2 * span_s, (since_s.max() + span_s) / (num_folds * _BLOCKS_A_FOLD))
        block[of_group] = (since_s / length_s).astype(np.int64) + g * (1 << 32)
    return block
