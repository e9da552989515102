"""Where the frames of a listed video are: its folder, or a pattern of their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from pathlib import Path

from twinpath.errors import InputError
from twinpath.escapes import shown
from twinpath.formats.frame_list import ListedVideo
from twinpath.paths import display_path

#: Of frames in lists: whatever they were extracted at, sampling rates of published networks count them so.
FRAMES_PER_SECOND = 30.0


def shared_folders(videos: Iterable[ListedVideo]) -> Set[str]:
    """The folders with frames of more than one video."""
    counts = Counter(video.frames.folder for video in videos)
    return {folder for folder, count in counts.items() if folder is not None and (count > 1 or not folder)}


def listed_path(video: ListedVideo, shared: Set[str], lists: Sequence[Path]) -> str:
    """The folder of a video's frames; if others are in it, too, their names as a pattern, "a/a-%06d.jpg".

    Args:
        video: The frames.
        shared: See `shared_folders`.
        lists: The files they are listed in, for messages.
    Raises:
        InputError: They are not numbered one after the other in one folder.
    """
    folder, pattern = video.frames.folder, video.frames.pattern
    if folder is None or pattern is None:
        first = ", ".join(video.frames[:2])
        raise InputError(
            f"{' or '.join(map(display_path, lists))}: the frames of {shown(video.name)}, from line "
            f"{video.line} on, are not numbered one after the other in one folder: {shown(first)} …"
        )
    return pattern if folder in shared else folder
