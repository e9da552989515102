"""Scores of windows in NumPy's .npz, without pickle.

save_window_scores(windows, Path("match.scores.npz"))
windows = load_window_scores(Path("match.scores.npz"))
windows.starts_s, windows.ends_s, windows.scores, windows.labels, windows.complete
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from twinpath.atomic import atomic_path
from twinpath.errors import InputError
from twinpath.paths import display_path
from twinpath.results.provenance import Provenance
from twinpath.results.window_scores import WindowScores

_FORMAT = "twinpath window scores 2"
_FACTS = ("video", "dataset", "engine", "duration_s", "every_s", "span_s", "windows_expected", "complete")
_LATER_FACTS = {"first_frame_s": 0.0}  # not in every file of this format, and what holds then


def save_window_scores(windows: WindowScores, path: Path) -> None:
    """Write the file atomically.

    Raises:
        OSError: The file cannot be written, for example on a full disk; an existing file is kept.
    """
    facts = {
        "format": _FORMAT,
        **{name: getattr(windows, name) for name in (*_FACTS, *_LATER_FACTS)},
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
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            if facts["format"] != _FORMAT:
                raise ValueError(f"its format is {facts['format']!r}, not {_FORMAT!r}")
            windows = WindowScores(
                **{name: facts[name] for name in _FACTS},
                **{name: facts.get(name, default) for name, default in _LATER_FACTS.items()},
                provenance=Provenance.from_dict(facts["provenance"]),
                warnings=tuple(facts["warnings"]),
                settings=facts["settings"],
                labels=tuple(file["labels"].tolist()),
                starts_s=file["start_s"],
                ends_s=file["end_s"],
                scores=file["scores"],
            )
        if windows.scores.shape != (len(windows.starts_s), len(windows.labels)) or (
            len(windows.ends_s) != len(windows.starts_s)
        ):
            raise ValueError("the lengths of its arrays do not match")
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{display_path(path)} is no valid file of window scores ({error}); "
            "remove it, or start over without it"
        ) from error
    return windows
