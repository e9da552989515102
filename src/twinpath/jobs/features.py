"""Features of many videos, in one file.

job = FeaturesJob(model="slowfast_r50_8x8.ptv_k400", out=Path("features.npz"))
for outcome in write_features(find_inputs(["clips"]), job, lambda: FeatureExtractor(job.model)):
    outcome.error or outcome.result.clips
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from twinpath.errors import INPUT_FAILURES, UsageError
from twinpath.formats.features import Dtype, FeatureTable, check_target
from twinpath.jobs.batch import Outcome, Progress, input_failure
from twinpath.jobs.result_file import ResultFile, open_result_file
from twinpath.jobs.scored_videos import check_loaded
from twinpath.recognize.checkpoint import PeriodicCheckpoint
from twinpath.recognize.features import feature_settings
from twinpath.recognize.inference import VideoScores
from twinpath.recognize.model import check_model
from twinpath.recognize.plan import check_every_s
from twinpath.recognize.read import fps_settings
from twinpath.results.provenance import FileFacts, Provenance
from twinpath.video.find import InputVideo

if TYPE_CHECKING:
    from twinpath.recognize.features import FeatureExtractor


@dataclass(frozen=True, kw_only=True)
class FeaturesJob:
    """What is wanted of every video.

    Attributes:
        model: A network or a record; a network alone takes its best weights.
        out: The file, .npz or .parquet.
        weights: A weight file in place of the record's.
        every_s: From the start of a clip to that of the next, in seconds; None: the clip's length.
        dtype: "float32", or "float16" of half the size.
        resume: Add what is missing to the features in the file; False: start over.
        fps: Frames per second of what has no times, see `VideoReader`; as the model reads it, too.
    Raises:
        UsageError: A value is out of its range.
        MissingExtra: The format needs a package that is not installed.
    """

    model: str
    out: Path
    weights: Path | None = None
    every_s: float | None = None
    dtype: str = "float32"
    resume: bool = True
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "float16"):
            raise UsageError(f"dtype must be float32 or float16, not {self.dtype!r}")
        if self.every_s is not None:
            check_every_s(self.every_s)
        check_target(self.out)


@dataclass(frozen=True)
class VideoFeatures:
    """What the file has of one video.

    Attributes:
        clips: How many embeddings.
        warnings: What the user should know about the video file; of earlier runs empty.
    """

    clips: int
    warnings: tuple[str, ...] = ()


def write_features(
    videos: Sequence[InputVideo],
    job: FeaturesJob,
    load: Callable[[], FeatureExtractor],
    *,
    progress: Progress | None = None,
    on_resumed: Callable[[int, int], None] | None = None,
    on_written: Callable[[FeatureTable], None] | None = None,
) -> Iterator[Outcome[VideoFeatures]]:
    """Embed the clips of each video, and write all of them to the file.

    The file is written every now and then, at the end, and when something stops the work. It never loses
    rows of videos that are not in this run, and holds none of a video that failed.

    Args:
        videos: Each once.
        job: What is wanted.
        load: Gives the extractor, of the job's model, weights and `every_s`; called at once if a video needs
            it.
        progress: Called with the clips of a single video that are done, and of all.
        on_resumed: Called with how many videos are in the file already, and of all, if there are such.
        on_written: Called with all rows when they are on the disk, at the end.
    Returns:
        The outcome of each video, in order, made while it is taken.
    Raises:
        UsageError: The model is unknown or for another task; or `out` is an input, has features of other
            settings, or another run is writing to it.
        InputError: `out` has no features; or the weight file does not exist.
    """
    facts = check_model(job.model, task="embedding", weights=job.weights)
    model, sha256 = facts.name, facts.weights_sha256(job.weights)
    settings = {**feature_settings(every_s=job.every_s), "dtype": job.dtype, **fps_settings(job.fps)}
    run = Provenance.of(None, model=model, weights_sha256=sha256, settings=settings)
    inputs = [*(video.path for video in videos), *([job.weights] if job.weights else [])]
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(
            open_result_file(job.out, run, resume=job.resume, read=_read_runs, inputs=inputs)
        )
        table = (
            FeatureTable.load(file.path) if file.is_resumed else FeatureTable(run, cast("Dtype", job.dtype))
        )
        missing = [video for video in videos if not _is_done(table, run, video)]
        if len(missing) < len(videos) and on_resumed is not None:
            on_resumed(len(videos) - len(missing), len(videos))
        extract = check_loaded(load(), model, sha256) if missing else None
        features = _FeatureRun(table, run, file, on_written)
        return features.outcomes(videos, missing, extract, progress, stack.pop_all())


def _read_runs(path: Path) -> list[Provenance]:
    return [FeatureTable.load(path).run]


def _is_done(table: FeatureTable, run: Provenance, video: InputVideo) -> bool:
    rows = table.rows_of(str(video.path))
    return rows is not None and rows.source is not None and rows.source == run.for_file(video.path).source


class _FeatureRun:
    """A table of features and the file that it is kept in."""

    def __init__(
        self,
        table: FeatureTable,
        run: Provenance,
        file: ResultFile,
        on_written: Callable[[FeatureTable], None] | None,
    ) -> None:
        self._table, self._run, self._file, self._on_written = table, run, file, on_written
        self._finished = 0  # in this run
        self._sources: dict[Path, FileFacts | None] = {}  # of each video as it was before it was read

    def outcomes(
        self,
        videos: Sequence[InputVideo],
        missing: Sequence[InputVideo],
        extract: FeatureExtractor | None,
        progress: Progress | None,
        closed_at_end: contextlib.ExitStack,
    ) -> Iterator[Outcome[VideoFeatures]]:
        is_missing = set(missing)
        results = self._results(extract, missing, progress)
        checkpoint = PeriodicCheckpoint(lambda: self._table.write(self._file.path), lambda: self._finished)
        with closed_at_end:
            try:
                for video in videos:
                    if video in is_missing:
                        yield self._outcome(video, next(results))
                    else:
                        yield self._outcome_of_earlier_run(video)
                    checkpoint.save_if_due()
            finally:  # also of KeyboardInterrupt, SystemExit, or when nobody takes the rest
                results.close()
                checkpoint.save()
            if len(self._table):
                self._file.complete()
        if self._finished and self._on_written is not None:
            self._on_written(self._table)

    def _results(
        self, extract: FeatureExtractor | None, videos: Sequence[InputVideo], progress: Progress | None
    ) -> Generator[VideoScores]:
        if extract is None:
            return
        if len(videos) > 1:
            yield from extract.each(self._noted(videos))
            return
        (path,) = self._noted(videos)
        scores = VideoScores(path)
        warnings: list[str] = []
        try:
            for start_s, end_s, embedding in extract(path, progress=progress, on_warning=warnings.append):
                scores.spans_s.append((start_s, end_s))
                scores.scores.append(embedding[None])
        except INPUT_FAILURES as error:
            scores.error = error
        scores.warnings = tuple(warnings)
        yield scores

    def _noted(self, videos: Sequence[InputVideo]) -> Iterator[Path]:
        """The paths. Facts are noted before a file is read, so that one that changes meanwhile is known."""
        for video in videos:
            self._sources[video.path] = self._run.for_file(video.path).source
            yield video.path

    def _outcome(self, video: InputVideo, scores: VideoScores) -> Outcome[VideoFeatures]:
        if scores.error is not None:
            return Outcome(video, error=input_failure(scores.error, video.path))
        embeddings = np.concatenate(scores.scores)
        self._table.put(str(video.path), scores.spans_s, embeddings, self._sources[video.path])
        self._finished += 1
        return Outcome(video, VideoFeatures(len(embeddings), scores.warnings))

    def _outcome_of_earlier_run(self, video: InputVideo) -> Outcome[VideoFeatures]:
        rows = self._table.rows_of(str(video.path))
        assert rows is not None
        return Outcome(video, VideoFeatures(len(rows)), was_done=True)
