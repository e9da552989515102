"""The figures that measurements give."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Subject = Literal["twinpath", "before", "torch", "pytorchvideo", "machine"]
Stages = Mapping[str, float]  # seconds, by stage; "total" is all of it


@dataclass(frozen=True)
class Figure:
    """One quantity, measured several times.

    Attributes:
        group: Name of the group of measurements (`--only`).
        what: The network, command or file that was measured.
        subject: What was measured; "before" is an earlier checkout of Twinpath, "torch" its torch engine in
            float32.
        values: The value of every repetition, in `unit`.
        unit: "s", "bytes", "GFLOP/s", "GB/s" or "1".
        stages_s: Median of each stage in seconds, in order.
        facts: Further values for the report.
    """

    group: str
    what: str
    subject: Subject
    values: tuple[float, ...]
    unit: str = "s"
    stages_s: Stages = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def with_facts(self, **facts: Any) -> Figure:
        """A copy with further facts."""
        return replace(self, facts={**self.facts, **facts})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "group": self.group,
            "what": self.what,
            "subject": self.subject,
            "unit": self.unit,
            "median": _short(self.median),
            "min": _short(min(self.values)),
            "max": _short(max(self.values)),
            "values": [_short(value) for value in self.values],
            "stages_s": {stage: _short(value) for stage, value in self.stages_s.items()},
            "facts": dict(self.facts),
        }


def figure_of(group: str, what: str, subject: Subject, runs: Sequence[Stages], **facts: Any) -> Figure:
    """A figure from several runs, each with its "total" and perhaps its stages, in seconds."""
    stages = [stage for stage in runs[0] if stage != "total"]
    medians = {stage: statistics.median(run[stage] for run in runs) for stage in stages}
    return Figure(group, what, subject, tuple(run["total"] for run in runs), stages_s=medians, facts=facts)


def in_turn(
    calls: Mapping[Subject | str, Callable[[], Stages]], *, runs: int, warm_ups: int = 1
) -> dict[str, list[Stages]]:
    """Run several measurements in turn, so that a change of the machine's speed affects all of them."""
    found: dict[str, list[Stages]] = {name: [] for name in calls}
    for number in range(warm_ups + runs):
        for name, call in calls.items():
            result = call()
            if number >= warm_ups:
                found[name].append(result)
    return found


def find(figures: Sequence[Figure], group: str, what: str, subject: Subject) -> Figure | None:
    """A figure by its group, subject and what was measured; None: it was not measured."""
    found = (f for f in figures if (f.group, f.what, f.subject) == (group, what, subject))
    return next(found, None)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
