"""Files that commands write for each video: what they are called, and whether they can be written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path


def checked_kinds(formats: str, known: Sequence[str]) -> tuple[str, ...]:
    """The formats that a user named with commas between them, in the order of `known`.

    Raises:
        UsageError: One of them is not known, or none is named.
    """
    from twinpath.errors import UsageError

    wanted = {part.strip().lower() for part in formats.split(",") if part.strip()}
    unknown = sorted(wanted - set(known))
    if unknown or not wanted:
        what = f"there is no {unknown[0]!r}" if unknown else "nothing is named"
        raise UsageError(f"--formats {formats!r}: {what}; choose from {', '.join(known)}")
    return tuple(kind for kind in known if kind in wanted)


def check_folder(out: Path) -> None:
    """Find out before the work whether files can be written there; makes nothing yet."""
    from twinpath.errors import UsageError
    from twinpath.paths import display_path

    there = out.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise UsageError(f"--out {display_path(out)}: {display_path(there)} is a file; give a folder")
    if not os.access(there, os.W_OK):
        raise UsageError(
            f"--out {display_path(out)}: {display_path(there)} cannot be written to; give another folder"
        )


def output_names(paths: Sequence[Path]) -> list[str]:
    """What the files of each video are called, without an ending: its own name, so far as that is enough.

    Args:
        paths: Of one run, each once.
    Returns:
        "match" for clips/match.mp4; where several are called so "match.mp4", or else "clips-match.mp4".
    """
    ways: list[Callable[[Path], str]] = [
        lambda path: path.stem,
        lambda path: path.name,
        lambda path: f"{path.absolute().parent.name}-{path.name}",
        lambda path: "-".join(path.absolute().parts[1:]),
    ]
    found: dict[Path, str] = {}
    taken: set[str] = set()
    for way in ways:
        names = {path: _shortened(way(path)) for path in paths if path not in found}
        count = Counter(name.casefold() for name in names.values())  # some disks know no capitals
        alone = {p: n for p, n in names.items() if count[n.casefold()] == 1 and n.casefold() not in taken}
        found |= alone
        taken |= {name.casefold() for name in alone.values()}
    for number, path in enumerate(path for path in paths if path not in found):
        found[path] = f"{_shortened(path.stem)}-{number + 1}"
    return [found[path] for path in paths]


def _shortened(name: str) -> str:
    """So that a name with endings is still one that every disk takes."""
    return os.fsdecode(os.fsencode(name)[:120]) if len(os.fsencode(name)) > 120 else name


def file_of(base: Path, ending: str) -> Path:
    """The file of a video with such an ending; its name may have points of its own."""
    return base.with_name(f"{base.name}.{ending}")
