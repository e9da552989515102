"""Reads boxes of people from files, told by their content. Every mistake is named with its place.

AVA CSV            video,second,x1,y1,x2,y2[,action[,person or score]]     see `ava_csv.py`
COCO               {"images": [{"id", "file_name" …}], "annotations": [{"image_id", "bbox"}]}
COCO results       [{"image_id" or "time_s", "bbox", "score"}]             see `coco_json.py`
Twinpath           {"tracks": [{"seen": [{"time_s", "box_xyxy_px"}]}]}     what `twinpath detect` writes
synthetic world    {"people": [{"boxes": [{"time_s", "box_xyxy_px"}]}]}    a line for each video

The last two may hold several videos, as lines or as a list; the video is chosen by its name without suffix.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from twinpath.errors import InputError, LimitExceeded, NotAFile
from twinpath.people.ava_csv import read_ava
from twinpath.people.coco_json import read_coco, read_results
from twinpath.people.json_nodes import Node
from twinpath.people.sightings import (
    TIME_DIGITS,
    BoxFile,
    Sighting,
    chosen_video,
    gathered,
    shares_of,
    size_of,
)
from twinpath.video.source import show

MAX_FILE_BYTES = 1 << 29


def read_boxes(path: Path, *, video: Path, width_px: int, height_px: int) -> BoxFile:
    """Read the boxes of one video.

    Args:
        path: AVA CSV, COCO JSON, or what Twinpath writes; UTF-8, with any line ends, with or without BOM.
        video: Whose boxes: found by its name without suffix; a file of a single video is taken as it is.
        width_px, height_px: Of its pictures as displayed, for boxes in pixels where the file gives no size.
    Raises:
        NotAFile: Missing, or a folder, a pipe, a device.
        InputError: One line that says the file, the line or entry, and what is wrong there.
        LimitExceeded: More than `MAX_FILE_BYTES`.
    """
    text, where = _text_of(path), show(path)
    if text.lstrip()[:1] in ("{", "["):
        size_px = (float(width_px), float(height_px))
        return _read_json(text, where, video=video, size_px=size_px)
    return read_ava(text, where, video=video)


def _text_of(path: Path) -> str:
    where = show(path)
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
    entries = root.each() if is_list else [root]
    if entries and all(entry.find("tracks") or entry.find("people") for entry in entries):
        return _read_twinpath(entries, where, video=video, size_px=size_px)
    if is_list:
        return read_results(entries, where, video=video, size_px=size_px)
    keys = ", ".join(list(root.value)[:5]) or "nothing"
    raise root.error(
        f"an object with {keys}, but neither 'annotations' (COCO) nor 'tracks' (twinpath detect)"
    )


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
    names = [entry["video"].text() if entry.find("video") else "" for entry in entries]
    entry = entries[names.index(chosen_video(names, video, where))]
    size_px = size_of(entry, size_px)
    tracks_key, number_key, seen_key = (
        ("tracks", "number", "seen") if entry.find("tracks") else ("people", "track", "boxes")
    )
    sightings = []
    for track in entry[tracks_key].each():
        number = track[number_key].name_or_number()
        known: set[float] = set()
        for seen in track[seen_key].each():
            time_s = round(seen["time_s"].number(at_least=0), TIME_DIGITS)
            if time_s in known:
                raise seen.error(f"track {number} is seen twice at {time_s:g} s")
            known.add(time_s)
            score = seen.find("detection_score")
            sightings.append(
                Sighting(
                    time_s,
                    shares_of(seen["box_xyxy_px"], seen["box_xyxy_px"].numbers(4), size_px),
                    score.number(at_least=0, at_most=1) if score else 1.0,
                    number,
                )
            )
    keyframes = entry.find("keyframes_s")
    return gathered(sightings, [k.number(at_least=0) for k in keyframes.each()] if keyframes else ())
