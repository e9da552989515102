"""Atomic writes: a temporary file or folder beside the final one, fsync, replace."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import platform
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from twinpath.errors import UsageError
from twinpath.paths import MOST_NAME_BYTES, cut_name, display_path

_OWNER = re.compile(r"\.(?P<machine>[\w-]+)-(?P<pid>\d+)-[0-9a-f]{8}\.tmp(\.[^.]*)?$", re.DOTALL)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ABANDONED_S = 7 * 24 * 3600.0  # a temporary file that nobody has written to for so long
_MOST_SUFFIX_BYTES = 16
_OF_SYSTEM = ("/dev/std", "/dev/fd/", "/proc/", "/sys/")  # also where a shell has made stdout a regular file


@contextlib.contextmanager
def atomic_path(final: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the same folder; at the end of the block its file replaces `final` atomically.

    If the block raises, or the process dies, the old file is unchanged. Temporary files of dead processes on
    this computer for the same file are removed first. Missing folders are created. Of a symbolic link the
    file that it leads to is replaced.

    Args:
        final: Path of the file.
    Yields:
        A path that does not exist yet, with the same suffix.
    Raises:
        UsageError: There is a folder, a device or a pipe of that name.
        OSError: The disk is full or refuses; names `final`; the old file is kept.
    """
    named = Path(final)
    final = replaceable(named)
    final.parent.mkdir(parents=True, exist_ok=True)
    sweep(final)
    temporary = _temporary_for(final)
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
            raise OSError(error.errno, reason, str(named)) from error
        if str(error.filename) == str(temporary):
            raise type(error)(error.errno, error.strerror, str(named)) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync_folder(final.parent)


@contextlib.contextmanager
def atomic_folder(final: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder beside `final`, which it becomes at the end of the block.

    If the block raises, or the process dies, what was there is unchanged. A folder that was there is replaced
    as a whole. Missing folders above it are created.

    Args:
        final: Path of the folder; nothing or a folder.
    Yields:
        An empty folder.
    Raises:
        OSError: The disk is full or refuses; names `final`.
    """
    final = Path(os.path.abspath(final))  # noqa: PTH100 - links are kept; "." has no name of its own
    final.parent.mkdir(parents=True, exist_ok=True)
    sweep(final)
    temporary = _temporary_for(final)
    try:
        temporary.mkdir()
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                _sync(path)
        _sync_folder(temporary)
        _replace_folder(temporary, final)
    except OSError as error:
        if error.errno in _NO_ROOM:
            reason = f"{os.strerror(error.errno)}; free some space, nothing was changed there"
            raise OSError(error.errno, reason, str(final)) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _sync_folder(final.parent)


def _replace_folder(new: Path, final: Path) -> None:
    """Rename a folder to a name that another folder may have; that one is removed then."""
    if not final.exists():
        new.rename(final)
        return
    old = _temporary_for(final)
    final.rename(old)
    try:
        new.rename(final)
    except OSError:
        old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def replaceable(path: Path) -> Path:
    """The path that a file can be written to: the same, or where its symbolic link leads.

    Raises:
        UsageError: There is something else than a regular file, for example /dev/null, a pipe, a folder; or
            it is a name of the system, for example /dev/stdout.
    """
    name = display_path(path)
    if "\0" in str(path):
        raise UsageError(f"{name} cannot be the name of a file: it holds a NUL; give another name")
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    is_folder = target.name in ("", "..") or target.is_dir()
    is_other = os.path.lexists(target) and not target.is_file()
    if is_folder or is_other or os.path.abspath(path).startswith(_OF_SYSTEM):  # noqa: PTH100 - resolve() follows links
        what = "a folder" if is_folder else "a device or a pipe"
        raise UsageError(f"{name} is no regular file but {what}; give another name")
    return target


def _temporary_for(final: Path) -> Path:
    """A new hidden name in the same folder; as much of the file's own name as there is room for."""
    owner = f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    suffix = final.suffix if len(os.fsencode(final.suffix)) <= _MOST_SUFFIX_BYTES else ""
    ending = f".{owner}.tmp{suffix}"
    return final.with_name(f".{_beginning(final.name, ending)}{ending}")


def _beginning(name: str, ending: str) -> str:
    """As much of the name as there is room for beside a point and the ending."""
    return cut_name(name, MOST_NAME_BYTES - 1 - len(os.fsencode(ending)))


def _mode_for(final: Path, temporary: Path) -> int:
    """The mode of the old file, or the default mode. Fails early if the folder is not writable."""
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    mode = stat.S_IMODE((final if final.exists() else temporary).stat().st_mode)
    temporary.unlink()
    return mode


def sweep(final: Path) -> None:
    """Remove temporary files and folders for `final` that nobody writes to.

    These are the ones of processes that ended, and of other computers or containers the ones that are a week
    old: whether their processes run cannot be known here.
    """
    with contextlib.suppress(OSError):  # a folder that cannot be listed may still be writable
        for entry in final.parent.iterdir():
            owner = _OWNER.search(entry.name)
            if owner is None or entry.name[: owner.start()] != f".{_beginning(final.name, owner[0])}":
                continue
            if _is_abandoned(owner, entry):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)


def _is_abandoned(owner: re.Match[str], entry: Path) -> bool:
    if time.time() - entry.stat().st_mtime > _ABANDONED_S:
        return True
    if owner["machine"] != _machine() or os.name == "nt":  # on Windows signal 0 would end the process
        return False
    try:
        os.kill(int(owner["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


@functools.cache
def _machine() -> str:
    """Where process numbers mean the same: this computer since it started, and its container.

    Containers often share a host name, and each has a process 1. Where that cannot be known, it is a name
    that no other process has.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - the text of the link
    except (OSError, ValueError):
        if platform.system() == "Linux":
            return secrets.token_hex(6)
        boot = space = ""
    facts = "\n".join((socket.gethostname(), boot, space))
    return hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()[:12]


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
