"""SHA-256 of a file: computed once in a process, or remembered from an earlier one."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from twinpath.known_files import known_digest


def file_sha256(path: Path) -> str:
    """The SHA-256 of the bytes of a file in hexadecimal digits; about 0.1 s for 140 MB.

    Raises:
        OSError: It cannot be read.
    """
    status = path.stat()
    state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return _sha256(path.absolute(), *state)


def known_sha256(path: Path) -> str:
    """The same; not read where an earlier process did and the file is unchanged, see `twinpath.known_files`.

    It tells which file it is. Whoever uses the bytes, or is to verify them, takes `file_sha256`.

    Raises:
        OSError: It cannot be opened or read.
    """
    with path.open("rb") as file:
        return known_digest(file, path, "sha256", lambda: file_sha256(path))


@lru_cache(maxsize=16)
def _sha256(path: Path, *_of_file: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
