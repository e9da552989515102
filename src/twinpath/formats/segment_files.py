"""Segments of videos in files: our timelines in JSON and CSV after somebody corrected them, and ELAN's files.

    match.mp4.timeline.json    {"video": "match.mp4", "segments": [{"start_s", "end_s", "label"}]}, or lines
    match.mp4.timeline.csv     start_s,end_s,label and other columns, which do not count
    match.mp4.timeline.eaf     see `elan.py`

`timelines.py` writes all of them. Only what is named here is read: a segment that is added needs no more.
"""

from __future__ import annotations

import codecs
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from twinpath.errors import InputError
from twinpath.formats.csv_table import CsvTable, Row, read_csv_table
from twinpath.formats.file_content import read_content, read_text
from twinpath.formats.json_nodes import Node, parse_json
from twinpath.paths import display_path

#: Endings of the files that a folder of segments has.
SEGMENT_ENDINGS = (".timeline.json", ".timeline.csv", ".eaf")
_SAME_S = 0.002  # rounding

Clock = Literal["video", "player"]


@dataclass(frozen=True)
class LabelledSpan:
    """What happens in a part of a video; seconds, see `SegmentFile.clock`."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True)
class SegmentFile:
    """The segments of one video, as a file has them.

    Attributes:
        path: The file.
        videos: Where it says that the video is, the best guess first; relative paths are as they stand there.
        spans: In order of the file.
        clock: What times count from, "video": the first frame; "player": what a player shows.
        first_frame_s: When a player shows the first frame, if the file says it.
        notes: What the user should know, a sentence each.
    """

    path: Path
    videos: tuple[str, ...]
    spans: tuple[LabelledSpan, ...]
    clock: Clock = "video"
    first_frame_s: float = 0.0
    notes: tuple[str, ...] = ()


def read_segment_file(path: Path) -> list[SegmentFile]:
    """Read a file in any of these formats, told apart by its content.

    Returns:
        One for each video; several for JSON lines only.
    Raises:
        NotAFile, LimitExceeded: See `read_content`.
        InputError: The content is of no such format or wrong; names the line or the place.
    """
    from twinpath.formats.elan import read_eaf

    content = read_content(path)
    kind = content_kind(content)
    if kind == "xml":
        return [read_eaf(path, content)]
    if kind == "json":
        return _read_json(path)
    return [segments_of_table(read_csv_table(path))]


def content_kind(content: bytes) -> Literal["xml", "json", "table"]:
    """What a file of annotations is, by its first character; anything else is taken for a table."""
    first = content[:64].removeprefix(codecs.BOM_UTF8).lstrip(b"\xff\xfe\0 \t\r\n")[:1]
    return "xml" if first == b"<" else "json" if first in (b"{", b"[") else "table"


def is_segment_table(table: CsvTable) -> bool:
    """Whether a table is a timeline, and not a list of videos with their labels."""
    return "label" in table and ("start_s" in table or "player_start_s" in table) and "path" not in table


def _read_json(path: Path) -> list[SegmentFile]:
    root = parse_json(read_text(path), display_path(path))
    entries = root.each() if isinstance(root.value, list) else [root]
    files, failed = [], 0
    for entry in entries:
        if entry.has("segments"):
            files.append(_segments_of_entry(path, entry))
        elif entry.has("error"):  # of a batch
            failed += 1
        elif not (entry.has("skipped") and len(entries) > 1):
            what = "detections, not segments" if entry.has("tracks") else "no segments"
            raise entry.error(f"{what}; a timeline has them under 'segments'")
    if not files:
        raise InputError(f"{display_path(path)} has no segments of a video")
    if failed:
        note = f"{display_path(path)}: videos that had failed, and have no segments: {failed}"
        files[0] = replace(files[0], notes=(*files[0].notes, note))
    return files


def _segments_of_entry(path: Path, entry: Node) -> SegmentFile:
    spans = []
    for node in entry["segments"].each():
        start_s, end_s = node["start_s"].number(at_least=0), node["end_s"].number(at_least=0)
        label = node["label"].text().strip()
        if not label:
            raise node.error("the label is empty")
        if end_s <= start_s:
            raise node.error(f"'end_s' is {end_s:g}, not after 'start_s', {start_s:g}")
        spans.append(LabelledSpan(start_s, end_s, label))
    complete = entry.find("complete")
    notes = (
        (f"{display_path(path)} is of the first part of a video only: its run was stopped",)
        if complete is not None and complete.value is False
        else ()
    )
    video = entry.find("video")
    first_frame = entry.find("first_frame_s")
    return SegmentFile(
        path,
        () if video is None else (video.text(),),
        tuple(spans),
        first_frame_s=0.0 if first_frame is None else first_frame.number(),
        notes=notes,
    )


def segments_of_table(table: CsvTable) -> SegmentFile:
    """The segments of a CSV file, which names no video.

    `start_s` and `end_s` count. A row without them has its times in `player_start_s` and `player_end_s`, on a
    player's clock; all rows of a file must be of one kind.

    Raises:
        InputError: A column is missing, or a cell is wrong; names the line.
    """
    if not is_segment_table(table):
        raise table.header_error(
            f"the header is {','.join(table.names)}; a list of videos needs path,label and may have "
            "start_s,end_s,split,group; one of segments needs start_s,end_s,label"
        )
    rows = list(table.rows())
    by_player = [not row.text("start_s") and bool(row.text("player_start_s")) for row in rows]
    if any(by_player) and not all(by_player):
        row = rows[by_player.index(True)]
        raise row.error(
            "'start_s' is empty, and other rows have it; fill in 'start_s' and 'end_s' in all rows"
        )
    prefix, clock = ("player_", "player") if any(by_player) else ("", "video")
    spans = tuple(_span_of(row, f"{prefix}start_s", f"{prefix}end_s") for row in rows)
    later_s = [] if any(by_player) else _later_on_player(rows)
    first_frame_s = statistics.median(later_s) if later_s else 0.0
    changed = sum(abs(by_s - first_frame_s) > _SAME_S for by_s in later_s)
    notes = (
        (
            f"{display_path(table.path)}: rows with another 'start_s' than 'player_start_s' says: {changed}; "
            "'start_s' and 'end_s' count",
        )
        if changed
        else ()
    )
    return SegmentFile(table.path, (), spans, cast("Clock", clock), first_frame_s, notes)


def _later_on_player(rows: Sequence[Row]) -> list[float]:
    """By how much each row's time on a player's clock is ahead, where it has both."""
    times_s = ((row.seconds("start_s"), row.seconds("player_start_s")) for row in rows)
    return [
        player_s - start_s for start_s, player_s in times_s if start_s is not None and player_s is not None
    ]


def _span_of(row: Row, start: str, end: str) -> LabelledSpan:
    start_s, end_s, label = row.seconds(start), row.seconds(end), row.text("label")
    if start_s is None or end_s is None:
        raise row.error(f"{(start if start_s is None else end)!r} is empty")
    if end_s <= start_s:
        raise row.error(f"{end!r} is {end_s:g}, not after {start!r}, {start_s:g}")
    if not label:
        raise row.error("'label' is empty")
    return LabelledSpan(start_s, end_s, label)
