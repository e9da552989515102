"""Expand files, folders and glob patterns to a list of videos.

find_inputs(["clips", "match.mp4"])    # clips/sub/a.mp4 is named sub/a.mp4, match.mp4 itself match.mp4
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from twinpath.errors import NotAFile
from twinpath.paths import display_path
from twinpath.video.frame_folder import holds_frames, is_picture_name
from twinpath.video.sniff import RAW_SUFFIXES

#: Suffixes of the videos in a folder. A file given by name may have any suffix.
VIDEO_SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mp4v", ".mov", ".qt", ".f4v", ".ismv", ".cmfv", ".insv"),  # MP4 and its kin
        *(".3gp", ".3gpp", ".3g2", ".3gp2"),
        *(".mkv", ".mk3d", ".webm"),
        *(".avi", ".divx", ".xvid"),
        *(".ts", ".m2ts", ".mts", ".m2t", ".tp", ".trp", ".tod", ".rec"),  # MPEG-TS
        *(".mpg", ".mpeg", ".mpe", ".m2p", ".vob", ".vro", ".mod"),  # MPEG-PS
        *(".flv", ".wmv", ".asf", ".dvr-ms", ".ogv", ".ogm", ".mxf", ".dv", ".dif", ".gif"),
        *RAW_SUFFIXES,
    }
)


@dataclass(frozen=True)
class InputVideo:
    """One input video of a run.

    Attributes:
        path: The file, or the folder of frames.
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


@dataclass(frozen=True)
class FoundInputs:
    """The videos of a run, and what is in its folders beside them.

    Attributes:
        videos: See `find_inputs`.
        skipped: By its ending, in small letters with the dot, or "" without one: how many files in folders
            were passed over.
    """

    videos: list[InputVideo]
    skipped: dict[str, int]


def find_inputs(
    arguments: Iterable[str | os.PathLike[str]], *, is_result: Callable[[Path], bool] = lambda path: False
) -> list[InputVideo]:
    """The videos of `find_all`. Arguments and errors are the same."""
    return find_all(arguments, is_result=is_result).videos


def find_all(
    arguments: Iterable[str | os.PathLike[str]], *, is_result: Callable[[Path], bool] = lambda path: False
) -> FoundInputs:
    """Expand files, folders and glob patterns.

    A folder expands to the videos in it and in its subfolders, sorted, without hidden ones. One that holds
    numbered pictures and no videos is a video itself, see `frame_folder`. A pattern expands to the files that
    match it, and to such folders, sorted. A file that does not exist stays in the list, so that a batch can
    report it.

    Args:
        arguments: Paths or patterns. The path of an existing file is never taken for a pattern.
        is_result: Of a video in a folder, or that matches a pattern: whether an earlier run has made it, so
            that it is left out; see `twinpath.jobs.outputs.is_drawn_result`.
    Returns:
        In the order of the arguments, each file once, with the name of its first occurrence.
    Raises:
        NotAFile: A folder without videos and frames, or a pattern that matches no file.
    """
    found: dict[str, InputVideo] = {}
    skipped: Counter[str] = Counter()
    for argument in arguments:
        for video in _expand(Path(argument), is_result, skipped):
            found.setdefault(os.path.realpath(video.path), video)
    return FoundInputs(list(found.values()), dict(skipped.most_common()))


def skipped_in_words(skipped: Mapping[str, int]) -> str:
    """Counts by ending for people: "7 files skipped: 3 .txt, 2 .srt, 2 without an ending"."""
    total = sum(skipped.values())
    ordered = sorted(skipped.items(), key=lambda item: (-item[1], not item[0], item[0]))
    counts = [f"{count} {_shown_ending(ending)}" for ending, count in ordered]
    return f"{total} {'file' if total == 1 else 'files'} skipped: {', '.join(counts)}"


def _shown_ending(ending: str) -> str:
    return display_path(Path(ending)) if ending else "without an ending"


def _expand(path: Path, is_result: Callable[[Path], bool], skipped: Counter[str]) -> list[InputVideo]:
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir it takes a name with a NUL
        passed_over: Counter[str] = Counter()
        videos = sorted(_walk(path, is_result, passed_over))
        if not videos:
            what = skipped_in_words(passed_over) if passed_over else "it is empty"
            raise NotAFile(
                f"the folder {display_path(path)} holds no videos and no numbered pictures ({what})"
            )
        skipped.update(passed_over)
        return [_named(video, path) for video in videos]
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return [InputVideo.of(path)]
    matches = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute ones
    videos = [
        match for match in matches if (_holds_frames(match) if match.is_dir() else not is_result(match))
    ]
    if not videos:
        raise NotAFile(f"the pattern {display_path(path)} matches no file; check the folder and the quotes")
    root = _fixed_part(path)
    return [InputVideo(video, _below(root, video)) for video in videos]


def _named(video: Path, folder: Path) -> InputVideo:
    """A video below a folder; the folder itself, of frames, has its own name."""
    if video == folder:
        return InputVideo(video, PurePath(os.path.basename(os.path.abspath(folder))))  # noqa: PTH100, PTH119
    return InputVideo(video, video.relative_to(folder))


def _holds_frames(folder: Path) -> bool:
    try:
        return holds_frames(os.listdir(folder))  # noqa: PTH208 - names are enough
    except OSError:
        return False


def _fixed_part(pattern: Path) -> Path:
    """The folder before the first path component with a wildcard."""
    parts = pattern.parts
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _below(folder: Path, path: Path) -> PurePath:
    relative = path.relative_to(folder)
    return PurePath(path.name) if ".." in relative.parts else relative


def _walk(folder: Path, is_result: Callable[[Path], bool], skipped: Counter[str]) -> Iterator[Path]:
    """The videos below a folder. Links to folders are not followed: they may form a cycle.

    Args:
        folder: Where to look.
        is_result: See `find_all`.
        skipped: Other files are added to it, by ending.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = [Path(parent, name) for name in names if not name.startswith(".")]
        videos = [path for path in shown if path.suffix.lower() in VIDEO_SUFFIXES]
        others = [path for path in shown if path.suffix.lower() not in VIDEO_SUFFIXES]
        if not videos and holds_frames(names):
            yield Path(parent)
            others = [path for path in others if not is_picture_name(path.name)]
        yield from (path for path in videos if not is_result(path))
        skipped.update(path.suffix.lower() for path in others)
