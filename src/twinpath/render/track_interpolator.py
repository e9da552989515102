"""The boxes of tracks at any time, interpolated between keyframes."""

from __future__ import annotations

import bisect

import numpy as np

from twinpath.render.people import ShownPerson
from twinpath.results.detections import BoxPx, Detections, TrackPoint

_MAX_GAP = 2  # maximum gap for interpolation, in keyframe distances
_HOLD = 0.5  # how long a box is held before its first and after its last keyframe, in keyframe distances


class TrackInterpolator:
    """Interpolates the boxes of tracks linearly between keyframes.

    In a gap of more than two keyframe distances a box is held for half a distance at either end, and absent
    in between. The actions are those of the nearest keyframe.

    Args:
        detections: Tracks with a point for each keyframe with a detection of the person.
        size_px: (height, width) of the frames to draw on. Boxes are scaled if the size in `detections`
            differs.
    """

    def __init__(self, detections: Detections, *, size_px: tuple[int, int]) -> None:
        self._tracks = [track for track in detections.tracks if track.points]
        self._times_s = [[point.time_s for point in track.points] for track in self._tracks]
        keyframes_s = np.unique(np.concatenate([detections.keyframes_s, *self._times_s]))
        self._keyframes = [np.searchsorted(keyframes_s, times_s) for times_s in self._times_s]
        midpoints_s = (keyframes_s[1:] + keyframes_s[:-1]) / 2
        hold_s = _HOLD * detections.every_s
        # A box is held from the midpoint before its keyframe to the midpoint after it.
        self._hold_from_s = np.concatenate([keyframes_s[:1] - hold_s, midpoints_s])
        self._hold_until_s = np.concatenate([midpoints_s, keyframes_s[-1:] + hold_s])
        self._begins_s = np.array([self._hold_from_s[indices[0]] for indices in self._keyframes])
        self._ends_s = np.array([self._hold_until_s[indices[-1]] for indices in self._keyframes])
        self._scale = (size_px[1] / detections.width_px, size_px[0] / detections.height_px) * 2

    def at(self, time_s: float) -> list[ShownPerson]:
        """The people at a time in seconds since the first frame, in the order of the tracks."""
        candidates = np.flatnonzero((self._begins_s <= time_s) & (time_s <= self._ends_s))
        people = (self._person(i, time_s) for i in candidates.tolist())
        return [person for person in people if person is not None]

    def _person(self, index: int, time_s: float) -> ShownPerson | None:
        """The person of a track; None in a gap that is too long to interpolate."""
        track, times_s, keyframes = self._tracks[index], self._times_s[index], self._keyframes[index]
        following = bisect.bisect_right(times_s, time_s)
        before, after = max(following - 1, 0), min(following, len(times_s) - 1)
        nearest = min(before, after, key=lambda i: abs(times_s[i] - time_s))
        point = track.points[nearest]
        if keyframes[after] - keyframes[before] <= _MAX_GAP:
            box = _interpolated(track.points[before], track.points[after], time_s)
        elif self._hold_from_s[keyframes[nearest]] <= time_s <= self._hold_until_s[keyframes[nearest]]:
            box = point.box_xyxy_px
        else:
            return None
        x1, y1, x2, y2 = (side * scale for side, scale in zip(box, self._scale, strict=True))
        actions = tuple((action.label, action.score) for action in point.actions)
        return ShownPerson(track.track_id, (x1, y1, x2, y2), actions)


def _interpolated(before: TrackPoint, after: TrackPoint, time_s: float) -> BoxPx:
    """The box at a time; outside the interval, the box of `before` or `after`."""
    length_s = after.time_s - before.time_s
    weight = min(max((time_s - before.time_s) / length_s, 0.0), 1.0) if length_s > 0 else 0.0
    sides = zip(before.box_xyxy_px, after.box_xyxy_px, strict=True)
    x1, y1, x2, y2 = ((1 - weight) * start + weight * end for start, end in sides)
    return x1, y1, x2, y2
