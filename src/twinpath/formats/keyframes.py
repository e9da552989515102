"""Scores of keyframes in NumPy's .npz, without pickle.

save_keyframe_scores(scores, Path("match.scores.npz"))
load_keyframe_scores(Path("match.scores.npz"))
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from twinpath.atomic import atomic_path
from twinpath.errors import InputError
from twinpath.paths import display_path
from twinpath.results.keyframes import Keyframe, KeyframeScores, PersonBoxes
from twinpath.results.provenance import Provenance

_FORMAT = "twinpath keyframe scores 2"
_FACTS = (
    "video", "dataset", "engine", "person_detector", "tracker", "width_px", "height_px", "duration_s",
    "every_s", "keyframes_expected", "complete", "timing_s", "settings",
)  # fmt: skip
_LATER_FACTS = {"first_frame_s": 0.0}  # not in every file of this format, and what holds then
_OF_PEOPLE = ("boxes_xyxy_px", "person_scores", "track_ids", "scores")


def save_keyframe_scores(scores: KeyframeScores, path: Path) -> None:
    """Write the file atomically.

    Raises:
        OSError: The file cannot be written, for example on a full disk; an existing file is kept.
    """
    facts = {
        "format": _FORMAT,
        **{name: getattr(scores, name) for name in (*_FACTS, *_LATER_FACTS)},
        "provenance": scores.provenance.to_dict(),
        "warnings": scores.warnings,
    }
    keyframes = scores.keyframes
    none = PersonBoxes.none()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            time_s=np.array([k.time_s for k in keyframes], dtype=np.float64),
            num_people=np.array([len(k.people) for k in keyframes], dtype=np.int64),
            has_own_ids=np.array([k.people.track_ids is not None for k in keyframes], dtype=np.bool_),
            boxes_xyxy_px=np.concatenate([none.boxes_xyxy_px, *(k.people.boxes_xyxy_px for k in keyframes)]),
            person_scores=np.concatenate([none.scores, *(k.people.scores for k in keyframes)]),
            track_ids=np.concatenate([np.zeros(0, np.int64), *(k.track_ids for k in keyframes)]),
            scores=np.concatenate(
                [np.zeros((0, len(scores.labels)), np.float32), *(k.scores for k in keyframes)]
            ),
            labels=np.asarray(scores.labels),
            facts=np.asarray(json.dumps(facts)),
        )


def load_keyframe_scores(path: Path) -> KeyframeScores:
    """Read a file that `save_keyframe_scores` wrote.

    Raises:
        InputError: The file is damaged or has another format.
        OSError: The file does not exist or cannot be read.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            if facts["format"] != _FORMAT:
                raise ValueError(f"its format is {facts['format']!r}, not {_FORMAT!r}")
            labels = tuple(file["labels"].tolist())
            return KeyframeScores(
                **{name: facts[name] for name in _FACTS},
                **{name: facts.get(name, default) for name, default in _LATER_FACTS.items()},
                provenance=Provenance.from_dict(facts["provenance"]),
                warnings=tuple(facts["warnings"]),
                labels=labels,
                keyframes=_keyframes(file, num_labels=len(labels)),
            )
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{display_path(path)} is no valid file of keyframe scores ({error}); "
            "remove it, or start over without it"
        ) from error


def _keyframes(file: Any, *, num_labels: int) -> tuple[Keyframe, ...]:
    """The keyframes. Raises: ValueError: The lengths of the arrays do not match."""
    times_s, num_people, has_own_ids = (file[name] for name in ("time_s", "num_people", "has_own_ids"))
    arrays = [file[name] for name in _OF_PEOPLE]
    total = int(num_people.sum())
    shapes = [(total, 4), (total,), (total,), (total, num_labels)]
    if [array.shape for array in arrays] != shapes or not (
        times_s.shape == num_people.shape == has_own_ids.shape and (num_people >= 0).all()
    ):
        raise ValueError("the lengths of its arrays do not match")
    ends = np.cumsum(num_people)[:-1]
    parts = [np.split(array, ends) for array in arrays] if len(times_s) else [[]] * len(arrays)
    return tuple(
        Keyframe(time_s, PersonBoxes(boxes, person_scores, ids if has_ids else None), ids, scores)
        for time_s, has_ids, boxes, person_scores, ids, scores in zip(
            times_s.tolist(), has_own_ids.tolist(), *parts, strict=True
        )
    )
