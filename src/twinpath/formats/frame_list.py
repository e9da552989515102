"""Lists of frames of videos, as PySlowFast reads them for AVA, Charades and Something-Something.

    original_vido_id video_id frame_id path labels
    46GP8 0 0 46GP8/46GP8-000001.jpg ""
    46GP8 0 1 46GP8/46GP8-000002.jpg "77,79"

A published list has up to twenty million lines, so frames that are numbered one after the other are kept as
their first and their number.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, overload

from twinpath.formats.text_columns import line_error, stream_lines, whole_number_or_none

COLUMNS = "original_vido_id video_id frame_id path labels"
_FIRST_COLUMN = COLUMNS.partition(" ")[0]
_NUM_COLUMNS = 5
_NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>[0-9]{1,18})(?P<after>[^0-9/]*)", re.DOTALL)


class FrameNames(Sequence[str]):
    """The paths of a video's frames, in order."""

    def __init__(self) -> None:
        self._others: list[str] | None = None  # where the names are not numbered one after the other
        self._count = 0
        self._before = self._after = self._next = ""
        self._first = self._digits = 0

    def append(self, path: str) -> None:
        """The next frame."""
        if self._others is not None:
            self._others.append(path)
        elif self._count and path != self._next:
            self._others = [*self, path]
        elif not self._count:
            self._begin(path)
        self._count += 1
        if self._others is None:
            self._next = self._name(self._count)

    def _begin(self, path: str) -> None:
        found = _NUMBERED.fullmatch(path)
        if found is None:
            self._others = [path]
            return
        self._before, self._after = found["before"], found["after"]
        self._first, self._digits = int(found["number"]), len(found["number"])

    def _name(self, index: int) -> str:
        return f"{self._before}{self._first + index:0{self._digits}d}{self._after}"

    @property
    def folder(self) -> str | None:
        """The folder of frames that are numbered one after the other; None: they are not."""
        if self._others is not None or not self._count:
            return None
        return self._before.rpartition("/")[0]

    @property
    def pattern(self) -> str | None:
        """Their names as FFmpeg's pattern, "a/a-%06d.jpg"; None: as for `folder`."""
        if self._others is not None or not self._count:
            return None
        is_padded = self._digits > 1 and self._digits > len(str(self._first))
        return f"{self._before}%{f'0{self._digits}' if is_padded else ''}d{self._after}"

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        index %= self._count
        return self._name(index) if self._others is None else self._others[index]


class LabelRun(NamedTuple):
    """Frames of a video that have a label, from the first to the last one, from 0."""

    label: int
    first: int
    last: int


@dataclass
class ListedVideo:
    """The frames of a video, and what is in them.

    Attributes:
        name: The video's.
        line: Of its first frame in the list.
        frames: Their paths, as they stand in the list.
        runs: Which frames have which label, in order of their first frames.
    """

    name: str
    line: int
    frames: FrameNames = field(default_factory=FrameNames)
    runs: list[LabelRun] = field(default_factory=list)
    _text: str = ""
    _open: dict[int, int] = field(default_factory=dict)
    _first_id: int = 0

    def add(self, frame: str, path: str, labels: str, num_classes: int | None = None) -> None:
        """The next frame. Raises: ValueError: It is not the next one, or a label is no number of a class."""
        count = len(self.frames)
        number = whole_number_or_none(frame, minimum=0)
        if number is None:
            raise ValueError(f"frame_id is {frame!r}, not a whole number from 0")
        if not count:
            self._first_id = min(number, 1)
        if number != self._first_id + count:
            raise ValueError(f"frame {frame} of {self.name}, but the next one is {self._first_id + count}")
        if labels != self._text:
            self._change(_parsed(labels, num_classes), count)
            self._text = labels
        self.frames.append(path)

    def end(self) -> None:
        """No frame follows."""
        self._change(frozenset(), len(self.frames))
        self.runs.sort(key=lambda run: (run.first, run.label))

    def _change(self, labels: frozenset[int], frame: int) -> None:
        for label in [label for label in self._open if label not in labels]:
            self.runs.append(LabelRun(label, self._open.pop(label), frame - 1))
        for label in sorted(labels - self._open.keys()):
            self._open[label] = frame


def read_listed_videos(path: Path, *, num_classes: int | None = None) -> dict[str, ListedVideo]:
    """Read a list of frames, with or without its header.

    A path may hold spaces. PySlowFast cannot read such a line.

    Args:
        path: The list.
        num_classes: Labels are below it; None: any numbers.
    Raises:
        NotAFile: No such file.
        InputError: With file and line: wrong number of columns, an invalid id or label, a duplicate or
            missing frame; or there are no frames.
    """
    videos: dict[str, ListedVideo] = {}
    for line, (name, _, frame, frame_path, labels) in _rows(path):
        video = videos.get(name)
        if video is None:
            video = videos[name] = ListedVideo(name, line)
        try:
            video.add(frame, frame_path, labels, num_classes)
        except ValueError as error:
            raise line_error(path, line, str(error)) from error
    if not videos:
        raise line_error(path, 1, "there are no frames in this list")
    for video in videos.values():
        video.end()
    return videos


def is_frame_list(first_line: str) -> bool:
    """Whether a file that begins so is a list of frames."""
    fields = first_line.split()
    return len(fields) == _NUM_COLUMNS and (fields[0] == _FIRST_COLUMN or fields[2].isdecimal())


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    for line, text in enumerate(stream_lines(path), 1):
        fields = text.split()
        if len(fields) != _NUM_COLUMNS:
            if not fields:
                continue
            fields = _with_spaces(path, line, text)
        if line == 1 and fields[2] == "frame_id":
            continue
        yield line, fields


def _with_spaces(path: Path, line: int, text: str) -> list[str]:
    """The columns of a line whose path holds spaces. Raises: InputError: It has other columns."""
    try:
        quoted = next(csv.reader([text], delimiter=" "), [])
    except csv.Error as error:
        raise line_error(path, line, str(error)) from error
    if len(quoted) == _NUM_COLUMNS:
        return quoted
    begin, behind = text.split(maxsplit=3), text.rsplit(maxsplit=1)
    is_frame = len(begin) > 3 and begin[2].isdecimal() and re.fullmatch(r'[\d,"]+', behind[-1]) is not None
    if len(quoted) < _NUM_COLUMNS or not is_frame:
        count = len(text.split())
        raise line_error(path, line, f"{count} columns, not the {_NUM_COLUMNS} of {COLUMNS}")
    return [*begin[:3], begin[3].removesuffix(behind[-1]).strip(), behind[-1]]


def _parsed(text: str, num_classes: int | None) -> frozenset[int]:
    """Raises: ValueError: A label is no whole number, or beyond the classes."""
    labels = set()
    for label in text.replace('"', "").split(","):
        if not label.strip():
            continue
        number = whole_number_or_none(label, minimum=0)
        if number is None:
            raise ValueError(f"label {label.strip()!r} is not a whole number from 0")
        if num_classes is not None and number >= num_classes:
            raise ValueError(
                f"label {number}, and the {num_classes} classes have the numbers 0 to {num_classes - 1}"
            )
        labels.add(number)
    return frozenset(labels)
