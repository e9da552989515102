"""A classifier on a data set: scores of every clip that are kept, a table of predictions, a report.

run = LabelledRun(read_labelled("actions"), EvaluateJob(model="my-actions", out=Path("report")))
run_batch(run.outcomes(load), total=len(run.videos), on_outcome=show)
run.evaluation, run.summary, run.written

Several processes share the files: each has a `Share`, scores its own, and the first one has all answers.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.errors import InputError, UsageError
from twinpath.evaluate.labelled import ScoredClip, match_labels, score_labelled
from twinpath.formats.journal import Line, read_journal
from twinpath.formats.journal_parts import JournalPart, Share, gathered, part_of
from twinpath.formats.predictions import PREDICTIONS, write_predictions
from twinpath.jobs.batch import Outcome, error_to_dict, input_failure
from twinpath.jobs.explained_mistakes import Explaining, check_explainable, explain_mistakes
from twinpath.jobs.outputs import check_targets
from twinpath.jobs.result_file import ResultFile, open_result_file, partial_path
from twinpath.jobs.scored_videos import check_loaded
from twinpath.metrics.evaluation import summarise
from twinpath.paths import display_path
from twinpath.recognize.aggregate import ViewPooling
from twinpath.recognize.model import check_model
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader, fps_settings
from twinpath.render.evaluation_report import REPORT_FILES, write_evaluation_report
from twinpath.render.thumbnails import middle_of
from twinpath.results.classification import SYNTHETIC_WARNING
from twinpath.results.evaluation import ClipAnswer, Evaluation, EvaluationSummary, FailedInput
from twinpath.results.explanation import ExplainedMistake
from twinpath.results.provenance import FileFacts, Provenance
from twinpath.video.find import InputVideo

if TYPE_CHECKING:
    from twinpath.recognize.classifier import Classifier

SCORES = "scores.jsonl"  # what a run is resumed from
PARTS = ("test", "validation", "train")
_ALL = "all"
_Key = tuple[float | None, float | None, str]  # of a clip in its file


@dataclass(frozen=True, kw_only=True)
class EvaluateJob:
    """What is wanted.

    Attributes:
        model: A network, a record or a model folder; a network alone takes its best weights.
        weights: A weight file in place of the record's.
        views: Crops in space x clips in time over which scores are averaged; None: the model's own.
        part: Clips of this part of the data, "test", "validation" or "train", or "all"; None: of test if
            there are any, else of validation, else all.
        out: Folder for scores, predictions and report; None: keep nothing.
        title: Of the report; "" for one that is made.
        resume: Take the scores that are there; False: start over.
        fps: Frames per second of what has no times, see `VideoReader`; as the model reads it, too.
        pooling: How the scores of the views become one; None: as the model says.
        offset_views: Whether the last clip in time ends with the video; None: as the model says.
    Raises:
        UsageError: A value is out of its range.
    """

    model: str
    weights: Path | None = None
    views: str | None = None
    part: str | None = None
    out: Path | None = None
    title: str = ""
    resume: bool = True
    fps: float | None = None
    pooling: ViewPooling | None = None
    offset_views: bool | None = None

    def __post_init__(self) -> None:
        if self.views is not None:
            Views.parse(self.views)
        if self.part not in (None, _ALL, *PARTS):
            raise UsageError(f"part must be {', '.join(PARTS)} or {_ALL}, not {self.part!r}")


@dataclass(frozen=True, eq=False)
class FileAnswers:
    """What there is of one file.

    Attributes:
        answers: Of its clips, as far as they could be scored.
        failures: Why others could not be; each names the file.
        warnings: What the user should know about the file; of earlier runs empty.
    """

    answers: tuple[ClipAnswer, ...]
    failures: tuple[Exception, ...] = ()
    warnings: tuple[str, ...] = ()


class LabelledRun:
    """The clips of one run, what earlier runs left of them, and the evaluation in the end.

    Args:
        data: The data set.
        job: What is wanted.
        share: Of this process; all of them have the same data and job. Their folder is one that all see, or
            what one was killed at is scored again.
    Attributes:
        videos: The files of the share's clips, each once.
        num_files: Of all processes.
        notes: What the reader of the result should know.
        evaluation, summary: Of all answers; None before the last outcome, where there is no answer, or in
            other processes than the first.
        written: The files that were written, the page first.
    Raises:
        UsageError: The model is unknown or for another task, or lacks classes of the data; or there is no
            clip of the part.
        InputError: The weight file does not exist.
    """

    def __init__(self, data: LabelledData, job: EvaluateJob, share: Share = Share()) -> None:
        self._data, self._job, self._share = data, job, share
        self._facts = check_model(job.model, task="classification", weights=job.weights)
        self._truth = match_labels(data.classes, self._facts.labels)
        self._views = Views.parse(job.views or self._facts.views)
        clips, part_note = _chosen(data, job.part)
        self._clips: dict[Path, list[LabelledClip]] = {}
        for clip in clips:
            self._clips.setdefault(clip.path, []).append(clip)
        self._own = share.part(self._clips)
        self.videos = [InputVideo.of(path) for path in self._own]
        self.num_files = len(self._clips)
        synthetic = (SYNTHETIC_WARNING,) if self._facts.dataset == "synthetic" else ()
        self.notes: tuple[str, ...] = (*part_note, *data.notes, *synthetic)
        sha256 = self._facts.weights_sha256(job.weights)
        settings = {"views": str(self._views), "scores_of": "labelled clips"} | fps_settings(job.fps)
        given = {"pooling": job.pooling, "offset_views": job.offset_views}
        settings |= {name: value for name, value in given.items() if value is not None}
        self._run = Provenance.of(None, model=self._facts.name, weights_sha256=sha256, settings=settings)
        self.evaluation: Evaluation | None = None
        self.summary: EvaluationSummary | None = None
        self.written: tuple[Path, ...] = ()
        self._explaining: Explaining | None = None

    def outcomes(
        self,
        load: Callable[[], Classifier],
        *,
        reader: VideoReader | None = None,
        on_resumed: Callable[[int, int], None] | None = None,
        explaining: Explaining | None = None,
    ) -> Iterator[Outcome[FileAnswers]]:
        """Score the clips of each file; at the end write predictions and report.

        Args:
            load: Gives the classifier, of the job's model and weights; called at once if a file needs it.
            reader: Reads pictures for the report; None: without limits of its own.
            on_resumed: Called with how many files have scores already, and of all, if there are such.
            explaining: Explains the worst mistakes in the report; None: they have no maps.
        Returns:
            The outcome of each file, in order, made while it is taken. It has an error if no clip of the file
            could be scored.
        Raises:
            UsageError: `out` is an input, holds something else or scores of other settings, or another run is
                writing to it; or the model cannot be explained.
            InputError: `scores.jsonl` there is no file of scores.
        """
        if explaining is not None:
            check_explainable(self._facts)
        self._explaining = explaining
        with contextlib.ExitStack() as stack:
            file, journal = self._open(stack)
            known = {} if journal is None else self._known(journal.lines)
            if known and on_resumed is not None:
                on_resumed(len(known), len(self.videos))
            missing = [path for path in self._own if path not in known]
            classifier = None
            if missing:
                classifier = check_loaded(load(), self._run.model, self._run.weights_sha256)
            if journal is not None:
                journal.keep(known)
            reader = reader or VideoReader()
            return self._outcomes(classifier, missing, known, file, journal, reader, stack.pop_all())

    def _open(self, stack: contextlib.ExitStack) -> tuple[ResultFile | None, JournalPart | None]:
        """The scores in the folder that this process writes; None without one."""
        out = self._job.out
        if out is None:
            return None, None
        inputs = [*self._clips, *([self._job.weights] if self._job.weights else [])]
        check_targets([out / name for name in (*REPORT_FILES, *PREDICTIONS)], inputs)
        first, resume = out / SCORES, self._job.resume
        own = part_of(first, self._share.process)
        file = stack.enter_context(
            open_result_file(own, self._run, resume=resume, read=read_journal, inputs=inputs)
        )
        journal = JournalPart(
            file.path, self._run, self._own, first=[first, partial_path(first)], resume=resume
        )
        return file, stack.enter_context(journal)

    def _known(self, lines: Mapping[Path, Line]) -> dict[Path, FileAnswers]:
        """The answers of files whose clips all have scores, whatever their labels are by now."""
        known = {}
        for path, line in lines.items():
            scores = _scores_of_line(line, len(self._facts.labels), self._job.out)
            if all(_key(clip) in scores for clip in self._clips[path]):
                answers = [self._answer(clip, scores[_key(clip)]) for clip in self._clips[path]]
                known[path] = FileAnswers(tuple(answers))
        return known

    def _outcomes(
        self,
        classifier: Classifier | None,
        missing: Sequence[Path],
        known: Mapping[Path, FileAnswers],
        file: ResultFile | None,
        journal: JournalPart | None,
        reader: VideoReader,
        closed_at_end: contextlib.ExitStack,
    ) -> Iterator[Outcome[FileAnswers]]:
        sources: dict[Path, FileFacts | None] = {}
        results = self._results(classifier, missing, sources)
        found: dict[Path, FileAnswers] = {}
        with closed_at_end, contextlib.closing(results):
            for video in self.videos:
                path = video.path
                if path in known:
                    found[path] = known[path]
                    yield Outcome(video, known[path], was_done=True)
                    continue
                scored = [next(results) for _ in self._clips[path]]
                found[path] = answers = self._file(scored)
                if journal is not None:
                    journal.add(path, _line_of(scored, answers), sources[path])
                if answers.answers:
                    yield Outcome(video, answers)
                else:
                    yield Outcome(video, error=answers.failures[0])
            self._finish(self._gathered(found, journal), file, reader)

    def _gathered(
        self, found: dict[Path, FileAnswers], journal: JournalPart | None
    ) -> dict[Path, FileAnswers]:
        """The answers of all processes, in the first one; none in the others."""
        if self._share.processes > 1:
            found = {path: _sent(answers) for path, answers in found.items()}
        parts = gathered(self._share, found, journal, found)
        return {path: answers for answered in parts for path, answers in answered.items()}

    def _results(
        self,
        classifier: Classifier | None,
        paths: Sequence[Path],
        sources: dict[Path, FileFacts | None],
    ) -> Generator[ScoredClip]:
        """Of each clip; `sources` gets the facts of each file before it is read."""
        if classifier is None:
            return

        def noted() -> Iterator[LabelledClip]:
            for path in paths:
                sources[path] = self._run.for_file(path).source
                yield from self._clips[path]

        spec, offset = classifier.spec, self._job.offset_views
        yield from score_labelled(
            classifier,
            noted(),
            self._views,
            pooling=self._job.pooling or self._facts.view_pooling,
            spec=spec if offset is None else replace(spec, offset_views=offset),
        )

    def _file(self, scored: Sequence[ScoredClip]) -> FileAnswers:
        answers, failures = [], []
        for one in scored:
            if one.error is not None:
                failures.append(input_failure(one.error, one.clip.path))
            elif one.scores is not None:
                answers.append(self._answer(one.clip, _as_written(one.scores)))
        warnings = dict.fromkeys(warning for one in scored for warning in one.warnings)
        distinct = {str(failure): failure for failure in failures}
        return FileAnswers(tuple(answers), tuple(distinct.values()), tuple(warnings))

    def _answer(self, clip: LabelledClip, scores: Sequence[float]) -> ClipAnswer:
        truth = {self._truth[index] for index in self._data.class_indices(clip)}
        return ClipAnswer(
            path=clip.path,
            truth=tuple(sorted(truth)),
            scores=np.asarray(scores, np.float32),
            start_s=clip.start_s,
            end_s=clip.end_s,
            part=clip.part or "all clips",
        )

    def _finish(
        self, found: Mapping[Path, FileAnswers], file: ResultFile | None, reader: VideoReader
    ) -> None:
        """The evaluation of what was found, and its files."""
        in_order = [(path, found[path]) for path in self._clips if path in found]
        answers = tuple(answer for _, one in in_order for answer in one.answers)
        failed = [FailedInput(path, str(failure)) for path, one in in_order for failure in one.failures]
        if not answers:
            return
        self.evaluation = Evaluation(
            labels=self._facts.labels,
            answers=answers,
            is_multi_label=self._data.is_multi_label,
            failed=tuple(failed),
            model=self._facts.name,
            views=str(self._views),
            data=self._data.kind,
            provenance=self._run,
        )
        self.summary = summarise(self.evaluation)
        if file is None or self._job.out is None:
            return
        file.complete()
        predictions = write_predictions(self.evaluation, self._job.out)
        explained: tuple[ExplainedMistake, ...] = ()
        if self._explaining is not None:
            explained = explain_mistakes(self.evaluation, self._explaining, model=self._job.model)
        report = write_evaluation_report(
            self.evaluation,
            self._job.out,
            title=self._job.title or f"{self._facts.name} on {self._data.kind}",
            notes=self.notes,
            thumbnails=partial(middle_of, reader),
            explained=explained,
            summary=self.summary,
        )
        self.written = (*report, predictions)


def _chosen(data: LabelledData, part: str | None) -> tuple[tuple[LabelledClip, ...], tuple[str, ...]]:
    """The clips to evaluate, and what is to be said of the choice."""
    counts = Counter(clip.part for clip in data.clips)
    if part is None:
        part = next((name for name in PARTS[:2] if counts[name]), _ALL)  # type: ignore[index]
    chosen = tuple(clip for clip in data.clips if part in (_ALL, clip.part))
    if not chosen:
        there = ", ".join(f"{count} of {name or 'no part'}" for name, count in counts.items()) or "none"
        raise UsageError(f"the data has no clip of the part {part!r}; its clips: {there}")
    note = f"{len(chosen)} of {len(data.clips)} clips are evaluated: those of the part {part!r}"
    return chosen, (note,) if len(chosen) < len(data.clips) else ()


def _sent(answers: FileAnswers) -> FileAnswers:
    """As another process can take it: an error as its text."""
    failures = tuple(InputError(str(failure)) for failure in answers.failures)
    return replace(answers, failures=failures)


def _key(clip: LabelledClip) -> _Key:
    return clip.start_s, clip.end_s, clip.clock


def _as_written(scores: NDArray[np.float32]) -> list[float]:
    """Scores as a resumed run reads them: seven digits, which is what float32 has."""
    return [float(f"{score:.7g}") for score in scores.tolist()]


def _line_of(scored: Sequence[ScoredClip], answers: FileAnswers) -> dict[str, Any]:
    """The scores of a file's clips for the journal; or its error, so that a later run tries it again."""
    if not answers.answers:
        return error_to_dict(answers.failures[0])
    clips: list[dict[str, Any]] = []
    for one in scored:
        span: dict[str, Any] = {
            "start_s": one.clip.start_s, "end_s": one.clip.end_s, "clock": one.clip.clock
        }  # fmt: skip
        if one.scores is not None:
            clips.append(span | {"scores": _as_written(one.scores)})
        elif one.error is not None:
            clips.append(span | error_to_dict(one.error))
    return {"clips": clips}


def _scores_of_line(line: Line, num_classes: int, folder: Path | None) -> dict[_Key, list[float]]:
    """The scores of the clips of a line; those that failed are left out.

    Raises:
        InputError: The line holds something else.
    """
    try:
        found = {}
        for clip in line["clips"]:
            if "scores" not in clip:
                continue
            scores = [float(score) for score in clip["scores"]]
            if len(scores) != num_classes or not np.isfinite(scores).all():
                raise ValueError("its scores are not those of the model's classes")
            found[clip["start_s"], clip["end_s"], clip["clock"]] = scores
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{display_path(str(folder))}: the line of {display_path(str(line['video']))} holds no scores of "
            f"labelled clips ({error}); give another folder"
        ) from error
    return found
