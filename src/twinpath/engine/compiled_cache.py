"""A cache of compiled networks on disk, so that a later process starts without torch. No torch.

    $TWINPATH_HOME/engines/slowfast_r50_8x8.ptv_k400-3f2a….ov

One file for each entry: a magic, the length of a JSON header, the header, the compiled network. The file's
name has a hash of everything that the content depends on, so an entry is never stale: another weight file,
precision or version has another entry. A damaged entry is detected by its checksum and made anew. Two
processes may write the same entry: each writes a file of its own, and the later one replaces the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import mmap
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinpath.atomic import atomic_path
from twinpath.paths import cache_dir

logger = logging.getLogger(__name__)

KEEP_BYTES = 8 << 30  # beyond that the least recently used entries are removed
_MAGIC = b"TWINPATH-COMPILED-1\n"
_LENGTH_BYTES = 8


@dataclass(frozen=True, eq=False)
class Entry:
    """A compiled network.

    Attributes:
        facts: Plain values stored with it, for example the number of classes.
        content: The network, mapped from the file.
    """

    facts: dict[str, Any]
    content: memoryview


def entry_path(name: str, key: Mapping[str, Any]) -> Path:
    """Path of the entry for a model, whether it exists or not.

    Args:
        name: The model's name, for people.
        key: Everything that the compiled network depends on, as JSON values.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return cache_dir() / "engines" / f"{name}-{digest[:24]}.ov"


def read_entry(path: Path) -> Entry | None:
    """The entry; None where there is none, or a damaged one, which is removed with a warning."""
    try:
        with path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        _damaged(path, str(error))
        return None
    start = len(_MAGIC) + _LENGTH_BYTES
    if bytes(content[: len(_MAGIC)]) != _MAGIC:
        _damaged(path, "no magic number")
        return None
    end = start + int.from_bytes(content[len(_MAGIC) : start], "little")
    try:
        header = json.loads(bytes(content[start:end]))
        checksum, facts = header["crc32"], header["facts"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        _damaged(path, str(error))
        return None
    if zlib.crc32(content[end:]) != checksum:
        _damaged(path, "a wrong checksum")
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used just now
    return Entry(facts, content[end:])


def write_entry(path: Path, content: bytes, facts: Mapping[str, Any]) -> None:
    """Store a compiled network and remove the least recently used ones. A full disk is a warning."""
    header = json.dumps({"crc32": zlib.crc32(content), "facts": dict(facts)}).encode()
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(_MAGIC + len(header).to_bytes(_LENGTH_BYTES, "little") + header)
            file.write(content)
        _prune(path.parent, keep=path)
    except OSError as error:
        logger.warning("the compiled network cannot be stored in the cache: %s", error)


def _damaged(path: Path, why: str) -> None:
    logger.warning("%s is damaged (%s) and is made anew", path, why)
    with contextlib.suppress(OSError):
        path.unlink()


def _prune(folder: Path, *, keep: Path) -> None:
    entries = sorted(folder.glob("*.ov"), key=lambda entry: entry.stat().st_mtime, reverse=True)
    total = 0
    for entry in entries:
        total += entry.stat().st_size
        if total > KEEP_BYTES and entry != keep:
            entry.unlink(missing_ok=True)
