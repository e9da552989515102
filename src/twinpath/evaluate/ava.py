"""Evaluate a detection network on a split of AVA: the scores of every person at every annotated second.

run = score_split(engine, spec, people, sources, label_map, progress=print)
run.rows, run.failures
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.data.ava.clips import FAILURES, AvaClip, AvaSource, Lost
from twinpath.engine.base import Engine
from twinpath.errors import UsageError
from twinpath.formats.ava import BoxRows
from twinpath.formats.ava_label_map import LabelMap
from twinpath.formats.journal import ResultsJournal
from twinpath.models.input_spec import InputSpec
from twinpath.prefetch import BATCH_BYTES, PREFETCH_BYTES, Prefetcher, batches
from twinpath.recognize.inference import scores_of
from twinpath.results.provenance import FileFacts, Provenance

Boxes = NDArray[np.float64]
People = Mapping[str, Mapping[int, Boxes]]  # of each video, at each second in order: (N, 4) shares


@dataclass(frozen=True)
class Failure:
    """Seconds of a video that could not be scored, and why."""

    video: str
    seconds: tuple[int, ...]
    reason: str

    def __str__(self) -> str:
        count = f"{len(self.seconds)} seconds" if len(self.seconds) > 1 else f"second {self.seconds[0]}"
        return f"{self.video}: {count} left out: {self.reason}"


@dataclass(frozen=True, eq=False)
class AvaRun:
    """What a network found.

    Attributes:
        rows: One for each person and each evaluated action.
        keyframes: Seconds that were scored.
        people: Boxes that were scored.
        failures: What could not be scored. Its people count as not found.
    """

    rows: BoxRows
    keyframes: int
    people: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, eq=False)
class _Scored:
    """One second: people (N, 4), and (N, actions) scores."""

    second: int
    boxes_xyxy: Boxes
    scores: NDArray[np.float32]


def people_to_score(
    truth: BoxRows, predicted: BoxRows | None = None, *, excluded: Set[tuple[str, int]] = frozenset()
) -> People:
    """The boxes to score: the true ones, or those of a person detector in the videos of the ground truth.

    Args:
        truth: The ground truth of the split.
        predicted: Boxes of a person detector.
        excluded: (video, second) that do not count.
    """
    rows = truth if predicted is None else predicted
    annotated = set(truth.videos)
    kept = {
        video: {second: boxes for second, boxes in seconds.items() if (video, second) not in excluded}
        for video, seconds in rows.by_second().items()
        if video in annotated
    }
    return {video: seconds for video, seconds in kept.items() if seconds}


def score_split(
    engine: Engine,
    spec: InputSpec,
    people: People,
    sources: Mapping[str, AvaSource],
    label_map: LabelMap,
    *,
    progress: Callable[[int, int], None] | None = None,
    resume: str | os.PathLike[str] | None = None,
    provenance: Provenance | None = None,
) -> AvaRun:
    """Score the people of a split; clips are decoded ahead of the network, in a thread.

    Args:
        engine: Runs a detection network whose score i is of the action with id i + 1.
        spec: The clip that it takes.
        people: See `people_to_score`.
        sources: Videos or frames by name; one that is missing is a failure.
        label_map: Actions to keep.
        progress: Called with the number of seconds that are done, and of all.
        resume: A file with the scores of each video that is done, from which a later run resumes. The caller
            removes it.
        provenance: Of the run, by which its scores in `resume` are told from another run's.
    Raises:
        UsageError: The label map has actions that the network does not score; or `resume` has the scores of
            something else.
    """
    beyond = [i for i in label_map.ids if i > engine.num_classes]
    if beyond:
        raise UsageError(
            f"the network scores {engine.num_classes} actions and the label map has id {beyond[0]} "
            f"({label_map.names[beyond[0]]}); give the label map of its own data set"
        )
    counter = _Counter(sum(map(len, people.values())), progress)
    scored: dict[str, list[_Scored]] = {}
    failures: list[Failure] = []
    with ExitStack() as stack:
        journal = None
        if resume is not None:
            if provenance is None:
                raise ValueError("resume needs the provenance of the run")
            paths = [source.path for name, source in sources.items() if name in people]
            journal = stack.enter_context(ResultsJournal(resume, provenance, paths))
            scored = _kept(journal, people, sources)
        for video, seconds in people.items():
            if video in scored:
                counter.add(len(seconds))
                continue
            facts = _facts(sources.get(video), provenance)
            found, lost = _score_video(engine, spec, video, seconds, sources.get(video), label_map, counter)
            scored[video] = found
            failures += lost
            if journal is not None and not lost:
                journal.add(sources[video].path, _as_json(found), facts)
    done = [one for found in scored.values() for one in found]
    return AvaRun(
        _rows(scored, label_map), len(done), sum(len(one.boxes_xyxy) for one in done), tuple(failures)
    )


def _facts(source: AvaSource | None, run: Provenance | None) -> FileFacts | None:
    """Of a video before it is read."""
    return None if source is None or run is None else run.for_file(source.path).source


class _Counter:
    """Counts the seconds that are done."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self.done, self.total, self._progress = 0, total, progress

    def add(self, count: int = 1) -> None:
        self.done += count
        if self._progress is not None:
            self._progress(self.done, self.total)


def _score_video(
    engine: Engine,
    spec: InputSpec,
    video: str,
    seconds: Mapping[int, Boxes],
    source: AvaSource | None,
    label_map: LabelMap,
    counter: _Counter,
) -> tuple[list[_Scored], list[Failure]]:
    """The scores, and what could not be scored, by reason."""
    columns = np.asarray(label_map.ids) - 1
    scored: list[_Scored] = []
    lost: dict[str, list[int]] = {}
    with Prefetcher(
        _clips(source, list(seconds), spec), size_bytes=_size_bytes, most_bytes=PREFETCH_BYTES
    ) as clips:
        for batch in batches(clips, engine.batch_clips, size_bytes=_size_bytes, most_bytes=BATCH_BYTES):
            there = [clip for clip in batch if isinstance(clip, AvaClip)]
            boxes_px = [seconds[clip.second] * (clip.frames.shape[2:0:-1] * 2) for clip in there]
            for clip, scores in zip(
                there, scores_of(engine, [clip.frames for clip in there], boxes_px), strict=True
            ):
                scored.append(_Scored(clip.second, seconds[clip.second], scores[:, columns]))
            for missing in batch:
                if isinstance(missing, Lost):
                    lost.setdefault(missing.reason, []).append(missing.second)
            counter.add(len(batch))
            del batch, there  # or they would be held while the next ones are gathered
    return scored, [Failure(video, tuple(times), reason) for reason, times in lost.items()]


def _clips(source: AvaSource | None, seconds: list[int], spec: InputSpec) -> Iterator[AvaClip | Lost]:
    """A clip for each second, or why there is none."""
    left = list(seconds)
    reason = "there is no video or folder of frames of this name"
    if source is not None:
        try:
            for clip in source.clips(seconds, num_frames=spec.num_frames, sampling_rate=spec.sampling_rate):
                left.remove(clip.second)
                yield clip
        except FAILURES as error:
            reason = str(error)
    yield from (Lost(second, reason) for second in left)


def _size_bytes(clip: AvaClip | Lost) -> int:
    return clip.frames.nbytes if isinstance(clip, AvaClip) else 0


def _as_json(scored: list[_Scored]) -> dict[str, Any]:
    return {
        "seconds": [one.second for one in scored],
        "boxes": [one.boxes_xyxy.tolist() for one in scored],
        "scores": [one.scores.tolist() for one in scored],
    }


def _kept(
    journal: ResultsJournal, people: People, sources: Mapping[str, AvaSource]
) -> dict[str, list[_Scored]]:
    """The scores of an earlier run that hold for this one: of the same file and the same people."""
    lines = {str(path): line for path, line in journal.done.items()}
    kept: dict[str, list[_Scored]] = {}
    for name, wanted in people.items():
        line = lines.get(str(sources[name].path)) if name in sources else None
        if line is not None:
            columns = zip(line["seconds"], line["boxes"], line["scores"], strict=True)
            found = [_Scored(s, np.asarray(b), np.asarray(p, dtype=np.float32)) for s, b, p in columns]
            if [one.second for one in found] == list(wanted) and all(
                np.array_equal(one.boxes_xyxy, wanted[one.second]) for one in found
            ):
                kept[name] = found
    return kept


def _rows(scored: Mapping[str, list[_Scored]], label_map: LabelMap) -> BoxRows:
    """A row for each person and action."""
    ids = np.asarray(label_map.ids, dtype=np.int64)
    each = [(i, one) for i, found in enumerate(scored.values()) for one in found]
    people = np.asarray([len(one.boxes_xyxy) for _, one in each], dtype=np.int64)
    boxes = np.concatenate([np.zeros((0, 4)), *(one.boxes_xyxy for _, one in each)])
    scores = np.concatenate([np.zeros(0), *(one.scores.ravel() for _, one in each)])
    actions = len(ids)
    return BoxRows(
        tuple(scored),
        np.repeat(np.asarray([i for i, _ in each], dtype=np.int64), people * actions),
        np.repeat(np.asarray([one.second for _, one in each], dtype=np.int64), people * actions),
        np.repeat(boxes, actions, axis=0),
        np.tile(ids, len(boxes)),
        scores,
    )
