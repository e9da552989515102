"""Atomic writes: a temporary file in the same folder, fsync, replace."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

_OWNER = re.compile(r"\.(?P<host>[\w-]+)-(?P<pid>\d+)-[0-9a-f]{8}\.tmp(\.\w+)?$")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def atomic_path(final: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the same folder; at the end of the block its file replaces `final` atomically.

    If the block raises, or the process dies, the old file is unchanged. Temporary files of dead processes on
    this computer for the same file are removed first. Missing folders are created.

    Args:
        final: Path of the file.
    Yields:
        A path that does not exist yet, with the same suffix.
    Raises:
        OSError: The disk is full or refuses; names `final`; the old file is kept.
    """
    final = Path(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    sweep(final)
    owner = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = final.parent / f".{final.name}.{owner}.tmp{final.suffix}"
    try:
        mode = _mode_for(final, temporary)
        yield temporary
        temporary.chmod(mode)  # some libraries create files that only their owner can read
        _sync(temporary)
        temporary.replace(final)
    except OSError as error:
        if error.errno in _NO_ROOM:
            kept = "the old file is kept" if final.exists() else "nothing was left there"
            reason = f"{os.strerror(error.errno)}; free some space, {kept}"
            raise OSError(error.errno, reason, str(final)) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync_folder(final.parent)


def _mode_for(final: Path, temporary: Path) -> int:
    """The mode of the old file, or the default mode. Fails early if the folder is not writable."""
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    mode = stat.S_IMODE((final if final.exists() else temporary).stat().st_mode)
    temporary.unlink()
    return mode


def sweep(final: Path) -> None:
    """Remove temporary files for `final` whose process no longer runs on this computer."""
    prefix = f".{final.name}."
    with contextlib.suppress(OSError):  # a folder that cannot be listed may still be writable
        for entry in final.parent.iterdir():
            owner = _OWNER.search(entry.name)
            if owner and entry.name[: owner.start() + 1] == prefix and _is_dead(owner):
                entry.unlink(missing_ok=True)


def _is_dead(owner: re.Match[str]) -> bool:
    if owner["host"] != _host() or os.name == "nt":  # on Windows signal 0 would end the process
        return False
    try:
        os.kill(int(owner["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _host() -> str:
    return re.sub(r"\W", "-", socket.gethostname()) or "host"


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Sync the folder entry; neither possible nor necessary on Windows and some network file systems."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
