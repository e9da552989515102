"""A cache of compiled networks on disk, so that a later process starts without torch. No torch.

    $TWINPATH_HOME/engines/slowfast_r50_8x8.ptv_k400-3f2a….ov
    $TWINPATH_HOME/engines/key

One file for each entry: a magic, a keyed digest of all that follows and of the file's name, the length of a
JSON header, the header, the compiled network from a multiple of `_ALIGNED_BYTES` on. What somebody else made,
or what was damaged, does not have the digest of this user's key (see `twinpath.private`) and is made anew. An
entry is digested as a whole when it is first read, and again after any change of its file (see
`twinpath.known_files`). It is mapped: OpenVINO takes the weights from there without a copy.

An entry's name has a hash of everything that the content depends on, so it is never stale: another weight
file, precision, version or CPU has another entry. Two processes may write the same entry: each writes a file
of its own, and the later one replaces the other. A cache that cannot be read or written is a warning: the
network is then compiled in every process.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from twinpath.atomic import atomic_path
from twinpath.known_files import known_digest, last_used_s
from twinpath.private import DIGEST_BYTES, keyed_digest, make_key, make_private, private_dir, read_key

logger = logging.getLogger(__name__)

KEEP_BYTES = 8 << 30  # beyond that the least recently used entries are removed
_MAGIC = b"TWINPATH-COMPILED-2\n"
_LENGTH_BYTES = 8
_ALIGNED_BYTES = 64  # a line of the CPU's cache, and its widest vector
_KIND = "keyed"  # of digest, for `known_files`
_SIGNED = len(_MAGIC) + DIGEST_BYTES  # from here on the digest is computed


@dataclass(frozen=True, eq=False)
class Entry:
    """A compiled network.

    Attributes:
        facts: Plain values stored with it, for example the number of classes.
        content: The network, mapped from the file. It may be written to: that does not change the file.
    """

    facts: dict[str, Any]
    content: memoryview


def engines_dir() -> Path:
    """The folder of this user's compiled networks, whether it exists or not."""
    return private_dir()


def entry_path(name: str, key: Mapping[str, Any]) -> Path:
    """Path of the entry for a model, whether it exists or not.

    Args:
        name: The model's name, for people.
        key: Everything that the compiled network depends on, as JSON values.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return engines_dir() / f"{name}-{digest[:24]}.ov"


def read_entry(path: Path) -> Entry | None:
    """The entry; None where there is none, or one without the digest of this user, which is removed."""
    try:
        with path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
            reason = _reason_against(path, file, content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        reason = str(error)
    if reason is not None:
        logger.warning("%s is damaged (%s) and is made anew", path, reason)
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    start = _SIGNED + _LENGTH_BYTES
    end = start + int.from_bytes(content[_SIGNED:start], "little")
    return Entry(json.loads(bytes(content[start:end])), content[end:])


def entries() -> Iterator[tuple[str, dict[str, Any]]]:
    """The model's name and the facts of each entry of this user, by name."""
    for path in sorted(engines_dir().glob("*.ov")):
        entry = read_entry(path)
        if entry is not None:
            yield path.stem.rpartition("-")[0], entry.facts


def _reason_against(path: Path, file: IO[bytes], content: memoryview) -> str | None:
    """Why an entry is not taken; None: it is this user's, and whole."""
    key = read_key(path.parent)
    if key is None:
        return "no key"
    if bytes(content[: len(_MAGIC)]) != _MAGIC:
        return "no magic number"
    digest = known_digest(file, path, _KIND, lambda: keyed_digest(key, path.name, content[_SIGNED:]).hex())
    return None if hmac.compare_digest(content[len(_MAGIC) : _SIGNED].hex(), digest) else "a wrong digest"


def write_entry(path: Path, content: bytes | memoryview, facts: Mapping[str, Any]) -> None:
    """Store a compiled network and remove the least recently used ones. A full disk is a warning."""
    header = json.dumps(dict(facts)).encode()
    header += b" " * (-(_SIGNED + _LENGTH_BYTES + len(header)) % _ALIGNED_BYTES)
    try:
        make_private(path.parent)
        key = read_key(path.parent) or make_key(path.parent)
        start = len(header).to_bytes(_LENGTH_BYTES, "little") + header
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(_MAGIC + keyed_digest(key, path.name, start, content) + start)
            file.write(content)
        _prune(path.parent, keep=path)
    except OSError as error:
        logger.warning("the compiled network cannot be stored in the cache: %s", error)


def _prune(folder: Path, *, keep: Path) -> None:
    """Remove the entries that were not used for longest. Another process may do the same."""
    entries = []
    used_s = last_used_s(_KIND)
    for path in folder.glob("*.ov"):
        with contextlib.suppress(OSError):
            facts = path.stat()
            last_s = max(facts.st_mtime, used_s.get(str(path), 0.0))
            entries.append((last_s, facts.st_size, path))
    total = 0
    for _, size_bytes, path in sorted(entries, reverse=True):
        total += size_bytes
        if total > KEEP_BYTES and path != keep:
            path.unlink(missing_ok=True)
