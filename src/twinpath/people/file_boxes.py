"""People whose boxes are known already: from annotations, another detector, or an earlier result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpath.formats.box_observations import Box, BoxObservation, is_called
from twinpath.formats.boxes import read_boxes
from twinpath.people.base import Picture, people_in
from twinpath.results.keyframes import PersonBoxes

NEAREST_S = 0.5  # how far a box may be from the time for which it is taken
_LONGEST_GAP_S = 2.0  # over which a track is interpolated, or two steps of the file where that is more
_ROUNDING_S = 1e-6

Found = tuple[Box | NDArray[np.float64], float]


@dataclass(frozen=True, eq=False)
class _Trajectory:
    """One track: times (N,), boxes (N, 4) as shares of the picture, scores (N,)."""

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
    """A PersonDetector that reads a file, of any format of `formats.boxes`.

    At each time a track is interpolated between its two nearest boxes. Boxes that belong to no track, and the
    ends of tracks, are those of the nearest time in the file, if within half a second. Where every box of the
    file belongs to a track, the people have track ids.

    Args:
        path: The file.
        video: Whose boxes to take from it.
        width_px, height_px: Of the video as displayed.
        min_score: Boxes that score less are left out.
    Attributes:
        span_s: The first and the last time in the file; None where it has no boxes of the video.
        of_other_video: The name in the file, which has boxes of a single video, where that is not the name of
            this one (upper and lower case, suffix and folder aside): the boxes may be another video's. None:
            the names agree, or the file has none. In COCO's form it is the folder of the pictures if no
            videos are listed.
        other_shape_px: Width and height of the pictures on which the boxes were measured, where the file
            gives a size whose aspect ratio is not the video's as displayed: the boxes are stretched, and
            wrong if the video was turned or cut since. None: the same shape, no size given, or no boxes.
    Raises:
        InputError: The file cannot be used; names the line or entry.
    """

    batch_frames = 16

    def __init__(
        self, path: Path, *, video: Path, width_px: int, height_px: int, min_score: float = 0.0
    ) -> None:
        self.name = f"boxes in {path.name}"
        self.min_score = min_score
        content = read_boxes(path, video=video, width_px=width_px, height_px=height_px)
        self._times_s = np.array(content.times_s)
        at_s = [observation.time_s for observation in content.observations]
        self.span_s = (min(at_s), max(at_s)) if at_s else None
        is_own = not content.video or is_called(video, content.video)
        self.of_other_video = None if is_own else content.video
        self.other_shape_px = content.other_shape_px
        self._loose: dict[float, list[BoxObservation]] = {}
        tracks: dict[int | str, list[BoxObservation]] = {}
        for observation in content.observations:
            if observation.track is None:
                self._loose.setdefault(observation.time_s, []).append(observation)
            else:
                tracks.setdefault(observation.track, []).append(observation)
        self._trajectories = [_Trajectory.of(observations) for observations in tracks.values()]
        steps_s = np.diff(self._times_s)
        self._longest_gap_s = max(_LONGEST_GAP_S, 2 * float(np.median(steps_s)) if len(steps_s) else 0.0)

    def __call__(self, pictures: Sequence[Picture], times_s: Sequence[float]) -> list[PersonBoxes]:
        """See `PersonDetector`; only the sizes of the pictures are used."""
        return [self._at(t, *picture.shape[:2]) for picture, t in zip(pictures, times_s, strict=True)]

    def _at(self, time_s: float, height_px: int, width_px: int) -> PersonBoxes:
        nearest_s = self._nearest(time_s)
        found: list[Found] = [(s.box, s.score) for s in self._loose.get(nearest_s, ())]
        track_ids = []
        for track_id, trajectory in enumerate(self._trajectories, 1):
            place = self._interpolated(trajectory, time_s, nearest_s)
            if place is not None:
                found.append(place)
                track_ids.append(track_id)
        if not found:
            return PersonBoxes.none()
        boxes = np.array([box for box, _ in found]) * ([width_px, height_px] * 2)
        scores = [score for _, score in found]
        return people_in(
            boxes,
            scores,
            width_px=width_px,
            height_px=height_px,
            min_score=self.min_score,
            track_ids=None if self._loose else track_ids,
        )

    def _nearest(self, time_s: float) -> float:
        """The nearest time of the file that is near enough; NaN: none is."""
        if not len(self._times_s):
            return np.nan
        nearest = float(self._times_s[np.abs(self._times_s - time_s).argmin()])
        return nearest if abs(nearest - time_s) <= NEAREST_S + _ROUNDING_S else np.nan

    def _interpolated(self, track: _Trajectory, time_s: float, nearest_s: float) -> Found | None:
        """Box and score of a track at a time; None: the track is not there."""
        after = int(np.searchsorted(track.times_s, time_s))
        if 0 < after < len(track.times_s):
            before_s, after_s = track.times_s[after - 1], track.times_s[after]
            if after_s - before_s <= self._longest_gap_s + _ROUNDING_S:
                share = (time_s - before_s) / (after_s - before_s)
                box = (1 - share) * track.boxes[after - 1] + share * track.boxes[after]
                return box, float((1 - share) * track.scores[after - 1] + share * track.scores[after])
        at_nearest = np.flatnonzero(track.times_s == nearest_s)
        return (track.boxes[at_nearest[0]], float(track.scores[at_nearest[0]])) if len(at_nearest) else None
