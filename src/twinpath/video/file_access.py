"""How the file of a video is opened: by its path, or by another process that passes its descriptor.

A process that may open no files (see `isolated/`) sets an opener, which asks its parent. The functions here
then use that opener, and all other modules of this package open files through them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from twinpath.errors import NotAFile
from twinpath.paths import display_path

#: As `open_regular`: opens a regular file for reading and returns a descriptor, which the caller closes.
Opener = Callable[[Path], int]

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path, *, name: str | None = None) -> int:
    """Open a regular file for reading.

    Args:
        path: The file.
        name: What messages call it; None: its path.
    Returns:
        A descriptor, which the caller closes.
    Raises:
        NotAFile: It is a folder, a pipe, a socket or a device.
        OSError: It is missing or may not be read, or the name is no file name.
    """
    name = display_path(path) if name is None else name
    try:
        _check_regular(path.stat().st_mode, name)  # before it is opened: that blocks on a pipe
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error)) from error
    try:
        _check_regular(os.fstat(descriptor).st_mode, name)  # it may have been replaced meanwhile
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(mode: int, name: str) -> None:
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise NotAFile(f"{name} is {what}, not a file; give the name of a video file")


_opener: Opener | None = None


def set_opener(opener: Opener) -> None:
    """Open every file of this process by `opener` from now on."""
    global _opener
    _opener = opener


def open_binary(path: Path) -> BinaryIO:
    """A regular file, open for reading. Raises as `open_regular`."""
    return open((_opener or open_regular)(path), "rb")  # noqa: PTH123 - a descriptor


def size_bytes(path: Path) -> int:
    """The size of a regular file. Raises: NotAFile, OSError: As `open_regular`."""
    if _opener is None:
        return path.stat().st_size
    with open_binary(path) as file:
        return os.fstat(file.fileno()).st_size


@contextmanager
def ffmpeg_input(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """FFmpeg's address of the file and the options of its protocol, to open it with inside the block.

    Raises:
        NotAFile, OSError: As `open_regular`, if another process opens the file.
    """
    if _opener is None:
        # With "file:" and an absolute path, FFmpeg takes "concat:a|b" or "-x.mp4" for a file name.
        # resolve() would follow symbolic links.
        yield "file:" + os.path.abspath(path), {"protocol_whitelist": "file"}  # noqa: PTH100
        return
    descriptor = _opener(path)
    try:
        yield "fd:", {"fd": str(descriptor), "protocol_whitelist": "fd"}  # FFmpeg duplicates it
    finally:
        os.close(descriptor)
