"""A folder of classes: DATA/CLASS/…/video, or DATA/train/CLASS/…/video."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from twinpath.data.labelled.class_names import class_name
from twinpath.data.labelled.clip import LabelledClip, LabelledData, Part
from twinpath.data.labelled.groups import group_of
from twinpath.errors import InputError, NotAFile
from twinpath.paths import display_path
from twinpath.video.find import VIDEO_SUFFIXES, FoundInputs, find_all, is_system_folder

FOLDER_KIND = "folder of classes"
#: Names of parts, of folders and in tables.
PART_NAMES: dict[str, Part] = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_MOST_NAMED = 5

IsResult = Callable[[Path], bool]


@dataclass
class _ClassFolder:
    """A folder, and the videos in it and below; `empty` says why there are none."""

    path: Path
    found: FoundInputs = field(default_factory=lambda: FoundInputs([], {}))
    empty: str = ""

    @property
    def name(self) -> str:
        return class_name(self.path.name)

    @property
    def has_direct(self) -> bool:
        """Whether a video lies directly in it, not in a folder below."""
        return any(video.path.parent == self.path for video in self.found.videos if not video.path.is_dir())


def read_class_folders(folder: Path, *, is_result: IsResult = lambda path: False) -> LabelledData:
    """Read a folder of classes. Every subfolder with videos is a class, and so are the folders below it.

    If all subfolders with videos are called train, val or test, and hold none directly, they are parts, and
    what is in them are the classes.

    Args:
        folder: The folder.
        is_result: See `video.find.find_all`.
    Raises:
        InputError: There is no class with a video; says what lies there.
    """
    folders = _class_folders(folder, is_result)
    filled = [f for f in folders if f.found.videos]
    notes = []
    parts: list[tuple[Part | None, list[_ClassFolder]]] = [(None, folders)]
    if filled and all(_is_part(f) for f in filled):
        levels = [(f, _class_folders(f.path, is_result)) for f in filled]
        parts = [(PART_NAMES[f.name.casefold()], classes) for f, classes in levels]
        notes = [_no_class_note(f.path, _direct_videos(f.path)) for f in filled]
    else:
        notes = [
            f"{display_path(f.path)} is taken for a class, since other folders beside it are classes"
            for f in filled
            if f.name.casefold() in PART_NAMES and not f.has_direct
        ]
    direct = _direct_videos(folder)
    notes.append(_no_class_note(folder, direct))
    if not filled:
        raise _no_classes(folder, direct)
    clips = [
        LabelledClip(video.path, (f.name,), part=part, group=group_of(video.path))
        for part, classes in parts
        for f in classes
        for video in f.found.videos
    ]
    skipped: Counter[str] = Counter()
    for _, classes in parts:
        for f in classes:
            skipped.update(f.found.skipped)
    notes.append(_empty_note([f for _, classes in parts for f in classes if f.empty]))
    return LabelledData(
        clips=tuple(clips),
        classes=tuple(sorted({label for clip in clips for label in clip.labels})),
        kind=FOLDER_KIND,
        skipped=dict(skipped.most_common()),
        notes=tuple(note for note in notes if note),
    )


def _is_part(folder: _ClassFolder) -> bool:
    return folder.name.casefold() in PART_NAMES and not folder.has_direct


def _class_folders(folder: Path, is_result: IsResult) -> list[_ClassFolder]:
    """The subfolders in order of their names, without hidden ones and those of the operating system."""
    folders = []
    for path in _subfolders(folder):
        try:
            folders.append(_ClassFolder(path, find_all([path], is_result=is_result)))
        except NotAFile as error:  # nothing in it
            folders.append(_ClassFolder(path, empty=str(error)))
    return folders


def _subfolders(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are enough
    except OSError as error:
        raise NotAFile(f"the folder {display_path(folder)} cannot be listed: {error.strerror}") from error
    return [folder / name for name in names if (folder / name).is_dir() and not is_system_folder(name)]


def _direct_videos(folder: Path) -> int:
    """How many videos lie directly in a folder, and so in no class."""
    names = os.listdir(folder)  # noqa: PTH208 - names are enough
    return sum(
        Path(name).suffix.lower() in VIDEO_SUFFIXES
        and not name.startswith(".")
        and not (folder / name).is_dir()
        for name in names
    )


def _no_class_note(folder: Path, count: int) -> str:
    if not count:
        return ""
    return f"videos directly in {display_path(folder)}, in no class, and so left out: {count}"


def _empty_note(folders: list[_ClassFolder]) -> str:
    if not folders:
        return ""
    names = ", ".join(display_path(f.path.name) for f in folders[:_MOST_NAMED])
    more = ", …" if len(folders) > _MOST_NAMED else ""
    return f"folders without videos, which are no classes: {names}{more}"


def _no_classes(folder: Path, direct: int) -> InputError:
    name = display_path(folder)
    if direct:
        return InputError(
            f"the videos of {name} lie directly in it; put each into a folder called as its class, or list "
            "them in a CSV file with path,label"
        )
    return InputError(
        f"{name} holds no folders with videos; it should have a folder of videos for each class"
    )


def files_below(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """The files below a folder whose names end so, sorted; hidden ones and those of the system left out."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_system_folder(name))
        yield from (
            Path(parent, name)
            for name in sorted(names)
            if name.lower().endswith(endings) and not name.startswith(".")
        )
