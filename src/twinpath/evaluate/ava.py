"""Score a split of AVA with a detection network: every person at every annotated second.

run = score_split(engine, spec, people, sources, label_map, progress=print)
run.rows, run.failures

Several processes share the videos: each has a `Share`, scores its own, and the first one has all scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.data.ava.clips import FAILURES, AvaClip, AvaSource, MissingClip
from twinpath.engine.base import Engine
from twinpath.errors import InputError, UsageError
from twinpath.escapes import shown
from twinpath.formats.ava import BoxRows
from twinpath.formats.ava_label_map import LabelMap
from twinpath.formats.journal_parts import JournalPart, Share, gathered
from twinpath.models.input_spec import InputSpec
from twinpath.paths import display_path
from twinpath.prefetch import BATCH_BYTES, PREFETCH_BYTES, Prefetcher, batches
from twinpath.recognize.inference import scores_of

Boxes = NDArray[np.float64]
People = Mapping[str, Mapping[int, Boxes]]  # by video and second, in order: (N, 4) relative coordinates
Sources = Mapping[str, AvaSource]


@dataclass(frozen=True)
class Failure:
    """Seconds of a video that could not be scored, and the reason."""

    video: str
    seconds: tuple[int, ...]
    reason: str

    def __str__(self) -> str:
        count = f"{len(self.seconds)} seconds" if len(self.seconds) > 1 else f"second {self.seconds[0]}"
        return f"{self.video}: {count} left out: {self.reason}"


@dataclass(frozen=True, eq=False)
class AvaRun:
    """The scores of a split.

    Attributes:
        rows: One row for each person and evaluated action.
        keyframes: Number of scored seconds.
        people: Number of scored boxes.
        failures: Seconds that could not be scored; their people count as missed.
    """

    rows: BoxRows
    keyframes: int
    people: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, eq=False)
class ScoredSecond:
    """The people of one second.

    Attributes:
        second: The second.
        boxes_xyxy: (N, 4) relative.
        scores: (N, actions), in the order of the label map's ids.
    """

    second: int
    boxes_xyxy: Boxes
    scores: NDArray[np.float32]


def people_to_score(
    truth: BoxRows, predicted: BoxRows | None = None, *, excluded: Set[tuple[str, int]] = frozenset()
) -> People:
    """The boxes to score: those of the ground truth, or of a person detector in the same videos.

    Args:
        truth: The ground truth of the split.
        predicted: The boxes of a person detector; None: those of the ground truth.
        excluded: (video, second) pairs that are not evaluated.
    """
    rows = truth if predicted is None else predicted
    annotated = set(truth.videos)
    included = {
        video: {second: boxes for second, boxes in seconds.items() if (video, second) not in excluded}
        for video, seconds in rows.by_second().items()
        if video in annotated
    }
    return {video: seconds for video, seconds in included.items() if seconds}


def score_split(
    engine: Engine,
    spec: InputSpec,
    people: People,
    sources: Sources,
    label_map: LabelMap,
    *,
    progress: Callable[[int, int], None] | None = None,
    journal: JournalPart | None = None,
    share: Share = Share(),
) -> AvaRun:
    """Score the people of a split. Another thread decodes clips during inference.

    Args:
        engine: Runs a detection network; its class i is the action with id i + 1.
        spec: The input clip.
        people: See `people_to_score`.
        sources: Videos or folders of frames by name; a missing one is a failure.
        label_map: The actions to evaluate.
        progress: Called with the number of seconds done and the total, of this process.
        journal: Gets the scores of each finished video, and has those of earlier runs; None: none are kept.
        share: Of this process; all have the same split.
    Returns:
        The scores of the split; in processes but the first, of their own videos.
    Raises:
        UsageError: The label map has actions that the network does not score.
        InputError: Scores in the journal are damaged.
    """
    beyond = [i for i in label_map.ids if i > engine.num_classes]
    if beyond:
        raise UsageError(
            f"the network scores {engine.num_classes} actions and the label map has id {beyond[0]} "
            f"({label_map.names[beyond[0]]}); give the label map of its data set"
        )
    own = {video: people[video] for video in share.part(people)}
    counter = _Counter(sum(map(len, own.values())), progress)
    found = _ScoredShare({}, {})
    if journal is not None:
        found.scored.update(_valid_scores(journal, own, sources, len(label_map.ids)))
        journal.keep({sources[video].path for video in found.scored})
    for video, seconds in own.items():
        if video in found.scored:
            counter.add(len(seconds))
            continue
        source = sources.get(video)
        facts = None if source is None or journal is None else journal.facts_of(source.path)
        found.scored[video], failed = _score_video(engine, spec, video, seconds, source, label_map, counter)
        if failed:
            found.failures[video] = failed
        elif journal is not None and source is not None:
            journal.add(source.path, _as_json(found.scored[video]), facts)
    whole = [sources[video].path for video in found.scored if video not in found.failures]
    return _run_of(gathered(share, found, journal, whole) or [found], people, label_map)


@dataclass(frozen=True, eq=False)
class _ScoredShare:
    """What a process scored of its videos, and what could not be."""

    scored: dict[str, list[ScoredSecond]]
    failures: dict[str, list[Failure]]


def _run_of(parts: Sequence[_ScoredShare], people: People, label_map: LabelMap) -> AvaRun:
    """The scores of some processes, in the order of the split."""
    scored = {video: part.scored[video] for video in people for part in parts if video in part.scored}
    failures = [one for video in scored for part in parts for one in part.failures.get(video, ())]
    keyframes = [keyframe for of_video in scored.values() for keyframe in of_video]
    num_people = sum(len(keyframe.boxes_xyxy) for keyframe in keyframes)
    return AvaRun(score_rows(scored, label_map), len(keyframes), num_people, tuple(failures))


class _Counter:
    """Counts finished seconds and reports progress."""

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
) -> tuple[list[ScoredSecond], list[Failure]]:
    """The scores of a video, and its failures by reason."""
    columns = np.asarray(label_map.ids) - 1
    scored: list[ScoredSecond] = []
    lost: dict[str, list[int]] = {}
    with Prefetcher(
        _clips(source, list(seconds), spec), size_bytes=_size_bytes, max_bytes=PREFETCH_BYTES
    ) as prefetched:
        for batch in batches(prefetched, engine.batch_clips, size_bytes=_size_bytes, max_bytes=BATCH_BYTES):
            clips = [clip for clip in batch if isinstance(clip, AvaClip)]
            boxes_px = [seconds[clip.second] * (clip.frames.shape[2:0:-1] * 2) for clip in clips]
            for clip, scores in zip(
                clips, scores_of(engine, [clip.frames for clip in clips], boxes_px), strict=True
            ):
                scored.append(ScoredSecond(clip.second, seconds[clip.second], scores[:, columns]))
            for item in batch:
                if isinstance(item, MissingClip):
                    lost.setdefault(item.reason, []).append(item.second)
            counter.add(len(batch))
            del batch, clips  # free the frames before the next batch is gathered
    return scored, [Failure(video, tuple(times), reason) for reason, times in lost.items()]


def _clips(source: AvaSource | None, seconds: list[int], spec: InputSpec) -> Iterator[AvaClip | MissingClip]:
    """The clip of each second, or why it is missing."""
    remaining = list(seconds)
    reason = "no video or folder of frames with this name"
    if source is not None:
        try:
            for clip in source.clips(seconds, num_frames=spec.num_frames, sampling_rate=spec.sampling_rate):
                remaining.remove(clip.second)
                yield clip
        except FAILURES as error:
            reason = str(error)
    yield from (MissingClip(second, reason) for second in remaining)


def _size_bytes(clip: AvaClip | MissingClip) -> int:
    return clip.frames.nbytes if isinstance(clip, AvaClip) else 0


def _as_json(scored: list[ScoredSecond]) -> dict[str, Any]:
    return {
        "seconds": [keyframe.second for keyframe in scored],
        "boxes": [keyframe.boxes_xyxy.tolist() for keyframe in scored],
        "scores": [keyframe.scores.tolist() for keyframe in scored],
    }


def _valid_scores(
    journal: JournalPart, people: People, sources: Sources, num_actions: int
) -> dict[str, list[ScoredSecond]]:
    """The scores of an earlier run that are valid for this one: of the same file and the same people."""
    valid: dict[str, list[ScoredSecond]] = {}
    for name, seconds in people.items():
        line = journal.lines.get(sources[name].path) if name in sources else None
        if line is not None:
            scored = _scored_of(line, journal.path, num_actions)
            if [keyframe.second for keyframe in scored] == list(seconds) and all(
                np.array_equal(keyframe.boxes_xyxy, seconds[keyframe.second]) for keyframe in scored
            ):
                valid[name] = scored
    return valid


def _scored_of(line: Mapping[str, Any], path: Path, num_actions: int) -> list[ScoredSecond]:
    """The scores in a line of the journal. Raises: InputError: it holds something else."""
    scored = []
    try:
        for second, boxes, scores in zip(line["seconds"], line["boxes"], line["scores"], strict=True):
            boxes_xyxy = np.asarray(boxes, np.float64).reshape(-1, 4)
            of_actions = np.asarray(scores, np.float32).reshape(len(boxes_xyxy), num_actions)
            if type(second) is not int or not np.isfinite(of_actions).all():
                raise ValueError("no second, or no scores")
            scored.append(ScoredSecond(second, boxes_xyxy, of_actions))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{display_path(path)}: the scores of {shown(line['video'])} are damaged; remove the file"
        ) from error
    return scored


def score_rows(scored: Mapping[str, Sequence[ScoredSecond]], label_map: LabelMap) -> BoxRows:
    """One row for each person and action.

    Args:
        scored: By video.
        label_map: The actions.
    """
    ids = np.asarray(label_map.ids, dtype=np.int64)
    each = [(video, keyframe) for video, keyframes in enumerate(scored.values()) for keyframe in keyframes]
    people = np.asarray([len(keyframe.boxes_xyxy) for _, keyframe in each], dtype=np.int64)
    boxes = np.concatenate([np.zeros((0, 4)), *(keyframe.boxes_xyxy for _, keyframe in each)])
    scores = np.concatenate([np.zeros(0), *(keyframe.scores.ravel() for _, keyframe in each)])
    actions = len(ids)
    return BoxRows(
        tuple(scored),
        np.repeat(np.asarray([i for i, _ in each], dtype=np.int64), people * actions),
        np.repeat(np.asarray([one.second for _, one in each], dtype=np.int64), people * actions),
        np.repeat(boxes, actions, axis=0),
        np.tile(ids, len(boxes)),
        scores,
    )
