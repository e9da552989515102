"""The files that a job makes of each video: what they are called, and whether they may be written.

The files of a video are `<name>.<kind>.<ending>`, whatever else is in the batch. The name is the video's own,
with its suffix and its path below the folder that was given:

    clips/sub/match.mp4, given as clips    out/sub/match.mp4.timeline.html, out/sub/match.mp4.detect.ava.csv
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinpath.atomic import replaceable
from twinpath.errors import UsageError
from twinpath.paths import display_path
from twinpath.video.find import InputVideo

MOST_NAME_BYTES = (
    120  # of a video's name in that of a file; endings and the temporary file's name come on top
)
_HASH_DIGITS = 8
_DRAWN, _SCORES_OF_DRAWN = ".detect.mp4", ".detect.keyframes.npz"  # as `detect` names them


@dataclass(frozen=True)
class OutputFiles:
    """The files of one video and one kind of job.

    Attributes:
        base: Their path without the ending, for example out/sub/match.mp4.timeline.
    """

    base: Path

    def path(self, ending: str) -> Path:
        """The file with this ending, for example "json"."""
        return self.base.with_name(f"{self.base.name}.{ending}")


def name_outputs(videos: Sequence[InputVideo], folder: Path, kind: str) -> dict[InputVideo, OutputFiles]:
    """Where the files of each video go; makes nothing yet.

    Args:
        videos: Of one run, each once.
        folder: Where they go.
        kind: Of the job, "timeline" or "detect".
    Raises:
        UsageError: Two videos have the same name.
    """
    named: dict[str, InputVideo] = {}
    files: dict[InputVideo, OutputFiles] = {}
    for video in videos:
        other = named.setdefault(os.path.normcase(video.name), video)
        if other is not video:
            raise UsageError(
                f"{display_path(other.path)} and {display_path(video.path)} have the same name, and so would "
                "their files; give the folder that holds both"
            )
        name = f"{shortened(video.name.name)}.{kind}"
        files[video] = OutputFiles(folder / video.name.parent / name)
    return files


def shortened(name: str) -> str:
    """A file name of at most `MOST_NAME_BYTES`; a long one is cut between characters, and its hash added.

    The suffix stays, and other long names stay distinct.
    """
    encoded = os.fsencode(name)
    if len(encoded) <= MOST_NAME_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH_DIGITS]
    suffix = Path(name).suffix
    ending = f"-{digest}{suffix if len(os.fsencode(suffix)) <= _HASH_DIGITS else ''}"
    room = MOST_NAME_BYTES - len(os.fsencode(ending))
    kept = ""
    for character in name:
        room -= len(os.fsencode(character))
        if room < 0:
            break
        kept += character
    return kept + ending


def is_drawn_result(video: Path) -> bool:
    """Whether an earlier run of detection has drawn this video: the scores that it shows are beside it.

    It is no input for a run on a folder that holds results, too; see `find_inputs`.
    """
    base = video.name.removesuffix(_DRAWN)
    return base != video.name and os.path.lexists(video.with_name(base + _SCORES_OF_DRAWN))


def checked_formats(formats: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """The formats without repeats, in the order of `known`.

    Raises:
        UsageError: One of them is not known, or there is none.
    """
    wanted = {name.strip().lower() for name in formats if name.strip()}
    unknown = sorted(wanted - set(known))
    if unknown:
        raise UsageError(f"formats: there is no {unknown[0]!r}; choose from {', '.join(known)}")
    if not wanted:
        raise UsageError(f"formats: nothing is named; choose from {', '.join(known)}")
    return tuple(name for name in known if name in wanted)


def check_folders(files: Iterable[OutputFiles]) -> None:
    """Find out before the work whether files can be written; makes nothing yet.

    Raises:
        UsageError: A folder is a file, or cannot be written to.
    """
    for folder in {outputs.base.parent for outputs in files}:
        check_folder(folder)


def check_folder(folder: Path) -> None:
    """The same for one folder, which need not exist."""
    existing = folder.absolute()
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        reason = f"{display_path(existing)} is a file; give a folder"
    elif not os.access(existing, os.W_OK):
        reason = f"{display_path(existing)} cannot be written to; give another folder"
    else:
        return
    raise UsageError(f"files cannot go to {display_path(folder)}: {reason}")


def check_targets(targets: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Whether these files may be written: each is absent, or a regular file and no input of the run.

    Args:
        targets: Files that the run writes.
        inputs: Files that it reads: videos, boxes, annotations, weights.
    Raises:
        UsageError: A target is an input, by whatever name or link; or a folder, a device, a pipe.
    """
    read: dict[tuple[int, int], Path] = {}
    for path in inputs:
        status = _status(path)
        if status is not None:
            read.setdefault((status.st_dev, status.st_ino), path)
    for target in targets:
        status = _status(replaceable(target))
        if status is None:
            continue
        if (status.st_dev, status.st_ino) in read:
            raise UsageError(
                f"{display_path(target)} would be overwritten, and is an input of this run; give another name"
            )


def _status(path: Path) -> os.stat_result | None:
    """None where there is no file; links are followed."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None
