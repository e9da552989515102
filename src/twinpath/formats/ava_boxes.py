"""The boxes of one video's people in AVA's CSV files, without a header; shares of the picture, 0 to 1.

    1j20qq1JyX4,0902,0.002,0.118,0.714,0.977,12,1           annotations: an action from 1, and a person
    1j20qq1JyX4,0902,0.002,0.118,0.714,0.977,,0.996382      predicted boxes: no action, and a score

A person with several actions has a row for each. Beside the rules of `ava.py`: any number from 1 will do for
an action, a second may have decimals, columns may be left out at the end, and a repeated row is an error.
Source: https://research.google.com/ava/download.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinpath.formats.ava import box_sides, refuse_header
from twinpath.formats.box_observations import (
    TIME_DIGITS,
    Box,
    BoxFile,
    BoxObservation,
    chosen_video,
    gathered,
)
from twinpath.formats.text_columns import Columns, csv_blocks, fault, lines_of, number_or_none, text_of
from twinpath.paths import display_path

_COLUMNS = ("video", "second", "x1", "y1", "x2", "y2", "action", "last")
_FEWEST = 6  # columns of a row
_MOST_OUTSIDE = 1e-6  # of the picture: rounding
_ACTION = re.compile(r"0*[1-9][0-9]*")
_PERSON_ID = re.compile(r"[0-9]{1,18}")

Row = tuple[int, list[str]]  # the line, and the fields


@dataclass(frozen=True)
class _AvaRow:
    line: int
    time_s: float
    box: Box
    action: str
    last: str  # the id of a person, a score, or nothing


def read_ava(text: str, path: Path, *, video: Path) -> BoxFile:
    """Read the boxes of one video, see `read_boxes`.

    Raises:
        InputError: `file:line: what`. Rows of other videos are not checked: AVA's own files have a million.
    """
    by_name: dict[str, list[Row]] = {}
    for block in csv_blocks(path, lines_of(text)):
        for line, row in block.rows():
            by_name.setdefault(text_of(row[0].strip()), []).append((line, row))
    for (line, row), *_ in by_name.values():
        refuse_header(path, line, row)  # which would pass for a row of another video
    name = chosen_video(by_name, video, display_path(path))
    rows = _ava_rows(path, by_name[name])
    _refuse_repeated(path, rows)
    best: dict[tuple[float, Box, int | None], float] = {}
    people = _people(path, rows)
    for found, (track, score) in zip(rows, people, strict=True):  # a row for each action, the box repeated
        key = (found.time_s, found.box, track)
        best[key] = max(score, best.get(key, 0.0))
    observations = [BoxObservation(time_s, box, score, track) for (time_s, box, track), score in best.items()]
    return gathered(observations, video=name)


def _ava_rows(path: Path, rows: Sequence[Row]) -> list[_AvaRow]:
    """Raises: InputError: a row has another number of columns, no box, or no action where one stands."""
    for line, row in rows:
        if not _FEWEST <= len(row) <= len(_COLUMNS):
            raise fault(path, line, f"{len(row)} columns, not the 6 to 8 of video,second,x1,y1,x2,y2,…")
        refuse_header(path, line, row)
    padded = [[*(field.strip() for field in row), "", ""][: len(_COLUMNS)] for _, row in rows]
    columns = Columns(
        path, [line for line, _ in rows], dict(zip(_COLUMNS, zip(*padded, strict=True), strict=True))
    )
    seconds = columns.numbers("second")
    columns.refuse(seconds < 0, lambda i: f"second is {seconds[i]:g}, before the video")
    boxes = box_sides(columns, most_outside=_MOST_OUTSIDE, may_be_flat=False).tolist()
    found = []
    for i, (line, time_s) in enumerate(zip(columns.lines, seconds.tolist(), strict=True)):
        action, last = columns.text("action")[i], columns.text("last")[i]
        if action and not _ACTION.fullmatch(action):
            raise fault(path, line, f"action is {action!r}, not a whole number from 1")
        found.append(_AvaRow(line, round(time_s, TIME_DIGITS), tuple(boxes[i]), action, last))
    return found


def _refuse_repeated(path: Path, rows: Sequence[_AvaRow]) -> None:
    first_at: dict[tuple[object, ...], int] = {}
    for row in rows:
        first = first_at.setdefault((row.time_s, row.box, row.action, row.last), row.line)
        if first != row.line:
            raise fault(path, row.line, f"the same as line {first}")


def _people(path: Path, rows: Sequence[_AvaRow]) -> list[tuple[int | None, float]]:
    """The track and the score of each row. All values of the last column decide which of them it holds."""
    given = {row.last for row in rows if row.last}
    clash = _clash(rows)
    is_ids = any(_PERSON_ID.fullmatch(text) and int(text) > 1 for text in given)
    if not is_ids and (clash or not given <= {"0", "1"}):
        return [(None, _score_of(path, row)) for row in rows]
    for row in rows:
        if row.last and not _PERSON_ID.fullmatch(row.last):
            raise fault(path, row.line, f"{row.last!r} is no person's number, as other rows have")
    if clash:
        line, first = clash
        raise fault(path, line, f"this person is somewhere else at that time in line {first}")
    return [(int(row.last) if row.last else None, 1.0) for row in rows]


def _score_of(path: Path, row: _AvaRow) -> float:
    score = number_or_none(row.last) if row.last else 1.0
    if score is None or not 0 <= score <= 1:
        raise fault(path, row.line, f"{row.last!r} is neither a person's number nor a score, 0 to 1")
    return score


def _clash(rows: Sequence[_AvaRow]) -> tuple[int, int] | None:
    """Two lines with one person at one time in different boxes, if the last column were people."""
    firsts: dict[tuple[float, str], _AvaRow] = {}
    for row in rows:
        first = firsts.setdefault((row.time_s, row.last), row)
        if row.last and first.box != row.box:
            return row.line, first.line
    return None
