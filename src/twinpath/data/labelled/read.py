"""Read a data set, whatever form it has: `read_labelled`.

data = read_labelled("actions")                  # a folder with a folder of videos for each class
data = read_labelled("actions.csv")              # path,label[,start_s,end_s][,split][,group]
data = read_labelled("twinpath-timeline")        # timelines that somebody corrected: JSON, CSV, ELAN
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from twinpath.data.labelled.clip import LabelledData
from twinpath.data.labelled.folder import IsResult, files_below, read_class_folders
from twinpath.data.labelled.segments import read_segments
from twinpath.data.labelled.table import is_label_table, read_label_table
from twinpath.errors import InputError, NotAFile
from twinpath.formats.csv_table import CsvTable, read_csv_table
from twinpath.formats.file_content import read_content
from twinpath.formats.segment_files import SEGMENT_ENDINGS, content_kind
from twinpath.paths import display_path
from twinpath.video.find import VIDEO_SUFFIXES

Source = str | os.PathLike[str]

FEWEST_CLASSES = 2
_TABLE_ENDINGS = (".csv", ".tsv")


def read_labelled(
    source: Source | Sequence[Source],
    *,
    min_classes: int = FEWEST_CLASSES,
    is_result: IsResult = lambda path: False,
) -> LabelledData:
    """Read a data set. Nothing is decoded: a broken video shows when it is read.

    Args:
        source: A folder of classes; a CSV file; a file of segments, or a folder or a list of such. A string
            may be a pattern, such as "timelines/*.eaf".
        min_classes: Fewer are an error; evaluation may do with one.
        is_result: Of a video in a folder: whether an earlier run has made it, so that it is no data.
    Raises:
        NotAFile: A path does not exist, or a pattern matches nothing.
        InputError: It is no data set, a file of it is wrong, or there are too few classes.
        LimitExceeded: A file of annotations is too large.
    """
    paths = _expanded(source)
    data = _merged(list(_read_each(paths, is_result)))
    if data.is_multi_label:
        several = sum(len(clip.labels) != 1 for clip in data.clips)
        note = f"multi-label data, since clips have several labels or none: {several} of {len(data.clips)}"
        data = replace(data, notes=(*data.notes, note))
    elif len(data.classes) < min_classes:
        only = f"the one class {data.classes[0]!r}" if data.classes else "no class"
        raise InputError(
            f"{display_path(paths[0])} has {only}; at least {min_classes} are needed, so that there is "
            "something to tell apart"
        )
    return data


def _expanded(source: Source | Sequence[Source]) -> list[Path]:
    """Each path once, patterns expanded."""
    named: Sequence[Source] = [source] if isinstance(source, str | os.PathLike) else source
    paths: list[Path] = []
    for name in (os.fspath(one) for one in named):
        if os.path.lexists(name) or not glob.has_magic(name):
            paths.append(Path(name))
            continue
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - absolute ones
        if not matches:
            raise NotAFile(
                f"the pattern {display_path(name)} matches nothing; check the folder and the quotes"
            )
        paths += map(Path, matches)
    if not paths:
        raise NotAFile("no data is named; give a folder of classes or a CSV file")
    return list(dict.fromkeys(paths))


def _read_each(paths: Sequence[Path], is_result: IsResult) -> Iterator[LabelledData]:
    """Each folder of classes and table by itself, and all files of segments together."""
    segments: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = _segment_files(path)
            segments += below
            if not below:
                yield _read_folder(path, is_result)
            continue
        table = _table(path)
        if table is None:
            segments.append(path)
        else:
            yield read_label_table(table)
    if segments:
        yield read_segments(list(dict.fromkeys(segments)))


def _read_folder(folder: Path, is_result: IsResult) -> LabelledData:
    try:
        return read_class_folders(folder, is_result=is_result)
    except InputError as error:
        tables = [path for path in files_below(folder, _TABLE_ENDINGS) if _table(path) is not None]
        if not tables:
            raise
        raise InputError(f"{error}. Or give {display_path(tables[0])}") from error


def _segment_files(folder: Path) -> list[Path]:
    """The files of segments below a folder; none if videos below its subfolders make it a folder of classes.

    Recordings with their annotations beside them are no classes, in whatever folders they are.
    """
    found = list(files_below(folder, SEGMENT_ENDINGS))
    is_direct = any(path.parent == folder for path in found)
    if not found or is_direct:
        return found
    with_videos = {path.parent for path in files_below(folder, tuple(VIDEO_SUFFIXES))}
    return found if {path.parent for path in found} & with_videos or not with_videos else []


def _table(path: Path) -> CsvTable | None:
    """The table of a CSV file of videos and labels; None: of any other file, which is tried as segments."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise InputError(
            f"{display_path(path)} is a video, not a data set; give a folder with a folder of videos for "
            "each class, or a CSV file with path,label"
        )
    if content_kind(read_content(path)) != "table":
        return None
    table = read_csv_table(path)
    return table if is_label_table(table) else None


def _merged(parts: Sequence[LabelledData]) -> LabelledData:
    """Several data sets as one."""
    if len(parts) == 1:
        return parts[0]
    clips = tuple(dict.fromkeys(clip for part in parts for clip in part.clips))
    skipped: Counter[str] = Counter()
    for part in parts:
        skipped.update(part.skipped)
    return LabelledData(
        clips=clips,
        classes=tuple(sorted({label for part in parts for label in part.classes})),
        is_multi_label=any(part.is_multi_label for part in parts),
        kind=" and ".join(dict.fromkeys(part.kind for part in parts)),
        skipped=dict(skipped.most_common()),
        notes=tuple(note for part in parts for note in part.notes),
    )
