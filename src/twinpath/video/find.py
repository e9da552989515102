"""Expand files, folders and glob patterns to a list of videos.

find_inputs(["clips", "match.mp4"])    # clips/sub/a.mp4 is named sub/a.mp4, match.mp4 itself match.mp4
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from twinpath.errors import NotAFile
from twinpath.paths import display_path
from twinpath.video.file_access import open_binary
from twinpath.video.foreign import is_text
from twinpath.video.sniff import RAW_SUFFIXES, SNIFF_BYTES

#: Suffixes of the videos in a folder. A file given by name may have any suffix.
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".gif", ".3gp"} | RAW_SUFFIXES
)
#: Of videos, and of source code: TypeScript.
_SHARED_SUFFIXES = frozenset({".ts", ".mts"})

#: What is in them is thrown away, a snapshot or a thumbnail: Windows, macOS, Synology, QNAP.
_SYSTEM_FOLDERS = frozenset(
    {
        "$recycle.bin", "recycler", "system volume information", "__macosx", "lost+found",
        "#recycle", "#snapshot", "@eadir", "@recycle", "@recently-snapshot",
    }
)  # fmt: skip


@dataclass(frozen=True)
class InputVideo:
    """One input video of a run.

    Attributes:
        path: The file.
        name: Its path relative to the given folder, or to the fixed part of the pattern; for a file given by
            name, the file name. Output files are named after it.
    """

    path: Path
    name: PurePath

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> InputVideo:
        """A file given by name."""
        path = Path(path)
        return cls(path, PurePath(path.name))


def find_videos(arguments: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The paths of `find_inputs`. Arguments and errors are the same."""
    return [video.path for video in find_inputs(arguments)]


def find_inputs(
    arguments: Iterable[str | os.PathLike[str]], *, is_result: Callable[[Path], bool] = lambda path: False
) -> list[InputVideo]:
    """Expand files, folders and glob patterns.

    A folder expands to the videos in it and in its subfolders, sorted, without hidden ones and those of the
    operating system, such as a recycle bin. A pattern expands to the files that match it, sorted. A file that
    does not exist stays in the list, so that a batch can report it; so do a subfolder that cannot be listed
    and the placeholder of a video that iCloud keeps elsewhere.

    Args:
        arguments: Paths or patterns. The path of an existing file is never taken for a pattern.
        is_result: Of a video in a folder, or that matches a pattern: whether an earlier run has made it, so
            that it is left out; see `twinpath.jobs.outputs.is_drawn_result`.
    Returns:
        In the order of the arguments, each file once, with the name of its first occurrence.
    Raises:
        NotAFile: A folder without videos, or a pattern that matches no file.
    """
    found: dict[str, InputVideo] = {}
    for argument in arguments:
        for video in _expand(Path(argument), is_result):
            found.setdefault(os.path.realpath(video.path), video)
    return list(found.values())


def _expand(path: Path, is_result: Callable[[Path], bool]) -> list[InputVideo]:
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir it takes a name with a NUL
        videos = sorted(video for video in _walk(path) if not is_result(video))
        if not videos:
            if path.suffix.lower() in VIDEO_SUFFIXES and not any(path.iterdir()):
                raise NotAFile(
                    f"{display_path(path)} is an empty folder, not a video; does the file exist that "
                    "was mounted there?"
                )
            raise NotAFile(
                f"the folder {display_path(path)} holds no videos ({' '.join(sorted(VIDEO_SUFFIXES))})"
            )
        return [InputVideo(video, video.relative_to(path)) for video in videos]
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return [InputVideo.of(path)]
    matches = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute ones
    videos = [match for match in matches if not match.is_dir() and not is_result(match)]
    if not videos:
        raise NotAFile(f"the pattern {display_path(path)} matches no file; check the folder and the quotes")
    root = _fixed_part(path)
    return [InputVideo(video, _below(root, video)) for video in videos]


def _fixed_part(pattern: Path) -> Path:
    """The folder before the first path component with a wildcard."""
    parts = pattern.parts
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _below(folder: Path, path: Path) -> PurePath:
    relative = path.relative_to(folder)
    return PurePath(path.name) if ".." in relative.parts else relative


def _walk(folder: Path) -> Iterator[Path]:
    """The videos below a folder, and what would be lost in silence: each fails by its name when it is opened.

    Links to folders are followed, behind everything else, and no folder twice: links may form a cycle.
    """
    seen: set[str] = set()
    unlisted: list[OSError] = []
    waiting = [str(folder)]
    while waiting:
        links: list[str] = []
        for top in sorted(waiting):
            for parent, folders, names in os.walk(top, onerror=unlisted.append):
                if (real := os.path.realpath(parent)) in seen:
                    folders.clear()
                    continue
                seen.add(real)
                folders[:] = [name for name in folders if not _is_system_folder(name)]
                below = [os.path.join(parent, name) for name in folders]  # noqa: PTH118
                links += filter(os.path.islink, below)
                yield from (path for name in names if _is_input(path := Path(parent, name)))
        waiting = [link for link in links if os.path.realpath(link) not in seen]
    for error in unlisted:
        if Path(error.filename) == folder:
            raise NotAFile(f"the folder {display_path(folder)} cannot be listed: {error.strerror}") from error
        yield Path(error.filename)


def _is_system_folder(name: str) -> bool:
    """Whether a folder is hidden, or holds what an operating system or a network disk keeps there."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FOLDERS


def _is_input(path: Path) -> bool:
    if path.name.startswith("."):
        return _is_cloud_placeholder(path)
    suffix = path.suffix.lower()
    return suffix in VIDEO_SUFFIXES and not (suffix in _SHARED_SUFFIXES and _is_text_file(path))


def _is_cloud_placeholder(path: Path) -> bool:
    """Whether a file stands for a video of iCloud that is not on this computer: ".match.mov.icloud"."""
    return path.suffix == ".icloud" and Path(path.stem).suffix.lower() in VIDEO_SUFFIXES


def _is_text_file(path: Path) -> bool:
    try:
        with open_binary(path) as file:
            return is_text(file.read(SNIFF_BYTES))
    except (OSError, NotAFile):  # it fails by its name later
        return False
