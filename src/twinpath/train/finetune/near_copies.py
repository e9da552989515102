"""Clips that show the same: they must not be divided between training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import LabelledClip

#: Cosine of the standardised embeddings from which on two clips are taken for copies of each other.
COPY_COSINE = 0.97
_BLOCK = 1024


@dataclass(frozen=True)
class NearCopy:
    """Two clips of different groups whose embeddings are nearly the same."""

    first: LabelledClip
    second: LabelledClip
    cosine: float


def near_copies(
    clips: tuple[LabelledClip, ...], features_NVD: NDArray[np.float32], *, least: float = COPY_COSINE
) -> list[NearCopy]:
    """Pairs of clips of different groups whose embeddings are nearly the same, the most alike first.

    Args:
        clips: N clips.
        features_NVD: Embeddings of V views of each.
        least: The cosine of the means over views, standardised, from which on a pair counts.
    """
    if len(clips) < 3:  # nothing to standardise by
        return []
    means = features_NVD.mean(axis=1, dtype=np.float64)
    standard = means - means.mean(axis=0)
    std = standard.std(axis=0)
    standard = standard[:, std > 0] / std[std > 0]
    standard /= np.maximum(np.linalg.norm(standard, axis=1, keepdims=True), 1e-12)
    found = []
    for start in range(0, len(clips), _BLOCK):
        cosines = standard[start : start + _BLOCK] @ standard.T
        for i, j in np.argwhere(cosines >= least):
            first, second = clips[start + i], clips[j]
            if start + i < j and first.scene != second.scene:
                found.append(NearCopy(first, second, float(cosines[i, j])))
    return sorted(found, key=lambda pair: -pair.cosine)


def with_joined_groups(clips: tuple[LabelledClip, ...], copies: list[NearCopy]) -> tuple[LabelledClip, ...]:
    """The clips, with the groups of near-copies made one."""
    joined: dict[str, str] = {}

    def root(group: str) -> str:
        while group in joined:
            group = joined[group]
        return group

    for pair in copies:
        first, second = sorted((root(pair.first.scene), root(pair.second.scene)))
        if first != second:
            joined[second] = first
    return tuple(replace(clip, group=root(clip.scene)) for clip in clips)
