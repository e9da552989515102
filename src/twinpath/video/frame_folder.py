"""Folders of numbered pictures, as many data sets keep their videos, and which of them form a video.

    find_sequence(Path("clips/throw"))                  # img_00001.jpg, img_00002.jpg …
    find_sequence(Path("clips/throw/flow_x_%05d.jpg"))  # one of several sequences in a folder

The number is the last run of digits of a name. It gives the order and the time: where numbers are missing,
the picture before stays. Numbers that rise by a constant step have no gaps.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinpath.errors import NotAFile, NotAVideo
from twinpath.paths import display_path
from twinpath.video.file_access import folder_names, is_folder

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png"})
FEWEST_PICTURES = 2  # fewer are no video

_NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>[0-9]+)(?P<after>[^0-9]*)", re.DOTALL)
_PATTERN = re.compile(r"%(0?[1-9][0-9]*)?d")
_MOST_DIGITS = 40
_MOST_NAMED = 3


@dataclass(frozen=True)
class FrameSequence:
    """The pictures of a video.

    Attributes:
        folder: Where they are.
        names: Of the files, in order of their numbers.
        ticks: When each is shown, in frames since the first; increasing.
        notes: What the user should know about the numbering.
    """

    folder: Path
    names: tuple[str, ...]
    ticks: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> list[Path]:
        return [self.folder / name for name in self.names]


def is_frame_pattern(path: Path) -> bool:
    """Whether a path names a sequence as FFmpeg does: frames/img_%05d.jpg."""
    return len(_PATTERN.findall(path.name)) == 1 and path.suffix.lower() in PICTURE_SUFFIXES


def is_picture_name(name: str) -> bool:
    """Whether a file may be a picture of a sequence, by its name."""
    return Path(name).suffix.lower() in PICTURE_SUFFIXES and not name.startswith(".")


def frames_folder(path: Path) -> Path | None:
    """The folder of the pictures that a path names; None: it names no folder and no sequence."""
    if is_folder(path):
        return path
    is_pattern = is_frame_pattern(path) and is_folder(path.parent) and not os.path.lexists(path)
    return path.parent if is_pattern else None


def holds_frames(names: Iterable[str]) -> bool:
    """Whether the files of a folder hold a sequence of numbered pictures, or several."""
    return any(len(numbers) >= FEWEST_PICTURES for numbers in _groups(names).values())


def find_sequence(path: Path) -> FrameSequence:
    """The sequence of a folder, or that of a pattern.

    Raises:
        NotAFile: It holds no numbered pictures.
        NotAVideo: It holds several sequences, or two pictures of one number.
        OSError: The folder cannot be read.
    """
    folder = path.parent if is_frame_pattern(path) else path
    names = folder_names(folder)
    if names is None:
        raise NotAFile(f"{display_path(path)} does not exist; check the name")
    groups = _groups(names)
    sequences = {key: numbers for key, numbers in groups.items() if len(numbers) >= FEWEST_PICTURES}
    if folder != path:
        key = _key_of_pattern(path)
        sequences = {key: sequences[key]} if key in sequences else {}
    if not sequences:
        raise NotAFile(
            f"{display_path(path)} is a folder, not a file, and holds no numbered JPEG or PNG pictures"
            if folder == path
            else f"{display_path(path)}: no two pictures have such names; check the pattern"
        )
    if len(sequences) > 1:
        raise NotAVideo(f"{display_path(path)} holds {_several(path, sequences)}")
    (numbers,) = sequences.values()
    ticks, notes = _ticks(_in_order(numbers, path))
    others = sum(map(len, groups.values())) - len(numbers) if folder == path else 0
    if others:
        what = (
            "1 picture of another name in the folder is"
            if others == 1
            else f"{others} pictures of other names are"
        )
        notes.append(f"{what} passed over")
    return FrameSequence(folder, tuple(name for _, name in sorted(numbers)), ticks, tuple(notes))


_Key = tuple[str, str, bool]  # what stands before and behind the number, and whether it is a PNG
_Numbers = list[tuple[int, str]]  # the numbers and the names of files


def _groups(names: Iterable[str]) -> dict[_Key, _Numbers]:
    """Numbered pictures by their names without the numbers."""
    groups: dict[_Key, _Numbers] = {}
    for name in names:
        stem, _, suffix = name.rpartition(".")
        found = _NUMBERED.fullmatch(stem)
        if is_picture_name(name) and found is not None and len(found["number"]) <= _MOST_DIGITS:
            key = (found["before"], found["after"], suffix.lower() == "png")
            groups.setdefault(key, []).append((int(found["number"]), name))
    return groups


def _key_of_pattern(path: Path) -> _Key:
    before, after = _PATTERN.split(path.stem)[0], _PATTERN.split(path.stem)[-1]
    return before, after, path.suffix.lower() == ".png"


def _several(path: Path, sequences: Mapping[_Key, _Numbers]) -> str:
    counts = [
        f"{before}*{after}.{'png' if is_png else 'jpg'} ({len(numbers)})"
        for (before, after, is_png), numbers in sorted(sequences.items())
    ]
    shown = ", ".join(display_path(Path(count)) for count in counts[:_MOST_NAMED])
    more = ", …" if len(counts) > _MOST_NAMED else ""
    example = display_path(path / _pattern_of(min(sequences.values())[0][1]))
    return f"{len(counts)} sequences of numbered pictures: {shown}{more}; give one as a pattern: {example}"


def _pattern_of(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    found = _NUMBERED.fullmatch(stem)
    if found is None:
        return name
    width = len(found["number"])
    return f"{found['before']}%0{width}d{found['after']}.{suffix}"


def _in_order(numbers: _Numbers, path: Path) -> list[int]:
    """The numbers, increasing. Raises: NotAVideo: Two are equal."""
    ordered = sorted(numbers)
    for (number, name), (next_number, next_name) in itertools.pairwise(ordered):
        if number == next_number:
            raise NotAVideo(
                f"{display_path(path)} holds two pictures of number {number}: {display_path(Path(name))} and "
                f"{display_path(Path(next_name))}; remove one of them"
            )
    return [number for number, _ in ordered]


def _ticks(numbers: Sequence[int]) -> tuple[tuple[int, ...], list[str]]:
    """The times of pictures in frames by their numbers, and a note about gaps."""
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    step = math.gcd(*steps)
    ticks = tuple((number - numbers[0]) // step for number in numbers)
    missing = ticks[-1] + 1 - len(numbers)
    if not missing:
        return ticks, []
    first = next(i for i in range(len(steps)) if steps[i] != step)
    gap = f"{numbers[first]} is followed by {numbers[first + 1]}"
    if missing > len(numbers):
        return tuple(range(len(numbers))), [
            f"the numbers of the frames have no even steps ({gap}): they are shown one after the other"
        ]
    frames = "1 frame is" if missing == 1 else f"{missing} frames are"
    return ticks, [f"{frames} missing ({gap}): the frame before a gap stays as long"]
