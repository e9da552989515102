"""A model's scores of the windows of a video, so that segments can be found again without inference.

The scores are float16: 4 hours at one window per second and 400 classes take 12 MB. The rounding error is
below 0.0003.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.results.provenance import Provenance

SAME_LENGTH_S = 0.5  # tolerance between the durations of header and packets; `FileFacts` identify the file


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowScores:
    """A model's scores of the windows of a video, complete or its first part.

    Attributes:
        video: The path as given.
        provenance: File, model, settings and versions that produced the scores.
        dataset: The training data set.
        engine: The engine that ran the model; several if the run was resumed on another one.
        duration_s: Duration of the video in seconds.
        first_frame_s: When a player shows the first frame, on its clock; all other times count from there.
        every_s: Stride of the windows in seconds.
        span_s: Length of a window in seconds.
        labels: The names of the C classes.
        starts_s, ends_s: (N,) starts and ends of the windows in seconds, in order. Windows without a frame
            are missing.
        scores: (N, C) float16.
        windows_expected: Number of windows in the whole video, by its packets.
        complete: Whether these are the windows of the whole video.
        warnings: Warnings for the user about the video file.
        settings: The settings of the output files next to the file of scores; empty: not written yet.
    """

    video: str
    provenance: Provenance
    dataset: str
    engine: str
    duration_s: float
    every_s: float
    span_s: float
    labels: tuple[str, ...]
    starts_s: NDArray[np.float64]
    ends_s: NDArray[np.float64]
    scores: NDArray[np.float16]
    windows_expected: int
    complete: bool
    warnings: tuple[str, ...]
    settings: dict[str, Any]
    first_frame_s: float = 0.0

    def __len__(self) -> int:
        return len(self.starts_s)

    @property
    def done_s(self) -> float:
        """The end of the scored part, in seconds from the start of the video."""
        if self.complete:
            return self.duration_s
        return float(self.ends_s[-1]) if len(self) else 0.0

    def with_settings(self, settings: dict[str, Any]) -> WindowScores:
        return replace(self, settings=settings)

    def differences(self, provenance: Provenance, duration_s: float) -> list[str]:
        """Descriptions of what differs now; empty: scoring can resume behind these windows."""
        lines = self.provenance.differences(provenance)
        if abs(self.duration_s - duration_s) > SAME_LENGTH_S:
            lines.append(f"the video lasts {duration_s:.1f} s, before {self.duration_s:.1f} s")
        return lines
