"""The keyframes of a video that a stopped run had looked at, in a file, from which a later one goes on.

save_unfinished(keyframes, Path("match.unfinished.npz"), provenance)
detect("match.mp4", resume_from=load_unfinished(Path("match.unfinished.npz"), provenance))
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinpath.atomic import atomic_path
from twinpath.results.people import Keyframe, People
from twinpath.results.provenance import Provenance

_FORMAT = "twinpath keyframes 1"
_PARTS = ("boxes", "person_scores", "numbers", "scores")


def save_unfinished(keyframes: Sequence[Keyframe], path: Path, provenance: Provenance) -> None:
    """Write the file in one step: the old one stays until the new one is whole.

    Args:
        keyframes: At least one, from the first of the video on.
        path: Where to.
        provenance: What they were made from.
    """
    knew_who = np.array([k.people.numbers is not None for k in keyframes])
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            time_s=np.array([k.time_s for k in keyframes]),
            people=np.array([len(k.people) for k in keyframes]),
            knew_who=knew_who,
            boxes=np.concatenate([k.people.boxes_xyxy_px for k in keyframes]),
            person_scores=np.concatenate([k.people.scores for k in keyframes]),
            numbers=np.concatenate([k.numbers for k in keyframes]),
            scores=np.concatenate([k.scores for k in keyframes]),
            facts=np.asarray(json.dumps({"format": _FORMAT, "provenance": provenance.to_dict()})),
        )


def load_unfinished(path: Path, provenance: Provenance) -> list[Keyframe]:
    """What a stopped run left; nothing where it is not there, is damaged, or is of something else."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            if facts["format"] != _FORMAT or Provenance.from_dict(facts["provenance"]) != provenance:
                return []
            ends = np.cumsum(file["people"])[:-1]
            parts = [np.split(file[name], ends) for name in _PARTS]
            times_s, knew_who = file["time_s"].tolist(), file["knew_who"].tolist()
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return []
    return [
        Keyframe(time_s, People(boxes, sure, numbers if knew else None), numbers, scores)
        for time_s, knew, boxes, sure, numbers, scores in zip(times_s, knew_who, *parts, strict=True)
    ]
