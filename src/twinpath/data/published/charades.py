"""Charades: lists of frames as PySlowFast has them, or the official CSV files with videos. Multi-label.

    original_vido_id video_id frame_id path labels              see `formats.frame_list`
    46GP8 0 0 46GP8/46GP8-000001.jpg "77,79"

    id,subject,scene,…,actions,length                           Charades_v1_train.csv
    46GP8,HR43,Kitchen,…,c092 11.90 21.20;c147 0.00 12.60,24.83

A clip has all labels of its video, and with `LabelledClip.labels_between` those of the frames that a shorter
clip covers: these it learns. Evaluations count all labels, and combine views by their maximum.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twinpath.data.labelled.clip import LabelledClip, LabelledData, LabelSpan, Part
from twinpath.data.published.class_list import class_index
from twinpath.data.published.frame_folders import FRAMES_PER_SECOND, listed_path, shared_folders
from twinpath.errors import InputError
from twinpath.formats.csv_table import CsvTable, Row, read_csv_table
from twinpath.formats.frame_list import is_frame_list, read_listed_videos
from twinpath.formats.text_columns import line_error, number_or_none, stream_lines
from twinpath.labels import labels as built_in
from twinpath.paths import display_path

CHARADES_KIND = "Charades"
_ACTION = re.compile(r"c(?P<number>\d{1,4})\s+(?P<start>\S+)\s+(?P<end>\S+)")
_OFFICIAL = ("id", "actions")
_SUFFIX = ".mp4"


def read_charades(
    lists: Sequence[Path],
    part: Part,
    *,
    videos: Path,
    classes: Sequence[str] | None = None,
    fps: float = FRAMES_PER_SECOND,
) -> LabelledData:
    """Read lists of frames, or official CSV files; each file may be either. No video is opened.

    Args:
        lists: The files.
        part: What the clips are for.
        videos: What paths of frames are relative to; for CSV files the folder with the videos, 46GP8.mp4.
        classes: Names of the classes in order, that of c000 first; None: the 157 published ones.
        fps: Frames per second of lists. The published frames were extracted at 24, and the published networks
            count their sampling rates in these frames as if they were 30.
    Raises:
        NotAFile: No such list.
        InputError: With file and line: an action that is no class or has no times, frames that are not
            numbered one after the other; or there are no videos.
    """
    names = built_in("charades") if classes is None else tuple(classes)
    read = _Read(names, part, videos)
    is_frames = [is_frame_list(next((t for t in stream_lines(p) if t.strip()), "")) for p in lists]
    for path, has_frames in zip(lists, is_frames, strict=True):
        if has_frames:
            _read_frames(path, read, fps)
        else:
            _read_official(read_csv_table(path), read)
    if not read.clips:
        raise line_error(lists[0], 1, "there are no videos in this list")
    return LabelledData(
        tuple(read.clips.values()),
        names,
        is_multi_label=True,
        kind=CHARADES_KIND,
        notes=tuple(read.notes),
        fps=fps if any(is_frames) else None,
    )


@dataclass
class _Read:
    """What was read so far."""

    classes: tuple[str, ...]
    part: Part
    videos: Path
    clips: dict[str, LabelledClip] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.index = class_index(self.classes)

    def add(self, name: str, file: str, spans: Sequence[LabelSpan], group: str = "") -> None:
        labels = sorted({span.label for span in spans}, key=self.index.__getitem__)
        self.clips[name] = LabelledClip(
            self.videos / file, tuple(labels), part=self.part, group=group, spans=tuple(spans)
        )


def _read_frames(path: Path, read: _Read, fps: float) -> None:
    listed = read_listed_videos(path, num_classes=len(read.classes))
    shared = shared_folders(listed.values())
    for name, video in listed.items():
        if name in read.clips:
            raise line_error(path, video.line, f"video {name} is in another list, too")
        spans = [
            LabelSpan(read.classes[run.label], run.first / fps, (run.last + 1) / fps) for run in video.runs
        ]
        read.add(name, listed_path(video, shared, [path]), spans)


def _read_official(table: CsvTable, read: _Read) -> None:
    lacking = [name for name in _OFFICIAL if name not in table]
    if lacking:
        raise table.header_error(
            f"no column is called {' or '.join(lacking)}, and it is no list of frames, whose columns are "
            "original_vido_id video_id frame_id path labels"
        )
    repeated: list[str] = []
    reversed_: list[str] = []
    for row in table.rows():
        name = row.text("id")
        if not name:
            raise row.error("'id' is empty")
        if name in read.clips:
            repeated.append(name)
            continue
        read.add(name, name + _SUFFIX, _spans(row, read.classes, reversed_), row.text("subject"))
    where = display_path(table.path)
    if repeated:
        read.notes.append(f"{where}: videos that are there again, left out: {len(repeated)}, {repeated[0]} …")
    if reversed_:
        read.notes.append(
            f"{where}: actions that end before they begin, their times exchanged: {len(reversed_)}, in "
            f"{reversed_[0]} …"
        )


def _spans(row: Row, classes: Sequence[str], reversed_: list[str]) -> list[LabelSpan]:
    """The actions of a video. Raises: InputError."""
    spans = []
    for text in row.text("actions").split(";"):
        if not text.strip():
            continue
        found = _ACTION.fullmatch(text.strip())
        start_s, end_s = (number_or_none(found[name]) if found else None for name in ("start", "end"))
        if found is None or start_s is None or end_s is None:
            raise _action_error(row, text)
        number = int(found["number"])
        if number >= len(classes):
            raise row.error(
                f"action c{number:03d}, and the {len(classes)} classes end with c{len(classes) - 1:03d}"
            )
        if end_s < start_s:
            reversed_.append(row.text("id"))
            start_s, end_s = end_s, start_s
        spans.append(LabelSpan(classes[number], start_s, end_s))
    return spans


def _action_error(row: Row, text: str) -> InputError:
    return row.error(f"{text.strip()!r} is no action with its times, such as c092 11.90 21.20")
