"""What a model said of every window of a video, and the file that keeps it, to go on or to think again.

The scores are float16: 4 hours at a window a second and 400 classes are 12 MB. They differ from the model's
own by less than 0.0003.

scores = WindowScores.load("twinpath-timeline/match.scores.npz")
scores.starts_s, scores.ends_s, scores.scores, scores.labels, scores.complete
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.atomic import atomic_path
from twinpath.errors import InputError, UsageError
from twinpath.paths import display_path

_FORMAT = "twinpath window scores 1"
_SAME_LENGTH_S = 0.5  # a header may claim another length than the packets; size and time of the file decide


@dataclass(frozen=True)
class Origin:
    """What scores depend on. Only scores of one origin belong together.

    Attributes:
        size_bytes, modified_s: Of the video file.
        duration_s: Of the video.
        model: Full name of network and weights.
        weights_sha256: Of a weight file that the user gave in place of the record's.
        every_s: From the start of a window to that of the next.
    """

    size_bytes: int
    modified_s: float
    duration_s: float
    model: str
    weights_sha256: str | None
    every_s: float

    def differences(self, other: Origin) -> list[str]:
        """How `other` differs, in words; empty where its scores may be put behind these."""
        lines = []
        if self.size_bytes != other.size_bytes:
            lines.append(f"the video has {other.size_bytes:,} bytes, before {self.size_bytes:,}")
        if self.modified_s != other.modified_s:
            lines.append("the video was changed since")
        if abs(self.duration_s - other.duration_s) > _SAME_LENGTH_S:
            lines.append(f"the video lasts {other.duration_s:.1f} s, before {self.duration_s:.1f} s")
        if self.model != other.model:
            lines.append(f"the model is {other.model}, before {self.model}")
        if self.weights_sha256 != other.weights_sha256:
            lines.append("the weight file is another one")
        if self.every_s != other.every_s:
            lines.append(f"a window every {other.every_s:g} s, before {self.every_s:g} s")
        return lines

    def check(self, other: Origin, *, video: Path) -> None:
        """Whether scores of `other` may be put behind these.

        Raises:
            UsageError: Another video, model or setting; says which.
        """
        differences = self.differences(other)
        if differences:
            raise UsageError(
                f"{display_path(video)} cannot go on from its earlier scores: {'; '.join(differences)}; "
                "run it as before, or leave out --resume to start over"
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowScores:
    """What a model said of the windows of a video, all of them or the first ones.

    Attributes:
        video: The path as given.
        origin: What the scores depend on.
        dataset: That the model was trained on.
        engine: The machine that ran the model; several, where a run went on elsewhere.
        span_s: Length of a window in seconds.
        labels: C names.
        starts_s, ends_s: (N,) of the windows in seconds, in order. Windows without a frame are left out.
        scores: (N, C) float16.
        windows_expected: In the whole video; some may turn out to hold no frame.
        complete: Whether the whole video was looked at.
        warnings: What the user should know about the video file.
        settings: With which the results beside this file were written; empty: they were not yet.
    """

    video: str
    origin: Origin
    dataset: str
    engine: str
    span_s: float
    labels: tuple[str, ...]
    starts_s: NDArray[np.float64]
    ends_s: NDArray[np.float64]
    scores: NDArray[np.float16]
    windows_expected: int
    complete: bool
    warnings: tuple[str, ...]
    settings: dict[str, Any]

    def __len__(self) -> int:
        return len(self.starts_s)

    @property
    def done_s(self) -> float:
        """How much of the video was looked at, in seconds from its start."""
        if self.complete:
            return self.origin.duration_s
        return float(self.ends_s[-1]) if len(self) else 0.0

    def with_settings(self, settings: dict[str, Any]) -> WindowScores:
        return replace(self, settings=settings)

    def save(self, path: Path) -> None:
        """Write the file in one step: the old one stays until the new one is whole."""
        facts = {
            "format": _FORMAT,
            "video": self.video,
            "origin": asdict(self.origin),
            "dataset": self.dataset,
            "engine": self.engine,
            "span_s": self.span_s,
            "windows_expected": self.windows_expected,
            "complete": self.complete,
            "warnings": self.warnings,
            "settings": self.settings,
        }
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                start_s=self.starts_s,
                end_s=self.ends_s,
                scores=self.scores,
                labels=np.asarray(self.labels),
                facts=np.asarray(json.dumps(facts)),
            )

    @classmethod
    def load(cls, path: Path) -> WindowScores:
        """Read a file that `save` wrote.

        Raises:
            InputError: It is damaged, or something else.
        """
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                facts = json.loads(str(file["facts"]))
                if facts.pop("format") != _FORMAT:
                    raise ValueError("its format is another one")
                facts["origin"] = Origin(**facts["origin"])
                facts["warnings"] = tuple(facts["warnings"])
                found = cls(
                    starts_s=file["start_s"],
                    ends_s=file["end_s"],
                    scores=file["scores"],
                    labels=tuple(file["labels"].tolist()),
                    **facts,
                )
            if found.scores.shape != (len(found.starts_s), len(found.labels)) or (
                len(found.ends_s) != len(found.starts_s)
            ):
                raise ValueError("its arrays do not fit each other")
        except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{display_path(path)} is not a whole file of window scores ({error}); "
                "remove it, or leave out --resume to start over"
            ) from error
        return found


def file_facts(path: Path) -> tuple[int, float]:
    """Size in bytes and time of the last change of a video, by which it is known again."""
    status = os.stat(path)  # noqa: PTH116 - as `open_video`, it follows links
    return status.st_size, status.st_mtime
