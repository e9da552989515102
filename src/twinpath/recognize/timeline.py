"""Timelines: the activities in a video of any length, with their start and end.

windows = score_windows(Classifier("slowfast_r50_8x8"), "match.mp4", every_s=1.0)
timeline = timeline_of(windows, SegmentRules(min_score=0.4))
for segment in timeline.segments:
    segment.start_s, segment.end_s, segment.label, segment.mean_score
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import UsageError
from twinpath.paths import display_path
from twinpath.recognize.checkpoint import PeriodicCheckpoint
from twinpath.recognize.inference import infer_batches
from twinpath.recognize.plan import check_every_s, plan_windows
from twinpath.recognize.read import fps_settings, source_provenance
from twinpath.recognize.segments import find_segments
from twinpath.results.provenance import Provenance
from twinpath.results.segments import DEFAULT_RULES, SegmentRules
from twinpath.results.timeline import Timeline
from twinpath.results.window_scores import WindowScores
from twinpath.suggest import did_you_mean

if TYPE_CHECKING:
    from twinpath.recognize.classifier import Classifier
    from twinpath.video.clips import Clip, ClipSource

_THEN = ", then "  # between the engines of a run that was resumed elsewhere


def window_settings(*, every_s: float) -> dict[str, Any]:
    """The settings that determine the scores of windows, for their `Provenance`."""
    return {"every_s": every_s}


def score_windows(
    classifier: Classifier,
    video: str | os.PathLike[str],
    *,
    every_s: float = 1.0,
    resume_from: WindowScores | None = None,
    on_checkpoint: Callable[[WindowScores], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WindowScores:
    """Score sliding windows of the model's clip length, with a few windows in memory at a time.

    Each frame is decoded once. Another thread decodes during inference.

    Args:
        classifier: Scores one crop of each window.
        video: A path.
        every_s: Stride of the windows in seconds.
        resume_from: The first windows, scored earlier; decoding resumes behind them.
        on_checkpoint: Called with the scores so far every `CHECKPOINT_EVERY_S` seconds, and on an error or a
            signal, if there is a new window.
        progress: Called with the number of windows done and the total.
    Raises:
        InputError: The file cannot be used; the message has the reason.
        UsageError: `every_s` is out of range, or `resume_from` is of another video, model or `every_s`.
        LimitExceeded: A limit is exceeded.
        WorkerDied: With `isolate`: the process that read the file ended twice.
    """
    path = Path(video)
    provenance = source_provenance(
        path,
        model=classifier.model,
        weights_sha256=classifier.weights_sha256,
        settings=window_settings(every_s=check_every_s(every_s)) | fps_settings(classifier.reader.fps),
    )
    check_resumable(resume_from.provenance.differences(provenance) if resume_from else [], path)
    start_s = float(resume_from.starts_s[-1]) + every_s / 2 if resume_from and len(resume_from) else 0.0
    plan = plan_windows(classifier.spec, every_s=every_s, start_s=start_s)
    with classifier.reader.open(path, plan, classifier.engine(1).resize) as clips:
        check_resumable(resume_from.differences(provenance, clips.end_s) if resume_from else [], path)
        scores = _Accumulator(os.fspath(video), provenance, classifier, clips, resume_from)
        if progress is not None:
            progress(scores.done, scores.expected)
        save = None if on_checkpoint is None else lambda: on_checkpoint(scores.result(complete=False))
        checkpoint = PeriodicCheckpoint(save, lambda: scores.done)
        try:
            for batch in infer_batches(
                classifier.engine(1), clips, max_bytes=classifier.reader.limits.max_bytes
            ):
                for clip, rows in batch:
                    scores.add(clip, rows)
                del batch, clip  # free the frames before the next ones are read
                if progress is not None:
                    progress(scores.done, scores.expected)
                checkpoint.save_if_due()
        except BaseException:  # KeyboardInterrupt and SystemExit, too
            checkpoint.save()
            raise
        return scores.result(complete=True)


def check_resumable(differences: list[str], path: Path) -> None:
    """Check that scoring can resume from earlier scores.

    Args:
        differences: See `Provenance.differences`.
        path: The video, for the message.
    Raises:
        UsageError: `differences` is not empty.
    """
    if differences:
        raise UsageError(
            f"{display_path(path)} cannot resume from its earlier scores: {'; '.join(differences)}; "
            "use the earlier settings, or start over"
        )


class _Accumulator:
    """Collects the window scores of a video."""

    def __init__(
        self,
        video: str,
        provenance: Provenance,
        classifier: Classifier,
        clips: ClipSource,
        earlier: WindowScores | None,
    ) -> None:
        self._video, self._provenance, self._clips = video, provenance, clips
        self._classifier = classifier
        engine = classifier.engine(1).describe()
        self._engines = dict.fromkeys([*earlier.engine.split(_THEN), engine] if earlier else [engine])
        self._warnings = prefixed_warnings(earlier)
        self._starts_s: list[float] = earlier.starts_s.tolist() if earlier else []
        self._ends_s: list[float] = earlier.ends_s.tolist() if earlier else []
        self._scores: list[NDArray[np.float16]] = [earlier.scores] if earlier else []
        self.expected = len(self._starts_s) + len(clips)

    @property
    def done(self) -> int:
        return len(self._starts_s)

    def add(self, clip: Clip, rows: NDArray[np.float32]) -> None:
        self._scores.append(rows.astype(np.float16))
        self._starts_s.append(clip.start_s)
        self._ends_s.append(clip.end_s)

    def result(self, *, complete: bool) -> WindowScores:
        classifier, clips = self._classifier, self._clips
        self._scores = [np.concatenate(self._scores)] if self._scores else []
        empty = np.zeros((0, len(classifier.labels)), dtype=np.float16)
        file_warnings = clips.warnings if complete else clips.warnings_until(self._ends_s[-1])
        return WindowScores(
            video=self._video,
            provenance=self._provenance,
            duration_s=clips.end_s,
            first_frame_s=clips.first_frame_s,
            every_s=float(self._provenance.settings["every_s"]),
            dataset=classifier.dataset,
            engine=_THEN.join(self._engines),
            span_s=classifier.spec.clip_sampling.span_s,
            labels=classifier.labels,
            starts_s=np.asarray(self._starts_s, dtype=np.float64),
            ends_s=np.asarray(self._ends_s, dtype=np.float64),
            scores=self._scores[0] if self._scores else empty,
            windows_expected=self.done if complete else self.expected,
            complete=complete,
            warnings=tuple(self._warnings | dict.fromkeys(file_warnings)),
            settings={},
        )


def prefixed_warnings(earlier: WindowScores | None) -> dict[str, None]:
    """The warnings about the part that was scored earlier, prefixed with its end."""
    prefixed: dict[str, None] = {}
    if earlier is not None:
        for warning in earlier.warnings:
            is_prefixed = warning.startswith("in the first ")
            prefixed[warning if is_prefixed else f"in the first {earlier.done_s:.1f} s: {warning}"] = None
    return prefixed


def timeline_of(windows: WindowScores, rules: SegmentRules = DEFAULT_RULES, *, top_k: int = 5) -> Timeline:
    """Find the segments in the scores of a video's windows.

    Raises:
        UsageError: The model has no label of that name, or `top_k` is below 1.
    """
    if top_k < 1:
        raise UsageError(f"top_k must be at least 1, not {top_k}")
    for label in rules.labels or ():
        if label not in windows.labels:
            raise UsageError(f"{windows.provenance.model} has no label {label!r}")
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
    """Parse labels separated by commas; a label may contain commas.

    Args:
        text: For example "archery, driving car".
        known: All labels of the model.
        model: The name of the model, for the message.
    Raises:
        UsageError: The model has no such label; the message has the nearest ones.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    labels: dict[str, None] = {}
    while parts:
        lengths = (n for n in range(len(parts), 0, -1) if ", ".join(parts[:n]) in known)
        length = next(lengths, 0)
        if not length:
            raise UsageError(f"{model} has no label {parts[0]!r}{did_you_mean(parts[0], known, count=3)}")
        labels[", ".join(parts[:length])] = None
        del parts[:length]
    return tuple(labels)
