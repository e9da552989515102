"""Timelines of many videos, in files.

job = TimelineJob(model="slowfast_r50_8x8.ptv_k400", out=Path("timelines"))
for outcome in write_timelines(find_inputs(["clips"]), job, lambda: Classifier(job.model)):
    outcome.error or outcome.result.result.segments
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twinpath.errors import UsageError
from twinpath.formats.timelines import TIMELINE_KINDS, write_timeline_file
from twinpath.formats.window_scores import load_window_scores, save_window_scores
from twinpath.jobs.batch import Outcome, Progress
from twinpath.jobs.outputs import checked_formats
from twinpath.jobs.score_files import ScoresFormat
from twinpath.jobs.scored_videos import ScoredVideos, ScoringSteps, VideoResult, check_loaded
from twinpath.recognize.model import check_model
from twinpath.recognize.plan import check_every_s
from twinpath.recognize.read import fps_settings, source_provenance
from twinpath.recognize.timeline import score_windows, timeline_of, window_settings
from twinpath.render.timeline import VIEW_KINDS, write_timeline_view
from twinpath.results.provenance import Provenance
from twinpath.results.segments import DEFAULT_RULES, SegmentRules
from twinpath.results.timeline import Timeline
from twinpath.results.window_scores import WindowScores
from twinpath.suggest import did_you_mean
from twinpath.video.find import InputVideo

if TYPE_CHECKING:
    from twinpath.recognize.classifier import Classifier

#: Of the files that are made of a timeline; each is also the file's ending.
TIMELINE_FORMATS = (*TIMELINE_KINDS, *VIEW_KINDS)


@dataclass(frozen=True, kw_only=True)
class TimelineJob:
    """What is wanted of every video.

    Attributes:
        model: A network or a record; a network alone takes its best weights.
        out: Folder for the files.
        weights: A weight file in place of the record's.
        every_s: From the start of a window to that of the next, in seconds.
        rules: How scores become segments.
        top_k: How many labels of each window the JSON file has.
        formats: Of the files, of `TIMELINE_FORMATS`.
        resume: Take what earlier runs left; False: start over.
        fps: Frames per second of what has no times, see `VideoReader`; as the model reads it, too.
    Raises:
        UsageError: A value is out of its range, or there is no such format.
    """

    model: str
    out: Path
    weights: Path | None = None
    every_s: float = 1.0
    rules: SegmentRules = DEFAULT_RULES
    top_k: int = 5
    formats: tuple[str, ...] = TIMELINE_FORMATS
    resume: bool = True
    fps: float | None = None

    def __post_init__(self) -> None:
        check_every_s(self.every_s)
        if self.top_k < 1:
            raise UsageError(f"top_k must be at least 1, not {self.top_k}")
        object.__setattr__(self, "formats", checked_formats(self.formats, TIMELINE_FORMATS))


def write_timelines(
    videos: Sequence[InputVideo],
    job: TimelineJob,
    load: Callable[[], Classifier],
    *,
    progress: Progress | None = None,
) -> Iterator[Outcome[VideoResult[Timeline]]]:
    """Find what happens when in each video, and write the files.

    Args:
        videos: Each once.
        job: What is wanted.
        load: Gives the classifier, of the job's model and weights; called at once if a video needs it.
        progress: Called with the windows of the current video that are done, and of all.
    Returns:
        The outcome of each video, in order, made while it is taken.
    Raises:
        UsageError: The model is unknown or has no label of the rules; or as `ScoredVideos`.
        NotAFile: The weight file does not exist.
    """
    steps = _TimelineSteps(job)
    inputs = [] if job.weights is None else [job.weights]
    run = ScoredVideos(videos, steps, job.out, resume=job.resume, inputs=inputs)
    if run.needs_model:
        steps.classifier = check_loaded(load(), steps.model, steps.weights_sha256)
    return run.outcomes(progress)


class _TimelineSteps(ScoringSteps[WindowScores, Timeline]):
    kind = "timeline"
    endings = {name: name for name in TIMELINE_FORMATS}  # noqa: RUF012 - a mapping that nobody changes
    writes_part = True
    keeps_part = True
    scores_format = ScoresFormat("scores.npz", load_window_scores, save_window_scores)

    def __init__(self, job: TimelineJob) -> None:
        facts = check_model(job.model, task="classification", weights=job.weights)
        self.model, known = facts.name, facts.labels
        for label in job.rules.labels or ():
            if label not in known:
                raise UsageError(f"{self.model} has no label {label!r}{did_you_mean(label, known, count=3)}")
        self.weights_sha256 = facts.weights_sha256(job.weights)
        self.formats = job.formats
        self.settings = {**asdict(job.rules), "top_k": job.top_k}
        self.classifier: Classifier | None = None
        self._job = job

    def provenance(self, video: Path) -> Provenance:
        return source_provenance(
            video,
            model=self.model,
            weights_sha256=self.weights_sha256,
            settings=window_settings(every_s=self._job.every_s) | fps_settings(self._job.fps),
        )

    def score(
        self,
        video: Path,
        resume_from: WindowScores | None,
        on_checkpoint: Callable[[WindowScores], None] | None,
        progress: Progress | None,
    ) -> WindowScores:
        assert self.classifier is not None
        return score_windows(
            self.classifier,
            video,
            every_s=self._job.every_s,
            resume_from=resume_from,
            on_checkpoint=on_checkpoint,
            progress=progress,
        )

    def result(self, scores: WindowScores) -> Timeline:
        return timeline_of(scores, self._job.rules, top_k=self._job.top_k)

    def write(
        self, video: Path, result: Timeline, scores: WindowScores, files: Mapping[str, Path]
    ) -> Sequence[str]:
        for name, path in files.items():
            write = write_timeline_file if name in TIMELINE_KINDS else write_timeline_view
            write(result, path, name)
        return ()
