"""A cache of compiled networks on disk, so that a later process starts without torch. No torch.

    $TWINPATH_HOME/engines/slowfast_r50_8x8.ptv_k400-3f2a….ov
    $TWINPATH_HOME/engines/key

One file for each entry: a magic, a keyed digest (HMAC-SHA256) of all that follows and of the file's name, the
length of a JSON header, the header, the compiled network. The key is random and readable by its user only, as
is the folder: what somebody else made, or what was damaged, does not have the digest and is made anew. Where
the folder belongs to another user, as in a cache that several share, each has an own one, `engines-<uid>`.

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
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinpath.atomic import atomic_path
from twinpath.paths import cache_dir, display_path

logger = logging.getLogger(__name__)

KEEP_BYTES = 8 << 30  # beyond that the least recently used entries are removed
_MAGIC = b"TWINPATH-COMPILED-2\n"
_LENGTH_BYTES = 8
_DIGEST_BYTES = _KEY_BYTES = 32
_SIGNED = len(_MAGIC) + _DIGEST_BYTES  # from here on the digest is computed


@dataclass(frozen=True, eq=False)
class Entry:
    """A compiled network.

    Attributes:
        facts: Plain values stored with it, for example the number of classes.
        content: The network, mapped from the file.
    """

    facts: dict[str, Any]
    content: memoryview


def engines_dir() -> Path:
    """The folder of this user's compiled networks, whether it exists or not."""
    folder = cache_dir() / "engines"
    if not hasattr(os, "geteuid"):
        return folder
    try:
        is_own = folder.stat().st_uid == os.geteuid()
    except OSError:  # there is none
        is_own = True
    return folder if is_own else folder.with_name(f"engines-{os.geteuid()}")


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
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        _damaged(path, str(error))
        return None
    key = _read_key(path.parent)
    if key is None or bytes(content[: len(_MAGIC)]) != _MAGIC:
        _damaged(path, "no magic number" if key else "no key")
        return None
    if not hmac.compare_digest(content[len(_MAGIC) : _SIGNED], _digest(key, path, content[_SIGNED:])):
        _damaged(path, "a wrong digest")
        return None
    start = _SIGNED + _LENGTH_BYTES
    end = start + int.from_bytes(content[_SIGNED:start], "little")
    facts = json.loads(bytes(content[start:end]))
    with contextlib.suppress(OSError):
        os.utime(path)  # used just now
    return Entry(facts, content[end:])


def write_entry(path: Path, content: bytes, facts: Mapping[str, Any]) -> None:
    """Store a compiled network and remove the least recently used ones. A full disk is a warning."""
    header = json.dumps(dict(facts)).encode()
    try:
        _make_private(path.parent)
        key = _read_key(path.parent) or _make_key(path.parent)
        start = len(header).to_bytes(_LENGTH_BYTES, "little") + header
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(_MAGIC + _digest(key, path, start, content) + start)
            file.write(content)
        _prune(path.parent, keep=path)
    except OSError as error:
        logger.warning("the compiled network cannot be stored in the cache: %s", error)


def _digest(key: bytes, path: Path, *parts: bytes | memoryview) -> bytes:
    """Of an entry's name and content."""
    signed = hmac.new(key, path.name.encode(errors="surrogateescape") + b"\n", "sha256")
    for part in parts:
        signed.update(part)
    return signed.digest()


def _make_private(folder: Path) -> None:
    """Create a folder that only its user can read and write, or make it so.

    Raises:
        OSError: It cannot be had: read-only, a full disk, or a folder of somebody else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not hasattr(os, "geteuid"):  # Windows, where a home folder is private
        return
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{display_path(folder)} belongs to another user")
    if _is_open(folder):
        folder.chmod(0o700)
        if _is_open(folder):
            raise PermissionError(f"{display_path(folder)} is open to other users, and chmod does not help")


def _is_open(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) & 0o077 != 0


def _read_key(folder: Path) -> bytes | None:
    """The key of a folder; None where there is none, or others could have read or written it."""
    try:
        with _key_path(folder).open("rb") as file:
            facts = os.fstat(file.fileno())
            key = file.read(_KEY_BYTES + 1)
    except OSError:
        return None
    is_shared = hasattr(os, "geteuid") and (facts.st_uid != os.geteuid() or facts.st_mode & 0o077)
    return key if len(key) == _KEY_BYTES and not is_shared else None


def _make_key(folder: Path) -> bytes:
    """A new key, or that of a process that was faster. Raises: OSError: It cannot be written."""
    path = _key_path(folder)
    key = secrets.token_bytes(_KEY_BYTES)
    temporary = path.with_name(f".key.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # unlike `replace`, it fails where another process was faster
        except OSError:
            key_of_other = _read_key(folder)
            if key_of_other is not None:
                return key_of_other
            temporary.replace(path)  # a key that is damaged or that others can read; or no links here
    finally:
        temporary.unlink(missing_ok=True)
    return key


def _key_path(folder: Path) -> Path:
    return folder / "key"


def _damaged(path: Path, why: str) -> None:
    logger.warning("%s is damaged (%s) and is made anew", path, why)
    with contextlib.suppress(OSError):
        path.unlink()


def _prune(folder: Path, *, keep: Path) -> None:
    """Remove the entries that were not used for longest. Another process may do the same."""
    entries = []
    for path in folder.glob("*.ov"):
        with contextlib.suppress(OSError):
            facts = path.stat()
            entries.append((facts.st_mtime, facts.st_size, path))
    total = 0
    for _, size_bytes, path in sorted(entries, reverse=True):
        total += size_bytes
        if total > KEEP_BYTES and path != keep:
            path.unlink(missing_ok=True)
