"""Boxes in the CSV files of the AVA dataset, without a header; shares of the picture, 0 to 1.

    1j20qq1JyX4,0902,0.002,0.118,0.714,0.977,12,1           annotations: an action from 1, and who does it
    1j20qq1JyX4,0902,0.002,0.118,0.714,0.977,,0.996382      predicted boxes: no action, and a score

A person with several actions has a row for each; any number from 1 will do for an action.
Source: https://research.google.com/ava/download.html
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinpath.errors import InputError
from twinpath.formats.box_observations import (
    TIME_DIGITS,
    Box,
    BoxFile,
    BoxObservation,
    chosen_video,
    gathered,
    problem_of,
    shown,
)

_SHARE_TOLERANCE = 1e-6
_ACTION = re.compile(r"0*[1-9][0-9]*")
_PERSON_NUMBER = re.compile(r"[0-9]{1,18}")
_NUMBERS = ("second", "x1", "y1", "x2", "y2")
_NO_HEADER = "; AVA files have no header"


@dataclass(frozen=True)
class _AvaRow:
    line: int
    time_s: float
    box: Box
    action: str
    last: str  # a person's number, a score, or nothing


def read_ava(text: str, where: str, *, video: Path) -> BoxFile:
    lines: dict[str, list[tuple[int, list[str]]]] = {}
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for columns in reader:
            if any(column.strip() for column in columns):
                lines.setdefault(columns[0].strip(), []).append((reader.line_num, columns))
    except csv.Error as error:
        raise InputError(f"{where}:{reader.line_num}: {error}") from error
    for (number, columns), *_ in lines.values():
        if _is_header(columns):  # which would pass for a row of another video
            raise InputError(f"{where}:{number}: {_no_number('second', columns[1])}{_NO_HEADER}")
    # Rows of other videos are not looked at: AVA's own files have a million of them.
    name = chosen_video(lines, video, where)
    rows = [_ava_row(c, n, f"{where}:{n}") for n, c in lines[name]]
    first_at: dict[tuple[object, ...], int] = {}
    for row in rows:
        first = first_at.setdefault((row.time_s, row.box, row.action, row.last), row.line)
        if first != row.line:
            raise InputError(f"{where}:{row.line}: the same as line {first}")
    people = _people_of_rows(rows, where)
    best: dict[tuple[float, Box, int | str | None], float] = {}
    for row, (track, score) in zip(rows, people, strict=True):  # a row for each action, the box repeated
        key = (row.time_s, row.box, track)
        best[key] = max(score, best.get(key, 0.0))
    observations = [BoxObservation(time_s, box, score, track) for (time_s, box, track), score in best.items()]
    return gathered(observations, video=name)


def _ava_row(columns: list[str], line: int, where: str) -> _AvaRow:
    if not 6 <= len(columns) <= 8:
        raise InputError(f"{where}: {len(columns)} columns, not the 6 to 8 of video,second,x1,y1,x2,y2,…")
    numbers = []
    for name, column in zip(_NUMBERS, columns[1:6], strict=True):
        number = _float_or_none(column)
        if number is None:
            hint = _NO_HEADER if _is_header(columns) else ""
            raise InputError(f"{where}: {_no_number(name, column)}{hint}")
        numbers.append(number)
    time_s, box = numbers[0], (numbers[1], numbers[2], numbers[3], numbers[4])
    if time_s < 0:
        raise InputError(f"{where}: second is {time_s:g}, before the video")
    if not all(-_SHARE_TOLERANCE <= side <= 1 + _SHARE_TOLERANCE for side in box):
        raise InputError(f"{where}: {shown(box)} is not within 0 to 1, as shares of the picture are")
    problem = problem_of(box)
    if problem:
        raise InputError(f"{where}: {problem}")
    action, last = (*(column.strip() for column in columns[6:]), "", "")[:2]
    if action and not _ACTION.fullmatch(action):
        raise InputError(f"{where}: action is {action!r}, not a whole number from 1")
    return _AvaRow(line, round(time_s, TIME_DIGITS), box, action, last)


def _is_header(columns: list[str]) -> bool:
    """Whether a row names what other rows hold."""
    words = [column for column in columns[1:6] if column.strip() and _float_or_none(column) is None]
    return len(words) == len(_NUMBERS)


def _no_number(name: str, column: str) -> str:
    return f"{name} is {column!r}, not a number"


def _people_of_rows(rows: Sequence[_AvaRow], where: str) -> list[tuple[int | None, float]]:
    """Who each row's person is, and the score: what the last column means is told by all of its values."""
    given = {row.last for row in rows if row.last}
    clash = _clash(rows)
    is_numbered = any(_PERSON_NUMBER.fullmatch(text) and int(text) > 1 for text in given)
    if not is_numbered and (clash or not given <= {"0", "1"}):
        return [(None, _score_of(row, where)) for row in rows]
    for row in rows:
        if row.last and not _PERSON_NUMBER.fullmatch(row.last):
            raise InputError(f"{where}:{row.line}: {row.last!r} is no person's number, as other rows have")
    if clash:
        line, first = clash
        raise InputError(f"{where}:{line}: this person is somewhere else at that time in line {first}")
    return [(int(row.last) if row.last else None, 1.0) for row in rows]


def _score_of(row: _AvaRow, where: str) -> float:
    score = _float_or_none(row.last) if row.last else 1.0
    if score is None or not 0 <= score <= 1:
        raise InputError(f"{where}:{row.line}: {row.last!r} is neither a person's number nor a score, 0 to 1")
    return score


def _clash(rows: Sequence[_AvaRow]) -> tuple[int, int] | None:
    """Two lines with one person at one time in different boxes, if the last column were people."""
    seen: dict[tuple[float, str], _AvaRow] = {}
    for row in rows:
        first = seen.setdefault((row.time_s, row.last), row)
        if row.last and first.box != row.box:
            return row.line, first.line
    return None


def _float_or_none(text: str) -> float | None:
    """A finite number, or None; Python's own 1_000 is none."""
    if "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None  # NaN compares as False
