"""Segments and window scores of a video, as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twinpath.results.classification import SYNTHETIC_WARNING, Prediction
from twinpath.results.provenance import versions
from twinpath.results.segments import Segment, SegmentRules
from twinpath.results.window_scores import WindowScores


@dataclass(frozen=True, eq=False)
class Timeline:
    """The activities in a video over time.

    Attributes:
        windows: The model's scores of each window.
        segments: In order of their starts.
        rules: How the segments were found in the scores.
        top_k: Number of labels per window in the output.
    """

    windows: WindowScores
    segments: tuple[Segment, ...]
    rules: SegmentRules
    top_k: int

    @property
    def shown(self) -> tuple[int, ...]:
        """Indices of the labels that the rules search for."""
        labels = self.windows.labels
        if self.rules.labels is None:
            return tuple(range(len(labels)))
        return tuple(labels.index(label) for label in self.rules.labels)

    def top_of(self, window: int) -> tuple[Prediction, ...]:
        """The best labels of a window, among those that the rules search for."""
        shown = np.asarray(self.shown)
        scores = self.windows.scores[window, shown]
        return tuple(
            Prediction(self.windows.labels[shown[i]], int(shown[i]), round(float(scores[i]), 4))
            for i in np.argsort(-scores, kind="stable")[: self.top_k]
        )

    def best(self) -> tuple[float, Prediction] | None:
        """The middle of the window with the highest score, and its best label; None if there is no window."""
        if not len(self.windows):
            return None
        highest = self.windows.scores[:, self.shown].max(axis=1)
        window = int(highest.argmax())
        middle_s = (self.windows.starts_s[window] + self.windows.ends_s[window]) / 2
        return round(float(middle_s), 3), self.top_of(window)[0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the user about this result."""
        model_warnings = (SYNTHETIC_WARNING,) if self.windows.dataset == "synthetic" else ()
        return self.windows.warnings + model_warnings

    def on_players_clock(self) -> Timeline:
        """The same timeline with the times that a player shows, for files that a player or an editor opens.

        In this timeline, 0 is the first frame; in a file whose sound begins before it, a player is ahead.
        """
        windows, later_s = self.windows, self.windows.first_frame_s
        if not later_s:
            return self
        moved = replace(
            windows,
            starts_s=windows.starts_s + later_s,
            ends_s=windows.ends_s + later_s,
            duration_s=windows.duration_s + later_s,
            first_frame_s=0.0,
        )
        return replace(self, windows=moved, segments=tuple(s.later(later_s) for s in self.segments))

    def settings(self) -> dict[str, Any]:
        """All settings that determine the result, without the video and the model."""
        return {
            "every_s": self.windows.every_s,
            "min_score": self.rules.min_score,
            "leave_score": self.rules.leave_score,
            "merge_s": self.rules.merge_s,
            "smooth_s": self.rules.smooth_s,
            "labels": list(self.rules.labels) if self.rules.labels is not None else None,
            "top_k": self.top_k,
        }

    def window_dicts(self) -> Iterator[dict[str, Any]]:
        """Each window with its best labels, as JSON values."""
        for i, (start_s, end_s) in enumerate(zip(self.windows.starts_s, self.windows.ends_s, strict=True)):
            yield {
                "start_s": round(float(start_s), 3),
                "end_s": round(float(end_s), 3),
                "top": [{"label": p.label, "score": p.score} for p in self.top_of(i)],
            }

    def to_dict(self, *, with_windows: bool = True) -> dict[str, Any]:
        """The timeline as JSON values."""
        windows = self.windows
        values: dict[str, Any] = {
            "video": windows.video,
            "duration_s": round(windows.duration_s, 3),
            "first_frame_s": round(windows.first_frame_s, 3),
            "complete": windows.complete,
            "done_s": round(windows.done_s, 3),
            "model": windows.provenance.model,
            "weights_sha256": windows.provenance.weights_sha256,
            "engine": windows.engine,
            "settings": self.settings(),
            "window_s": round(windows.span_s, 3),
            "warnings": list(self.warnings),
            "versions": versions(),
            "segments": [segment.to_dict() for segment in self.segments],
        }
        if with_windows:
            values["windows"] = list(self.window_dicts())
        return values
