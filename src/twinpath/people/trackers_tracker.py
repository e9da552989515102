"""ByteTrack and OC-SORT from Roboflow's `trackers` (Apache-2.0). Needs the extra `trackers`.

Both predict motion with a Kalman filter and are designed for every frame of a video; here a "frame" is a
keyframe. Source: Zhang et al., "ByteTrack", ECCV 2022; Cao et al., "Observation-Centric SORT", CVPR 2023.
"""

from __future__ import annotations

import importlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twinpath.boxes import iou_matrix
from twinpath.errors import MissingExtra
from twinpath.people.base import lost_after_s
from twinpath.results.keyframes import PersonBoxes

Algorithm = Literal["bytetrack", "ocsort"]

SURE_SCORE = 0.5  # ByteTrack uses boxes with a lower score only to continue tracks; OC-SORT drops them
_CLASSES = {"bytetrack": "ByteTrackTracker", "ocsort": "OCSORTTracker"}
_BUFFER_PER_S = 30  # the package's buffer is in frames at 30 fps, independent of the actual rate
_SAME_BOX = 0.9  # overlap of a box with the track that started from it; the filter may round


class TrackersTracker:
    """A Tracker of the package `trackers`.

    The package assigns an id to a track after two detections. Here a box gets an id immediately, and its
    track keeps that id when it is confirmed; a box without a track gets a new id.

    Args:
        algorithm: "bytetrack" or "ocsort".
        every_s: Distance of the keyframes in seconds.
    Raises:
        MissingExtra: `trackers` is not installed, or does not load.
    """

    def __init__(self, algorithm: Algorithm, *, every_s: float) -> None:
        package = _load()
        self._supervision: Any = importlib.import_module("supervision")
        self.name = f"{algorithm} (trackers {getattr(package, '__version__', None) or _version()})"
        settings: dict[str, Any] = {
            "frame_rate": 1 / every_s,
            "lost_track_buffer": round(lost_after_s(every_s) * _BUFFER_PER_S),
            "minimum_consecutive_frames": 1,  # confirm a track after two keyframes
            "minimum_iou_threshold": 0.1,  # boxes of a walking person overlap little after a second
            "high_conf_det_threshold": SURE_SCORE,
        }
        if algorithm == "bytetrack":
            settings["track_activation_threshold"] = SURE_SCORE
        self._tracker: Any = getattr(package, _CLASSES[algorithm])(**settings)
        self._last_id = 0
        self._ids: dict[int, int] = {}  # the package's track id, from 0, to ours
        self._unconfirmed: list[tuple[Any, int]] = []  # the package's track, and our id

    def update(self, people: PersonBoxes, time_s: float) -> NDArray[np.int64]:
        """See `Tracker.update`."""
        detections = self._supervision.Detections(
            xyxy=people.boxes_xyxy_px.astype(np.float32),
            confidence=people.scores.astype(np.float32),
            class_id=np.zeros(len(people), dtype=int),
            data={"place": np.arange(len(people))},  # the package changes the order
        )
        answer = self._tracker.update(detections, timestamp=time_s)
        theirs = np.full(len(people), -1, dtype=np.int64)
        if len(answer):
            theirs[answer.data["place"]] = answer.tracker_id
        self._confirm()
        track_ids = np.array([self._id_of(int(track)) for track in theirs], dtype=np.int64)
        self._remember_unconfirmed(people, theirs, track_ids)
        return track_ids

    def _confirm(self) -> None:
        """Store our ids of the tracks that the package has confirmed."""
        for track, track_id in self._unconfirmed:
            if track.tracker_id != -1:
                self._ids[track.tracker_id] = track_id

    def _id_of(self, track: int) -> int:
        if track in self._ids:
            return self._ids[track]
        self._last_id += 1
        if track != -1:
            self._ids[track] = self._last_id
        return self._last_id

    def _remember_unconfirmed(
        self, people: PersonBoxes, theirs: NDArray[np.int64], track_ids: NDArray[np.int64]
    ) -> None:
        """Store our ids of the package's tracks that have no id yet."""
        known = {id(track): (track, track_id) for track, track_id in self._unconfirmed}
        waiting = [track for track in self._tracker.tracks if track.tracker_id == -1]
        self._unconfirmed = [known[id(track)] for track in waiting if id(track) in known]
        begun = [track for track in waiting if id(track) not in known]
        loose = np.flatnonzero(theirs == -1)
        if not begun or not len(loose):
            return
        tracks = np.array([track.get_state_bbox() for track in begun], dtype=np.float64).reshape(-1, 4)
        overlap = iou_matrix(tracks, people.boxes_xyxy_px[loose])
        for track, row in zip(begun, overlap, strict=True):
            if row.max() >= _SAME_BOX:
                self._unconfirmed.append((track, int(track_ids[loose[int(row.argmax())]])))


def _load() -> Any:
    """Import the package. Raises: MissingExtra: It is not installed, or does not load."""
    install = "pip install 'twinpath[trackers]'"
    try:
        return importlib.import_module("trackers")
    except ModuleNotFoundError as error:
        raise MissingExtra(f"this tracker needs {error.name}; install it with: {install}") from error
    except ImportError as error:
        reason = str(error).partition("\n")[0]
        raise MissingExtra(
            f"the package trackers does not load ({reason}); install it with: {install}"
        ) from error


def _version() -> str:
    from importlib.metadata import version

    return version("trackers")
