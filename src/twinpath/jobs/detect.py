"""Detections in many videos, in files.

job = DetectJob(out=Path("detections"), people="hog")
for outcome in write_detections(find_inputs(["clips"]), job, lambda: Detector(job.model)):
    outcome.error or outcome.result.result.tracks
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import UsageError
from twinpath.formats.detections import DETECTION_KINDS, write_detection_file
from twinpath.formats.keyframes import load_keyframe_scores, save_keyframe_scores
from twinpath.jobs.batch import Outcome, Progress
from twinpath.jobs.outputs import checked_formats
from twinpath.jobs.score_files import ScoresFormat
from twinpath.jobs.scored_videos import ScoredVideos, ScoringSteps, VideoResult, check_loaded
from twinpath.people.choose import DETECTORS, check_detector, make_detector, make_tracker
from twinpath.recognize.detector import (
    MIN_SCORE,
    SMOOTH_S,
    check_rules,
    detection_settings,
    detections_of,
)
from twinpath.recognize.model import DEFAULT_DETECTION_MODEL, check_model
from twinpath.recognize.plan import check_every_s
from twinpath.recognize.read import VideoReader, fps_settings, source_provenance
from twinpath.results.detections import Detections
from twinpath.results.keyframes import KeyframeScores
from twinpath.results.provenance import Provenance
from twinpath.suggest import did_you_mean
from twinpath.video.encoders import DEFAULT_ENCODER, check_encoder
from twinpath.video.find import InputVideo

if TYPE_CHECKING:
    from twinpath.recognize.detector import Detector

#: Of the files that are made of detections: all of them in JSON, AVA's results, CVAT's annotations, the
#: annotated video, a sheet of keyframes.
DETECTION_FORMATS = ("json", "csv", "xml", "mp4", "png")
_NEVER = 2.0  # above every score


@dataclass(frozen=True, kw_only=True)
class DetectJob:
    """What is wanted of every video.

    Attributes:
        out: Folder for the files.
        model: A detection network or a record.
        weights: A weight file in place of the record's.
        people, tracker: Names for `people.choose.make_detector`, or a file with boxes, and `make_tracker`.
        every_s: From one keyframe to the next, in seconds.
        min_person_score: From which on a person counts; None: the person detector's own.
        min_score: From which on an action counts, one for all or one for each.
        labels: Actions to report; None: all.
        smooth_s: Actions are averaged along a track so far to both sides, in seconds.
        top_k: How many actions of a person the annotated video shows at most.
        hud: Whether it shows time and speeds.
        encoder: What encodes it, one of `video.encoders.ENCODERS`.
        formats: Of the files, of `DETECTION_FORMATS`.
        isolate: Read videos in a sandboxed process, for drawing too, whose audio is then encoded anew.
        resume: Take what earlier runs left; False: start over.
        fps: Frames per second of what has no times, see `VideoReader`; as the model reads it, too.
    Raises:
        UsageError: A value is out of its range, or there is no such format.
    """

    out: Path
    model: str = DEFAULT_DETECTION_MODEL
    weights: Path | None = None
    people: str = "auto"
    tracker: str = "iou"
    every_s: float = 1.0
    min_person_score: float | None = None
    min_score: float | tuple[float, ...] = MIN_SCORE
    labels: tuple[str, ...] | None = None
    smooth_s: float = SMOOTH_S
    top_k: int = 3
    hud: bool = False
    encoder: str = DEFAULT_ENCODER
    formats: tuple[str, ...] = ("json", "csv", "xml", "mp4")
    isolate: bool = False
    resume: bool = True
    fps: float | None = None

    def __post_init__(self) -> None:
        check_every_s(self.every_s)
        if self.top_k < 1:
            raise UsageError(f"top_k must be at least 1, not {self.top_k}")
        check_encoder(self.encoder)
        formats = checked_formats(self.formats, DETECTION_FORMATS)
        object.__setattr__(self, "formats", formats)


def write_detections(
    videos: Sequence[InputVideo],
    job: DetectJob,
    load: Callable[[], Detector],
    *,
    progress: Progress | None = None,
) -> Iterator[Outcome[VideoResult[Detections]]]:
    """Find who does what, when and where in each video, and write the files.

    Args:
        videos: Each once.
        job: What is wanted.
        load: Gives the detector, of the job's model and weights; called at once if a video needs it.
        progress: Called with the keyframes, and then the drawn frames, of the current video that are done,
            and of all.
    Returns:
        The outcome of each video, in order, made while it is taken.
    Raises:
        UsageError: The model is unknown or knows no such label, or there is no such person detector or
            tracker; or as `ScoredVideos`.
        MissingExtra: A package that these need is not installed.
        InputError: The boxes of the only video cannot be used; or the weight file does not exist.
    """
    check_detector(job.people)
    make_tracker(job.tracker, every_s=job.every_s)
    steps = _DetectionSteps(job, progress)
    boxes = None if job.people in DETECTORS or not Path(job.people).is_file() else Path(job.people)
    inputs = [path for path in (job.weights, boxes) if path is not None]
    run = ScoredVideos(videos, steps, job.out, resume=job.resume, inputs=inputs)
    if run.needs_model:
        if boxes is not None and len(videos) == 1:
            _check_boxes(boxes, videos[0].path, VideoReader(isolate=job.isolate, fps=job.fps))
        steps.detector = check_loaded(load(), steps.model, steps.weights_sha256)
    return run.outcomes(progress)


def _check_boxes(boxes: Path, video: Path, reader: VideoReader) -> None:
    """Before a network is loaded. Raises: InputError: the boxes of this video cannot be used."""
    info = reader.probe(video)
    make_detector(
        str(boxes),
        video=video,
        width_px=info.width,
        height_px=info.height,
        isolate=reader.isolate,
    )


class _DetectionSteps(ScoringSteps[KeyframeScores, Detections]):
    kind = "detect"
    endings = {  # noqa: RUF012 - a mapping that nobody changes
        "json": "json",
        "csv": "ava.csv",
        "xml": "cvat.xml",
        "mp4": "mp4",
        "png": "png",
    }
    writes_part = False  # drawing a long video takes too long for somebody who wants it to stop
    scores_format = ScoresFormat("keyframes.npz", load_keyframe_scores, save_keyframe_scores)

    def __init__(self, job: DetectJob, progress: Progress | None) -> None:
        facts = check_model(job.model, task="detection", weights=job.weights)
        self.model, self.weights_sha256 = facts.name, facts.weights_sha256(job.weights)
        self.keeps_part = job.people != "motion"  # it remembers earlier frames, which a resumed run lacks
        self.formats = job.formats
        self._thresholds = _thresholds(job, facts.labels, self.model)
        one = np.unique(self._thresholds)
        self.settings = {
            "min_score": float(one[0]) if len(one) == 1 else self._thresholds.tolist(),
            "smooth_s": job.smooth_s,
            "top_k": job.top_k,
            "hud": job.hud,
            **({} if job.encoder == DEFAULT_ENCODER else {"encoder": job.encoder}),
        }
        self._scores_settings = detection_settings(
            people=job.people,
            tracker=job.tracker,
            every_s=job.every_s,
            min_person_score=job.min_person_score,
        ) | fps_settings(job.fps)
        self.detector: Detector | None = None
        self._job, self._progress = job, progress

    def provenance(self, video: Path) -> Provenance:
        return source_provenance(
            video,
            model=self.model,
            weights_sha256=self.weights_sha256,
            settings=self._scores_settings,
        )

    def score(
        self,
        video: Path,
        resume_from: KeyframeScores | None,
        on_checkpoint: Callable[[KeyframeScores], None] | None,
        progress: Progress | None,
    ) -> KeyframeScores:
        assert self.detector is not None
        job = self._job
        return self.detector.score(
            video,
            people=job.people,
            tracker=job.tracker,
            every_s=job.every_s,
            min_person_score=job.min_person_score,
            resume_from=resume_from,
            on_checkpoint=on_checkpoint,
            progress=progress,
        )

    def result(self, scores: KeyframeScores) -> Detections:
        return detections_of(scores, min_score=self._thresholds, smooth_s=self._job.smooth_s)

    def write(
        self, video: Path, result: Detections, scores: KeyframeScores, files: Mapping[str, Path]
    ) -> Sequence[str]:
        from twinpath.render.annotate import annotate_video
        from twinpath.render.contact_sheet import contact_sheet

        job = self._job
        warnings: list[str] = []
        reader = VideoReader(isolate=job.isolate, fps=job.fps)
        times_s = reader.frame_times(video) if "xml" in files else None
        for name, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in DETECTION_KINDS:
                write_detection_file(result, path, name, frame_times_s=times_s, provenance=scores.provenance)
            elif name == "png":
                warnings += contact_sheet(
                    video, result, path, top_k=job.top_k, fps=job.fps, isolate=job.isolate
                )
            else:
                warnings += annotate_video(
                    video,
                    result,
                    path,
                    top_k=job.top_k,
                    hud=job.hud,
                    fps=job.fps,
                    encoder=job.encoder,
                    isolate=job.isolate,
                    progress=self._progress,
                )
        return warnings


def _thresholds(job: DetectJob, known: tuple[str, ...], model: str) -> NDArray[np.float64]:
    """From which on each action counts, (C,). Raises: UsageError: out of range, or no such label."""
    thresholds = check_rules(np.asarray(job.min_score), job.smooth_s, known)
    if job.labels is None:
        return thresholds
    for label in job.labels:
        if label not in known:
            raise UsageError(f"{model} has no label {label!r}{did_you_mean(label, known, count=3)}")
    return np.where([label in job.labels for label in known], thresholds, _NEVER)
