"""Check an output path before any work is done."""

from __future__ import annotations

from pathlib import Path

from twinpath.errors import UsageError
from twinpath.paths import display_path


def check_output(out: Path, *, video: Path, suffixes: tuple[str, ...]) -> None:
    """Check the path of an output file.

    Args:
        out: The file to create or replace.
        video: The input video.
        suffixes: Allowed suffixes of `out`, in lower case.
    Raises:
        UsageError: Another suffix, the folder does not exist, or `out` is the video itself.
    """
    if out.suffix.lower() not in suffixes:
        raise UsageError(
            f"cannot write {display_path(out)}: name a file that ends in {' or '.join(suffixes)}"
        )
    if not out.parent.is_dir():
        raise UsageError(f"cannot write {display_path(out)}: the folder does not exist; make it first")
    if out.exists() and video.exists() and out.samefile(video):
        raise UsageError(f"{display_path(out)} is the video itself; give another name")
