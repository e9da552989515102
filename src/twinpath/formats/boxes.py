"""Read the boxes of one video's people from a file; the format is detected from the content.

AVA CSV            video,second,x1,y1,x2,y2[,action[,person or score]]     see `ava_boxes.py`
COCO               {"images": [{"id", "file_name" …}], "annotations": [{"image_id", "bbox"}]}
COCO results       [{"image_id" or "time_s", "bbox", "score"}]             see `coco.py`
detections         {"tracks": [{"track_id", "points": [{"time_s", "box_xyxy_px"}]}]}
synthetic truth    {"people": [{"track", "boxes": [{"time_s", "box_xyxy_px"}]}]}

The last two may hold several videos, as lines or as a list; see `detections_schema.py`. In a file of several
videos, in any format, `match_video_name` finds the video. Errors name the line or the entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twinpath.errors import InputError, LimitExceeded, NotAFile
from twinpath.formats.ava_boxes import read_ava
from twinpath.formats.box_observations import (
    TIME_DIGITS,
    BoxFile,
    BoxObservation,
    make_box_file,
    match_video_name,
    mismatched_shape,
    relative_box,
)
from twinpath.formats.coco import read_coco, read_coco_results
from twinpath.formats.json_nodes import Node, parse_json
from twinpath.formats.text_columns import decode_text, what_is_no_text
from twinpath.paths import display_path

MAX_FILE_BYTES = 1 << 29


def read_boxes(path: Path, *, video: Path, width_px: int, height_px: int, isolate: bool = False) -> BoxFile:
    """Read the boxes of one video.

    Args:
        path: AVA CSV, COCO JSON, or Twinpath's formats; UTF-8 with or without BOM, or UTF-16 with one; any
            line ends.
        video: The path of the video, see `match_video_name`. In a file of a single video the name does not
            matter, see `BoxFile.video`.
        width_px, height_px: Size of the displayed frames, for boxes in pixels if the file has no size. Boxes
            for another frame size are scaled; if the aspect ratio differs, see `BoxFile.mismatched_shape_px`.
    Raises:
        NotAFile: Missing, or not a regular file.
        InputError: Invalid content; names the file and the line or entry.
        LimitExceeded: The file is larger than `MAX_FILE_BYTES`.
    """
    text, where = read_box_text(path, "AVA CSV or as JSON"), display_path(path)
    if text.lstrip()[:1] in ("{", "["):
        size_px = (float(width_px), float(height_px))
        return _read_json(text, where, video=video, size_px=size_px, isolate=isolate)
    return read_ava(text, path, video=video)


def read_box_text(path: Path, formats: str) -> str:
    """The text of a file of boxes.

    Args:
        path: The file, in UTF-8 with or without BOM, or UTF-16 with one.
        formats: Which ones are read, for messages: "AVA CSV or as JSON".
    Raises:
        NotAFile, InputError, LimitExceeded: See `read_boxes`.
    """
    where = display_path(path)
    if not path.exists():
        raise NotAFile(f"there is no file {where}")
    if not path.is_file():
        raise NotAFile(f"{where} is not a regular file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise LimitExceeded(f"{where} has more than {MAX_FILE_BYTES} bytes; give the boxes of one video")
    try:
        content = path.read_bytes()
        text = decode_text(content)
    except UnicodeDecodeError as error:
        what = what_is_no_text(content) or f"not UTF-8; give boxes as {formats}"
        raise InputError(f"{where} is {what}") from error
    except OSError as error:
        raise NotAFile(f"{where} cannot be read: {error.strerror}") from error
    if not text.strip():
        raise InputError(f"{where} is empty; give boxes as {formats}")
    return text


def _read_json(text: str, where: str, *, video: Path, size_px: tuple[float, float], isolate: bool) -> BoxFile:
    root = parse_json(text, where)
    is_list = isinstance(root.value, list)
    if not is_list and root.find("annotations"):
        return read_coco(root, where, video=video, size_px=size_px, isolate=isolate)
    entries = [entry for entry in root.each() if not is_failure(entry)] if is_list else [root]
    if root.value and not entries:
        raise InputError(f"{where} has no boxes, only errors of videos that failed")
    if entries and all(entry.has("tracks") or entry.has("people") for entry in entries):
        return _read_tracks(entries, where, video=video, size_px=size_px)
    if is_list:
        return read_coco_results(entries, where, video=video, size_px=size_px, isolate=isolate)
    keys = ", ".join(list(root.value)[:5]) or "nothing"
    raise root.error(
        f"an object with {keys}, but neither 'annotations' (COCO) nor 'tracks' (Twinpath's detections)"
    )


def is_failure(entry: Node) -> bool:
    """Whether an entry is a failed video of a batch."""
    return isinstance(entry.value, dict) and entry.has("video") and entry.has("error")


def _read_tracks(
    entries: Sequence[Node], where: str, *, video: Path, size_px: tuple[float, float]
) -> BoxFile:
    """Read Twinpath's detections, or the ground truth of the synthetic world."""
    from twinpath.formats.detections_schema import TracksSchema, validated

    by_name = entries_by_video(entries)
    name = match_video_name(by_name, video, where)
    entry = by_name[name]
    parsed = validated(TracksSchema, entry.value, file=entry.file, place=entry.place)
    measured_px = (parsed.width_px or size_px[0], parsed.height_px or size_px[1])
    observations = []
    track_ids: set[int | str] = set()
    for track, track_node in zip(parsed.tracks, listed(entry, "tracks", "people"), strict=True):
        if track.track_id in track_ids:
            raise track_node.error(f"track {track.track_id} is a duplicate")
        track_ids.add(track.track_id)
        times_s: set[float] = set()
        for point, node in zip(track.points, listed(track_node, "points", "boxes"), strict=True):
            time_s = round(point.time_s, TIME_DIGITS)
            if time_s in times_s:
                raise node.error(f"track {track.track_id} has two points at {time_s:g} s")
            times_s.add(time_s)
            box = relative_box(node["box_xyxy_px"], point.box_xyxy_px, measured_px)
            score = 1.0 if point.detection_score is None else point.detection_score
            observations.append(BoxObservation(time_s, box, score, track.track_id))
    return make_box_file(
        observations,
        parsed.keyframes_s or (),
        video=name,
        mismatched_shape_px=mismatched_shape(measured_px, size_px) if observations else None,
    )


def listed(node: Node, *keys: str) -> list[Node]:
    """The entries of the list under the first of these keys that exists."""
    return next(node[key] for key in keys if node.has(key)).each()


def entries_by_video(entries: Sequence[Node]) -> dict[str, Node]:
    """Entries by the name of their video; a single entry needs no name."""
    if len(entries) == 1 and not entries[0].find("video"):
        return {"": entries[0]}
    by_name: dict[str, Node] = {}
    for entry in entries:
        name = entry["video"].text()
        if name in by_name:
            raise entry.error(f"video {name!r} is a duplicate")
        by_name[name] = entry
    return by_name
