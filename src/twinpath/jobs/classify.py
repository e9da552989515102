"""Classifications of many videos, kept in a journal if one is named.

job = ClassifyJob(model="slowfast_r50_8x8.ptv_k400", out=Path("answers.jsonl"))
for outcome in classify_videos(find_inputs(["clips"]), job, lambda: Classifier(job.model)):
    outcome.error or outcome.result.label
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinpath.errors import INPUT_FAILURES, InputError
from twinpath.escapes import shown
from twinpath.formats.journal import ResultsJournal, read_journal
from twinpath.jobs.batch import Outcome, Progress, error_to_dict, input_failure
from twinpath.jobs.result_file import ResultFile, open_result_file
from twinpath.jobs.scored_videos import check_loaded
from twinpath.paths import display_path
from twinpath.recognize.classifier import checked_views, classification_settings
from twinpath.recognize.model import check_model
from twinpath.recognize.read import fps_settings
from twinpath.results.classification import Classification
from twinpath.results.provenance import FileFacts, Provenance
from twinpath.video.find import InputVideo

if TYPE_CHECKING:
    from twinpath.recognize.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class ClassifyJob:
    """What is wanted of every video.

    Attributes:
        model: A network or a record; a network alone takes its best weights.
        weights: A weight file in place of the record's.
        start_s: Seconds of each video to leave out at its start.
        views: Crops in space x clips in time over which scores are averaged; None: the model's own.
        top_k: How many labels.
        min_score: Below it the best label's score means that the activity is unknown.
        out: Keep the results in this file, one JSON object a line; None: do not.
        resume: Take the results that it has; False: start over.
        fps: Frames per second of what has no times, see `VideoReader`; as the model reads it, too.
    Raises:
        UsageError: A value is out of its range.
    """

    model: str
    weights: Path | None = None
    start_s: float = 0.0
    views: str | None = None
    top_k: int = 5
    min_score: float = 0.0
    out: Path | None = None
    resume: bool = True
    fps: float | None = None

    def __post_init__(self) -> None:
        checked_views(self.views or "1x1", start_s=self.start_s, top_k=self.top_k, min_score=self.min_score)


def classify_videos(
    videos: Sequence[InputVideo],
    job: ClassifyJob,
    load: Callable[[], Classifier],
    *,
    progress: Progress | None = None,
    on_resumed: Callable[[int, int], None] | None = None,
) -> Iterator[Outcome[Classification]]:
    """Classify each video.

    Args:
        videos: Each once.
        job: What is wanted.
        load: Gives the classifier, of the job's model and weights; called at once if a video needs it.
        progress: Called with the clips of a single video that are done, and of all.
        on_resumed: Called with how many videos have a result already, and of all, if there are such.
    Returns:
        The outcome of each video, in order, made while it is taken.
    Raises:
        UsageError: The model is unknown or for another task; or `out` is an input, has results of other
            settings, or another run is writing to it.
        InputError: `out` is no journal of results; or the weight file does not exist.
    """
    facts = check_model(job.model, task="classification", weights=job.weights)
    job = replace(job, views=job.views or facts.views)
    model, sha256 = facts.name, facts.weights_sha256(job.weights)
    run = Provenance.of(
        None, model=model, weights_sha256=sha256, settings=_settings(job) | fps_settings(job.fps)
    )
    with contextlib.ExitStack() as stack:
        file = journal = None
        if job.out is not None:
            inputs = [*(video.path for video in videos), *([job.weights] if job.weights else [])]
            file = stack.enter_context(
                open_result_file(job.out, run, resume=job.resume, read=read_journal, inputs=inputs)
            )
            journal = stack.enter_context(ResultsJournal(file.path, run, [video.path for video in videos]))
        known = {} if journal is None else journal.done
        if known and on_resumed is not None:
            on_resumed(len(known), len(videos))
        missing = [video for video in videos if video.path not in known]
        classifier = check_loaded(load(), model, sha256) if missing else None
        sources: dict[Path, FileFacts | None] = {}
        results = _results(classifier, missing, job, progress, run, sources)
        return _outcomes(videos, results, sources, journal, file, stack.pop_all())


def _settings(job: ClassifyJob) -> dict[str, Any]:
    return classification_settings(
        views=str(job.views), start_s=job.start_s, top_k=job.top_k, min_score=job.min_score
    )


def _results(
    classifier: Classifier | None,
    videos: Sequence[InputVideo],
    job: ClassifyJob,
    progress: Progress | None,
    run: Provenance,
    sources: dict[Path, FileFacts | None],
) -> Generator[Classification | Exception]:
    """Of each video, or why there is none; `sources` gets the facts of each file before it is read."""
    if classifier is None:
        return

    def noted() -> Iterator[Path]:
        for video in videos:
            sources[video.path] = run.for_file(video.path).source
            yield video.path

    if len(videos) > 1:
        yield from classifier.each(noted(), **_settings(job))
        return
    (path,) = noted()
    try:
        yield classifier(path, **_settings(job), progress=progress)
    except INPUT_FAILURES as error:
        yield error


def _outcomes(
    videos: Sequence[InputVideo],
    results: Generator[Classification | Exception],
    sources: Mapping[Path, FileFacts | None],
    journal: ResultsJournal | None,
    file: ResultFile | None,
    closed_at_end: contextlib.ExitStack,
) -> Iterator[Outcome[Classification]]:
    """In order; each is in the journal before it is yielded. At the end the journal is put in its place."""
    has_result = False
    with closed_at_end, contextlib.closing(results):
        for video in videos:
            if journal is not None and video.path in journal.done:
                yield Outcome(video, _from_line(journal.done[video.path], journal.path), was_done=True)
                has_result = True
                continue
            result = next(results)
            if isinstance(result, Exception):
                error = input_failure(result, video.path)
                line, outcome = error_to_dict(error), Outcome[Classification](video, error=error)
            else:
                line, outcome = result.to_dict(), Outcome(video, result)
                has_result = True
            if journal is not None:
                journal.add(video.path, line, sources[video.path])
            yield outcome
    if has_result and file is not None:
        file.complete()


def _from_line(line: dict[str, Any], path: Path) -> Classification:
    """Raises: InputError: the line of the journal holds something else."""
    try:
        return Classification.from_dict(line)
    except ValueError as error:
        raise InputError(
            f"{display_path(path)}: the result of {shown(line['video'])} is no classification ({error}); "
            "give another file"
        ) from error
