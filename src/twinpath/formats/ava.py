"""AVA's CSV files of boxes: `video,second,x1,y1,x2,y2,…` without a header, in relative coordinates, 0 to 1.

    ground truth        … ,action_id[,person_id]
    results             … ,action_id,score
    person detections   … [,action_id],score          an empty action_id means any; for training: none

Which anomalies are errors, and which are accepted as in the official evaluation:

| anomaly | handling |
|---|---|
| another number of columns than in the first row | error |
| not a number, NaN, infinity; not a whole second | error |
| x2 < x1 or y2 < y1 | error: the columns are mixed up |
| x2 = x1 or y2 = y1 | ground truth: kept, matches nothing; results: dropped; a note |
| a ground-truth box outside 0 to 1 | error |
| a detected box outside 0 to 1 | kept up to 0.1 outside, as detectors produce them; otherwise error |
| an action that is not in the label map | error; AVA's 20 other actions are accepted and not evaluated |
| a duplicate row | kept, counts twice, as in the official evaluation; a note |
| a byte order mark, Windows line ends, empty lines | accepted |
| a ground-truth row without a box | a second without people |
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
from twinpath.formats.box_observations import format_box, side_order_error
from twinpath.formats.text_columns import (
    Columns,
    CsvBlock,
    csv_blocks,
    escape_cell,
    line_error,
    number_or_none,
    read_lines,
    unescape_cell,
)
from twinpath.paths import display_path
from twinpath.results.detections import Detections
from twinpath.video.sampling import TIME_TOLERANCE_S

_PLACE = ("video", "second", "x1", "y1", "x2", "y2")
_TRUTH = ((*_PLACE, "action_id"), (*_PLACE, "action_id", "person_id"))
_RESULTS = ((*_PLACE, "action_id", "score"),)
_PEOPLE = ((*_PLACE, "score"), (*_PLACE, "action_id", "score"))
ANY_ACTION = -1
MAX_OUTSIDE = 0.1  # how far a detected box may reach beyond the frame, in relative coordinates

Second = tuple[str, int]


@dataclass(frozen=True, eq=False)
class BoxRows:
    """The boxes of an AVA file, as columns.

    Attributes:
        videos: The names of the videos, in order of their first rows.
        video: (N,) int64, index into `videos`.
        second: (N,) int64.
        boxes_xyxy: (N, 4) float64, in relative coordinates.
        action_id: (N,) int64 from 1; `ANY_ACTION` if the row has no action.
        score: (N,) float64; 1 for ground truth.
        notes: Anomalies for the user, one line each.
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

    def where(self, mask: NDArray[np.bool_]) -> BoxRows:
        """The rows of an (N,) mask; `videos` is unchanged."""
        return BoxRows(
            self.videos,
            self.video[mask],
            self.second[mask],
            self.boxes_xyxy[mask],
            self.action_id[mask],
            self.score[mask],
            self.notes,
        )

    def by_second(self) -> dict[str, dict[int, NDArray[np.float64]]]:
        """For each video and each of its seconds, in order of time, the (N, 4) boxes without duplicates."""
        boxes_by_video: dict[str, dict[int, dict[tuple[float, ...], None]]] = {}
        columns = (self.video.tolist(), self.second.tolist(), self.boxes_xyxy.tolist())
        for video, second, box in zip(*columns, strict=True):
            boxes_by_video.setdefault(self.videos[video], {}).setdefault(second, {})[tuple(box)] = None
        return {
            video: {second: np.asarray(list(boxes)) for second, boxes in sorted(seconds.items())}
            for video, seconds in boxes_by_video.items()
        }


def read_truth(path: str | os.PathLike[str], label_map: LabelMap) -> BoxRows:
    """Read ground truth, as in ava_val_v2.2.csv.

    Raises:
        NotAFile: No such file.
        InputError: With file and line; see the table above.
    """
    return _read(Path(path), _TRUTH, label_map=label_map, may_be_empty=True)


def read_results(path: str | os.PathLike[str], label_map: LabelMap) -> BoxRows:
    """Read the results of a model, in AVA's submission format. Raises as `read_truth`."""
    return _with_area(_read(Path(path), _RESULTS, label_map=label_map, max_outside=MAX_OUTSIDE))


def read_people(path: str | os.PathLike[str], *, min_score: float = 0.0) -> BoxRows:
    """Read the boxes of a person detector, without duplicates; actions are ignored.

    Args:
        path: The file.
        min_score: Drop the boxes with a lower score. PySlowFast: 0.8 for SlowFast, 0.9 for Slow.
    Raises:
        NotAFile, InputError: As `read_truth`.
    """
    rows = _with_area(_read(Path(path), _PEOPLE, max_outside=MAX_OUTSIDE))
    return rows.where(rows.score >= min_score)


def read_predicted(path: str | os.PathLike[str], label_map: LabelMap, *, min_score: float = 0.0) -> BoxRows:
    """Read the boxes of a person detector for training: a row for each action of the true box below one.

    Boxes without an action, with `ANY_ACTION`, are of people who do none of them.

    Args:
        path: The file.
        label_map: The actions.
        min_score: Drop the boxes with a lower score.
    Raises:
        NotAFile, InputError: As `read_truth`.
    """
    rows = _read(Path(path), _PEOPLE, label_map=label_map, max_outside=MAX_OUTSIDE, may_be_any=True)
    return rows.where(rows.score >= min_score)


def read_exclusions(path: str | os.PathLike[str]) -> frozenset[Second]:
    """Read the rows `video,second` that the evaluation excludes.

    Raises:
        NotAFile, InputError: As `read_truth`.
    """
    path = Path(path)
    exclusions: set[Second] = set()
    for block in _blocks(path, read_lines(path), (("video", "second"),)):
        seconds = block.whole_numbers("second", minimum=0).tolist()
        exclusions.update(zip(map(unescape_cell, block.text("video")), seconds, strict=True))
    return frozenset(exclusions)


def write_results(path: str | os.PathLike[str], rows: BoxRows) -> None:
    """Write results in AVA's submission format, atomically.

    Scores have nine digits, enough for float32, so that evaluating the file gives the same mAP as `rows`.

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


def write_detections(detections: Detections, file: IO[str]) -> None:
    """Write detections as AVA results: a row for each action of each person; its id is its index + 1.

    Seconds are the times of the keyframes. If all are whole, they have four digits as in AVA's files; else
    three decimals, which AVA's evaluation rejects instead of rounding them.

    Source: the files of the AVA dataset, v2.2.
    """
    video = Path(detections.video).stem
    is_whole = all(abs(time_s - round(time_s)) < TIME_TOLERANCE_S for time_s in detections.keyframes_s)
    size_px = (detections.width_px, detections.height_px) * 2
    points = [(point.time_s, track.track_id, point) for track in detections.tracks for point in track.points]
    for time_s, _, point in sorted(points, key=lambda row: row[:2]):
        second = f"{round(time_s):04d}" if is_whole else f"{time_s:.3f}"
        box = [f"{side / of:.5f}" for side, of in zip(point.box_xyxy_px, size_px, strict=True)]
        write_rows(file, ((video, second, box, a.index + 1, f"{a.score:.5f}") for a in point.actions))


def write_rows(file: IO[str], rows: Iterable[tuple[str, str, Iterable[str], int, str]]) -> None:
    """Write rows `video,second,x1,y1,x2,y2,action_id,score` without a header."""
    writer = csv.writer(file, lineterminator="\n")
    for video, second, box, action, score in rows:
        writer.writerow((escape_cell(video), second, *box, action, score))


def _read(
    path: Path,
    layouts: Sequence[tuple[str, ...]],
    *,
    label_map: LabelMap | None = None,
    max_outside: float = 0.0,
    may_be_empty: bool = False,
    may_be_any: bool = False,
) -> BoxRows:
    lines = read_lines(path)
    videos: dict[str, int] = {}
    parts = []
    for block in _blocks(path, lines, layouts, may_be_empty=may_be_empty):
        names = [unescape_cell(name) for name in block.text("video")]
        block.reject_rows(np.asarray([not name for name in names]), lambda i: "the video has no name")
        video = np.asarray([videos.setdefault(name, len(videos)) for name in names], np.int64)
        second = block.whole_numbers("second", minimum=0)
        boxes = box_sides(block, max_outside=max_outside)
        parts.append(
            (video, second, boxes, _actions(block, label_map, may_be_any=may_be_any), _scores(block))
        )
    if not parts:
        raise line_error(path, 1, "there are no boxes in this file")
    video, second, boxes, action, score = map(np.concatenate, zip(*parts, strict=True))
    notes = (*_duplicate_notes(path, lines), *_area_notes(path, boxes))
    return BoxRows(tuple(videos), video, second, boxes, action, score, notes)


def _blocks(
    path: Path, lines: list[str], layouts: Sequence[tuple[str, ...]], *, may_be_empty: bool = False
) -> Iterator[Columns]:
    """The rows in blocks; with `may_be_empty`, rows without a box are skipped.

    Raises:
        InputError: The number of columns matches no layout, or differs from the first row; or a header.
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
            reject_header(path, first_line, first_row)
            if len(first_row) not in by_width:
                raise line_error(path, first_line, f"{len(first_row)} columns, not {_either(layouts)}")
            layout = by_width[len(first_row)]
        width = len(layout)
        if set(block.widths) != {width}:
            i = next(i for i, other in enumerate(block.widths) if other != width)
            what = f"{block.widths[i]} columns, and line {first_line} has {width}"
            raise line_error(path, block.lines[i], what)
        columns = {name: block.fields[i::width] for i, name in enumerate(layout)}
        yield Columns(path, block.lines, columns)


def _with_boxes(block: CsvBlock) -> CsvBlock:
    """The rows that have a box."""
    width = block.widths[0]
    if set(block.widths) == {width} and width > 2 and all(map(str.strip, block.fields[2::width])):
        return block
    return CsvBlock.of(
        [(line, row) for line, row in block.rows() if len(row) != 2 and any(map(str.strip, row[2:]))]
    )


def _either(layouts: Sequence[tuple[str, ...]]) -> str:
    return ", or ".join(",".join(layout) for layout in layouts)


def reject_header(path: Path, line: int, row: Sequence[str]) -> None:
    """Check that a row is no header. Raises: InputError."""
    if len(row) >= len(_PLACE) and all(f.strip() and number_or_none(f) is None for f in row[1:6]):
        raise line_error(path, line, f"second is {row[1]!r}, not a number; AVA files have no header")


def box_sides(block: Columns, *, max_outside: float, may_be_flat: bool = True) -> NDArray[np.float64]:
    """(N, 4) x1, y1, x2, y2 in relative coordinates.

    Args:
        block: The rows.
        max_outside: How far a box may reach beyond the frame, in relative coordinates.
        may_be_flat: Whether a box may have zero width or height.
    Raises:
        InputError: A side is no number or lies outside, or the sides are in the wrong order.
    """
    boxes = np.stack([block.numbers(name) for name in _PLACE[2:]], axis=1)
    x1, y1, x2, y2 = boxes.T
    is_outside = (boxes.min(axis=1) < -max_outside) | (boxes.max(axis=1) > 1 + max_outside)
    block.reject_rows(
        is_outside, lambda i: f"the box {format_box(boxes[i])} is not within 0 and 1, relative to the frame"
    )
    is_bad = (x2 < x1) | (y2 < y1) if may_be_flat else (x2 <= x1) | (y2 <= y1)
    block.reject_rows(is_bad, lambda i: side_order_error(boxes[i], may_be_flat=may_be_flat))
    return boxes


def _actions(block: Columns, label_map: LabelMap | None, *, may_be_any: bool) -> NDArray[np.int64]:
    """(N,) action ids of the label map, or without one any; with `may_be_any` also `ANY_ACTION`."""
    if "action_id" not in block:
        return np.full(len(block), ANY_ACTION, dtype=np.int64)
    if label_map is None:
        return block.whole_numbers("action_id", minimum=ANY_ACTION, empty=ANY_ACTION)
    least = ANY_ACTION if may_be_any else 0
    action_ids = block.whole_numbers("action_id", minimum=least, empty=ANY_ACTION if may_be_any else None)
    allowed = sorted(label_map.known) + ([ANY_ACTION] if may_be_any else [])
    block.reject_rows(
        ~np.isin(action_ids, allowed),
        lambda i: f"there is no action with id {action_ids[i]} in the label map",
    )
    return action_ids


def _scores(block: Columns) -> NDArray[np.float64]:
    return block.numbers("score") if "score" in block else np.ones(len(block))


def _with_area(rows: BoxRows) -> BoxRows:
    """The boxes with an area; the official evaluation drops the others from results."""
    x1, y1, x2, y2 = rows.boxes_xyxy.T
    return rows.where((x2 > x1) & (y2 > y1))


def _area_notes(path: Path, boxes_xyxy: NDArray[np.float64]) -> list[str]:
    """A note if boxes have no area."""
    x1, y1, x2, y2 = boxes_xyxy.T
    count = int(((x2 == x1) | (y2 == y1)).sum())
    return [f"{display_path(path)}: {count} boxes have no area and match nothing"] if count else []


def _duplicate_notes(path: Path, lines: list[str]) -> list[str]:
    """A note if lines are duplicates."""
    filled = [line for line in lines if line.strip()]
    count = len(filled) - len(set(filled))
    if not count:
        return []
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and first.setdefault(line, number) != number:
            more = f"; so do {count - 1} more lines" if count > 1 else ""
            return [f"{display_path(path)}:{number}: repeats line {first[line]}, and both count{more}"]
    raise AssertionError("unreachable: there are duplicate lines")
