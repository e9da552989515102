"""AVA's tables of boxes: `video,second,x1,y1,x2,y2,…` without a header, boxes as shares of the picture.

    ground truth      … ,action_id[,person_id]
    results           … ,action_id,score
    predicted people  … [,action_id],score          an empty action_id means any

Which faults are errors, and which the official evaluation accepts:

| fault | |
|---|---|
| another number of columns than in the first row | an error |
| no number, NaN, infinity; no whole second | an error |
| x2 < x1 or y2 < y1 | an error: the columns are mixed up |
| x2 = x1 or y2 = y1 | kept in the truth, where nothing can match it; left out of what was found; noted |
| a true box outside 0 to 1 | an error |
| a found box outside 0 to 1 | kept up to a tenth of the picture, as detectors give; further out an error |
| an action that the label map does not know | an error; AVA's other 20 actions are known and not evaluated |
| the same row again | kept, and so counted twice, as the official evaluation does; noted |
| a byte order mark, Windows' line ends, empty lines | nothing |
| a true row without a box | a second without people |
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from twinpath.atomic import atomic_path
from twinpath.formats.ava_label_map import LabelMap
from twinpath.formats.box_observations import problem_of, shown
from twinpath.formats.text_columns import (
    Columns,
    CsvBlock,
    cell_of,
    csv_blocks,
    fault,
    number_or_none,
    read_lines,
    text_of,
)
from twinpath.paths import display_path
from twinpath.results.detections import Detections
from twinpath.video.sampling import TIME_TOLERANCE_S

_PLACE = ("video", "second", "x1", "y1", "x2", "y2")
_TRUTH = ((*_PLACE, "action_id"), (*_PLACE, "action_id", "person_id"))
_RESULTS = ((*_PLACE, "action_id", "score"),)
_PEOPLE = ((*_PLACE, "score"), (*_PLACE, "action_id", "score"))
ANY_ACTION = -1
MOST_OUTSIDE = 0.1  # of the picture, that a found box may reach beyond it

Second = tuple[str, int]


@dataclass(frozen=True, eq=False)
class BoxRows:
    """A table of boxes.

    Attributes:
        videos: Their names, in the order in which they come.
        video: (N,) int64, index into `videos`.
        second: (N,) int64.
        boxes_xyxy: (N, 4) float64, shares of the picture's width and height.
        action_id: (N,) int64 from 1; `ANY_ACTION` where the row names none.
        score: (N,) float64; 1 in ground truth.
        notes: Oddities, one line each.
    """

    videos: tuple[str, ...]
    video: NDArray[np.int64]
    second: NDArray[np.int64]
    boxes_xyxy: NDArray[np.float64]
    action_id: NDArray[np.int64]
    score: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.video)

    def where(self, is_wanted: NDArray[np.bool_]) -> BoxRows:
        """The rows of a mask; `videos` stays."""
        return BoxRows(
            self.videos,
            self.video[is_wanted],
            self.second[is_wanted],
            self.boxes_xyxy[is_wanted],
            self.action_id[is_wanted],
            self.score[is_wanted],
            self.notes,
        )

    def by_second(self) -> dict[str, dict[int, NDArray[np.float64]]]:
        """For each video, for each of its seconds in order of time, the (N, 4) boxes, each once."""
        found: dict[str, dict[int, dict[tuple[float, ...], None]]] = {}
        columns = (self.video.tolist(), self.second.tolist(), self.boxes_xyxy.tolist())
        for video, second, box in zip(*columns, strict=True):
            found.setdefault(self.videos[video], {}).setdefault(second, {})[tuple(box)] = None
        return {
            video: {second: np.asarray(list(boxes)) for second, boxes in sorted(seconds.items())}
            for video, seconds in found.items()
        }


def read_truth(path: str | os.PathLike[str], label_map: LabelMap) -> BoxRows:
    """Ground truth, as in ava_val_v2.2.csv.

    Raises:
        NotAFile: No such file.
        InputError: `file:line: what`; see the table above.
    """
    return _read(Path(path), _TRUTH, label_map=label_map, may_be_empty=True)


def read_results(path: str | os.PathLike[str], label_map: LabelMap) -> BoxRows:
    """Results of a model, in the form in which they are submitted to AVA; errors as for `read_truth`."""
    return _solid(_read(Path(path), _RESULTS, label_map=label_map, most_outside=MOST_OUTSIDE))


def read_people(path: str | os.PathLike[str], *, min_score: float = 0.0) -> BoxRows:
    """The boxes of a person detector, once each, whatever actions stand beside them.

    Args:
        path: The file.
        min_score: Boxes that score less are left out. PySlowFast: 0.8 for SlowFast, 0.9 for Slow.
    Raises:
        NotAFile, InputError: As for `read_truth`.
    """
    rows = _solid(_read(Path(path), _PEOPLE, most_outside=MOST_OUTSIDE))
    return rows.where(rows.score >= min_score)


def read_exclusions(path: str | os.PathLike[str]) -> frozenset[Second]:
    """Rows `video,second` that the evaluation leaves out.

    Raises:
        NotAFile, InputError: As for `read_truth`.
    """
    path = Path(path)
    found: set[Second] = set()
    for block in _blocks(path, read_lines(path), (("video", "second"),)):
        seconds = block.whole_numbers("second", least=0).tolist()
        found.update(zip(map(text_of, block.text("video")), seconds, strict=True))
    return frozenset(found)


def write_results(path: str | os.PathLike[str], rows: BoxRows) -> None:
    """Write the official results file, whole or not at all.

    Scores have nine digits, which keep apart whatever float32 keeps apart: the file evaluates as `rows` do.

    Raises:
        OSError: The file cannot be written, for example on a full disk; an existing file is kept.
    """
    columns = (rows.video, rows.second, rows.boxes_xyxy, rows.action_id, rows.score)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        write_rows(
            file,
            (
                (rows.videos[video], f"{second:04d}", map(repr, box), action, f"{score:.9g}")
                for video, second, box, action, score in zip(
                    *(column.tolist() for column in columns), strict=True
                )
            ),
        )


def write_detections(found: Detections, file: IO[str]) -> None:
    """A row for each action of each person; an action's id is its index + 1.

    Seconds are those of the keyframes. Where all are whole they have four digits, as AVA's own; else three
    decimals, which AVA's evaluation refuses to read rather than taking them for another second.

    Source: the files of the AVA dataset, v2.2.
    """
    video = Path(found.video).stem
    is_whole = all(abs(time_s - round(time_s)) < TIME_TOLERANCE_S for time_s in found.keyframes_s)
    size_px = (found.width_px, found.height_px) * 2
    points = [(point.time_s, track.track_id, point) for track in found.tracks for point in track.points]
    for time_s, _, point in sorted(points, key=lambda row: row[:2]):
        second = f"{round(time_s):04d}" if is_whole else f"{time_s:.3f}"
        box = [f"{side / of:.5f}" for side, of in zip(point.box_xyxy_px, size_px, strict=True)]
        write_rows(file, ((video, second, box, a.index + 1, f"{a.score:.5f}") for a in point.actions))


def write_rows(file: IO[str], rows: Iterable[tuple[str, str, Iterable[str], int, str]]) -> None:
    """Rows `video,second,x1,y1,x2,y2,action_id,score` without a header."""
    writer = csv.writer(file, lineterminator="\n")
    for video, second, box, action, score in rows:
        writer.writerow((cell_of(video), second, *box, action, score))


def _read(
    path: Path,
    layouts: Sequence[tuple[str, ...]],
    *,
    label_map: LabelMap | None = None,
    most_outside: float = 0.0,
    may_be_empty: bool = False,
) -> BoxRows:
    lines = read_lines(path)
    videos: dict[str, int] = {}
    parts = []
    for block in _blocks(path, lines, layouts, may_be_empty=may_be_empty):
        names = [text_of(name) for name in block.text("video")]
        block.refuse(np.asarray([not name for name in names]), lambda i: "the video has no name")
        video = np.asarray([videos.setdefault(name, len(videos)) for name in names], np.int64)
        second = block.whole_numbers("second", least=0)
        boxes = box_sides(block, most_outside=most_outside)
        parts.append((video, second, boxes, _actions(block, label_map), _scores(block)))
    if not parts:
        raise fault(path, 1, "there are no boxes in this file")
    video, second, boxes, action, score = map(np.concatenate, zip(*parts, strict=True))
    notes = (*_repeated(path, lines), *_flat(path, boxes))
    return BoxRows(tuple(videos), video, second, boxes, action, score, notes)


def _blocks(
    path: Path, lines: list[str], layouts: Sequence[tuple[str, ...]], *, may_be_empty: bool = False
) -> Iterator[Columns]:
    """The rows in blocks; those without a box are left out where they may be there.

    Raises:
        InputError: A row has as many columns as no layout, or as not the first row; or it names columns.
    """
    by_width = {len(layout): layout for layout in layouts}
    layout: tuple[str, ...] = ()
    first_line = 0
    for block in csv_blocks(path, lines):
        if may_be_empty:
            block = _with_boxes(block)
        if not block.lines:
            continue
        if not layout:
            first_line, first_row = next(block.rows())
            refuse_header(path, first_line, first_row)
            if len(first_row) not in by_width:
                raise fault(path, first_line, f"{len(first_row)} columns, and it must be {_either(layouts)}")
            layout = by_width[len(first_row)]
        width = len(layout)
        if set(block.widths) != {width}:
            i = next(i for i, other in enumerate(block.widths) if other != width)
            what = f"{block.widths[i]} columns, and line {first_line} has {width}"
            raise fault(path, block.lines[i], what)
        columns = {name: block.fields[i::width] for i, name in enumerate(layout)}
        yield Columns(path, block.lines, columns)


def _with_boxes(block: CsvBlock) -> CsvBlock:
    """Without the rows of seconds without people."""
    width = block.widths[0]
    if set(block.widths) == {width} and width > 2 and all(map(str.strip, block.fields[2::width])):
        return block
    return CsvBlock.of(
        [(line, row) for line, row in block.rows() if len(row) != 2 and any(map(str.strip, row[2:]))]
    )


def _either(layouts: Sequence[tuple[str, ...]]) -> str:
    return ", or ".join(",".join(layout) for layout in layouts)


def refuse_header(path: Path, line: int, row: Sequence[str]) -> None:
    """Raises: InputError: this row names the columns of the others."""
    if len(row) >= len(_PLACE) and all(f.strip() and number_or_none(f) is None for f in row[1:6]):
        raise fault(path, line, f"second is {row[1]!r}, not a number; AVA files have no header")


def box_sides(block: Columns, *, most_outside: float, may_be_flat: bool = True) -> NDArray[np.float64]:
    """(N, 4) x1, y1, x2, y2 as shares of the picture.

    Args:
        block: The rows.
        most_outside: How far a box may reach out of the picture, as a share of it.
        may_be_flat: Whether a box may have no width or no height.
    Raises:
        InputError: A side is no number, lies outside, or before the other one.
    """
    boxes = np.stack([block.numbers(name) for name in _PLACE[2:]], axis=1)
    x1, y1, x2, y2 = boxes.T
    is_outside = (boxes.min(axis=1) < -most_outside) | (boxes.max(axis=1) > 1 + most_outside)
    block.refuse(
        is_outside, lambda i: f"the box {shown(boxes[i])} is not within 0 and 1, as shares of the picture"
    )
    is_bad = (x2 < x1) | (y2 < y1) if may_be_flat else (x2 <= x1) | (y2 <= y1)
    block.refuse(is_bad, lambda i: problem_of(boxes[i], may_be_flat=may_be_flat))
    return boxes


def _actions(block: Columns, label_map: LabelMap | None) -> NDArray[np.int64]:
    """(N,); without a label map any number, and none."""
    if "action_id" not in block:
        return np.full(len(block), ANY_ACTION, dtype=np.int64)
    if label_map is None:
        return block.whole_numbers("action_id", least=ANY_ACTION, empty=ANY_ACTION)
    found = block.whole_numbers("action_id", least=0)
    block.refuse(
        ~np.isin(found, sorted(label_map.known)),
        lambda i: f"there is no action with id {found[i]} in the label map",
    )
    return found


def _scores(block: Columns) -> NDArray[np.float64]:
    return block.numbers("score") if "score" in block else np.ones(len(block))


def _solid(rows: BoxRows) -> BoxRows:
    """Without boxes that have no area, which the official evaluation leaves out of results."""
    x1, y1, x2, y2 = rows.boxes_xyxy.T
    return rows.where((x2 > x1) & (y2 > y1))


def _flat(path: Path, boxes_xyxy: NDArray[np.float64]) -> list[str]:
    """A note on boxes without an area."""
    x1, y1, x2, y2 = boxes_xyxy.T
    count = int(((x2 == x1) | (y2 == y1)).sum())
    return [f"{display_path(path)}: {count} boxes have no area and match nothing"] if count else []


def _repeated(path: Path, lines: list[str]) -> list[str]:
    """A note on lines that are repeated."""
    filled = [line for line in lines if line.strip()]
    count = len(filled) - len(set(filled))
    if not count:
        return []
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and first.setdefault(line, number) != number:
            more = f"; so do {count - 1} more lines" if count > 1 else ""
            return [f"{display_path(path)}:{number}: repeats line {first[line]}, and both count{more}"]
    raise AssertionError("a line repeats and was not found")
