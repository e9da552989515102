"""Locks, so that two runs never write to the same files.

with exclusive(Path("out/features.npz")):
    ...

A lock lasts as long as its process: one that was killed leaves nothing locked. Where the platform has no such
locks (Windows), or the file system has none (NFS without locks, Lustre, mounted buckets), nothing is locked.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from twinpath.errors import UsageError
from twinpath.paths import MOST_NAME_BYTES, cut_name, display_path

#: What file systems without locks answer.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keep other runs from writing to a file, or to files that are named after it, within the block.

    Args:
        path: Need not exist. A hidden file beside it is the lock; it is removed at the end. Missing folders
            are made, and removed where nothing was written to them.
    Raises:
        UsageError: Another run writes there, in this process or another one.
        OSError: The folder cannot be written to.
    """
    missing = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = _lock_beside(path)
    file = open_locked(hidden, of=path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            hidden.unlink()  # before it is unlocked, so that `open_locked` notices
        file.close()
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()  # refused where something was written


def _lock_beside(path: Path) -> Path:
    """A hidden name of its own; of long names a part, and a hash."""
    ending = ".lock"
    if len(os.fsencode(path.name)) + len(ending) + 1 > MOST_NAME_BYTES:
        ending = f"-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.lock"
    return path.with_name(f".{cut_name(path.name, MOST_NAME_BYTES - 1 - len(ending))}{ending}")


def open_locked(path: Path, *, of: Path | None = None) -> IO[bytes]:
    """A file, opened to append and locked until it is closed; made if it is not there.

    Args:
        path: The file.
        of: What the lock stands for, for the message; None: the file itself.
    Raises:
        UsageError: It is locked already.
    """
    while True:
        file = path.open("ab")
        try:
            is_ours = lock(file)
        except BaseException:
            file.close()
            raise
        if not is_ours:
            file.close()
            name = display_path(of or path)
            raise UsageError(f"{name}: another run is writing to it; wait, or give another place")
        if _is_at(file, path):
            return file
        file.close()  # replaced or removed between opening and locking


def lock(file: IO[bytes]) -> bool:
    """Whether the open file is ours alone now, until it is closed; True where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is the one that the path leads to."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
