"""Whether a file may be written where the caller wants it."""

from __future__ import annotations

from pathlib import Path

from twinpath.errors import UsageError
from twinpath.paths import display_path


def check_output(out: Path, *, video: Path, suffixes: tuple[str, ...]) -> None:
    """Check the path of a file made from a video, before any work is done.

    Args:
        out: The file to make or replace.
        video: The video that it is made from.
        suffixes: Allowed endings of `out`, in lower case.
    Raises:
        UsageError: Another ending, the folder does not exist, or `out` is the video itself.
    """
    if out.suffix.lower() not in suffixes:
        raise UsageError(
            f"cannot write {display_path(out)}: name a file that ends in {' or '.join(suffixes)}"
        )
    if not out.parent.is_dir():
        raise UsageError(f"cannot write {display_path(out)}: the folder does not exist; make it first")
    if out.exists() and video.exists() and out.samefile(video):
        raise UsageError(f"{display_path(out)} is the video itself; give another name")
