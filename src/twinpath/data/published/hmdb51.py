"""HMDB51: a file for each class and split, brush_hair_test_split1.txt, with a clip and its part a line.

April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1         1: training, 2: testing, 0: not in this split
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from twinpath.data.labelled.clip import LabelledClip, LabelledData, Part
from twinpath.errors import InputError
from twinpath.formats.text_columns import line_error, stream_lines
from twinpath.paths import display_path
from twinpath.suggest import did_you_mean

HMDB51_KIND = "HMDB51"
_FILE = re.compile(r"(?P<name>.+)_test_split(?P<split>[1-9])\.txt")
_TRAINING, _TESTING = "1", "2"
_MARKS = ("0", _TRAINING, _TESTING)


def read_hmdb51(
    lists: Sequence[Path], part: Part, *, videos: Path, classes: Sequence[str] | None = None
) -> LabelledData:
    """Read the files of one split. No video is opened.

    Args:
        lists: The files of all classes, or the folder of them if it holds one split only.
        part: "train": the clips for training; otherwise those for testing.
        videos: The folder with a folder of videos for each class.
        classes: Names of the classes in order; None: those that have a file, sorted.
    Raises:
        NotAFile: No such file.
        InputError: A file is not called so, or is of another split; with file and line: neither 0, 1 nor 2;
            or there are no clips.
    """
    files = _files(lists)
    names = tuple(sorted(files)) if classes is None else tuple(classes)
    for name, path in files.items():
        if name not in names:
            raise InputError(
                f"{display_path(path)}: {name!r} is none of the classes{did_you_mean(name, names)}"
            )
    wanted = _TRAINING if part == "train" else _TESTING
    clips: dict[tuple[str, str], LabelledClip] = {}
    repeated = 0
    for name in sorted(files):
        for file in _marked(files[name], wanted):
            repeated += (name, file) in clips
            group = f"{name} {Path(file).stem.partition(f'_{name}_')[0]}"
            clips[name, file] = LabelledClip(videos / name / file, (name,), part=part, group=group)
    if not clips:
        raise InputError(f"{display_path(lists[0])}: there are no clips for {part} in these files")
    notes = (f"clips that are listed more than once, and count once: {repeated}",) if repeated else ()
    return LabelledData(tuple(clips.values()), names, kind=HMDB51_KIND, notes=notes)


def _files(lists: Sequence[Path]) -> dict[str, Path]:
    """The file of each class. Raises: InputError."""
    paths = [
        path
        for given in lists
        for path in (sorted(given.glob("*_test_split*.txt")) if given.is_dir() else [given])
    ]
    files: dict[str, Path] = {}
    splits: dict[str, Path] = {}
    for path in paths:
        found = _FILE.fullmatch(path.name)
        if found is None:
            raise InputError(
                f"{display_path(path)} is not called as HMDB51's files are: brush_hair_test_split1.txt"
            )
        splits.setdefault(found["split"], path)
        files.setdefault(found["name"], path)
    if len(splits) > 1:
        raise InputError(
            f"{' and '.join(display_path(path) for path in splits.values())} are of two splits; give the "
            f"files of one: {display_path(paths[0].parent / '*_test_split1.txt')}"
        )
    if not files:
        raise InputError(f"{display_path(lists[0])} holds no files such as brush_hair_test_split1.txt")
    return files


def _marked(path: Path, wanted: str) -> list[str]:
    """The clips of a part. Raises: InputError: A line has no mark."""
    found = []
    for line, text in enumerate(stream_lines(path), 1):
        name, _, mark = text.strip().rpartition(" ")
        if not text.strip():
            continue
        if mark not in _MARKS or not name.strip():
            raise line_error(path, line, f"{mark!r} behind the clip, not 0, 1 (training) or 2 (testing)")
        if mark == wanted:
            found.append(name.strip())
    return found
