"""Divide a data set for evaluation: stratified by class, and by whole groups, which are never divided.

    fold = folds(data, 5, seed=0)                 # (N,) the fold in which each clip is evaluated
    parts = hold_out(data, 0.2, seed=0)           # "train" or "validation" for each clip

Both are greedy: groups are placed one after the other, those first that matter most to their classes. Few
groups come out well that way, and a million are done in seconds. The same data and seed give the same result;
paths do not matter, only the order of the clips.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import LabelledClip, LabelledData, Part
from twinpath.errors import InputError, UsageError

ALWAYS_TRAINING = -1  # in place of the number of a fold


@dataclass(frozen=True)
class _Group:
    """Clips that stay together, and how many of each class they are."""

    clips: tuple[int, ...]
    counts: dict[str, int]


def folds(data: LabelledData, num_folds: int, seed: int) -> NDArray[np.int64]:
    """Assign each clip to the fold in which it is evaluated; in all others it is trained on.

    Args:
        data: Its parts (train, test) do not matter here.
        num_folds: How many folds, at least 2. Where there are fewer groups, that many are made.
        seed: Of the order in which equal groups are placed.
    Returns:
        (N,) from 0; or `ALWAYS_TRAINING`: the clip's group is the only one of a class, see
        `only_in_training`. Every class has clips to train on in every fold.
    Raises:
        UsageError: Fewer than two folds.
        InputError: There are not two groups that can be evaluated.
    """
    if num_folds < 2:
        raise UsageError(f"num_folds must be at least 2, not {num_folds}")
    groups = _groups_in_order(data, seed)
    groups_of = _groups_of_classes(groups)
    free = [group for group in groups if not _is_needed(group, groups_of)]
    if not free:
        raise InputError(
            "every class has clips of one group only, so that nothing can be evaluated apart from what was "
            "trained on; add clips of other scenes"
        )
    num_folds = min(num_folds, max(len(free), 2))
    totals = _totals(groups)
    clips_in = [0] * num_folds
    counts_in: list[Counter[str]] = [Counter() for _ in range(num_folds)]
    groups_in: list[Counter[str]] = [Counter() for _ in range(num_folds)]
    fold = np.full(len(data.clips), ALWAYS_TRAINING, dtype=np.int64)
    for group in free:

        def cost(number: int, group: _Group = group) -> tuple[bool, float, int]:
            """Whether the fold would have all groups of a class; how much it has of these classes; clips."""
            takes_all = any(groups_in[number][label] + 1 == groups_of[label] for label in group.counts)
            share = sum(
                count * counts_in[number][label] / totals[label] ** 2 for label, count in group.counts.items()
            )
            return takes_all, round(share, 9), clips_in[number]

        best = min(range(num_folds), key=cost)
        fold[list(group.clips)] = best
        clips_in[best] += len(group.clips)
        counts_in[best].update(group.counts)
        groups_in[best].update(dict.fromkeys(group.counts, 1))
    return fold


def hold_out(data: LabelledData, fraction: float, seed: int) -> tuple[Part, ...]:
    """Hold out about a fraction of each class for validation.

    Args:
        data: If it has parts, these are the result, and clips without one are for training.
        fraction: Of the clips of each class, above 0 and below 1. Of every class with two groups or more
            something is held out, and something trained on.
        seed: Of the order in which equal groups are tried.
    Returns:
        The part of each clip.
    Raises:
        UsageError: `fraction` is out of its range.
        InputError: As `folds`.
    """
    if any(clip.part for clip in data.clips):
        return tuple(clip.part or "train" for clip in data.clips)
    if not 0 < fraction < 1:
        raise UsageError(f"fraction must be above 0 and below 1, not {fraction:g}")
    groups = _groups_in_order(data, seed)
    left = _groups_of_classes(groups)  # to train on
    wanted = {label: max(1.0, fraction * count) for label, count in _totals(groups).items()}
    held: Counter[str] = Counter()
    chosen: list[_Group] = []

    def take(group: _Group) -> None:
        chosen.append(group)
        held.update(group.counts)
        left.subtract(dict.fromkeys(group.counts, 1))

    for group in groups:
        if not _is_needed(group, left) and _gain(group, wanted, held) > 0:
            take(group)
    for group in sorted(groups, key=lambda group: len(group.clips)):  # what is larger than wanted
        if not _is_needed(group, left) and any(not held[label] for label in group.counts):
            take(group)
    if not chosen:
        raise InputError(
            "every class has clips of one group only, so that nothing can be held out; add clips of other "
            "scenes"
        )
    parts: list[Part] = ["train"] * len(data.clips)
    for group in chosen:
        for clip in group.clips:
            parts[clip] = "validation"
    return tuple(parts)


def only_in_training(data: LabelledData) -> tuple[str, ...]:
    """Classes with clips of one group only: they are trained on, but cannot be evaluated."""
    groups_of: dict[str, set[str]] = {}
    for clip in data.clips:
        for label in clip.labels:
            groups_of.setdefault(label, set()).add(clip.group)
    return tuple(label for label in data.classes if len(groups_of.get(label, ())) == 1)


def groups_across_parts(data: LabelledData) -> tuple[str, ...]:
    """Groups of which the data puts clips into training and into evaluation: figures would be too high."""
    parts: dict[str, set[bool]] = {}
    for clip in data.clips:
        if clip.part is not None:
            parts.setdefault(_key(clip), set()).add(clip.part == "train")
    return tuple(group for group, sides in parts.items() if len(sides) == 2)


def _key(clip: LabelledClip) -> str:
    return clip.scene


def _groups_in_order(data: LabelledData, seed: int) -> list[_Group]:
    """The groups, those first that have the largest shares of their classes; equal ones in random order."""
    clips_of: dict[str, list[int]] = {}
    for number, clip in enumerate(data.clips):
        clips_of.setdefault(_key(clip), []).append(number)
    groups = [
        _Group(tuple(clips), Counter(label for clip in clips for label in set(data.clips[clip].labels)))
        for clips in clips_of.values()
    ]
    totals = _totals(groups)
    order = np.random.default_rng(seed).permutation(len(groups))
    shares = [max((n / totals[label] for label, n in g.counts.items()), default=0.0) for g in groups]
    return [groups[i] for i in sorted(order.tolist(), key=lambda i: -round(shares[i], 9))]


def _totals(groups: list[_Group]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for group in groups:
        totals.update(group.counts)
    return totals


def _groups_of_classes(groups: list[_Group]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for group in groups:
        counts.update(dict.fromkeys(group.counts, 1))
    return counts


def _is_needed(group: _Group, left: Counter[str]) -> bool:
    """Whether a group is the last one of a class that is left to train on."""
    return any(left[label] <= 1 for label in group.counts)


def _gain(group: _Group, wanted: dict[str, float], held: Counter[str]) -> float:
    """How much nearer to what is wanted of each class, in shares of it; negative: further."""
    return sum(
        (abs(wanted[label] - held[label]) - abs(wanted[label] - held[label] - count)) / wanted[label]
        for label, count in group.counts.items()
    )
