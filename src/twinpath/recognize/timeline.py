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
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import InputError, UsageError
from twinpath.paths import display_path
from twinpath.prefetch import PREFETCH_BYTES, Prefetcher, batches
from twinpath.recognize.checkpoint import PeriodicCheckpoint
from twinpath.recognize.segments import find_segments
from twinpath.results.provenance import Provenance
from twinpath.results.segments import DEFAULT_RULES, SegmentRules
from twinpath.results.timeline import Timeline
from twinpath.results.window_scores import WindowScores
from twinpath.video.clip_plan import Windows
from twinpath.video.clips import Clip, ClipSource, open_clips
from twinpath.video.sampling import clip_span_s
from twinpath.video.source import Limits

if TYPE_CHECKING:
    from twinpath.recognize.classifier import Classifier

MIN_EVERY_S = 0.01  # finer than any video's frames
THEN = ", then "
LIMITS = Limits(max_frames=4_000_000)  # 37 hours at 30 fps; their times alone take 250 MB while planning


def score_windows(
    classifier: Classifier,
    video: str | os.PathLike[str],
    *,
    every_s: float = 1.0,
    weights_sha256: str | None = None,
    resume_from: WindowScores | None = None,
    on_checkpoint: Callable[[WindowScores], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WindowScores:
    """Score windows of the model's clip length all over a video, in memory for a few of them.

    Each frame is decoded once. Decoding runs ahead in a thread, so that the model need not wait for it.

    Args:
        classifier: What to score with; one crop of each window.
        video: A path.
        every_s: From the start of a window to that of the next, in seconds.
        weights_sha256: Of the weight file, where it is not the record's; kept with the scores.
        resume_from: The first windows, scored earlier; decoding begins behind them.
        on_checkpoint: Called with the scores so far every `CHECKPOINT_EVERY_S` seconds, and when an error or
            a signal ends the work, if there is a new window.
        progress: Told how many windows are done, of how many.
    Raises:
        InputError: The file cannot be used; says why.
        UsageError: `every_s` makes no sense, or `resume_from` is of another video, model or `every_s`.
        LimitExceeded: The file would cost too much.
    """
    check_every(every_s)
    spec = classifier.spec
    span_s = clip_span_s(spec.num_frames, spec.sampling_rate)
    start_s = float(resume_from.starts_s[-1]) + every_s / 2 if resume_from else 0.0
    path = Path(video)
    with open_clips(path, Windows(spec.clip_sampling, every_s, start_s), limits=LIMITS) as stream:
        provenance = Provenance.of(
            path, model=classifier.model, weights_sha256=weights_sha256, settings={"every_s": every_s}
        )
        engine = classifier.engine(1)
        gathered = _Gathered(
            os.fspath(video), provenance, every_s, classifier, engine.describe(), span_s, stream, resume_from
        )
        if progress is not None:
            progress(gathered.done, gathered.expected)
        keep_all = None if on_checkpoint is None else lambda: on_checkpoint(gathered.so_far(complete=False))
        kept = PeriodicCheckpoint(keep_all, lambda: gathered.done)
        with Prefetcher(
            stream, size_bytes=lambda clip: clip.frames.nbytes, most_bytes=PREFETCH_BYTES
        ) as ahead:
            try:
                for batch in batches(ahead, engine.batch_clips):
                    gathered.add(batch, np.concatenate(engine([clip.frames for clip in batch])))
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
        provenance: Provenance,
        every_s: float,
        classifier: Classifier,
        engine: str,
        span_s: float,
        stream: ClipSource,
        resume_from: WindowScores | None,
    ) -> None:
        if resume_from is not None:
            _check_same(resume_from, provenance, stream.end_s, Path(video))
        self._video, self._provenance, self._every_s = video, provenance, every_s
        self._span_s, self._stream = span_s, stream
        self._labels, self._dataset = classifier.labels, classifier.dataset
        self._engines = dict.fromkeys([*resume_from.engine.split(THEN), engine] if resume_from else [engine])
        self._notes = _notes_before(resume_from)
        self._starts_s: list[float] = resume_from.starts_s.tolist() if resume_from else []
        self._ends_s: list[float] = resume_from.ends_s.tolist() if resume_from else []
        self._scores: list[NDArray[np.float16]] = [resume_from.scores] if resume_from else []
        self.expected = len(self._starts_s) + len(stream)

    @property
    def done(self) -> int:
        return len(self._starts_s)

    def add(self, clips: list[Clip], scores: NDArray[np.float32]) -> None:
        """Raises: InputError: the model gave no numbers."""
        if not np.isfinite(scores).all():
            raise InputError(
                f"{self._provenance.model} gave scores that are not numbers; are its weights sound?"
            )
        self._scores.append(scores.astype(np.float16))
        self._starts_s += [clip.start_s for clip in clips]
        self._ends_s += [clip.end_s for clip in clips]

    def so_far(self, *, complete: bool) -> WindowScores:
        self._scores = [np.concatenate(self._scores)] if self._scores else []
        empty = np.zeros((0, len(self._labels)), dtype=np.float16)
        of_file = self._stream.warnings if complete else self._stream.warnings_until(self._ends_s[-1])
        return WindowScores(
            video=self._video,
            provenance=self._provenance,
            dataset=self._dataset,
            engine=THEN.join(self._engines),
            duration_s=self._stream.end_s,
            every_s=self._every_s,
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


def _check_same(earlier: WindowScores, provenance: Provenance, duration_s: float, video: Path) -> None:
    """Raises: UsageError: the earlier scores are of another video, model or setting; says which."""
    differences = earlier.differences(provenance, duration_s)
    if differences:
        raise UsageError(
            f"{display_path(video)} cannot resume from its earlier scores: {'; '.join(differences)}; "
            "run as before, or start over"
        )


def _notes_before(resume_from: WindowScores | None) -> dict[str, None]:
    """What was said of the part before, with the place that it was said of."""
    notes: dict[str, None] = {}
    if resume_from is not None:
        for warning in resume_from.warnings:
            is_placed = warning.startswith("in the first ")
            notes[warning if is_placed else f"in the first {resume_from.done_s:.1f} s: {warning}"] = None
    return notes


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
                raise UsageError(f"{windows.provenance.model} knows no label {label!r}")
    segments = find_segments(
        windows.scores,
        windows.starts_s,
        windows.ends_s,
        labels=windows.labels,
        rules=rules,
        every_s=windows.every_s,
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
