"""Videos to scores, and scores to files: what timelines and detections have in common.

The scores of a video are computed once and kept. With other thresholds, labels or formats the files are made
of them again. A run that was stopped is resumed; what is done is left as it is.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from twinpath.errors import InputError, UsageError
from twinpath.jobs.batch import Outcome, Progress, each_input
from twinpath.jobs.outputs import OutputFiles, check_folders, check_targets, name_outputs, sweep_targets
from twinpath.jobs.score_files import PARTIAL, ScoreFiles, ScoresFormat, ScoresT, WrittenFiles
from twinpath.locks import exclusive
from twinpath.paths import display_path
from twinpath.results.clock import clock
from twinpath.results.provenance import Provenance
from twinpath.video.find import InputVideo

SCORES = "scores"  # the name of the file of scores in `VideoResult.files`


class HasWarnings(Protocol):
    """What `Timeline` and `Detections` have in common."""

    @property
    def warnings(self) -> tuple[str, ...]: ...


class HasModel(Protocol):
    """What `Classifier`, `Detector` and `FeatureExtractor` have in common."""

    model: str
    weights_sha256: str | None


ResultT = TypeVar("ResultT", bound=HasWarnings)
RecognizerT = TypeVar("RecognizerT", bound=HasModel)


@dataclass(frozen=True, eq=False)
class VideoResult(Generic[ResultT]):
    """The result of one video and the files that hold it.

    Attributes:
        result: A `Timeline`, or `Detections`; of the first part of the video where the run was stopped.
        files: By their formats, and the scores. Those of a stopped run may be the scores of the part alone.
        warnings: What the user should know, about the result and about writing the files.
        scored: How many windows or keyframes this run scored.
        took_s: Seconds that it took in this run.
    """

    result: ResultT
    files: dict[str, Path]
    warnings: tuple[str, ...]
    scored: int
    took_s: float


class ScoringSteps(ABC, Generic[ScoresT, ResultT]):
    """How one kind of job scores a video and makes files of the scores.

    Attributes:
        kind: Part of the names of files.
        endings: Of the files, by format.
        scores_format: How scores are kept.
        keeps_part: Whether a run that was stopped in the middle of a video is resumed there.
        writes_part: Whether files are then made of the part.
        formats: Of the files that are wanted.
        settings: What decides the files beside the scores, as values that JSON knows.
    """

    kind: ClassVar[str]
    endings: ClassVar[Mapping[str, str]]
    writes_part: ClassVar[bool]
    scores_format: ScoresFormat[ScoresT]
    keeps_part: bool
    formats: tuple[str, ...]
    settings: dict[str, Any]

    @abstractmethod
    def provenance(self, video: Path) -> Provenance:
        """What the scores of a video are made from. Raises: InputError, OSError: it cannot be reached."""

    @abstractmethod
    def score(
        self,
        video: Path,
        resume_from: ScoresT | None,
        on_checkpoint: Callable[[ScoresT], None] | None,
        progress: Progress | None,
    ) -> ScoresT:
        """Score a video to its end. `on_checkpoint` is also called when something stops the work."""

    @abstractmethod
    def result(self, scores: ScoresT) -> ResultT:
        """The result that the scores give."""

    @abstractmethod
    def write(
        self, video: Path, result: ResultT, scores: ScoresT, files: Mapping[str, Path]
    ) -> Sequence[str]:
        """Write files, given by their formats; returns what the user should know about that."""


class ScoredVideos(Generic[ScoresT, ResultT]):
    """The videos of one run, and what earlier runs left of them.

    Args:
        videos: Of the run.
        steps: What is done with each.
        folder: Where files go.
        resume: Take what earlier runs left; False: start over.
        inputs: Files that the run reads beside the videos.
    Attributes:
        needs_model: Whether a video must be scored.
    Raises:
        UsageError: Two videos have one name; or what would be written over is an input, or no result of this
            very video, or of other settings.
    """

    def __init__(
        self,
        videos: Sequence[InputVideo],
        steps: ScoringSteps[ScoresT, ResultT],
        folder: Path,
        *,
        resume: bool = True,
        inputs: Iterable[Path] = (),
    ) -> None:
        self._videos, self._steps, self._resume = videos, steps, resume
        self._outputs = name_outputs(videos, folder, steps.kind)
        check_folders(self._outputs.values())
        targets = [path for outputs in self._outputs.values() for path in self._targets(outputs)]
        check_targets(targets, [*(video.path for video in videos), *inputs])
        sweep_targets(targets)
        unscored = [self._is_unscored(video) for video in videos]
        self.needs_model = any(unscored)

    def outcomes(self, progress: Progress | None = None) -> Iterator[Outcome[VideoResult[ResultT]]]:
        """Score each video as far as needed, and write its files.

        Args:
            progress: Called with the windows or keyframes of the current video that are done, and of all.
        """
        return each_input(self._videos, lambda video: self._work(video, progress))

    def _targets(self, outputs: OutputFiles) -> list[Path]:
        endings = [self._steps.endings[name] for name in self._steps.formats]
        return [outputs.path(ending) for ending in (*endings, self._steps.scores_format.ending, PARTIAL)]

    def _find(self, video: InputVideo) -> tuple[ScoreFiles[ScoresT], ScoresT | None]:
        files = ScoreFiles(self._outputs[video], self._steps.scores_format)
        now = self._steps.provenance(video.path)
        targets = self._targets(self._outputs[video])
        return files, files.find(now, resume=self._resume, targets=targets)

    def _is_unscored(self, video: InputVideo) -> bool:
        """Whether it needs the model. An input that fails already does not: it is reported in its turn."""
        try:
            _, scores = self._find(video)
        except (InputError, OSError):
            return False
        return scores is None or not scores.complete

    def _work(self, video: InputVideo, progress: Progress | None) -> Outcome[VideoResult[ResultT]]:
        self._steps.provenance(video.path)  # raises before anything is made
        with exclusive(self._outputs[video].base):
            return self._work_alone(video, progress)

    def _work_alone(self, video: InputVideo, progress: Progress | None) -> Outcome[VideoResult[ResultT]]:
        began_s = time.perf_counter()
        files, earlier = self._find(video)
        scores, stop = earlier, None
        if scores is None or not scores.complete:
            scores, stop = self._score(video, files, earlier, progress)
        else:
            files.drop_stale_partial(scores.provenance)
        result = self._steps.result(scores)
        if stop is None:
            written = self._write(video, files, scores, result)
        else:
            written = self._write_part(video, files, scores, result, stop)
        scored = len(scores) - (len(earlier) if earlier is not None else 0)
        paths = self._paths(video, self._steps.formats if stop is None or written is not None else ())
        paths[SCORES] = files.complete_path if stop is None else files.partial_path
        warnings = _with_others(result.warnings, written or ())
        done = VideoResult(result, paths, warnings, scored, time.perf_counter() - began_s)
        if stop is None:
            return Outcome(video, done, was_done=not scored and written is None)
        place = f"at {clock(scores.done_s)} of {clock(scores.duration_s)} of {display_path(video.path)}"
        return Outcome(video, done, stopped=stop, stopped_at=place)

    def _score(
        self,
        video: InputVideo,
        files: ScoreFiles[ScoresT],
        earlier: ScoresT | None,
        progress: Progress | None,
    ) -> tuple[ScoresT, BaseException | None]:
        """The complete scores; or those of the first part, and what stopped the work."""
        latest = earlier

        def keep(part: ScoresT) -> None:
            nonlocal latest
            latest = part
            files.save_partial(part)

        try:
            scores = self._steps.score(
                video.path, earlier, keep if self._steps.keeps_part else None, progress
            )
        except (KeyboardInterrupt, SystemExit) as stop:
            if latest is None:
                raise
            return latest, stop
        except InputError:
            files.drop_partial()  # a later run would fail there again
            raise
        files.save_complete(scores)
        files.drop_partial()
        return scores, None

    def _write_part(
        self,
        video: InputVideo,
        files: ScoreFiles[ScoresT],
        part: ScoresT,
        result: ResultT,
        stop: BaseException,
    ) -> Sequence[str] | None:
        """Make files of the first part of a video, unless there are complete ones; None: none are made."""
        if not self._steps.writes_part or files.has_complete:
            return None
        try:
            return self._steps.write(video.path, result, part, self._paths(video, self._steps.formats))
        except OSError as error:
            raise error from stop

    def _write(
        self, video: InputVideo, files: ScoreFiles[ScoresT], scores: ScoresT, result: ResultT
    ) -> Sequence[str] | None:
        """Write the files that are not up to date; None: all are.

        What the scores say of the files is taken back before one is written, and is set at the end.
        """
        settings = json.loads(json.dumps(self._steps.settings, allow_nan=False))
        paths = self._paths(video, self._steps.formats)
        before = WrittenFiles.of(scores)
        current = before.formats if before.settings == settings else frozenset()
        stale = {name: path for name, path in paths.items() if name not in current or not path.is_file()}
        if not stale:
            return None
        begun = WrittenFiles(settings, current - stale.keys()).mark(scores)
        if begun.settings != scores.settings:
            files.save_complete(begun)
        warnings = self._steps.write(video.path, result, scores, stale)
        files.save_complete(WrittenFiles(settings, current | stale.keys()).mark(scores))
        return warnings

    def _paths(self, video: InputVideo, formats: Iterable[str]) -> dict[str, Path]:
        outputs = self._outputs[video]
        return {name: outputs.path(self._steps.endings[name]) for name in formats}


def check_loaded(recognizer: RecognizerT, model: str, weights_sha256: str | None) -> RecognizerT:
    """A classifier or detector, of the model and weights that the scores are to be of.

    Raises:
        UsageError: It is of others.
    """
    if (recognizer.model, recognizer.weights_sha256) != (model, weights_sha256):
        raise UsageError(
            f"the job is for {model}, and what was loaded is {recognizer.model} of other weights"
        )
    return recognizer


def _with_others(warnings: tuple[str, ...], others: Iterable[str]) -> tuple[str, ...]:
    """All, without those of a second reading of the file that differ in counts only."""
    known = {_without_digits(warning) for warning in warnings}
    return (*warnings, *(other for other in others if _without_digits(other) not in known))


def _without_digits(text: str) -> str:
    return "".join(character for character in text if not character.isdigit())
