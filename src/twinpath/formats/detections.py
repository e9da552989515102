"""Detections in files: JSON, which is read back, AVA's results, and CVAT's annotations.

write_detection_file(found, Path("match.json"), "json")
write_detection_file(found, Path("match.ava.csv"), "csv")
write_detection_file(found, Path("match.cvat.xml"), "xml", frame_times_s=frame_times_s)
read_detections(Path("match.json")) == found
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
    found: Detections,
    path: Path,
    kind: str,
    *,
    frame_times_s: Times | None = None,
    provenance: Provenance | None = None,
) -> None:
    """Write one file atomically.

    Args:
        found: The detections.
        path: Where to.
        kind: One of `DETECTION_KINDS`.
        frame_times_s: (N,) of all the video's frames, in seconds since the first, increasing. Needed for
            "xml", since CVAT counts frames.
        provenance: For "json": what the detections were made from.
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
            write_json(found, file, provenance)
        elif kind == "csv":
            write_detections(found, file)
        elif frame_times_s is None:
            raise ValueError("a file for CVAT needs frame_times_s")
        else:
            write_cvat(found, file, frame_times_s)


def write_json(found: Detections, file: IO[str], provenance: Provenance | None = None) -> None:
    """All fields; a person at a keyframe is a line of its own."""
    values = {**found.to_dict(), "versions": versions()}
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
        raise InputError(f"{display_path(path)}: damaged, or no JSON ({error}); detect again") from error
    if not isinstance(values, dict) or not {"video", "keyframes_s", "tracks"} <= values.keys():
        raise InputError(f"{display_path(path)}: holds no detections; give a JSON file of detections")
    from twinpath.formats.detections_schema import DetectionsSchema, validated

    found = validated(DetectionsSchema, values, file=display_path(path))
    _check_order(found, display_path(path))
    return Detections(
        video=found.video,
        model=found.model,
        dataset=found.dataset,
        engine=found.engine,
        person_detector=found.person_detector,
        tracker=found.tracker,
        width_px=found.width_px,
        height_px=found.height_px,
        duration_s=found.duration_s,
        every_s=found.every_s,
        keyframes_s=tuple(found.keyframes_s),
        tracks=tuple(
            Track(track.track_id, tuple(_track_point(point) for point in track.points))
            for track in found.tracks
        ),
        warnings=tuple(found.warnings),
        timing_s=found.timing_s,
    )


def _track_point(point: DetectionsPointSchema) -> TrackPoint:
    x1, y1, x2, y2 = point.box_xyxy_px
    actions = tuple(Prediction(action.label, action.index, action.score) for action in point.actions)
    return TrackPoint(point.time_s, (x1, y1, x2, y2), point.detection_score, actions)


def _check_order(found: DetectionsSchema, where: str) -> None:
    """Keyframes that are nearer to each other than frames may share the time of the video's last frame.

    Raises:
        InputError: Tracks or their points are in another order than of ids and of time, or a box is none.
    """
    last_id = 0
    for t, track in enumerate(found.tracks):
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
