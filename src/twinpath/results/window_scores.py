"""A model's scores of the windows of a video: kept, so that nothing need be computed again.

The scores are float16: 4 hours at a window a second and 400 classes are 12 MB. They differ from the model's
own by less than 0.0003.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.results.provenance import Provenance

SAME_LENGTH_S = 0.5  # a header may claim another length than the packets; the facts of the file decide


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowScores:
    """A model's scores of the windows of a video, all of them or the first ones.

    Attributes:
        video: The path as given.
        provenance: What the scores were made from.
        dataset: That the model was trained on.
        engine: What ran the model; several, where a run resumed elsewhere.
        duration_s: Of the video.
        every_s: Stride of the windows in seconds.
        span_s: Length of a window in seconds.
        labels: C names.
        starts_s, ends_s: (N,) of the windows in seconds, in order. Windows without a frame are left out.
        scores: (N, C) float16.
        windows_expected: In the whole video; some may turn out to hold no frame.
        complete: Whether these are the windows of the whole video.
        warnings: What the user should know about the video file.
        settings: With which the results beside this file were written; empty: they were not yet.
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

    def __len__(self) -> int:
        return len(self.starts_s)

    @property
    def done_s(self) -> float:
        """How much of the video was scored, in seconds from its start."""
        if self.complete:
            return self.duration_s
        return float(self.ends_s[-1]) if len(self) else 0.0

    def with_settings(self, settings: dict[str, Any]) -> WindowScores:
        return replace(self, settings=settings)

    def differences(self, provenance: Provenance, duration_s: float) -> list[str]:
        """What is another now, in words; empty where later windows may follow these."""
        lines = self.provenance.differences(provenance)
        if abs(self.duration_s - duration_s) > SAME_LENGTH_S:
            lines.append(f"the video lasts {duration_s:.1f} s, before {self.duration_s:.1f} s")
        return lines
