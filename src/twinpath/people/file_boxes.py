"""People from a file of boxes: annotations, another detector, or an earlier result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpath.formats.box_observations import Box, BoxObservation, is_name_of
from twinpath.formats.boxes import read_boxes
from twinpath.people.base import MAX_PEOPLE, Frame, people_in
from twinpath.results.keyframes import PersonBoxes

NEAREST_S = 0.5  # maximum distance in time of a box that is used without interpolation
_LONGEST_GAP_S = 2.0  # maximum gap for interpolation of a track, or two steps of the file if that is longer
_ROUNDING_S = 1e-6

Found = tuple[Box | NDArray[np.float64], float]


@dataclass(frozen=True, eq=False)
class _Trajectory:
    """One track: times (N,), boxes (N, 4) in relative coordinates, scores (N,)."""

    times_s: NDArray[np.float64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, observations: list[BoxObservation]) -> _Trajectory:
        ordered = sorted(observations, key=lambda observation: observation.time_s)
        return cls(
            np.array([observation.time_s for observation in ordered]),
            np.array([observation.box for observation in ordered]),
            np.array([observation.score for observation in ordered]),
        )


class FileBoxes:
    """A PersonDetector that reads a file in any format of `formats.boxes`.

    A track is interpolated between its two nearest boxes. For boxes without a track, and at the ends of
    tracks, the boxes of the nearest time in the file are used, if within half a second. If every box of the
    file has a track, the people have track ids.

    Args:
        path: The file.
        video: The video whose boxes are read.
        width_px, height_px: Size of the displayed frames in pixels.
        min_score: Drop the boxes with a lower score.
    Attributes:
        span_s: The first and the last time in the file in seconds; None if it has no boxes of the video.
        of_other_video: The name in a file with boxes of a single video, if it differs from the video's name
            (ignoring case, suffix and folder): the boxes may be of another video. None: the names match, or
            the file has no name. In COCO files without a list of videos it is the folder of the images.
        mismatched_shape_px: Width and height of the annotated frames, if the aspect ratio differs from the
            displayed video's: the boxes are stretched, and wrong if the video was rotated or cropped since.
            None: the same aspect ratio, no size in the file, or no boxes.
        crowded_frames: Number of frames so far for which the file has more than `MAX_PEOPLE` boxes, of which
            those with the highest scores are used.
    Raises:
        InputError: The file cannot be used; names the line or entry.
    """

    batch_frames = 16

    def __init__(
        self,
        path: Path,
        *,
        video: Path,
        width_px: int,
        height_px: int,
        min_score: float = 0.0,
        isolate: bool = False,
    ) -> None:
        self.name = f"boxes in {path.name}"
        self.min_score = min_score
        content = read_boxes(path, video=video, width_px=width_px, height_px=height_px, isolate=isolate)
        self._times_s = np.array(content.times_s)
        at_s = [observation.time_s for observation in content.observations]
        self.span_s = (min(at_s), max(at_s)) if at_s else None
        is_own = not content.video or is_name_of(video, content.video)
        self.of_other_video = None if is_own else content.video
        self.mismatched_shape_px = content.mismatched_shape_px
        self._loose: dict[float, list[BoxObservation]] = {}
        tracks: dict[int | str, list[BoxObservation]] = {}
        for observation in content.observations:
            if observation.track is None:
                self._loose.setdefault(observation.time_s, []).append(observation)
            else:
                tracks.setdefault(observation.track, []).append(observation)
        self._trajectories = [_Trajectory.of(observations) for observations in tracks.values()]
        spans_s = np.array([(t.times_s[0], t.times_s[-1]) for t in self._trajectories]).reshape(-1, 2)
        self._begins_s, self._ends_s = spans_s.T
        self.crowded_frames = 0
        steps_s = np.diff(self._times_s)
        self._longest_gap_s = max(_LONGEST_GAP_S, 2 * float(np.median(steps_s)) if len(steps_s) else 0.0)

    def __call__(self, frames: Sequence[Frame], times_s: Sequence[float]) -> list[PersonBoxes]:
        """See `PersonDetector`. Only the sizes of the frames are used."""
        return [self._at(t, *frame.shape[:2]) for frame, t in zip(frames, times_s, strict=True)]

    def _at(self, time_s: float, height_px: int, width_px: int) -> PersonBoxes:
        nearest_s = self._nearest(time_s)
        found: list[Found] = [(s.box, s.score) for s in self._loose.get(nearest_s, ())]
        track_ids = []
        for track in self._tracks_near(time_s):
            place = self._interpolated(self._trajectories[track], time_s, nearest_s)
            if place is not None:
                found.append(place)
                track_ids.append(track + 1)
        if not found:
            return PersonBoxes.none()
        boxes = np.array([box for box, _ in found]) * ([width_px, height_px] * 2)
        scores = [score for _, score in found]
        people = people_in(
            boxes,
            scores,
            width_px=width_px,
            height_px=height_px,
            min_score=self.min_score,
            track_ids=None if self._loose else track_ids,
        )
        self.crowded_frames += len(people) == MAX_PEOPLE < len(found)
        return people

    def _tracks_near(self, time_s: float) -> list[int]:
        """Indices of the tracks that may have a box at a time: a file may have 10,000s of short ones."""
        margin_s = NEAREST_S + 2 * _ROUNDING_S
        is_near = (self._begins_s <= time_s + margin_s) & (self._ends_s >= time_s - margin_s)
        near: list[int] = np.flatnonzero(is_near).tolist()
        return near

    def _nearest(self, time_s: float) -> float:
        """The nearest time in the file within `NEAREST_S`; NaN if there is none."""
        if not len(self._times_s):
            return np.nan
        nearest = float(self._times_s[np.abs(self._times_s - time_s).argmin()])
        return nearest if abs(nearest - time_s) <= NEAREST_S + _ROUNDING_S else np.nan

    def _interpolated(self, track: _Trajectory, time_s: float, nearest_s: float) -> Found | None:
        """Box and score of a track at a time; None if the track has no box there."""
        after = int(np.searchsorted(track.times_s, time_s))
        if 0 < after < len(track.times_s):
            before_s, after_s = track.times_s[after - 1], track.times_s[after]
            if after_s - before_s <= self._longest_gap_s + _ROUNDING_S:
                share = (time_s - before_s) / (after_s - before_s)
                box = (1 - share) * track.boxes[after - 1] + share * track.boxes[after]
                return box, float((1 - share) * track.scores[after - 1] + share * track.scores[after])
        at_nearest = np.flatnonzero(track.times_s == nearest_s)
        return (track.boxes[at_nearest[0]], float(track.scores[at_nearest[0]])) if len(at_nearest) else None
