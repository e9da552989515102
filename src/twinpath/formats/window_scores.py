"""Scores of windows in NumPy's .npz, without pickle.

save_window_scores(windows, Path("match.scores.npz"))
windows = load_window_scores(Path("match.scores.npz"))
windows.starts_s, windows.ends_s, windows.scores, windows.labels, windows.complete
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
from twinpath.results.facts import COUNT, FLAG, MOST_SECONDS, OBJECT, SECONDS, TEXT, TEXTS, checked_facts
from twinpath.results.provenance import Provenance
from twinpath.results.window_scores import WindowScores

_FORMAT = "twinpath window scores 2"
_LATER_FACTS = {"first_frame_s": 0.0}  # not in every file of this format, and what holds then
_FACTS = {
    "video": TEXT,
    "dataset": TEXT,
    "engine": TEXT,
    "duration_s": SECONDS,
    "every_s": SECONDS,
    "span_s": SECONDS,
    "windows_expected": COUNT,
    "complete": FLAG,
    "first_frame_s": SECONDS,
}


def save_window_scores(windows: WindowScores, path: Path) -> None:
    """Write the file atomically.

    Raises:
        OSError: The file cannot be written, for example on a full disk; an existing file is kept.
    """
    facts = {
        "format": _FORMAT,
        **{name: getattr(windows, name) for name in _FACTS},
        "provenance": windows.provenance.to_dict(),
        "warnings": windows.warnings,
        "settings": windows.settings,
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            start_s=windows.starts_s,
            end_s=windows.ends_s,
            scores=windows.scores,
            labels=np.asarray(windows.labels),
            facts=np.asarray(json.dumps(facts)),
        )


def load_window_scores(path: Path) -> WindowScores:
    """Read a file that `save_window_scores` wrote.

    Raises:
        InputError: The file is damaged or has another format.
        OSError: The file does not exist or cannot be read.
    """
    try:
        with open_arrays(path) as arrays:
            return _windows(arrays)
    except ValueError as error:
        raise InputError(
            f"{display_path(path)} is no valid file of window scores ({shown(str(error))}); "
            "remove it, or start over without it"
        ) from error


def _windows(arrays: Arrays) -> WindowScores:
    """Raises: ValueError: something is missing, of another kind, or does not fit the rest."""
    facts = arrays.facts("facts")
    if facts.get("format") != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT!r}")
    known = checked_facts(_LATER_FACTS | facts, _FACTS | {"warnings": TEXTS, "settings": OBJECT})
    windows = WindowScores(
        **known | {"warnings": tuple(known["warnings"])},
        provenance=Provenance.from_dict(facts.get("provenance")),
        labels=arrays.texts("labels"),
        starts_s=arrays.numbers("start_s", "float64", ndim=1, least=0.0, most=MOST_SECONDS),
        ends_s=arrays.numbers("end_s", "float64", ndim=1, least=0.0, most=MOST_SECONDS),
        scores=arrays.numbers("scores", "float16", ndim=2, least=0.0, most=1.001),
    )
    starts_s, ends_s = windows.starts_s, windows.ends_s
    if windows.scores.shape != (len(starts_s), len(windows.labels)) or len(ends_s) != len(starts_s):
        raise ValueError("the lengths of its arrays do not match")
    if (np.diff(starts_s) <= 0).any() or (ends_s < starts_s).any() or not windows.every_s:
        raise ValueError("its windows are not in order of time")
    return windows
