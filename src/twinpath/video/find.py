"""Files, folders and patterns to a list of video files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from twinpath.errors import NotAFile
from twinpath.paths import display_path
from twinpath.video.sniff import RAW_SUFFIXES

#: Files with these suffixes are found in folders. A file that is named itself may have any name.
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".gif", ".3gp"} | RAW_SUFFIXES
)


def find_videos(arguments: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Expand files, folders and glob patterns.

    A folder gives the videos in it and in its subfolders, sorted, without hidden ones. A pattern gives what
    matches it, sorted. A file that does not exist stays in the list, so that a batch can fail it by name.

    Args:
        arguments: As the user wrote them. A name that exists is never taken for a pattern.
    Returns:
        Paths in the order of the arguments, each file once.
    Raises:
        NotAFile: a folder without videos, or a pattern that matches nothing.
    """
    found: dict[str, Path] = {}
    for argument in arguments:
        for path in _expand(Path(argument)):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _expand(path: Path) -> list[Path]:
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir it takes a name with a NUL
        videos = sorted(_walk(path))
        if not videos:
            raise NotAFile(
                f"the folder {display_path(path)} holds no videos ({' '.join(sorted(VIDEO_SUFFIXES))})"
            )
        return videos
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return [path]
    matches = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute ones
    videos = [match for match in matches if not match.is_dir()]
    if not videos:
        raise NotAFile(f"the pattern {display_path(path)} matches no file; check the folder and the quotes")
    return videos


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(
        folder
    ):  # does not follow links to folders: they may run in circles
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in VIDEO_SUFFIXES:
                yield path
