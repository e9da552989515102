"""A list of videos with their labels: CSV with the columns path and label, and start_s, end_s, split, group.

    path,label,start_s,end_s,split,group
    day1/a.mp4,open door,0,4.2,train,anna
    day1/a.mp4,close door,4.2,8,train,anna
    day2/b.mp4,open door|sit down,,,test,bob           two labels

The path may be called "video", as in what the synthetic world writes. Two rows of one path and one span are
one clip with the labels of both.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinpath.atomic import atomic_path
from twinpath.data.labelled.class_names import class_name
from twinpath.data.labelled.clip import LabelledClip, LabelledData, Part
from twinpath.data.labelled.folder import PART_NAMES
from twinpath.data.labelled.groups import group_of, is_there
from twinpath.formats.csv_table import CsvTable, Row
from twinpath.formats.text_columns import escape_cell
from twinpath.paths import display_path
from twinpath.video.frame_folder import is_frame_pattern

TABLE_KIND = "CSV"
_KNOWN = ("path", "video", "label", "label_index", "labels", "start_s", "end_s", "split", "group")
_LABELS_MARK = "|"

Span = tuple[Path, float | None, float | None]


def read_label_table(table: CsvTable) -> LabelledData:
    """The clips of a table.

    Relative paths are relative to the table's folder. A missing file stays in the list, so that whoever reads
    the data can report it.

    Raises:
        InputError: There are no rows, a cell is wrong, rows contradict each other, or no file exists; names
            the line.
    """
    rows = [_row(row) for row in table.rows()]
    if not rows:
        raise table.header_error("there are no rows behind the header")
    if not any(is_frame_pattern(row.path) or is_there(row.path) for row in rows):
        first = display_path(rows[0].path)
        raise table.header_error(
            f"not one of the videos exists, the first is {first}; paths are relative to this file's folder"
        )
    merged: dict[Span, _TableRow] = {}
    repeated = 0
    for row in rows:
        before = merged.get(row.span)
        repeated += before is not None and set(row.labels) <= set(before.labels)
        merged[row.span] = row if before is None else before.with_labels_of(row)
    clips = tuple(row.clip() for row in merged.values())
    return LabelledData(
        clips=clips,
        classes=tuple(sorted({label for clip in clips for label in clip.labels})),
        is_multi_label=any(len(clip.labels) != 1 for clip in clips),
        kind=TABLE_KIND,
        notes=tuple(_notes(table, repeated)),
    )


@dataclass(frozen=True)
class _TableRow:
    row: Row
    path: Path
    labels: tuple[str, ...]
    start_s: float | None
    end_s: float | None
    part: Part | None
    group: str

    @property
    def span(self) -> Span:
        return self.path, self.start_s, self.end_s

    def with_labels_of(self, other: _TableRow) -> _TableRow:
        """The labels of both. Raises: InputError: they differ in their part or group."""
        for name, mine, others in (("split", self.part, other.part), ("group", self.group, other.group)):
            if mine != others:
                raise other.row.error(
                    f"{name!r} is {others or 'empty'}, and in line {self.row.line}, of the same clip, "
                    f"{mine or 'empty'}"
                )
        labels = tuple(dict.fromkeys((*self.labels, *other.labels)))
        return _TableRow(self.row, self.path, labels, self.start_s, self.end_s, self.part, self.group)

    def clip(self) -> LabelledClip:
        return LabelledClip(self.path, self.labels, self.start_s, self.end_s, self.part, self.group)


def _row(row: Row) -> _TableRow:
    text = row.text("path" if "path" in row.table else "video")
    if not text:
        raise row.error("'path' is empty")
    start_s, end_s = row.seconds("start_s"), row.seconds("end_s")
    if end_s is not None and end_s <= (start_s or 0.0):
        raise row.error(f"'end_s' is {end_s:g}, not after 'start_s', {start_s or 0:g}")
    path = _existing(row.table.path.parent, text)
    group = row.text("group") or group_of(path)
    return _TableRow(row, path, _labels(row), start_s, end_s, _part(row), group)


def _labels(row: Row) -> tuple[str, ...]:
    cells = [row.text(name) for name in ("label", "labels") if name in row.table]
    names = [class_name(name) for cell in cells for name in cell.split(_LABELS_MARK)]
    labels = tuple(dict.fromkeys(name for name in names if name))
    if not labels and "labels" not in row.table:
        raise row.error("'label' is empty")
    return labels


def _part(row: Row) -> Part | None:
    text = row.text("split")
    if not text:
        return None
    part = PART_NAMES.get(text.casefold())
    if part is None:
        raise row.error(f"'split' is {text!r}, not train, validation (val) or test")
    return part


def _existing(folder: Path, text: str) -> Path:
    """The path in a cell: as it stands, or as another system writes the same name."""
    for name in (text, text.replace("\\", "/")):
        for form in (name, *(unicodedata.normalize(f, name) for f in ("NFC", "NFD"))):
            if is_there(folder / form):
                return folder / form
    return folder / text


def _notes(table: CsvTable, repeated: int) -> Iterator[str]:
    if repeated:
        yield f"{display_path(table.path)}: rows that repeat another one: {repeated}"
    unknown = [name for name in table.names if name and name not in _KNOWN]
    if unknown:
        yield f"{display_path(table.path)}: columns that are not used: {', '.join(unknown)}"


def is_label_table(table: CsvTable) -> bool:
    """Whether the header is one of videos with labels."""
    has_path = "path" in table or ("video" in table and "start_s" not in table)
    return has_path and ("label" in table or "labels" in table)


def fits_table(data: LabelledData) -> bool:
    """Whether no label holds the mark that separates labels in a table."""
    return not any(_LABELS_MARK in label for label in data.classes)


def write_label_table(clips: Sequence[LabelledClip], path: Path) -> None:
    """Write clips as such a table, with whole paths, atomically.

    Args:
        clips: With times since the first frame, and labels as `fits_table` allows them.
        path: The file to create or replace.
    Raises:
        OSError: The file cannot be written.
    """
    labels = "label" if all(clip.labels for clip in clips) else "labels"
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", labels, "start_s", "end_s", "split", "group"])
        for clip in clips:
            assert clip.clock == "video"
            span = ("" if time_s is None else f"{time_s:.3f}" for time_s in (clip.start_s, clip.end_s))
            names = escape_cell(_LABELS_MARK.join(clip.labels))
            group = "" if clip.group == str(clip.path) else escape_cell(clip.group)
            writer.writerow([escape_cell(str(clip.path.absolute())), names, *span, clip.part or "", group])
