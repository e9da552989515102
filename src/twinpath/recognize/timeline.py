"""Tell when what happens in a video of any length.

windows = score_windows(Classifier("slowfast_r50_8x8"), "match.mp4", every_s=1.0)
timeline = timeline_of(windows, SegmentRules(min_score=0.4))
for segment in timeline.segments:
    segment.start_s, segment.end_s, segment.label, segment.mean_score
"""

from __future__ import annotations

import difflib
import math
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from numpy.typing import NDArray

from twinpath import __version__
from twinpath.errors import InputError, UsageError
from twinpath.recognize.classify import SYNTHETIC_WARNING
from twinpath.recognize.keeper import Keeper
from twinpath.recognize.results import Prediction
from twinpath.recognize.segments import DEFAULT_RULES, Segment, SegmentRules, find_segments
from twinpath.recognize.views import clip_at
from twinpath.recognize.window_scores import Origin, WindowScores, file_facts
from twinpath.video.ahead import AHEAD_BYTES, Ahead, batches
from twinpath.video.clips import Clip, ClipStream
from twinpath.video.sampling import clip_span_s
from twinpath.video.source import Limits

if TYPE_CHECKING:
    from twinpath.recognize.classify import Classifier

MIN_EVERY_S = 0.01  # finer than any video's frames
THEN = ", then "
LIMITS = Limits(max_frames=4_000_000)  # 37 hours at 30 fps; their times alone take 250 MB while planning


def score_windows(
    classifier: Classifier,
    video: str | os.PathLike[str],
    *,
    every_s: float = 1.0,
    weights_sha256: str | None = None,
    before: WindowScores | None = None,
    keep: Callable[[WindowScores], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WindowScores:
    """Score windows of the model's clip length all over a video, in memory for a few of them.

    Each frame is decoded once. Decoding runs ahead in a thread, so that the model need not wait for it.

    Args:
        classifier: What to score with; one crop of each window.
        video: A path.
        every_s: From the start of a window to that of the next, in seconds.
        weights_sha256: Of the weight file, where it is not the record's; kept with the scores.
        before: The first windows, scored earlier; decoding begins behind them.
        keep: Given what is there every `keeper.KEEP_EVERY_S` seconds, and when the work is cut off by an
            error or a signal, provided that a window is done.
        progress: Told how many windows are done, of how many.
    Raises:
        InputError: The file cannot be used; says why.
        UsageError: `every_s` makes no sense, or `before` is of another video, model or `every_s`.
        LimitExceeded: The file would cost too much.
    """
    check_every(every_s)
    spec = classifier.spec
    span_s = clip_span_s(spec.num_frames, spec.sampling_rate)
    start_s = float(before.starts_s[-1]) + every_s / 2 if before else 0.0
    path = Path(video)
    with ClipStream(
        path, partial(clip_at, spec), span_s=span_s, every_s=every_s, start_s=start_s, limits=LIMITS
    ) as stream:
        origin = Origin(*file_facts(path), stream.end_s, classifier.model, weights_sha256, every_s)
        engine = classifier.engine(1)
        gathered = _Gathered(os.fspath(video), origin, classifier, engine.describe(), span_s, stream, before)
        if progress is not None:
            progress(gathered.done, gathered.expected)
        keep_all = None if keep is None else lambda: keep(gathered.so_far(complete=False))
        kept = Keeper(keep_all, lambda: gathered.done)
        with Ahead(stream, size_bytes=lambda clip: clip.frames.nbytes, most_bytes=AHEAD_BYTES) as ahead:
            try:
                for batch in batches(ahead, engine.batch_clips):
                    gathered.add(batch, engine([clip.frames for clip in batch]))
                    if progress is not None:
                        progress(gathered.done, gathered.expected)
                    kept.now_and_then()
            except BaseException:  # before the thread is waited for: a second Ctrl-C would cut that short
                kept.now()
                raise
        return gathered.so_far(complete=True)


def check_every(every_s: float, *, what: str = "a window") -> None:
    """Raises: UsageError: no distance for windows, or whatever else, to lie apart."""
    if not MIN_EVERY_S <= every_s < math.inf:
        raise UsageError(f"{what} every {every_s:g} s makes no sense; give at least {MIN_EVERY_S} s")


class _Gathered:
    """The scores of a video as they come."""

    def __init__(
        self,
        video: str,
        origin: Origin,
        classifier: Classifier,
        engine: str,
        span_s: float,
        stream: ClipStream,
        before: WindowScores | None,
    ) -> None:
        if before is not None:
            before.origin.check(origin, video=Path(video))
        self._video, self._origin, self._span_s, self._stream = video, origin, span_s, stream
        self._labels, self._dataset = classifier.labels, classifier.dataset
        self._engines = dict.fromkeys([*before.engine.split(THEN), engine] if before else [engine])
        self._notes = _notes_before(before)
        self._starts_s: list[float] = before.starts_s.tolist() if before else []
        self._ends_s: list[float] = before.ends_s.tolist() if before else []
        self._scores: list[NDArray[np.float16]] = [before.scores] if before else []
        self.expected = len(self._starts_s) + len(stream)

    @property
    def done(self) -> int:
        return len(self._starts_s)

    def add(self, clips: list[Clip], scores: NDArray[np.float32]) -> None:
        """Raises: InputError: the model gave no numbers."""
        if not np.isfinite(scores).all():
            raise InputError(f"{self._origin.model} gave scores that are not numbers; are its weights sound?")
        self._scores.append(scores.astype(np.float16))
        self._starts_s += [clip.start_s for clip in clips]
        self._ends_s += [clip.end_s for clip in clips]

    def so_far(self, *, complete: bool) -> WindowScores:
        self._scores = [np.concatenate(self._scores)] if self._scores else []
        empty = np.zeros((0, len(self._labels)), dtype=np.float16)
        of_file = self._stream.warnings if complete else self._stream.warnings_until(self._ends_s[-1])
        return WindowScores(
            video=self._video,
            origin=self._origin,
            dataset=self._dataset,
            engine=THEN.join(self._engines),
            span_s=self._span_s,
            labels=self._labels,
            starts_s=np.asarray(self._starts_s, dtype=np.float64),
            ends_s=np.asarray(self._ends_s, dtype=np.float64),
            scores=self._scores[0] if self._scores else empty,
            windows_expected=self.done if complete else self.expected,
            complete=complete,
            warnings=tuple(self._notes | dict.fromkeys(of_file)),
            settings={},
        )


def _notes_before(before: WindowScores | None) -> dict[str, None]:
    """What was said of the part before, with the place that it was said of."""
    notes: dict[str, None] = {}
    if before is not None:
        for warning in before.warnings:
            is_placed = warning.startswith("in the first ")
            notes[warning if is_placed else f"in the first {before.done_s:.1f} s: {warning}"] = None
    return notes


@dataclass(frozen=True, eq=False)
class Timeline:
    """When what happens in a video.

    Attributes:
        windows: What the model said of each window.
        segments: In order of their starts.
        rules: How these were made of those.
        top_k: How many labels of a window are told.
    """

    windows: WindowScores
    segments: tuple[Segment, ...]
    rules: SegmentRules
    top_k: int

    @property
    def shown(self) -> tuple[int, ...]:
        """The numbers of the labels that were looked for."""
        labels = self.windows.labels
        if self.rules.labels is None:
            return tuple(range(len(labels)))
        return tuple(labels.index(label) for label in self.rules.labels)

    def top_of(self, window: int) -> tuple[Prediction, ...]:
        """The likeliest of the labels that were looked for, best first."""
        shown = np.asarray(self.shown)
        scores = self.windows.scores[window, shown]
        return tuple(
            Prediction(self.windows.labels[shown[i]], int(shown[i]), round(float(scores[i]), 4))
            for i in np.argsort(-scores, kind="stable")[: self.top_k]
        )

    def best(self) -> tuple[float, Prediction] | None:
        """The middle of the window with the highest score of all, and that score; None without a window."""
        if not len(self.windows):
            return None
        highest = self.windows.scores[:, self.shown].max(axis=1)
        window = int(highest.argmax())
        middle_s = (self.windows.starts_s[window] + self.windows.ends_s[window]) / 2
        return round(float(middle_s), 3), self.top_of(window)[0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about this answer."""
        of_model = (SYNTHETIC_WARNING,) if self.windows.dataset == "synthetic" else ()
        return self.windows.warnings + of_model

    def settings(self) -> dict[str, Any]:
        """Everything that decides what comes out, beside the video and the model."""
        return {
            "every_s": self.windows.origin.every_s,
            "min_score": self.rules.min_score,
            "leave_score": self.rules.leave_score,
            "merge_s": self.rules.merge_s,
            "smooth_s": self.rules.smooth_s,
            "labels": list(self.rules.labels) if self.rules.labels is not None else None,
            "top_k": self.top_k,
        }

    def window_dicts(self) -> Iterator[dict[str, Any]]:
        """Each window with its likeliest labels, as plain values."""
        for i, (start_s, end_s) in enumerate(zip(self.windows.starts_s, self.windows.ends_s, strict=True)):
            yield {
                "start_s": round(float(start_s), 3),
                "end_s": round(float(end_s), 3),
                "top": [{"label": p.label, "score": p.score} for p in self.top_of(i)],
            }

    def to_dict(self, *, with_windows: bool = True) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        windows = self.windows
        values: dict[str, Any] = {
            "video": windows.video,
            "duration_s": round(windows.origin.duration_s, 3),
            "complete": windows.complete,
            "done_s": round(windows.done_s, 3),
            "model": windows.origin.model,
            "weights_sha256": windows.origin.weights_sha256,
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


def timeline_of(windows: WindowScores, rules: SegmentRules = DEFAULT_RULES, *, top_k: int = 5) -> Timeline:
    """Find the segments in the scores of a video's windows.

    Raises:
        UsageError: The model knows no such label, or `top_k` is below 1.
    """
    if top_k < 1:
        raise UsageError(f"the top {top_k} makes no sense; give a number from 1")
    if rules.labels is not None:
        for label in rules.labels:
            if label not in windows.labels:
                raise UsageError(f"{windows.origin.model} knows no label {label!r}")
    segments = find_segments(
        windows.scores,
        windows.starts_s,
        windows.ends_s,
        labels=windows.labels,
        rules=rules,
        every_s=windows.origin.every_s,
        until_s=windows.done_s,
    )
    return Timeline(windows, segments, rules, top_k)


def read_labels(text: str, known: tuple[str, ...], *, model: str) -> tuple[str, ...]:
    """Labels that a user wrote with commas between them; a label may have commas of its own.

    Args:
        text: For example "archery, driving car".
        known: All labels of the model.
        model: For the message.
    Raises:
        UsageError: The model does not know one of them; says the nearest it knows.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    found: dict[str, None] = {}
    while parts:
        lengths = (n for n in range(len(parts), 0, -1) if ", ".join(parts[:n]) in known)
        length = next(lengths, 0)
        if not length:
            nearest = difflib.get_close_matches(parts[0], known, n=3, cutoff=0.4)
            hint = f"did you mean {', '.join(nearest)}?" if nearest else "`twinpath labels` lists them"
            raise UsageError(f"{model} knows no label {parts[0]!r}; {hint}")
        found[", ".join(parts[:length])] = None
        del parts[:length]
    return tuple(found)


def versions() -> dict[str, str]:
    """Of the programs that decide what comes out, beside the engine's own."""
    return {
        "twinpath": __version__,
        "python": platform.python_version(),
        "av": av.__version__,
        "numpy": np.__version__,
    }
