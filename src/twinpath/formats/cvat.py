"""Detections as annotations for CVAT, for manual correction."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from twinpath.formats.xml_text import xml_text
from twinpath.results.detections import Detections, Track, TrackPoint
from twinpath.video.sampling import TIME_TOLERANCE_S, Times, on_screen_indices

_PERSON = "person"
_CHECKBOX = {"input_type": "checkbox", "default_value": "false"}


def write_cvat(detections: Detections, file: IO[str], frame_times_s: Times) -> None:
    """Write tracks of people for CVAT; each action is a checkbox that may change from frame to frame.

    CVAT reads no labels from a file of annotations and drops attributes that its task does not have.
    Therefore a comment at the beginning of the file holds the labels in the format of its "Raw" editor.

    Source: CVAT's format "CVAT for video 1.1" and what its importer (`load_anno`) reads.
    """
    actions = {
        action.index: action.label
        for t in detections.tracks
        for point in t.points
        for action in point.actions
    }
    names = {index: xml_text(actions[index]) for index in sorted(actions)}
    file.write('<?xml version="1.0" encoding="utf-8"?>\n')
    file.write(f"<!-- Labels for the task, to paste into CVAT's Raw editor:\n{_raw_labels(names)}\n-->\n")
    file.write("<annotations>\n  <version>1.1</version>\n")
    file.write(_lines(_meta(detections, tuple(names.values()), len(frame_times_s)), level=1))
    for track in detections.tracks:
        if track.points:  # CVAT fails at a track without boxes
            file.write(f'  <track id="{track.track_id}" label="{_PERSON}" source="auto">\n')
            for frame, point, is_gone in _boxes(track, detections.keyframes_s, frame_times_s):
                file.write(_lines(_box(frame, point, names, is_gone=is_gone), level=2))
            file.write("  </track>\n")
    file.write("</annotations>\n")


def _raw_labels(names: dict[int, str]) -> str:
    checkbox = {"mutable": True, **_CHECKBOX, "values": ["false"]}
    attributes = [{"name": name, **checkbox} for name in names.values()]
    text = json.dumps([{"name": _PERSON, "type": "rectangle", "attributes": attributes}])
    return text.replace("--", "-\\u002d")  # "--" is not allowed in a comment; only names contain it


def _meta(detections: Detections, names: Sequence[str], num_frames: int) -> ET.Element:
    meta = ET.Element("meta")
    task = ET.SubElement(meta, "task")
    video = Path(detections.video)
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
    _add_texts(
        ET.SubElement(task, "original_size"), {"width": detections.width_px, "height": detections.height_px}
    )
    return meta


def _boxes(
    track: Track, keyframes_s: Sequence[float], frame_times_s: Times
) -> Iterator[tuple[int, TrackPoint, bool]]:
    """(frame, point, whether the person has left): True on the frame after the last point before a gap.

    If several keyframes fall on one frame, the last one counts.
    """
    times_s = np.array([point.time_s for point in track.points])
    frames = [int(frame) for frame in on_screen_indices(frame_times_s, times_s)]
    keyframe_numbers = np.searchsorted(keyframes_s, times_s - TIME_TOLERANCE_S)
    for n, point in enumerate(track.points):
        is_last = n + 1 == len(frames)
        next_frame = len(frame_times_s) if is_last else frames[n + 1]
        if next_frame == frames[n]:
            continue
        yield frames[n], point, False
        is_lost = is_last or keyframe_numbers[n + 1] > keyframe_numbers[n] + 1
        if is_lost and frames[n] + 1 < next_frame:
            yield frames[n] + 1, point, True


def _box(frame: int, point: TrackPoint, names: dict[int, str], *, is_gone: bool) -> ET.Element:
    x1, y1, x2, y2 = (f"{side:.2f}" for side in point.box_xyxy_px)
    place = {"xtl": x1, "ytl": y1, "xbr": x2, "ybr": y2, "z_order": "0"}
    state = {"frame": str(frame), "keyframe": "1", "outside": str(int(is_gone)), "occluded": "0"}
    box = ET.Element("box", {**state, **place})
    actions = {action.index for action in point.actions}
    for index, name in names.items():
        ET.SubElement(box, "attribute", {"name": name}).text = str(index in actions).lower()
    return box


def _add_texts(parent: ET.Element, texts: dict[str, Any]) -> None:
    for name, text in texts.items():
        ET.SubElement(parent, name).text = xml_text(str(text))


def _lines(element: ET.Element, *, level: int) -> str:
    ET.indent(element, "  ", level=level)
    return "  " * level + ET.tostring(element, encoding="unicode") + "\n"
