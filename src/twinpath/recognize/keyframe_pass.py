"""One pass over a video's keyframes: detect people, track them, score their actions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import LimitExceeded, is_out_of_memory
from twinpath.paths import display_path
from twinpath.people.base import MAX_PEOPLE, PersonDetector, Tracker, checked_people
from twinpath.people.file_boxes import NEAREST_S, FileBoxes
from twinpath.prefetch import Prefetcher, Shares, batches
from twinpath.recognize.checkpoint import PeriodicCheckpoint
from twinpath.recognize.inference import batch_is_ready, prefetched_clips, scores_of, size_bytes
from twinpath.results.keyframes import Keyframe, KeyframeScores, PersonBoxes
from twinpath.results.provenance import Provenance
from twinpath.video.resize import check_whole

if TYPE_CHECKING:
    from twinpath.recognize.detector import Detector
    from twinpath.video.clips import Clip, ClipSource

MakePersonDetector = Callable[[int, int], PersonDetector]  # from width and height in pixels


class KeyframePass:
    """Scores the keyframes of one video in batches.

    Args:
        detector: Scores the actions.
        video: The path as given.
        provenance: The provenance of the scores.
        clips: The clips around the keyframes to score.
        make_person_detector: Creates the person detector, given width and height of the frames.
        tracker: Assigns track ids to the boxes of successive keyframes.
        earlier: The keyframes before, scored by an earlier run; None: there are none.
    """

    def __init__(
        self,
        detector: Detector,
        video: str,
        provenance: Provenance,
        clips: ClipSource,
        make_person_detector: MakePersonDetector,
        tracker: Tracker,
        earlier: KeyframeScores | None,
    ) -> None:
        self._detector, self._video, self._provenance = detector, video, provenance
        self._clips, self._make_person_detector, self._tracker = clips, make_person_detector, tracker
        self._keyframes = list(earlier.keyframes) if earlier else []
        for keyframe in self._keyframes:
            self._track_ids(keyframe.people, keyframe.time_s)
        self._expected = len(self._keyframes) + len(clips)
        self._size_px = (earlier.width_px, earlier.height_px) if earlier else (0, 0)  # width, height
        self._shares = Shares.of(detector.reader.limits.max_bytes)
        self._person_detector: PersonDetector | None = None
        self._person_detector_name = earlier.person_detector if earlier else ""
        self._timing_s = {"decode": 0.0, "people": 0.0, "actions": 0.0}

    def run(
        self,
        on_checkpoint: Callable[[KeyframeScores], None] | None,
        progress: Callable[[int, int], None] | None,
    ) -> KeyframeScores:
        """Score all clips. Arguments as for `Detector.score`."""
        report = progress or (lambda done, total: None)
        report(len(self._keyframes), self._expected)
        save = None if on_checkpoint is None else lambda: on_checkpoint(self._result(complete=False))
        checkpoint = PeriodicCheckpoint(save, lambda: len(self._keyframes))
        with prefetched_clips(self._clips, self._shares) as prefetched:
            try:
                for batch in self._batches(self._timed(prefetched), prefetched):
                    for _ in self._score(batch):
                        report(len(self._keyframes), self._expected)
                        checkpoint.save_if_due()
                    del batch  # free it before the next one is gathered
            except BaseException:  # KeyboardInterrupt and SystemExit, too; before waiting for the thread
                checkpoint.save()
                raise
        if self._person_detector is None:  # an earlier run scored all keyframes
            info = self._detector.reader.probe(self._video)
            self._start(info.width, info.height)
        return self._result(complete=True)

    def _batches(self, clips: Iterator[Clip], prefetched: Prefetcher[Clip]) -> Iterator[list[Clip]]:
        """Batches of clips. The frame size of the first clip determines the batch size."""
        first = next(clips, None)
        if first is None:
            return
        height, width = _middle(first).shape[:2]
        person_detector = self._start(width, height)
        all_clips = chain(iter([first]), clips)
        del first  # free it before the next one is decoded
        yield from batches(
            all_clips,
            max(person_detector.batch_frames, self._detector.engine.batch_clips),
            size_bytes=size_bytes,
            max_bytes=self._shares.batch_bytes,
            is_ready=batch_is_ready(self._detector.engine, prefetched),
        )

    def _timed(self, clips: Prefetcher[Clip]) -> Iterator[Clip]:
        """The same clips; measures the time of waiting for them."""
        iterator = iter(clips)
        while True:
            began_s = time.perf_counter()
            clip = next(iterator, None)
            self._timing_s["decode"] += time.perf_counter() - began_s
            if clip is None:
                return
            yield clip
            del clip  # free it before the next one is waited for

    def _start(self, width_px: int, height_px: int) -> PersonDetector:
        """Create the person detector. Raises: LimitExceeded: No network takes frames of these proportions."""
        try:
            check_whole(height_px, width_px)
        except LimitExceeded as error:
            raise LimitExceeded(f"{display_path(Path(self._video))}: {error}") from error
        self._size_px = (width_px, height_px)
        self._person_detector = self._make_person_detector(width_px, height_px)
        self._person_detector_name = self._person_detector.name
        return self._person_detector

    def _score(self, clips: list[Clip]) -> Iterator[None]:
        """Score a batch. Yields after each part of it."""
        began_s = time.perf_counter()
        middles = [_middle(clip) for clip in clips]
        people_of_clips = self._people(middles, [clip.start_s for clip in clips])
        self._timing_s["people"] += time.perf_counter() - began_s
        engine = self._detector.engine
        for batch in batches(zip(clips, people_of_clips, strict=True), engine.batch_clips):
            began_s = time.perf_counter()
            scored = scores_of(
                engine, [clip.frames for clip, _ in batch], [people.boxes_xyxy_px for _, people in batch]
            )
            self._timing_s["actions"] += time.perf_counter() - began_s
            for (clip, people), scores in zip(batch, scored, strict=True):
                track_ids = self._track_ids(people, clip.start_s)
                self._keyframes.append(Keyframe(clip.start_s, people, track_ids, scores))
            yield

    def _people(self, frames: list[NDArray[np.uint8]], times_s: list[float]) -> list[PersonBoxes]:
        """The people in each frame. Raises: LimitExceeded: The detector needs more memory than there is."""
        detector = self._person_detector
        assert detector is not None
        try:
            return checked_people(detector(frames, times_s), frames, detector=detector.name)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            height, width = frames[0].shape[:2]
            raise LimitExceeded(
                f"{display_path(Path(self._video))}: finding people in pictures of {width}x{height} "
                f"({detector.name}) needs more memory than there is; scale the video down, or free memory"
            ) from error

    def _track_ids(self, people: PersonBoxes, time_s: float) -> NDArray[np.int64]:
        """(N,) track ids of the person detector, or else of the tracker."""
        return self._tracker.update(people, time_s) if people.track_ids is None else people.track_ids

    def _result(self, *, complete: bool) -> KeyframeScores:
        detector, clips = self._detector, self._clips
        last_s = self._keyframes[-1].time_s if self._keyframes else 0.0
        file_warnings = clips.warnings if complete else clips.warnings_until(last_s)
        box_warnings = self._box_warnings() if complete else []
        return KeyframeScores(
            video=self._video,
            provenance=self._provenance,
            dataset=detector.dataset,
            engine=detector.engine.describe(),
            person_detector=self._person_detector_name,
            tracker=self._tracker.name,
            width_px=self._size_px[0],
            height_px=self._size_px[1],
            duration_s=clips.end_s,
            first_frame_s=clips.first_frame_s,
            every_s=float(self._provenance.settings["every_s"]),
            labels=detector.labels,
            keyframes=tuple(self._keyframes),
            keyframes_expected=len(self._keyframes) if complete else self._expected,
            complete=complete,
            warnings=(*file_warnings, *box_warnings),
            timing_s={part: round(took_s, 4) for part, took_s in self._timing_s.items()},
            settings={},
        )

    def _box_warnings(self) -> list[str]:
        """Warnings if boxes from a file may be of another video."""
        boxes, warnings = self._person_detector, []
        if not isinstance(boxes, FileBoxes):
            return []
        if boxes.of_other_video:
            warnings.append(f"the {boxes.name} are of {boxes.of_other_video!r}, by their name")
        if boxes.mismatched_shape_px:
            shapes = [f"{width} x {height}" for width, height in (boxes.mismatched_shape_px, self._size_px)]
            warnings.append(f"the {boxes.name} are of frames of {shapes[0]}, stretched to {shapes[1]}")
        if boxes.crowded_frames:
            warnings.append(
                f"the {boxes.name} are more than {MAX_PEOPLE} at {boxes.crowded_frames} of "
                f"{len(self._keyframes)} keyframes; those with the highest scores are used"
            )
        if boxes.span_s and not self._is_near(*boxes.span_s):
            warnings.append(
                "no keyframe is near the {}, which are of {:g} to {:g} s; are these seconds since the "
                "video's first frame?".format(boxes.name, *boxes.span_s)
            )
        return warnings

    def _is_near(self, first_s: float, last_s: float) -> bool:
        return any(first_s - NEAREST_S <= k.time_s <= last_s + NEAREST_S for k in self._keyframes)


def _middle(clip: Clip) -> NDArray[np.uint8]:
    """(H, W, 3): the whole picture of the keyframe."""
    assert clip.middle is not None
    return clip.middle
