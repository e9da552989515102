"""Tell who does what, where and when in a video: the Detector.

detect = Detector("slowfast_r50_8x8_det.ptv_ava")
found = detect("basketball.mp4", people="auto", every_s=1.0)
for track in found.tracks:
    for seen in track.points:
        seen.time_s, seen.box_xyxy_px, seen.actions

Keyframes lie at 0, `every_s`, 2 * `every_s` … seconds. There, people are found and followed, and the actions
of each are scored on the clip around it, which is decoded once, ahead of both networks.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.config import EngineConfig
from twinpath.errors import InputError, UsageError
from twinpath.labels import labels
from twinpath.people.base import PersonDetector, Tracker
from twinpath.people.choose import make_detector, make_tracker, serves_any_video
from twinpath.people.file_boxes import NEAREST_S, FileBoxes
from twinpath.prefetch import BATCH_BYTES, PREFETCH_BYTES, Prefetcher, batches
from twinpath.recognize.checkpoint import PeriodicCheckpoint
from twinpath.recognize.smoothing import checked_thresholds, smooth_scores
from twinpath.recognize.timeline import LIMITS, check_every
from twinpath.results.classification import SYNTHETIC_WARNING, Prediction
from twinpath.results.detections import Detections, Track, TrackPoint
from twinpath.results.keyframes import Keyframe, PersonBoxes
from twinpath.video.clip_plan import Keyframes
from twinpath.video.clips import Clip, ClipSource, open_clips
from twinpath.video.probe import probe
from twinpath.video.sampling import Times
from twinpath.zoo.create import input_spec, resolve

if TYPE_CHECKING:
    from twinpath.weights.fetch import Progress

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "slowfast_r50_8x8_det.ptv_ava"
MIN_SCORE = 0.5
MIN_PERSON_SCORE = 0.8  # what PySlowFast asks of a detected person before SlowFast looks at it
SMOOTH_S = 1.5
Scores = NDArray[np.float32]


class Detector:
    """Tells who does what, where and when. Make one, call it many times.

    Args:
        model: A detection network or a record (`twinpath models list --dataset ava`).
        weights: A weight file to use in place of the record's.
        device: "auto", "cpu", "cuda", "cuda:1", …
        config: Which engine, device, precision and threads; in place of `device`.
        progress: Told the bytes done and expected while weights are downloaded.
        on_status: Told, in a sentence, of work that takes seconds and is done once.
    Raises:
        UnknownModel: No such name, or it has no published weights and none were given.
        UsageError: It classifies whole clips; the engine, the device or the precision cannot be had here.
        WeightsError: The weights cannot be fetched, trusted or do not fit.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        *,
        config: EngineConfig | None = None,
        progress: Progress | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> None:
        architecture, record = resolve(model)
        if not architecture.is_detector:
            raise UsageError(f"{model} classifies whole clips; to detect, take one such as {DEFAULT_MODEL}")
        if record is None and weights is None:
            raise UsageError(f"no weights are published for {model}; give a file with --weights")
        from twinpath.engine.open import open_engine

        self.model = record.name if record else architecture.name
        self.spec = input_spec(model)
        self.dataset = record.dataset if record else "ava2.2"
        self.labels = labels(record.label_set if record and record.label_set else "ava")
        self.config = config or EngineConfig(device=device)
        self._progress = progress
        self._finders: dict[tuple[str, float | None], PersonDetector] = {}
        self.engine = open_engine(
            self.model,
            None if weights is None else Path(weights),
            output="boxes",
            config=self.config,
            progress=progress,
            on_status=on_status or logger.info,
        )
        if len(self.labels) != self.engine.num_classes:
            raise UsageError(
                f"{self.model} has {self.engine.num_classes} classes and {self.dataset} "
                f"{len(self.labels)} labels; no action could be named"
            )

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
        resume_from: Sequence[Keyframe] = (),
        on_checkpoint: Callable[[Sequence[Keyframe]], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Detections:
        """Detect in a video file, in memory for a few clips of it.

        Args:
            video: A path.
            people: Who finds people: a name of `people.choose.make_detector`, a file with boxes, or your own.
            tracker: Who follows them: a name of `people.choose.make_tracker`, or your own, which remembers
                who it saw: make one for each video.
            every_s: From one keyframe to the next, in seconds. Where pictures come slower, each is one.
            min_score: From which on an action counts, one for all or (C,) one for each.
            min_person_score: From which on a person counts; None: the person detector's own.
            smooth_s: An action's scores are averaged along a track, with weights that fall to 0 so many
                seconds away; 0: not at all.
            resume_from: The first keyframes, looked at earlier with the same settings; decoding begins behind
                them. A person detector with a memory of its own, "motion", begins without it.
            on_checkpoint: Called with all keyframes so far every `CHECKPOINT_EVERY_S` seconds, and when an
                error or a signal ends the work, if there is a new one.
            progress: Told how many keyframes are done, of how many.
        Raises:
            InputError: The file cannot be used; says why.
            UsageError: An argument makes no sense, or the person detector cannot be had here.
            LimitExceeded: The file would cost too much.
        """
        check_every(every_s, what="a keyframe")
        thresholds = checked_thresholds(min_score, self.labels)
        if not 0 <= smooth_s < np.inf:
            raise UsageError(f"smoothing over {smooth_s:g} s makes no sense; give seconds from 0")
        path = Path(video)
        start_s = float(np.nextafter(resume_from[-1].time_s, np.inf)) if resume_from else 0.0
        plan = Keyframes(self.spec.num_frames, self.spec.sampling_rate, every_s, start_s)
        with open_clips(path, plan, limits=LIMITS) as stream:
            # The picture's size is known from the first clip on; so is who looks for people in it.
            found_by = os.fspath(people) if isinstance(people, os.PathLike) else people
            seen = _Seen(self, path, every_s, found_by, tracker, min_person_score, resume_from)
            with Prefetcher(
                stream, size_bytes=lambda clip: clip.frames.nbytes, most_bytes=PREFETCH_BYTES
            ) as ahead:
                seen.all_of(ahead, len(resume_from) + len(stream), on_checkpoint, progress)
            return seen.detections(os.fspath(video), stream, thresholds, smooth_s)

    def finder(
        self, name: str, video: Path | None, *, width_px: int, height_px: int, min_score: float | None
    ) -> PersonDetector:
        """The person detector of that name; one that does not depend on the video is loaded once."""
        key = (name, min_score)
        if key in self._finders:
            return self._finders[key]
        finder = make_detector(
            name,
            video=video,
            width_px=width_px,
            height_px=height_px,
            device=self.config.device,
            min_score=min_score,
            progress=self._progress,
        )
        if serves_any_video(name):
            self._finders[key] = finder
        return finder


class LiveDetector:
    """A Detector for the windows of one live source, see `recognize.stream`; scores are not smoothed.

    Args:
        detector: What scores actions.
        people: A person detector; one that needs to know the video, a file of boxes, makes no sense here.
        tracker: Who follows people from window to window.
        min_score: As for `Detector`.
    """

    def __init__(
        self,
        detector: Detector,
        people: PersonDetector,
        tracker: Tracker,
        *,
        min_score: float | NDArray[np.floating] = MIN_SCORE,
    ) -> None:
        self._detector, self._people, self._tracker = detector, people, tracker
        self._min_score = checked_thresholds(min_score, detector.labels)

    def __call__(self, clip_THWC: NDArray[np.uint8], time_s: float) -> tuple[Track, ...]:
        """The people in the clip's middle picture, at a time in seconds: tracks of one keyframe each."""
        (found,) = self._people([clip_THWC[len(clip_THWC) // 2]], [time_s])
        (scores,) = self._detector.engine([clip_THWC], [found.boxes_xyxy_px])
        keyframe = Keyframe(time_s, found, self._tracker.update(found, time_s), scores)
        return tracks_of([keyframe], self._detector.labels, min_score=self._min_score, smooth_s=0.0)


class _Seen:
    """What was found in one video so far."""

    def __init__(
        self,
        owner: Detector,
        video: Path,
        every_s: float,
        people: str | PersonDetector,
        tracker: str | Tracker,
        min_person_score: float | None,
        resume_from: Sequence[Keyframe],
    ) -> None:
        self._owner, self._video, self._every_s = owner, video, every_s
        self._people, self._min_person_score = people, min_person_score
        self._tracker = make_tracker(tracker, every_s=every_s) if isinstance(tracker, str) else tracker
        self._keyframes = list(resume_from)
        for keyframe in resume_from:
            self._number(keyframe.people, keyframe.time_s)
        self._size_px = (0, 0)  # width, height
        self._people_name = people if isinstance(people, str) else people.name
        self._found_by: PersonDetector | None = None
        self._took_s = {"decode": 0.0, "people": 0.0, "actions": 0.0}

    def all_of(
        self,
        clips: Iterable[Clip],
        expected: int,
        on_checkpoint: Callable[[Sequence[Keyframe]], None] | None,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """Look at every clip, some keyframes at a time."""
        if progress is not None:
            progress(len(self._keyframes), expected)
        keep_all = None if on_checkpoint is None else lambda: on_checkpoint(self._keyframes)
        kept = PeriodicCheckpoint(keep_all, lambda: len(self._keyframes))
        try:
            for batch in self._batches(self._waited_for(clips)):
                for _ in self._look_at(batch):
                    if progress is not None:
                        progress(len(self._keyframes), expected)
                    kept.now_and_then()
                del batch  # or it would be held while the next one is gathered
            if self._found_by is None:  # an earlier run had looked at all of them
                info = probe(self._video)
                self._found_by = self._finder(info.width, info.height)
        except BaseException:  # before the thread is waited for: a second Ctrl-C would cut that short
            kept.now()
            raise

    def _batches(self, clips: Iterator[Clip]) -> Iterator[list[Clip]]:
        """As many as are best looked at together; the first one's size is that of the pictures."""
        first = next(clips, None)
        if first is None:
            return
        height, width = first.frames.shape[1:3]
        finder = self._found_by = self._finder(width, height)
        all_of_them = chain(iter([first]), clips)
        del first  # or it would be held to the end
        yield from batches(
            all_of_them,
            max(finder.batch_pictures, self._owner.engine.batch_clips),
            size_bytes=lambda clip: clip.frames.nbytes,
            most_bytes=BATCH_BYTES,
        )

    def _waited_for(self, clips: Iterable[Clip]) -> Iterator[Clip]:
        """The same; notes how long they had to be waited for."""
        clips = iter(clips)
        while True:
            began_s = time.perf_counter()
            clip = next(clips, None)
            self._took_s["decode"] += time.perf_counter() - began_s
            if clip is None:
                return
            yield clip
            del clip  # or it would be held while the next one is waited for

    def _finder(self, width: int, height: int) -> PersonDetector:
        self._size_px = (width, height)
        if not isinstance(self._people, str):
            return self._people
        finder = self._owner.finder(
            self._people, self._video, width_px=width, height_px=height, min_score=self._min_person_score
        )
        self._people_name = finder.name
        return finder

    def _look_at(self, clips: list[Clip]) -> Iterator[None]:
        """Yields whenever there are new keyframes."""
        assert self._found_by is not None
        times_s = [clip.start_s for clip in clips]
        began_s = time.perf_counter()
        found = self._found_by([clip.frames[len(clip.frames) // 2] for clip in clips], times_s)
        self._took_s["people"] += time.perf_counter() - began_s
        for few in batches(zip(clips, found, strict=True), self._owner.engine.batch_clips):
            began_s = time.perf_counter()
            scored = self._owner.engine(
                [clip.frames for clip, _ in few], [people.boxes_xyxy_px for _, people in few]
            )
            self._took_s["actions"] += time.perf_counter() - began_s
            for (clip, people), scores in zip(few, scored, strict=True):
                if not np.isfinite(scores).all():
                    raise InputError(
                        f"{self._owner.model} gave scores that are not numbers; are its weights sound?"
                    )
                numbers = self._number(people, clip.start_s)
                self._keyframes.append(Keyframe(clip.start_s, people, numbers, scores))
            yield

    def _number(self, people: PersonBoxes, time_s: float) -> NDArray[np.int64]:
        """Who is who: as the person detector says, or else the tracker."""
        return self._tracker.update(people, time_s) if people.track_ids is None else people.track_ids

    def detections(
        self, video: str, stream: ClipSource, min_score: NDArray[np.float64], smooth_s: float
    ) -> Detections:
        owner, (width, height) = self._owner, self._size_px
        of_model = [SYNTHETIC_WARNING] if owner.dataset == "synthetic" else []
        tracks = tracks_of(self._keyframes, owner.labels, min_score=min_score, smooth_s=smooth_s)
        return Detections(
            video=video,
            model=owner.model,
            dataset=owner.dataset,
            engine=owner.engine.describe(),
            person_detector=self._people_name,
            tracker=self._tracker.name,
            width_px=width,
            height_px=height,
            duration_s=round(stream.end_s, 3),
            every_s=self._every_s,
            keyframes_s=tuple(round(keyframe.time_s, 3) for keyframe in self._keyframes),
            tracks=tracks,
            warnings=(*stream.warnings, *of_model, *self._of_boxes()),
            timing_s={part: round(took_s, 4) for part, took_s in self._took_s.items()},
        )

    def _of_boxes(self) -> list[str]:
        """What makes boxes from a file doubtful: they may be of another video."""
        found_by, of_file = self._found_by, []
        if not isinstance(found_by, FileBoxes):
            return []
        if found_by.of_other_video:
            of_file.append(f"the {found_by.name} are of {found_by.of_other_video!r}, by their name")
        if found_by.other_shape_px:
            shapes = [f"{width} x {height}" for width, height in (found_by.other_shape_px, self._size_px)]
            of_file.append(f"the {found_by.name} are of pictures of {shapes[0]}, stretched to {shapes[1]}")
        if found_by.span_s and not self._is_near(*found_by.span_s):
            of_file.append(
                "no keyframe is near the {}, which are of {:g} to {:g} s; are these seconds since the "
                "video's first picture?".format(found_by.name, *found_by.span_s)
            )
        return of_file

    def _is_near(self, first_s: float, last_s: float) -> bool:
        return any(first_s - NEAREST_S <= k.time_s <= last_s + NEAREST_S for k in self._keyframes)


def tracks_of(
    keyframes: Iterable[Keyframe],
    names: tuple[str, ...],
    *,
    min_score: float | NDArray[np.floating] = MIN_SCORE,
    smooth_s: float = SMOOTH_S,
) -> tuple[Track, ...]:
    """Keyframes to tracks with smoothed scores, and of these the actions that count.

    Args:
        keyframes: In order of time.
        names: (C,) of the actions.
        min_score: One for all actions, or (C,).
        smooth_s: See `Detector`.
    """
    rows: dict[int, list[tuple[float, Keyframe, int]]] = {}
    for keyframe in keyframes:
        for i, number in enumerate(keyframe.track_ids.tolist()):
            rows.setdefault(number, []).append((keyframe.time_s, keyframe, i))
    thresholds = np.broadcast_to(np.asarray(min_score, dtype=np.float64), (len(names),))
    return tuple(_track(number, rows[number], names, thresholds, smooth_s) for number in sorted(rows))


def _track(
    number: int,
    rows: list[tuple[float, Keyframe, int]],
    names: tuple[str, ...],
    thresholds: NDArray[np.float64],
    smooth_s: float,
) -> Track:
    times_s: Times = np.asarray([time_s for time_s, _, _ in rows])
    scores = smooth_scores(np.stack([k.scores[i] for _, k, i in rows]), times_s, smooth_s=smooth_s)
    seen = []
    for (time_s, keyframe, i), row in zip(rows, scores, strict=True):
        order = [c for c in np.argsort(-row, kind="stable").tolist() if row[c] >= thresholds[c]]
        x1, y1, x2, y2 = (round(float(side), 2) for side in keyframe.people.boxes_xyxy_px[i])
        actions = tuple(Prediction(names[c], c, round(float(row[c]), 4)) for c in order)
        score = round(float(keyframe.people.scores[i]), 4)
        seen.append(TrackPoint(round(time_s, 3), (x1, y1, x2, y2), score, actions))
    return Track(number, tuple(seen))
