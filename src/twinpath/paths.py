"""The cache folder, and paths in messages."""

from __future__ import annotations

import functools
import logging
import os
import stat
import tempfile
from pathlib import Path

import platformdirs

from twinpath.addresses import is_address, mask_address
from twinpath.escapes import printable

logger = logging.getLogger(__name__)

MOST_NAME_BYTES = 255  # of a file name, on all common file systems


def cache_dir() -> Path:
    """The cache folder: $TWINPATH_HOME, else the platform's cache folder. It need not exist.

    Where there is no home folder, or the folder belongs to somebody else, a temporary folder of this user
    takes its place, and one warning is logged.
    """
    home = os.environ.get("TWINPATH_HOME")
    try:
        folder = Path(home or platformdirs.user_cache_dir("twinpath", appauthor=False)).expanduser()
    except RuntimeError:  # a user without HOME and without an entry in passwd
        return _temporary("there is no home folder")
    obstacle = _obstacle(folder)
    return folder if obstacle is None else _temporary(obstacle)


def _obstacle(folder: Path) -> str | None:
    """Why a folder cannot be the cache; None: it can. One that can be read but not written can."""
    existing = folder
    try:
        while not os.path.lexists(existing) and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            return f"{display_path(existing)} is no folder"
    except (OSError, ValueError) as error:
        return f"{display_path(folder)}: {getattr(error, 'strerror', None) or error}"
    needed = os.R_OK | os.X_OK if existing == folder else os.W_OK | os.X_OK
    if os.access(existing, needed):
        return None
    return f"{display_path(folder)} cannot be {'read' if existing == folder else 'made'} by this user"


def _temporary(why: str) -> Path:
    """A folder for the cache among the temporary files, of this user alone."""
    try:
        parent = tempfile.gettempdir()
    except FileNotFoundError:  # none can be written to
        parent = "/tmp"
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(parent) / f"twinpath-cache-{user}"
    if not _is_own(folder):  # somebody else has made it: what lies there may be anything
        folder = _own_folder(parent)
    _note_once(why, folder)
    return folder


def _is_own(folder: Path) -> bool:
    """Whether the folder is ours alone; it is made if it is not there. True where none can be made."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return not os.path.lexists(folder)
    if not hasattr(os, "getuid"):
        return True
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


@functools.cache
def _own_folder(parent: str) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="twinpath-cache-", dir=parent))
    except OSError:
        return Path(parent) / f"twinpath-cache-{os.getpid()}"


@functools.cache
def _note_once(why: str, folder: Path) -> None:
    logger.warning("%s; the cache is %s (TWINPATH_HOME names another folder)", why, display_path(folder))


def cut_name(name: str, room: int) -> str:
    """The beginning of a file name that takes at most so many bytes on disk, of whole characters."""
    while len(os.fsencode(name)) > max(room, 0):
        name = name[:-1]
    return name


def display_path(path: str | os.PathLike[str]) -> str:
    """A path for a one-line message: control characters are escaped.

    An address that was taken for a path is shown without its secrets.
    """
    text = os.fspath(path)
    return mask_address(text) if is_address(text) else printable(text)
