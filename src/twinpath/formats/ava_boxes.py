"""The boxes of one video's people in AVA's CSV files, without a header; relative coordinates, 0 to 1.

    1j20qq1JyX4,0902,0.002,0.118,0.714,0.977,12,1           annotations: action id from 1, person id
    1j20qq1JyX4,0902,0.002,0.118,0.714,0.977,,0.996382      detected boxes: no action, a score

A person with several actions has a row for each. In addition to the rules of `ava.py`: any action id from 1
is accepted, a second may have decimals, trailing columns may be missing, and a duplicate row is an error.
Source: https://research.google.com/ava/download.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinpath.formats.ava import box_sides, reject_header
from twinpath.formats.box_observations import (
    TIME_DIGITS,
    Box,
    BoxFile,
    BoxObservation,
    make_box_file,
    match_video_name,
)
from twinpath.formats.text_columns import (
    Columns,
    csv_blocks,
    line_error,
    lines_of,
    number_or_none,
    other_delimiter,
    unescape_cell,
    what_is_no_text,
)
from twinpath.paths import display_path

_COLUMNS = ("video", "second", "x1", "y1", "x2", "y2", "action", "last")
_MIN_COLUMNS = 6
_MAX_OUTSIDE = 1e-6  # rounding
_ACTION = re.compile(r"0*[1-9][0-9]*")
_PERSON_ID = re.compile(r"[0-9]{1,18}")

Row = tuple[int, list[str]]  # line number and fields


@dataclass(frozen=True)
class _AvaRow:
    line: int
    time_s: float
    box: Box
    action: str
    last_field: str  # a person id, a score, or ""


def read_ava(text: str, path: Path, *, video: Path) -> BoxFile:
    """Read the boxes of one video, see `read_boxes`.

    Raises:
        InputError: With file and line. Rows of other videos are not checked: AVA's files have a million rows.
    """
    by_name: dict[str, list[Row]] = {}
    lines = lines_of(text)
    _reject_other_formats(path, lines)
    for block in csv_blocks(path, lines):
        for line, row in block.rows():
            by_name.setdefault(unescape_cell(row[0].strip()), []).append((line, row))
    for (line, row), *_ in by_name.values():
        reject_header(path, line, row)  # or it would look like a row of another video
    name = match_video_name(by_name, video, display_path(path))
    rows = _ava_rows(path, by_name[name])
    _reject_duplicates(path, rows)
    best: dict[tuple[float, Box, int | None], float] = {}
    people = _people(path, rows)
    for ava_row, (track, score) in zip(rows, people, strict=True):  # one row per action, with the same box
        key = (ava_row.time_s, ava_row.box, track)
        best[key] = max(score, best.get(key, 0.0))
    observations = [BoxObservation(time_s, box, score, track) for (time_s, box, track), score in best.items()]
    return make_box_file(observations, video=name)


def _reject_other_formats(path: Path, lines: Sequence[str]) -> None:
    """Check that the first row is none of other tables. Raises: InputError."""
    number, row = next(((n, line) for n, line in enumerate(lines, 1) if line.strip()), (0, ""))
    what = what_is_no_text(row.encode())
    if what is not None:
        raise line_error(path, number, what)
    delimiter = other_delimiter(row)
    if delimiter is not None:
        raise line_error(path, number, f"{delimiter} between the fields; AVA's files have commas")
    numbers = [number_or_none(field) for field in row.split(",")]
    if len(numbers) > _MIN_COLUMNS and None not in numbers and max(n for n in numbers[2:6] if n) > 2:
        raise line_error(
            path,
            number,
            "frame,id,left,top,width,height,… of MOT; convert it to AVA's video,second,x1,y1,x2,y2 "
            "or to COCO's JSON",
        )


def _ava_rows(path: Path, rows: Sequence[Row]) -> list[_AvaRow]:
    """Parse rows. Raises: InputError: Wrong number of columns, no box, or an invalid action."""
    for line, row in rows:
        if not _MIN_COLUMNS <= len(row) <= len(_COLUMNS):
            raise line_error(path, line, f"{len(row)} columns, not the 6 to 8 of video,second,x1,y1,x2,y2,…")
        reject_header(path, line, row)
    padded = [[*(field.strip() for field in row), "", ""][: len(_COLUMNS)] for _, row in rows]
    columns = Columns(
        path, [line for line, _ in rows], dict(zip(_COLUMNS, zip(*padded, strict=True), strict=True))
    )
    seconds = columns.numbers("second")
    columns.reject_rows(seconds < 0, lambda i: f"second is {seconds[i]:g}, before the video")
    boxes = box_sides(columns, max_outside=_MAX_OUTSIDE, may_be_flat=False).tolist()
    parsed = []
    for i, (line, time_s) in enumerate(zip(columns.lines, seconds.tolist(), strict=True)):
        action, last_field = columns.text("action")[i], columns.text("last")[i]
        if action and not _ACTION.fullmatch(action):
            raise line_error(path, line, f"action is {action!r}, not a whole number from 1")
        parsed.append(_AvaRow(line, round(time_s, TIME_DIGITS), tuple(boxes[i]), action, last_field))
    return parsed


def _reject_duplicates(path: Path, rows: Sequence[_AvaRow]) -> None:
    first_at: dict[tuple[object, ...], int] = {}
    for row in rows:
        first = first_at.setdefault((row.time_s, row.box, row.action, row.last_field), row.line)
        if first != row.line:
            raise line_error(path, row.line, f"the same as line {first}")


def _people(path: Path, rows: Sequence[_AvaRow]) -> list[tuple[int | None, float]]:
    """The person id and the score of each row. The values of the last column decide which of them it has."""
    values = {row.last_field for row in rows if row.last_field}
    clash = _clash(rows)
    is_ids = any(_PERSON_ID.fullmatch(text) and int(text) > 1 for text in values)
    if not is_ids and (clash or not values <= {"0", "1"}):
        return [(None, _score_of(path, row)) for row in rows]
    for row in rows:
        if row.last_field and not _PERSON_ID.fullmatch(row.last_field):
            raise line_error(path, row.line, f"{row.last_field!r} is no person id, unlike in other rows")
    if clash:
        line, first = clash
        raise line_error(path, line, f"this person has another box at the same time in line {first}")
    return [(int(row.last_field) if row.last_field else None, 1.0) for row in rows]


def _score_of(path: Path, row: _AvaRow) -> float:
    score = number_or_none(row.last_field) if row.last_field else 1.0
    if score is None or not 0 <= score <= 1:
        raise line_error(path, row.line, f"{row.last_field!r} is neither a person id nor a score, 0 to 1")
    return score


def _clash(rows: Sequence[_AvaRow]) -> tuple[int, int] | None:
    """Two lines with different boxes of one person at one time, taking the last column for person ids."""
    firsts: dict[tuple[float, str], _AvaRow] = {}
    for row in rows:
        first = firsts.setdefault((row.time_s, row.last_field), row)
        if row.last_field and first.box != row.box:
            return row.line, first.line
    return None
