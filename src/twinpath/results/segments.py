"""When which activity begins and ends, and the rules by which that was found."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from twinpath.errors import UsageError

LEAVE_SHARE = 0.5  # of `min_score`; half of it neither flickers nor trails far behind a change


@dataclass(frozen=True, kw_only=True)
class SegmentRules:
    """How scores become segments.

    Attributes:
        min_score: The smoothed score at which a segment is seen, above 0 up to 1. Lower finds more, and more
            that is wrong.
        merge_s: Segments of one label with a gap up to this become one; 0: only those that touch.
        smooth_s: How far to both sides scores are averaged, with weights that fall to 0 there; 0: not at all.
            Longer hides flicker, and activities that are shorter.
        labels: Look for these only; None: for all that the model knows.
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
            raise UsageError("labels must name at least one label, or be None for all")

    @property
    def leave_score(self) -> float:
        """A segment ends where the smoothed score falls below this."""
        return self.min_score * LEAVE_SHARE


DEFAULT_RULES = SegmentRules()


@dataclass(frozen=True)
class Segment:
    """One label over some time.

    Attributes:
        start_s, end_s: Where it lies, in seconds since the first picture, to the millisecond.
        label: What is seen.
        index: The model's number for it.
        mean_score, peak_score: Of the model's own scores, not the smoothed ones, 0 to 1, over its windows.
        peak_s: The middle of the window with the highest score: where to look first.
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

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)
