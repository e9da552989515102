"""Detections in files: JSON, which is read back, AVA's results, and CVAT's annotations to correct by hand.

write_detection_file(found, Path("match.json"), "json")
write_detection_file(found, Path("match.ava.csv"), "csv")
write_detection_file(found, Path("match.cvat.xml"), "xml", frame_times_s=frame_times_s)
read_detections(Path("match.json")) == found

A JSON file may also hold the provenance of the result, by which a later run knows what is done already:

write_detection_file(found, Path("match.json"), "json", provenance=provenance)
read_provenance(Path("match.json")) == provenance
"""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from twinpath.atomic import atomic_path
from twinpath.errors import InputError
from twinpath.formats.xml_text import xml_text
from twinpath.paths import display_path
from twinpath.results.classification import Prediction
from twinpath.results.detections import Detections, Track, TrackPoint
from twinpath.results.provenance import Provenance, versions
from twinpath.video.sampling import TIME_TOLERANCE_S, Times, on_screen_indices

if TYPE_CHECKING:
    from twinpath.formats.detections_schema import DetectionsPointSchema, DetectionsSchema

#: File formats that this module writes.
DETECTION_KINDS = ("json", "csv", "xml")

_PROVENANCE = "provenance"
_PERSON = "person"
_CHECKBOX = {"input_type": "checkbox", "default_value": "false"}


def write_detection_file(
    found: Detections,
    path: Path,
    kind: str,
    *,
    frame_times_s: Times | None = None,
    provenance: Provenance | None = None,
) -> None:
    """Write one file, whole or not at all.

    Args:
        found: Who does what.
        path: Where to.
        kind: One of `DETECTION_KINDS`.
        frame_times_s: (N,) of all the video's frames, in seconds since the first, increasing. Needed for
            "xml", since CVAT counts frames.
        provenance: For "json": what the detections were made from.
    Raises:
        OSError: The disk is full or refuses; the old file is kept.
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
            write_ava(found, file)
        elif frame_times_s is None:
            raise ValueError("a file for CVAT needs frame_times_s")
        else:
            write_cvat(found, file, frame_times_s)


def write_json(found: Detections, file: IO[str], provenance: Provenance | None = None) -> None:
    """Everything, a person at a keyframe a line."""
    values = {**found.to_dict(), "versions": versions()}
    if provenance is not None:
        values[_PROVENANCE] = provenance.to_dict()
    keyframes_s, tracks = values.pop("keyframes_s"), values.pop("tracks")
    head = json.dumps(values, indent=2, allow_nan=False).removesuffix("\n}")
    file.write(f'{head},\n  "keyframes_s": {json.dumps(keyframes_s, allow_nan=False)},\n  "tracks": [')
    for number, track in enumerate(tracks):
        points = track.pop("points")
        head = json.dumps({**track, "points": []}).removesuffix("]}")
        file.write(("," if number else "") + "\n    " + head)
        for line, person in enumerate(points):
            file.write(("," if line else "") + "\n      " + json.dumps(person, allow_nan=False))
        file.write("\n    ]}")
    file.write("\n  ]\n}\n")


def write_ava(found: Detections, file: IO[str]) -> None:
    """A row for each action of each person: video, second, x1, y1, x2, y2, action id, score; no header.

    Seconds are those of the keyframes. Where all are whole they have four digits, as AVA's own; else three
    decimals, which AVA's evaluation refuses to read rather than taking them for another second.

    Source: the files of the AVA dataset, v2.2.
    """
    writer = csv.writer(file, lineterminator="\n")
    video = Path(found.video).stem
    is_whole = all(abs(time_s - round(time_s)) < TIME_TOLERANCE_S for time_s in found.keyframes_s)
    size = (found.width_px, found.height_px) * 2
    rows = ((seen.time_s, track.track_id, seen) for track in found.tracks for seen in track.points)
    for time_s, _, seen in sorted(rows, key=lambda row: row[:2]):
        second = f"{round(time_s):04d}" if is_whole else f"{time_s:.3f}"
        box = [f"{side / of:.5f}" for side, of in zip(seen.box_xyxy_px, size, strict=True)]
        for action in seen.actions:
            writer.writerow([video, second, *box, action.index + 1, f"{action.score:.5f}"])


def write_cvat(found: Detections, file: IO[str], frame_times_s: Times) -> None:
    """Tracks of people for CVAT, each action a checkbox that may change from frame to frame.

    CVAT takes no labels from a file of annotations and drops attributes that its task has not; so a comment
    at the beginning holds them as its "Raw" editor of labels takes them.

    Source: CVAT's format "CVAT for video 1.1" and what its importer (`load_anno`) reads.
    """
    actions = {
        action.index: action.label for t in found.tracks for seen in t.points for action in seen.actions
    }
    names = {index: xml_text(actions[index]) for index in sorted(actions)}
    file.write('<?xml version="1.0" encoding="utf-8"?>\n')
    file.write(f"<!-- Labels for the task, to paste into CVAT's Raw editor:\n{_raw_labels(names)}\n-->\n")
    file.write("<annotations>\n  <version>1.1</version>\n")
    file.write(_lines(_meta(found, tuple(names.values()), len(frame_times_s)), level=1))
    for track in found.tracks:
        if track.points:  # CVAT fails at a track without boxes
            file.write(f'  <track id="{track.track_id}" label="{_PERSON}" source="auto">\n')
            for frame, seen, is_gone in _boxes(track, found.keyframes_s, frame_times_s):
                file.write(_lines(_box(frame, seen, names, is_gone=is_gone), level=2))
            file.write("  </track>\n")
    file.write("</annotations>\n")


def _raw_labels(names: dict[int, str]) -> str:
    checkbox = {"mutable": True, **_CHECKBOX, "values": ["false"]}
    attributes = [{"name": name, **checkbox} for name in names.values()]
    text = json.dumps([{"name": _PERSON, "type": "rectangle", "attributes": attributes}])
    return text.replace("--", "-\\u002d")  # which a comment may not hold; only names can


def _meta(found: Detections, names: Sequence[str], num_frames: int) -> ET.Element:
    meta = ET.Element("meta")
    task = ET.SubElement(meta, "task")
    video = Path(found.video)
    facts = {
        "name": video.stem,
        "size": num_frames,
        "mode": "interpolation",
        "start_frame": 0,
        "stop_frame": max(num_frames - 1, 0),
        "source": video.name,
    }
    _add_texts(task, facts)
    label = ET.SubElement(ET.SubElement(task, "labels"), "label")
    _add_texts(label, {"name": _PERSON, "type": "rectangle"})
    attributes = ET.SubElement(label, "attributes")
    for name in names:
        texts = {"name": name, "mutable": "True", **_CHECKBOX, "values": "false"}
        _add_texts(ET.SubElement(attributes, "attribute"), texts)
    _add_texts(ET.SubElement(task, "original_size"), {"width": found.width_px, "height": found.height_px})
    return meta


def _boxes(
    track: Track, keyframes_s: Sequence[float], frame_times_s: Times
) -> Iterator[tuple[int, TrackPoint, bool]]:
    """Frame, person, and whether they are gone: on the frame after they were seen last, or were lost.

    Where keyframes are nearer to each other than frames, the last one of a frame stays.
    """
    times_s = np.array([seen.time_s for seen in track.points])
    frames = [int(frame) for frame in on_screen_indices(frame_times_s, times_s)]
    keyframe_numbers = np.searchsorted(keyframes_s, times_s - TIME_TOLERANCE_S)
    for n, seen in enumerate(track.points):
        is_last = n + 1 == len(frames)
        next_frame = len(frame_times_s) if is_last else frames[n + 1]
        if next_frame == frames[n]:
            continue
        yield frames[n], seen, False
        is_lost = is_last or keyframe_numbers[n + 1] > keyframe_numbers[n] + 1
        if is_lost and frames[n] + 1 < next_frame:
            yield frames[n] + 1, seen, True


def _box(frame: int, seen: TrackPoint, names: dict[int, str], *, is_gone: bool) -> ET.Element:
    x1, y1, x2, y2 = (f"{side:.2f}" for side in seen.box_xyxy_px)
    place = {"xtl": x1, "ytl": y1, "xbr": x2, "ybr": y2, "z_order": "0"}
    state = {"frame": str(frame), "keyframe": "1", "outside": str(int(is_gone)), "occluded": "0"}
    box = ET.Element("box", {**state, **place})
    does = {action.index for action in seen.actions}
    for index, name in names.items():
        ET.SubElement(box, "attribute", {"name": name}).text = str(index in does).lower()
    return box


def _add_texts(parent: ET.Element, texts: dict[str, Any]) -> None:
    for name, text in texts.items():
        ET.SubElement(parent, name).text = xml_text(str(text))


def _lines(element: ET.Element, *, level: int) -> str:
    ET.indent(element, "  ", level=level)
    return "  " * level + ET.tostring(element, encoding="unicode") + "\n"


def read_provenance(path: Path) -> Provenance | None:
    """The provenance in a JSON file of detections; None where it has none, is damaged or not there."""
    try:
        return Provenance.from_dict(json.loads(path.read_bytes())[_PROVENANCE])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def read_detections(path: Path) -> Detections:
    """Read a JSON file that `write_detection_file` wrote; what it holds besides is left out.

    Raises:
        InputError: It is damaged, or something else; says where.
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
