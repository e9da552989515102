"""Detections in files: JSON, which can be read back, AVA's results, and CVAT's annotations.

write_detection_file(detections, Path("match.json"), "json")
write_detection_file(detections, Path("match.ava.csv"), "csv")
write_detection_file(detections, Path("match.cvat.xml"), "xml", frame_times_s=frame_times_s)
read_detections(Path("match.json")) == detections
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, TYPE_CHECKING

from twinpath.atomic import atomic_path
from twinpath.errors import InputError
from twinpath.formats.ava import write_detections
from twinpath.formats.cvat import write_cvat
from twinpath.paths import display_path
from twinpath.results.classification import Prediction
from twinpath.results.detections import Detections, Track, TrackPoint
from twinpath.results.provenance import Provenance, versions
from twinpath.video.sampling import Times

if TYPE_CHECKING:
    from twinpath.formats.detections_schema import DetectionsPointSchema, DetectionsSchema

#: File formats that this module writes.
DETECTION_KINDS = ("json", "csv", "xml")

_PROVENANCE = "provenance"


def write_detection_file(
    detections: Detections,
    path: Path,
    kind: str,
    *,
    frame_times_s: Times | None = None,
    provenance: Provenance | None = None,
) -> None:
    """Write one file atomically.

    Args:
        detections: The detections.
        path: The file to write.
        kind: One of `DETECTION_KINDS`.
        frame_times_s: (N,) times of all frames in seconds since the first one, increasing. Required for
            "xml", since CVAT counts frames.
        provenance: For "json": the provenance of the detections.
    Raises:
        OSError: The file cannot be written, for example on a full disk; an existing file is kept.
    """
    if kind not in DETECTION_KINDS:
        raise ValueError(f"kind must be one of {DETECTION_KINDS}, not {kind!r}")
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        if kind == "json":
            write_json(detections, file, provenance)
        elif kind == "csv":
            write_detections(detections, file)
        elif frame_times_s is None:
            raise ValueError("a file for CVAT needs frame_times_s")
        else:
            write_cvat(detections, file, frame_times_s)


def write_json(detections: Detections, file: IO[str], provenance: Provenance | None = None) -> None:
    """Write all fields as JSON, with one line for each point of a track."""
    values = {**detections.to_dict(), "versions": versions()}
    if provenance is not None:
        values[_PROVENANCE] = provenance.to_dict()
    keyframes_s, tracks = values.pop("keyframes_s"), values.pop("tracks")
    head = json.dumps(values, indent=2, allow_nan=False).removesuffix("\n}")
    file.write(f'{head},\n  "keyframes_s": {json.dumps(keyframes_s, allow_nan=False)},\n  "tracks": [')
    for t, track in enumerate(tracks):
        points = track.pop("points")
        head = json.dumps({**track, "points": []}).removesuffix("]}")
        file.write(("," if t else "") + "\n    " + head)
        for line, person in enumerate(points):
            file.write(("," if line else "") + "\n      " + json.dumps(person, allow_nan=False))
        file.write("\n    ]}")
    file.write("\n  ]\n}\n")


def read_detections(path: Path) -> Detections:
    """Read a JSON file that `write_detection_file` wrote.

    Raises:
        InputError: It is damaged, or something else; names the place in the file.
    """
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{display_path(path)}: damaged, or not JSON ({error}); detect again") from error
    if not isinstance(values, dict) or not {"video", "keyframes_s", "tracks"} <= values.keys():
        raise InputError(f"{display_path(path)}: holds no detections; give a JSON file of detections")
    from twinpath.formats.detections_schema import DetectionsSchema, validated

    detections = validated(DetectionsSchema, values, file=display_path(path))
    _check_order(detections, display_path(path))
    return Detections(
        video=detections.video,
        model=detections.model,
        dataset=detections.dataset,
        engine=detections.engine,
        person_detector=detections.person_detector,
        tracker=detections.tracker,
        width_px=detections.width_px,
        height_px=detections.height_px,
        duration_s=detections.duration_s,
        every_s=detections.every_s,
        keyframes_s=tuple(detections.keyframes_s),
        tracks=tuple(
            Track(track.track_id, tuple(_track_point(point) for point in track.points))
            for track in detections.tracks
        ),
        warnings=tuple(detections.warnings),
        timing_s=detections.timing_s,
        first_frame_s=detections.first_frame_s,
    )


def _track_point(point: DetectionsPointSchema) -> TrackPoint:
    x1, y1, x2, y2 = point.box_xyxy_px
    actions = tuple(Prediction(action.label, action.index, action.score) for action in point.actions)
    return TrackPoint(point.time_s, (x1, y1, x2, y2), point.detection_score, actions)


def _check_order(detections: DetectionsSchema, where: str) -> None:
    """Check the order of tracks and points. Dense keyframes may share the time of the last frame.

    Raises:
        InputError: Tracks are not in order of ids, points not in order of time, or a box is invalid.
    """
    last_id = 0
    for t, track in enumerate(detections.tracks):
        if track.track_id <= last_id:
            raise InputError(f"{where}: tracks[{t}].track_id: {track.track_id} comes after {last_id}")
        last_id, last_s = track.track_id, 0.0
        for p, point in enumerate(track.points):
            place = f"{where}: tracks[{t}].points[{p}]"
            if point.time_s < last_s:
                raise InputError(f"{place}.time_s: {point.time_s:g} comes after {last_s:g}")
            last_s = point.time_s
            x1, y1, x2, y2 = point.box_xyxy_px
            if x1 > x2 or y1 > y2:
                raise InputError(f"{place}.box_xyxy_px: x2 is less than x1, or y2 less than y1")
