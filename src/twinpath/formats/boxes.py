"""Reads boxes of people from files, told by their content. Every mistake is named with its place.

AVA CSV            video,second,x1,y1,x2,y2[,action[,person or score]]     see `ava_csv.py`
COCO               {"images": [{"id", "file_name" …}], "annotations": [{"image_id", "bbox"}]}
COCO results       [{"image_id" or "time_s", "bbox", "score"}]             see `coco_json.py`
Twinpath           {"tracks": [{"points": [{"time_s", "box_xyxy_px"}]}]}   what `twinpath detect` writes
synthetic world    {"people": [{"boxes": [{"time_s", "box_xyxy_px"}]}]}    a line for each video

The last two may hold several videos, as lines or as a list. Whose boxes are taken from a file of several, of
any format: see `chosen_video`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from twinpath.errors import InputError, LimitExceeded, NotAFile
from twinpath.formats.ava_boxes import read_ava
from twinpath.formats.box_observations import (
    TIME_DIGITS,
    BoxFile,
    BoxObservation,
    chosen_video,
    gathered,
    other_shape,
    shares_of,
    size_of,
)
from twinpath.formats.coco import read_coco, read_results
from twinpath.formats.json_nodes import Node
from twinpath.paths import display_path

MAX_FILE_BYTES = 1 << 29


def read_boxes(path: Path, *, video: Path, width_px: int, height_px: int) -> BoxFile:
    """Read the boxes of one video.

    Args:
        path: AVA CSV, COCO JSON, or what Twinpath writes; UTF-8, with any line ends, with or without BOM.
        video: Whose boxes: found by its path, see `chosen_video`. A file of a single video is taken as it is,
            whatever that is called: `BoxFile.video`.
        width_px, height_px: Of its pictures as displayed, for boxes in pixels where the file gives no size.
            A size in the file may be another one, which is scaled; if it is of another shape the boxes are
            stretched, see `BoxFile.other_shape_px`.
    Raises:
        NotAFile: Missing, or a folder, a pipe, a device.
        InputError: One line that says the file, the line or entry, and what is wrong there.
        LimitExceeded: More than `MAX_FILE_BYTES`.
    """
    text, where = _text_of(path), display_path(path)
    if text.lstrip()[:1] in ("{", "["):
        size_px = (float(width_px), float(height_px))
        return _read_json(text, where, video=video, size_px=size_px)
    return read_ava(text, where, video=video)


def _text_of(path: Path) -> str:
    where = display_path(path)
    if not path.exists():
        raise NotAFile(f"there is no file {where}")
    if not path.is_file():
        raise NotAFile(f"{where} is not a regular file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise LimitExceeded(f"{where} has more than {MAX_FILE_BYTES} bytes; give the boxes of one video")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is no text in UTF-8: boxes come as AVA CSV or as JSON") from error
    except OSError as error:
        raise NotAFile(f"{where} cannot be read: {error.strerror}") from error
    if not text.strip():
        raise InputError(f"{where} is empty: boxes come as AVA CSV or as JSON")
    return text


def _read_json(text: str, where: str, *, video: Path, size_px: tuple[float, float]) -> BoxFile:
    root = _parsed(text, where)
    is_list = isinstance(root.value, list)
    if not is_list and root.find("annotations"):
        return read_coco(root, where, video=video, size_px=size_px)
    entries = [entry for entry in root.each() if not _is_failure(entry)] if is_list else [root]
    if root.value and not entries:
        raise InputError(f"{where} tells of no video, only that some could not be used")
    if entries and all(entry.has("tracks") or entry.has("people") for entry in entries):
        return _read_twinpath(entries, where, video=video, size_px=size_px)
    if is_list:
        return read_results(entries, where, video=video, size_px=size_px)
    keys = ", ".join(list(root.value)[:5]) or "nothing"
    raise root.error(
        f"an object with {keys}, but neither 'annotations' (COCO) nor 'tracks' (twinpath detect)"
    )


def _is_failure(entry: Node) -> bool:
    """A line of `twinpath detect --json` for a video that could not be used."""
    return isinstance(entry.value, dict) and entry.has("video") and entry.has("error")


def _parsed(text: str, where: str) -> Node:
    """The content of a JSON file, or of a file with one object a line as a list."""
    try:
        return Node(json.loads(text), where)
    except RecursionError as error:
        raise InputError(f"{where} is nested too deeply") from error
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise InputError(f"{where}:{error.lineno}: no JSON: {error.msg}") from error
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                lines.append(Node(json.loads(line), f"{where}:{number}"))
            except (json.JSONDecodeError, RecursionError) as error:
                reason = getattr(error, "msg", "nested too deeply")
                raise InputError(f"{where}:{number}: no JSON: {reason}") from error
    return Node([line.value for line in lines], where, items=tuple(lines))


def _read_twinpath(
    entries: Sequence[Node], where: str, *, video: Path, size_px: tuple[float, float]
) -> BoxFile:
    """What `twinpath detect` writes, and the truth of synthetic clips."""
    by_name = _by_video(entries)
    name = chosen_video(by_name, video, where)
    entry = by_name[name]
    measured_px = size_of(entry, size_px)
    tracks_key, number_key, seen_key = _keys_of(entry)
    observations = []
    numbers: set[int | str] = set()
    for track in entry[tracks_key].each():
        number = track[number_key].name_or_number()
        if number in numbers:
            raise track.error(f"track {number} is there twice")
        numbers.add(number)
        known: set[float] = set()
        for seen in track[seen_key].each():
            time_s = round(seen["time_s"].number(at_least=0), TIME_DIGITS)
            if time_s in known:
                raise seen.error(f"track {number} is seen twice at {time_s:g} s")
            known.add(time_s)
            score = seen.find("detection_score")
            observations.append(
                BoxObservation(
                    time_s,
                    shares_of(seen["box_xyxy_px"], seen["box_xyxy_px"].numbers(4), measured_px),
                    score.number(at_least=0, at_most=1) if score else 1.0,
                    number,
                )
            )
    keyframes = entry.find("keyframes_s")
    return gathered(
        observations,
        [k.number(at_least=0) for k in keyframes.each()] if keyframes else (),
        video=name,
        other_shape_px=other_shape(measured_px, size_px) if observations else None,
    )


def _by_video(entries: Sequence[Node]) -> dict[str, Node]:
    """Entries by the name of their video; a single one need not have a name."""
    if len(entries) == 1 and not entries[0].find("video"):
        return {"": entries[0]}
    by_name: dict[str, Node] = {}
    for entry in entries:
        name = entry["video"].text()
        if name in by_name:
            raise entry.error(f"video {name!r} is there twice")
        by_name[name] = entry
    return by_name


def _keys_of(entry: Node) -> tuple[str, str, str]:
    """What an entry calls its list of tracks, and in each the number and the boxes."""
    is_truth = not entry.has("tracks")
    keys = ("people", "track", "boxes") if is_truth else ("tracks", "track_id", "points")
    if entry.has(keys[0]) and not entry.find(keys[0]):
        raise entry.error(f"{keys[0]!r} is null; it must be a list of tracks")
    return keys
