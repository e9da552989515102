"""Temporal segments of activities, and the rules that find them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from twinpath.errors import UsageError

LEAVE_SHARE = 0.5  # of `min_score`: avoids flicker without a long delay


@dataclass(frozen=True, kw_only=True)
class SegmentRules:
    """How segments are found in scores.

    Attributes:
        min_score: A segment needs this smoothed score, above 0 up to 1. Lower values find more segments, also
            more false ones.
        merge_s: Merge segments of one label with a gap of up to this many seconds; 0: only those that touch.
        smooth_s: Half width of the triangular smoothing window in seconds; 0: no smoothing. Larger values
            suppress flicker, and also short activities.
        labels: Find only these labels; None: all labels of the model.
    """

    min_score: float = 0.3
    merge_s: float = 2.0
    smooth_s: float = 2.0
    labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.min_score <= 1:
            raise UsageError(f"min_score must be above 0 and at most 1, not {self.min_score:g}")
        for name, value_s in (("merge_s", self.merge_s), ("smooth_s", self.smooth_s)):
            if not 0 <= value_s < math.inf:
                raise UsageError(f"{name} must be 0 s or more, not {value_s:g}")
        if self.labels is not None and not self.labels:
            raise UsageError("labels must have at least one label, or be None for all")

    @property
    def leave_score(self) -> float:
        """A segment ends where the smoothed score falls below this."""
        return self.min_score * LEAVE_SHARE


DEFAULT_RULES = SegmentRules()


@dataclass(frozen=True)
class Segment:
    """One activity with its start and end.

    Attributes:
        start_s, end_s: In seconds since the first frame, rounded to milliseconds.
        label: The activity.
        index: The index of the label in the model's output.
        mean_score, peak_score: Mean and maximum of the unsmoothed scores of its windows, 0 to 1.
        peak_s: The middle of the window with the highest score, in seconds.
    """

    start_s: float
    end_s: float
    label: str
    index: int
    mean_score: float
    peak_score: float
    peak_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s

    def later(self, by_s: float) -> Segment:
        """The same segment, moved in time; for another clock."""
        start_s, end_s, peak_s = (round(t + by_s, 3) for t in (self.start_s, self.end_s, self.peak_s))
        return replace(self, start_s=start_s, end_s=end_s, peak_s=peak_s)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)
