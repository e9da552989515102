"""People with their actions from files, of one video or several; the format is detected from the content.

CVAT               "CVAT for video 1.1"                                    see `cvat_boxes.py`
detections         {"tracks": [{"points": [{"time_s", "box_xyxy_px", "actions": [{"label"}]}]}]}
synthetic truth    {"people": [{"action", "boxes": [{"time_s", "box_xyxy_px"}]}]}
AVA CSV            video,second,x1,y1,x2,y2,action_id[,…]                  with a label map, see `ava.py`

In JSON an action may be text in place of an object, and a track may have `action` or `actions` for all of its
points. JSON may hold several videos, as lines or as a list. Errors name the line or the entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from twinpath.errors import InputError, UsageError
from twinpath.formats.annotated import AnnotatedBox, AnnotatedVideo
from twinpath.formats.ava import read_truth
from twinpath.formats.ava_label_map import LabelMap, built_in_label_map, read_label_map
from twinpath.formats.box_observations import Box, side_order_error
from twinpath.formats.boxes import entries_by_video, is_failure, listed, read_box_text
from twinpath.formats.cvat_boxes import is_cvat, parse_cvat
from twinpath.formats.json_nodes import Node, format_value, parse_json
from twinpath.paths import display_path

AVA = "ava"  # the built-in label map
_FORMATS = "CVAT for video 1.1, as Twinpath's JSON or as AVA CSV"


def read_action_boxes(path: Path, *, label_map: Path | None = None) -> tuple[AnnotatedVideo, ...]:
    """Read people with their actions.

    Args:
        path: The file.
        label_map: The names of the actions in AVA CSV: a file, or the name "ava" for AVA's own 60.
    Returns:
        The people of each video in the file.
    Raises:
        NotAFile: Missing, or not a regular file.
        InputError: Invalid content; names the file and the line or entry.
        UsageError: AVA CSV without a label map.
        LimitExceeded: The file is larger than `boxes.MAX_FILE_BYTES`.
    """
    text = read_box_text(path, _FORMATS)
    if is_cvat(text):
        return (parse_cvat(text, display_path(path)),)
    if text.lstrip()[:1] in ("{", "["):
        return tuple(_of_json(text, display_path(path)))
    if text.startswith("PK"):
        raise InputError(f"{display_path(path)} is a ZIP archive; unpack it and give its annotations.xml")
    if label_map is None:
        raise UsageError(f"{display_path(path)} has numbers of actions; give their names with label_map")
    return tuple(_of_ava(path, built_in_label_map() if str(label_map) == AVA else read_label_map(label_map)))


def _of_json(text: str, where: str) -> Iterator[AnnotatedVideo]:
    root = parse_json(text, where)
    entries = [root]
    if isinstance(root.value, list):
        entries = [entry for entry in root.each() if not is_failure(entry)]
    for entry in entries:
        if not (entry.has("tracks") or entry.has("people")):
            raise entry.error("neither 'tracks' (Twinpath's detections) nor 'people' (its ground truth)")
    if not entries:
        raise InputError(f"{where} holds no people")
    for video, entry in entries_by_video(entries).items():
        yield _of_entry(video, entry)


def _of_entry(video: str, entry: Node) -> AnnotatedVideo:
    from twinpath.formats.detections_schema import TracksSchema, validated

    parsed = validated(TracksSchema, entry.value, file=entry.file, place=entry.place)
    tracks = []
    for track, node in zip(parsed.tracks, listed(entry, "tracks", "people"), strict=True):
        always = tuple(_actions(node))
        points = zip(track.points, listed(node, "points", "boxes"), strict=True)
        boxes = [
            AnnotatedBox(
                at=point.time_s,
                box_xyxy=_sides(place, point.box_xyxy_px),
                actions=tuple(dict.fromkeys((*always, *_actions(place)))),
                place=place.place,
            )
            for point, place in points
        ]
        tracks.append(tuple(sorted(boxes, key=lambda box: box.at)))
    size_px = (parsed.width_px, parsed.height_px)
    return AnnotatedVideo(
        file=entry.file,
        video=video,
        size_px=None if None in size_px else size_px,  # type: ignore[arg-type]
        tracks=tuple(tracks),
    )


def _actions(node: Node) -> Iterator[str]:
    """The names of the actions of a track or a point."""
    one, several = node.find("action"), node.find("actions")
    for action in [*([one] if one else []), *(several.each() if several else [])]:
        name: Any = action.value
        if isinstance(name, dict):
            name = action["label"].text()
        if not isinstance(name, str):
            raise action.error(f"{format_value(name)} is neither text nor an object with a 'label'")
        if name.strip():
            yield name.strip()


def _sides(node: Node, sides: Sequence[float]) -> Box:
    x1, y1, x2, y2 = sides
    problem = side_order_error(sides)
    if problem:
        raise node["box_xyxy_px"].error(problem)
    return x1, y1, x2, y2


def _of_ava(path: Path, label_map: LabelMap) -> Iterator[AnnotatedVideo]:
    rows = read_truth(path, label_map)
    people: dict[str, dict[tuple[int, Box], list[str]]] = {}
    columns = (rows.video.tolist(), rows.second.tolist(), rows.boxes_xyxy.tolist(), rows.action_id.tolist())
    for video, second, (x1, y1, x2, y2), action in zip(*columns, strict=True):
        actions = people.setdefault(rows.videos[video], {}).setdefault((second, (x1, y1, x2, y2)), [])
        if action in label_map.names and label_map.names[action] not in actions:
            actions.append(label_map.names[action])
    for video, boxes in people.items():
        tracks = [
            (AnnotatedBox(second, box, tuple(actions), f"{video}, second {second}"),)
            for (second, box), actions in boxes.items()
            if box[2] > box[0] and box[3] > box[1]
        ]
        names = tuple(label_map.names[i] for i in label_map.ids)
        yield AnnotatedVideo(
            display_path(path), video, (1.0, 1.0), tuple(tracks), classes=names, notes=rows.notes
        )
