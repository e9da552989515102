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
from twinpath.video.file_access import open_binary
from twinpath.video.foreign import is_text
from twinpath.video.frame_folder import holds_frames, is_picture_name
from twinpath.video.sniff import RAW_SUFFIXES, SNIFF_BYTES

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

    A folder expands to the videos in it and in its subfolders, sorted, without hidden ones and those of the
    operating system, such as a recycle bin. One that holds numbered pictures and no videos is a video itself,
    see `frame_folder`. A pattern expands to the files that match it, and to such folders, sorted. A file that
    does not exist stays in the list, so that a batch can report it; so do a subfolder that cannot be listed
    and the placeholder of a video that iCloud keeps elsewhere.

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
            if path.suffix.lower() in VIDEO_SUFFIXES and not any(path.iterdir()):
                raise NotAFile(
                    f"{display_path(path)} is an empty folder, not a video; does the file exist that "
                    "was mounted there?"
                )
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
    """The videos below a folder, and what would be lost in silence: each fails by its name when it is opened.

    Links to folders are followed, behind everything else, and no folder twice: links may form a cycle.

    Args:
        folder: Where to look.
        is_result: See `find_all`.
        skipped: Other files are added to it, by ending.
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
                folders[:] = [name for name in folders if not is_system_folder(name)]
                below = [os.path.join(parent, name) for name in folders]  # noqa: PTH118
                links += filter(os.path.islink, below)
                yield from _inputs_of(Path(parent), names, is_result, skipped)
        waiting = [link for link in links if os.path.realpath(link) not in seen]
    for error in unlisted:
        if Path(error.filename) == folder:
            raise NotAFile(f"the folder {display_path(folder)} cannot be listed: {error.strerror}") from error
        yield Path(error.filename)


def _inputs_of(
    folder: Path, names: list[str], is_result: Callable[[Path], bool], skipped: Counter[str]
) -> Iterator[Path]:
    """The inputs directly in a folder; or the folder, if it holds the frames of a video."""
    paths = [folder / name for name in names]
    yield from (path for path in paths if _is_cloud_placeholder(path))
    shown = [path for path in paths if not path.name.startswith(".")]
    videos = [path for path in shown if _is_video(path)]
    others = sorted(set(shown) - set(videos))
    if not videos and holds_frames(names):
        yield folder
        others = [path for path in others if not is_picture_name(path.name)]
    yield from (path for path in videos if not is_result(path))
    skipped.update(path.suffix.lower() for path in others)


def is_system_folder(name: str) -> bool:
    """Whether a folder is hidden, or holds what an operating system or a network disk keeps there."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FOLDERS


def _is_video(path: Path) -> bool:
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
