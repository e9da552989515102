"""Kinetics 400, 600 and 700: the lists that PySlowFast reads, and the CSV files of the data set's publishers.

videos/abseiling/a.mp4 0                            a path and the number of its class; no header

label,youtube_id,time_start,time_end,split          with a header, the columns in any order
abseiling,-3B32lodo2M,12,22,train                   the file is -3B32lodo2M_000012_000022.mp4
"""

from __future__ import annotations

import csv
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from twinpath.data.labelled.class_names import class_name
from twinpath.data.labelled.clip import LabelledData, Part
from twinpath.data.published.class_list import class_index
from twinpath.data.published.listed_clips import ClipColumns
from twinpath.escapes import shown
from twinpath.formats.text_columns import line_error, number_or_none, stream_lines, whole_number_or_none
from twinpath.labels import labels as built_in
from twinpath.suggest import did_you_mean
from twinpath.video.find import VIDEO_SUFFIXES

KINETICS_KIND = "Kinetics"
_OFFICIAL = ("youtube_id", "time_start", "time_end")
_MOST_CLASSES = 100_000  # of lists without names: of a number of classes each gets one
_DATA_SETS = ("kinetics400", "kinetics600", "kinetics700")
_SAMPLED_ROWS = 64  # of which files are sought, to see how the videos' folder is laid out
_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi")
# Where downloaders put a file: in one folder, or in one of its class, with or without spaces, or of its part.
_LAYOUTS = (
    "{file}", "{label}/{file}", "{joined}/{file}", "{split}/{file}", "{split}/{label}/{file}",
    "{split}/{joined}/{file}",
)  # fmt: skip


def read_kinetics(
    lists: Sequence[Path],
    part: Part,
    *,
    videos: Path,
    separator: str = " ",
    classes: Sequence[str] | None = None,
    num_classes: int | None = None,
) -> LabelledData:
    """Read lists, or CSV files with a header; each file may be either. No video is opened.

    The last separator of a line divides path and label, so paths may hold spaces. PySlowFast reads such a
    line wrongly or not at all. A column of numbers between the path of a video and its label is passed over.

    Args:
        lists: The files.
        part: What the clips are for.
        videos: The folder that paths are relative to; for CSV files that with the videos, or with a folder of
            them for each class or part: the one that holds most of the first 64.
        separator: Between path and label of lists.
        classes: Names of the classes in order; None: of lists their numbers, of CSV files the labels, sorted.
        num_classes: Where `classes` is None: how many there are; None: as many as occur.
    Raises:
        NotAFile: No such list.
        InputError: With file and line: no label, a label that is no whole number, one beyond the classes, or
            none of their names; or there are no clips.
    """
    columns = ClipColumns(videos, part)
    names = {} if classes is None else dict(class_index(classes))
    headers = {path: _header(path) for path in lists}
    if classes is None and len({header is None for header in headers.values()}) > 1:
        raise line_error(lists[0], 1, "lists of numbers together with files of names need the names in order")
    for path, header in headers.items():
        if header is None:
            limit = num_classes if classes is None else len(classes)
            _read_list(path, columns, separator, limit)
        else:
            _read_official(path, header, columns, names, videos, is_open=classes is None)
    if not len(columns):
        raise line_error(lists[0], 1, "there are no clips in this list")
    if classes is None:
        if names:
            classes = _in_published_order(names)
            index = class_index(classes)
            columns.renumber([index[name] for name in names])
        else:
            classes = [str(number) for number in range(num_classes or columns.highest_label + 1)]
    return LabelledData(
        columns.clips(classes), tuple(classes), kind=KINETICS_KIND, notes=tuple(columns.notes())
    )


def _in_published_order(names: Mapping[str, int]) -> tuple[str, ...]:
    """The order of the data set that has these classes, if one has; else sorted."""
    published = (built_in(name) for name in _DATA_SETS)
    return next((found for found in published if set(found) == set(names)), tuple(sorted(names)))


# Lists


def _read_list(path: Path, columns: ClipColumns, separator: str, num_classes: int | None) -> None:
    for line, text in enumerate(stream_lines(path), 1):
        text = text.strip()
        if not text:
            continue
        name, found, label = text.rpartition(separator)
        number = whole_number_or_none(label, minimum=0) if found and name.strip() else None
        if number is None:
            raise line_error(path, line, _no_label(text, label, separator if found else None, separator))
        _check_label(path, line, number, num_classes)
        columns.add(without_counts(name.rstrip(), separator), number)


def _check_label(path: Path, line: int, number: int, num_classes: int | None) -> None:
    """Raises: InputError: There is no such class."""
    if num_classes is None:
        if number >= _MOST_CLASSES:
            raise line_error(path, line, f"label {number} is no number of a class, {_MOST_CLASSES} at most")
    elif number >= num_classes:
        raise line_error(
            path,
            line,
            f"label {number}, and the {num_classes} classes have the numbers 0 to {num_classes - 1}",
        )


def _no_label(text: str, label: str, found: str | None, separator: str) -> str:
    if found is not None and label.strip():
        return f"the label is {label.strip()!r}, not a whole number from 0"
    others = {",": "a comma", ";": "a semicolon", "\t": "a tab", " ": "a space"}
    end = text.rstrip("0123456789")
    other = others.get(end[-1:]) if end != text and end[-1:] != separator else None
    advice = f"; here it is {other}" if other else ""
    return f"no label behind the separator {separator!r}{advice}"


def without_counts(text: str, separator: str) -> str:
    """A path without columns of numbers behind it: "a.mp4 300" is a.mp4, with 300 frames."""
    name = text
    while True:
        before, found, behind = name.rpartition(separator)
        if not found or not behind.strip().isdecimal():
            break
        name = before.rstrip()
    is_video = name == text or os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES  # noqa: PTH122 - often
    return name if is_video else text


# CSV files


class _Header(NamedTuple):
    line: int
    columns: dict[str, int]


class _Row(NamedTuple):
    line: int
    label: str
    split: str
    stem: str  # of the file, without its suffix


def _header(path: Path) -> _Header | None:
    """The header of one of the publishers' files; None: it is a list."""
    first = next((item for item in enumerate(stream_lines(path), 1) if item[1].strip()), None)
    if first is None:
        return None
    line, text = first
    try:
        names = [cell.strip().lower() for cell in next(csv.reader([text]))]
    except csv.Error:
        return None
    if not set(_OFFICIAL) <= set(names):
        return None
    if "label" not in names:
        raise line_error(path, line, "no column is called label; without labels this is data of no class")
    return _Header(line, {name: i for i, name in enumerate(names)})


def _read_official(
    path: Path,
    header: _Header,
    columns: ClipColumns,
    names: dict[str, int],
    videos: Path,
    *,
    is_open: bool,
) -> None:
    rows = _rows(path, header)
    sample = list(itertools.islice(rows, _SAMPLED_ROWS))
    layout, suffix = _layout(sample, videos)
    for row in itertools.chain(sample, rows):
        label = names.get(row.label)
        if label is None:
            if not is_open:
                raise line_error(
                    path, row.line, f"{row.label!r} is none of the classes{did_you_mean(row.label, names)}"
                )
            label = names[row.label] = len(names)
        columns.add(_file(row, layout, suffix), label)


def _rows(path: Path, header: _Header) -> Iterator[_Row]:
    places = header.columns
    label, video, start, end = (places[name] for name in ("label", *_OFFICIAL))
    split = places.get("split")
    known: dict[str, str] = {}  # names of classes are few, and compared often
    reader = csv.reader(line + "\n" for line in stream_lines(path))
    try:
        for cells in reader:
            if reader.line_num <= header.line or not any(cells):
                continue
            if len(cells) != len(places):
                raise line_error(
                    path,
                    reader.line_num,
                    f"{len(cells)} cells, and the header has {len(places)}; put names with commas in quotes",
                )
            name = known.setdefault(cells[label], class_name(cells[label]))
            if not name or not cells[video].strip():
                what = "label" if not name else "youtube_id"
                raise line_error(path, reader.line_num, f"{what} is empty")
            times = (_second(path, reader.line_num, cells[i]) for i in (start, end))
            stem = "_".join((cells[video].strip(), *(f"{second:06d}" for second in times)))
            yield _Row(reader.line_num, name, "" if split is None else cells[split].strip(), stem)
    except csv.Error as error:
        raise line_error(path, reader.line_num, str(error)) from error


def _second(path: Path, line: int, text: str) -> int:
    number = number_or_none(text)
    if number is None or not 0 <= number < 10**6:
        raise line_error(path, line, f"{shown(text.strip())!r} is not a second from 0")
    return int(number)


def _layout(rows: Sequence[_Row], videos: Path) -> tuple[str, str]:
    """How files are named below the folder: the way in which most of some rows exist."""
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        layouts = [layout for layout in _LAYOUTS if row.split or "{split}" not in layout]
        for layout, suffix in itertools.product(layouts, _SUFFIXES):
            found[layout, suffix] += os.path.isfile(videos / _file(row, layout, suffix))  # noqa: PTH113 - any name
    return max(found, key=lambda way: found[way]) if found else (_LAYOUTS[0], _SUFFIXES[0])


def _file(row: _Row, layout: str, suffix: str) -> str:
    names: Mapping[str, str] = {
        "file": row.stem + suffix,
        "label": row.label,
        "joined": row.label.replace(" ", "_"),
        "split": row.split,
    }
    return layout.format_map(names)
