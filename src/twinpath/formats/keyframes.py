"""Scores of keyframes in NumPy's .npz, without pickle.

save_keyframe_scores(scores, Path("match.scores.npz"))
load_keyframe_scores(Path("match.scores.npz"))
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from twinpath.atomic import atomic_path
from twinpath.errors import InputError
from twinpath.escapes import shown
from twinpath.formats.arrays import Arrays, open_arrays
from twinpath.paths import display_path
from twinpath.results.facts import (
    COUNT,
    FLAG,
    MOST_SECONDS,
    NUMBERS,
    OBJECT,
    SECONDS,
    TEXT,
    TEXTS,
    checked_facts,
)
from twinpath.results.keyframes import Keyframe, KeyframeScores, PersonBoxes
from twinpath.results.provenance import Provenance

_FORMAT = "twinpath keyframe scores 2"
_LATER_FACTS = {"first_frame_s": 0.0}  # not in every file of this format, and what holds then
_FACTS = {
    "video": TEXT,
    "dataset": TEXT,
    "engine": TEXT,
    "person_detector": TEXT,
    "tracker": TEXT,
    "width_px": COUNT,
    "height_px": COUNT,
    "duration_s": SECONDS,
    "every_s": SECONDS,
    "keyframes_expected": COUNT,
    "complete": FLAG,
    "first_frame_s": SECONDS,
    "timing_s": NUMBERS,
    "settings": OBJECT,
}
_MOST_PX = 1e6  # of a side of a frame


def save_keyframe_scores(scores: KeyframeScores, path: Path) -> None:
    """Write the file atomically.

    Raises:
        OSError: The file cannot be written, for example on a full disk; an existing file is kept.
    """
    facts = {
        "format": _FORMAT,
        **{name: getattr(scores, name) for name in _FACTS},
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
        with open_arrays(path) as arrays:
            return _scores(arrays)
    except ValueError as error:
        raise InputError(
            f"{display_path(path)} is no valid file of keyframe scores ({shown(str(error))}); "
            "remove it, or start over without it"
        ) from error


def _scores(arrays: Arrays) -> KeyframeScores:
    """Raises: ValueError: something is missing, of another kind, or does not fit the rest."""
    facts = arrays.facts("facts")
    if facts.get("format") != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT!r}")
    known = checked_facts(_LATER_FACTS | facts, _FACTS | {"warnings": TEXTS})
    if not (1 <= known["width_px"] <= _MOST_PX and 1 <= known["height_px"] <= _MOST_PX):
        raise ValueError("its frames have no size")
    labels = arrays.texts("labels")
    return KeyframeScores(
        **known | {"warnings": tuple(known["warnings"])},
        provenance=Provenance.from_dict(facts.get("provenance")),
        labels=labels,
        keyframes=_keyframes(arrays, num_labels=len(labels)),
    )


def _keyframes(arrays: Arrays, *, num_labels: int) -> tuple[Keyframe, ...]:
    """The keyframes. Raises: ValueError: An array is of another kind, or the lengths do not match."""
    times_s = arrays.numbers("time_s", "float64", ndim=1, least=0.0, most=MOST_SECONDS)
    num_people = arrays.numbers("num_people", "int64", ndim=1, least=0, most=1 << 31)
    has_own_ids = arrays.numbers("has_own_ids", "bool", ndim=1)
    of_people = [
        arrays.numbers("boxes_xyxy_px", "float32", ndim=2, least=0.0, most=_MOST_PX),
        arrays.numbers("person_scores", "float32", ndim=1, least=0.0, most=1.0),
        arrays.numbers("track_ids", "int64", ndim=1, least=1, most=1 << 31),
        arrays.numbers("scores", "float32", ndim=2, least=0.0, most=1.001),
    ]
    total = int(num_people.sum())
    shapes = [(total, 4), (total,), (total,), (total, num_labels)]
    if [array.shape for array in of_people] != shapes or not (
        times_s.shape == num_people.shape == has_own_ids.shape
    ):
        raise ValueError("the lengths of its arrays do not match")
    if (np.diff(times_s) < 0).any():
        raise ValueError("its keyframes are not in order of time")
    ends = np.cumsum(num_people)[:-1]
    parts = [np.split(array, ends) for array in of_people] if len(times_s) else [[]] * len(of_people)
    return tuple(
        Keyframe(time_s, PersonBoxes(boxes, person_scores, ids if has_ids else None), ids, scores)
        for time_s, has_ids, boxes, person_scores, ids, scores in zip(
            times_s.tolist(), has_own_ids.tolist(), *parts, strict=True
        )
    )
