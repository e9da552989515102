"""The Detector: detects people in a video, tracks them and recognises their actions.

detect = Detector("slowfast_r50_8x8_det.ptv_ava")
detections = detect("basketball.mp4", people="auto", every_s=1.0)
for track in detections.tracks:
    for point in track.points:
        point.time_s, point.box_xyxy_px, point.actions

Keyframes lie at 0, `every_s`, 2 * `every_s` … seconds. At each keyframe people are detected and tracked, and
the actions of each person are scored on the clip around it. A clip is decoded once for both networks, in
another thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.config import EngineConfig
from twinpath.errors import UsageError
from twinpath.people.base import PersonDetector, Tracker
from twinpath.people.choose import make_detector, make_tracker, serves_any_video
from twinpath.recognize.keyframe_pass import KeyframePass
from twinpath.recognize.model import DEFAULT_DETECTION_MODEL, load_model
from twinpath.recognize.plan import check_every_s, plan_keyframes
from twinpath.recognize.read import VideoReader, fps_settings, source_provenance
from twinpath.recognize.smoothing import smooth_scores
from twinpath.recognize.thresholds import checked_thresholds
from twinpath.recognize.timeline import check_resumable
from twinpath.results.classification import SYNTHETIC_WARNING, Prediction
from twinpath.results.detections import Detections, Track, TrackPoint
from twinpath.results.keyframes import Keyframe, KeyframeScores
from twinpath.video.sampling import Times
from twinpath.video.source import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from twinpath.weights.callbacks import Progress

MIN_SCORE = 0.5
MIN_PERSON_SCORE = 0.8  # PySlowFast's threshold on the person detector for SlowFast
SMOOTH_S = 1.5


class Detector:
    """Detects people, tracks them and recognises their actions. Create one and call it many times.

    Args:
        model: A detection network or a record (`list_models("*_det*")`).
        weights: A weight file that replaces the one of the record.
        device: "auto", "cpu", "cuda", "cuda:1", …
        config: Engine, device, precision and threads; in place of `device`.
        limits: Limits of reading one file.
        isolate: Read files in a sandboxed process, see `VideoReader`.
        fps: Frames per second of what has no times, see `VideoReader`.
        progress: Called with the bytes downloaded and the total while weights are downloaded.
        on_status: Called with a message before slow one-time work, such as compiling.
    Attributes:
        model: Full name of network and weights.
        dataset, labels, spec, engine, weights_sha256: See `LoadedModel`.
        reader: Reads the files.
    Raises:
        UnknownModel, UsageError, WeightsError: See `load_model`.
    """

    def __init__(
        self,
        model: str = DEFAULT_DETECTION_MODEL,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        *,
        config: EngineConfig | None = None,
        limits: Limits = DEFAULT_LIMITS,
        isolate: bool = False,
        fps: float | None = None,
        progress: Progress | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config or EngineConfig(device=device)
        loaded = load_model(
            model, weights, task="detection", config=self.config, progress=progress, on_status=on_status
        )
        self.model, self.dataset, self.labels = loaded.name, loaded.dataset, loaded.labels
        self.spec, self.engine, self.weights_sha256 = loaded.spec, loaded.engine, loaded.weights_sha256
        self.reader = VideoReader(limits, isolate, fps)
        self._progress = progress
        self._person_detectors: dict[tuple[str, float | None], PersonDetector] = {}

    def describe(self) -> str:
        """Backend, version, device and precision, human-readable."""
        return self.engine.describe()

    def __call__(
        self,
        video: str | os.PathLike[str],
        *,
        people: str | os.PathLike[str] | PersonDetector = "auto",
        tracker: str | Tracker = "iou",
        every_s: float = 1.0,
        min_score: float | NDArray[np.floating] = MIN_SCORE,
        min_person_score: float | None = None,
        smooth_s: float = SMOOTH_S,
        progress: Callable[[int, int], None] | None = None,
    ) -> Detections:
        """Detect people and their actions in a video file, with a few clips in memory at a time.

        Args:
            video: A path.
            people, tracker, every_s, min_person_score, progress: See `score`.
            min_score, smooth_s: See `detections_of`.
        Raises:
            InputError, LimitExceeded, WorkerDied: See `score`.
            UsageError: An argument is out of range, or the person detector is not available.
        """
        check_rules(min_score, smooth_s, self.labels)
        scores = self.score(
            video,
            people=people,
            tracker=tracker,
            every_s=every_s,
            min_person_score=min_person_score,
            progress=progress,
        )
        return detections_of(scores, min_score=min_score, smooth_s=smooth_s)

    def score(
        self,
        video: str | os.PathLike[str],
        *,
        people: str | os.PathLike[str] | PersonDetector = "auto",
        tracker: str | Tracker = "iou",
        every_s: float = 1.0,
        min_person_score: float | None = None,
        resume_from: KeyframeScores | None = None,
        on_checkpoint: Callable[[KeyframeScores], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> KeyframeScores:
        """Score the actions of every person at every keyframe; `detections_of` turns the scores into tracks.

        Args:
            video: A path.
            people: The person detector: a name for `people.choose.make_detector`, a file with boxes, or a
                `PersonDetector`.
            tracker: A name for `people.choose.make_tracker`, or a `Tracker`. A tracker has state: use a new
                one for each video.
            every_s: Distance of the keyframes in seconds. At a lower frame rate every frame is a keyframe.
            min_person_score: Minimum score of a person; None: the default of the person detector.
            resume_from: The first keyframes, scored earlier with the same settings; decoding resumes behind
                them. A person detector with state ("motion") starts without it.
            on_checkpoint: Called with the keyframes so far every `CHECKPOINT_EVERY_S` seconds, and on an
                error or a signal, if there is a new keyframe.
            progress: Called with the number of keyframes done and the total.
        Raises:
            InputError: The file cannot be used; the message has the reason.
            UsageError: An argument is out of range; the person detector is not available; or `resume_from` is
                of another video, model or setting.
            LimitExceeded: A limit is exceeded.
            WorkerDied: With `isolate`: the process that read the file ended twice.
        """
        path = Path(video)
        settings = detection_settings(
            people=people, tracker=tracker, every_s=check_every_s(every_s), min_person_score=min_person_score
        ) | fps_settings(self.reader.fps)
        provenance = source_provenance(
            path, model=self.model, weights_sha256=self.weights_sha256, settings=settings
        )
        check_resumable(resume_from.provenance.differences(provenance) if resume_from else [], path)
        earlier = resume_from.keyframes if resume_from else ()
        start_s = float(np.nextafter(earlier[-1].time_s, np.inf)) if earlier else 0.0
        plan = plan_keyframes(self.spec, every_s=every_s, start_s=start_s)
        following = make_tracker(tracker, every_s=every_s) if isinstance(tracker, str) else tracker

        def make_person_detector(width_px: int, height_px: int) -> PersonDetector:
            if not isinstance(people, str | os.PathLike):
                return people
            return self.person_detector(
                os.fspath(people), path, width_px=width_px, height_px=height_px, min_score=min_person_score
            )

        with self.reader.open(path, plan, self.engine.resize) as clips:
            keyframes = KeyframePass(
                self, os.fspath(video), provenance, clips, make_person_detector, following, resume_from
            )
            return keyframes.run(on_checkpoint, progress)

    def person_detector(
        self, name: str, video: Path | None, *, width_px: int, height_px: int, min_score: float | None
    ) -> PersonDetector:
        """The person detector with this name; cached if it does not depend on the video."""
        key = (name, min_score)
        if key in self._person_detectors:
            return self._person_detectors[key]
        detector = make_detector(
            name,
            video=video,
            width_px=width_px,
            height_px=height_px,
            device=self.config.device,
            min_score=min_score,
            isolate=self.reader.isolate,
            progress=self._progress,
        )
        if serves_any_video(name):
            self._person_detectors[key] = detector
        return detector


def detection_settings(
    *,
    people: str | os.PathLike[str] | PersonDetector,
    tracker: str | Tracker,
    every_s: float,
    min_person_score: float | None,
) -> dict[str, Any]:
    """The settings that determine the scores of keyframes, for their `Provenance`.

    A file with boxes is identified by the hash of its content.
    """
    from twinpath.weights.hashes import file_sha256

    named = os.fspath(people) if isinstance(people, str | os.PathLike) else people.name
    is_file = isinstance(people, str | os.PathLike) and Path(people).is_file()
    return {
        "people": named,
        "people_sha256": file_sha256(Path(named)) if is_file else None,
        "tracker": tracker if isinstance(tracker, str) else tracker.name,
        "every_s": every_s,
        "min_person_score": min_person_score,
    }


def check_rules(
    min_score: float | NDArray[np.floating], smooth_s: float, labels: tuple[str, ...]
) -> NDArray[np.float64]:
    """Check the rules of `detections_of`.

    Returns:
        (C,) the minimum score of each action.
    Raises:
        UsageError: `min_score` or `smooth_s` is out of range.
    """
    if not 0 <= smooth_s < np.inf:
        raise UsageError(f"smooth_s must be 0 s or more, not {smooth_s:g}")
    return checked_thresholds(min_score, labels)


def detections_of(
    scores: KeyframeScores,
    *,
    min_score: float | NDArray[np.floating] = MIN_SCORE,
    smooth_s: float = SMOOTH_S,
) -> Detections:
    """Tracks of people with their actions, from the scores of a video's keyframes.

    Args:
        scores: See `Detector.score`.
        min_score: Minimum score of an action: one for all, or (C,) one for each.
        smooth_s: Scores are averaged along a track with a triangular window of this half width in seconds; 0:
            no smoothing.
    Raises:
        UsageError: An argument is out of range.
    """
    thresholds = check_rules(min_score, smooth_s, scores.labels)
    model_warnings = (SYNTHETIC_WARNING,) if scores.dataset == "synthetic" else ()
    return Detections(
        video=scores.video,
        model=scores.provenance.model,
        dataset=scores.dataset,
        engine=scores.engine,
        person_detector=scores.person_detector,
        tracker=scores.tracker,
        width_px=scores.width_px,
        height_px=scores.height_px,
        duration_s=round(scores.duration_s, 3),
        every_s=scores.every_s,
        keyframes_s=tuple(round(keyframe.time_s, 3) for keyframe in scores.keyframes),
        tracks=tracks_of(scores.keyframes, scores.labels, min_score=thresholds, smooth_s=smooth_s),
        warnings=(*scores.warnings, *model_warnings),
        timing_s=scores.timing_s,
        first_frame_s=round(scores.first_frame_s, 3),
    )


def tracks_of(
    keyframes: Iterable[Keyframe],
    labels: tuple[str, ...],
    *,
    min_score: float | NDArray[np.floating] = MIN_SCORE,
    smooth_s: float = SMOOTH_S,
) -> tuple[Track, ...]:
    """Tracks from keyframes: smooth the scores along each track, then apply the thresholds.

    Args:
        keyframes: In order of time.
        labels: The names of the C actions.
        min_score, smooth_s: See `detections_of`.
    """
    rows: dict[int, list[tuple[float, Keyframe, int]]] = {}
    for keyframe in keyframes:
        for i, track_id in enumerate(keyframe.track_ids.tolist()):
            rows.setdefault(track_id, []).append((keyframe.time_s, keyframe, i))
    thresholds = np.broadcast_to(np.asarray(min_score, dtype=np.float64), (len(labels),))
    return tuple(_track(track_id, rows[track_id], labels, thresholds, smooth_s) for track_id in sorted(rows))


def _track(
    track_id: int,
    rows: list[tuple[float, Keyframe, int]],
    labels: tuple[str, ...],
    thresholds: NDArray[np.float64],
    smooth_s: float,
) -> Track:
    times_s: Times = np.asarray([time_s for time_s, _, _ in rows])
    scores = smooth_scores(np.stack([k.scores[i] for _, k, i in rows]), times_s, smooth_s=smooth_s)
    points = []
    for (time_s, keyframe, i), row in zip(rows, scores, strict=True):
        order = [c for c in np.argsort(-row, kind="stable").tolist() if row[c] >= thresholds[c]]
        x1, y1, x2, y2 = (round(float(side), 2) for side in keyframe.people.boxes_xyxy_px[i])
        actions = tuple(Prediction(labels[c], c, round(float(row[c]), 4)) for c in order)
        score = round(float(keyframe.people.scores[i]), 4)
        points.append(TrackPoint(round(time_s, 3), (x1, y1, x2, y2), score, actions))
    return Track(track_id, tuple(points))
