"""Digests of whole files, remembered until a file changes, so that a start does not read it again.

    $TWINPATH_HOME/engines/known

    with path.open("rb") as file:
        digest = known_digest(file, path, "sha256", lambda: hashlib.file_digest(file, "sha256").hexdigest())

A file is the one that was digested if its path, device, inode, size and both times of its last change are the
same. One of these times, that of the inode (ctime), is set by the kernel alone: a file that is written to and
has its modification time set back is noticed, too (not on Windows, which has no such time). A file that
changed within the last seconds before it was read is not remembered: it could change again within the same
tick of the clock.

The memory lies in the private folder of its user and is signed, see `twinpath.private`: what somebody else
wrote there, or what was damaged, is not taken, and the file is digested anew. Two processes may write it at
once: each replaces it as a whole, and what one of them loses is digested once more.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from twinpath.atomic import atomic_path
from twinpath.private import DIGEST_BYTES, keyed_digest, make_key, make_private, private_dir, read_key

logger = logging.getLogger(__name__)

SETTLED_S = 3.0  # file systems count in ticks of up to 2 s
MOST_FILES = 256
_USED_EVERY_S = 24 * 3600.0
_MAGIC = b"TWINPATH-KNOWN-1\n"
_MOST_BYTES = 1 << 20

State = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class _Known:
    """A digest, what the file was like when it was computed, and when it was last asked for (to a day)."""

    digest: str
    state: State
    used_s: float


def known_digest(file: IO[bytes], path: Path, kind: str, compute: Callable[[], str]) -> str:
    """The digest of an open file: remembered, or computed now.

    Args:
        file: Is not read here.
        path: Where it was opened.
        kind: What digest it is; a file may have one of each kind.
        compute: Reads the whole file and returns its digest, in plain characters.
    Raises:
        OSError: As `compute`.
    """
    before, began_s = _state(file), time.time()
    name = f"{kind}:{os.path.abspath(path)}"  # noqa: PTH100 - resolve() follows links
    known = _read().get(name)
    if known is not None and known.state == before:
        if abs(began_s - known.used_s) > _USED_EVERY_S:
            _note(name, _Known(known.digest, before, began_s))
        return known.digest
    digest = compute()
    changed_s = max(before[3], before[4]) / 1e9
    if changed_s + SETTLED_S < began_s and _state(file) == before:
        _note(name, _Known(digest, before, began_s))
    return digest


def last_used_s(kind: str) -> Mapping[str, float]:
    """When the digest of each remembered file was last asked for, in seconds since 1970, to a day."""
    prefix = f"{kind}:"
    return {
        name.removeprefix(prefix): known.used_s for name, known in _read().items() if name.startswith(prefix)
    }


def _state(file: IO[bytes]) -> State:
    """What changes when the file does: device, inode, size in bytes, both times in nanoseconds."""
    facts = os.fstat(file.fileno())
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _read() -> dict[str, _Known]:
    """The memory; empty where there is none, or one without the digest of this user."""
    path = _path()
    try:
        content = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else b""
    except OSError:
        return {}
    start = len(_MAGIC) + DIGEST_BYTES
    key = read_key(path.parent)
    if key is None or not content.startswith(_MAGIC):
        return {}
    if not hmac.compare_digest(content[len(_MAGIC) : start], keyed_digest(key, path.name, content[start:])):
        return {}
    return {
        name: _Known(facts["digest"], tuple(facts["state"]), facts["used_s"])
        for name, facts in json.loads(content[start:]).items()
    }


def _note(name: str, known: _Known) -> None:
    """Remember one more file, and no more than `MOST_FILES`. Where nothing can be written, nothing is."""
    found = {**_read(), name: known}
    latest = sorted(found.items(), key=lambda item: item[1].used_s)[-MOST_FILES:]
    content = json.dumps({name: asdict(known) for name, known in latest}).encode()
    path = _path()
    try:
        make_private(path.parent)
        key = read_key(path.parent) or make_key(path.parent)
        with atomic_path(path) as temporary:
            temporary.write_bytes(_MAGIC + keyed_digest(key, path.name, content) + content)
    except OSError as error:
        logger.info("digests cannot be remembered: %s", error)


def _path() -> Path:
    return private_dir() / "known"
