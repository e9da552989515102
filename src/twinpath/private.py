"""A folder that only its user can read and write, with a key that signs what is kept there.

    $TWINPATH_HOME/engines/key

The key is random. What lies in the folder counts only with a keyed digest (HMAC-SHA256): what somebody else
made, or what was damaged, does not have it. Where the folder belongs to another user, as in a cache that
several share, each has an own one, `engines-<uid>`.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from pathlib import Path

from twinpath.paths import cache_dir, display_path

DIGEST_BYTES = KEY_BYTES = 32


def private_dir() -> Path:
    """The private folder of this user, whether it exists or not."""
    folder = cache_dir() / "engines"
    if not hasattr(os, "geteuid"):
        return folder
    try:
        is_own = folder.stat().st_uid == os.geteuid()
    except OSError:  # there is none
        is_own = True
    return folder if is_own else folder.with_name(f"engines-{os.geteuid()}")


def make_private(folder: Path) -> None:
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


def read_key(folder: Path) -> bytes | None:
    """The key of a folder; None where there is none, or others could have read or written it."""
    try:
        with _key_path(folder).open("rb") as file:
            facts = os.fstat(file.fileno())
            key = file.read(KEY_BYTES + 1)
    except OSError:
        return None
    is_shared = hasattr(os, "geteuid") and (facts.st_uid != os.geteuid() or facts.st_mode & 0o077)
    return key if len(key) == KEY_BYTES and not is_shared else None


def make_key(folder: Path) -> bytes:
    """A new key, or that of a process that was faster. Raises: OSError: It cannot be written."""
    path = _key_path(folder)
    key = secrets.token_bytes(KEY_BYTES)
    temporary = path.with_name(f".key.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # unlike `replace`, it fails where another process was faster
        except OSError:
            key_of_other = read_key(folder)
            if key_of_other is not None:
                return key_of_other
            temporary.replace(path)  # a key that is damaged or that others can read; or no links here
    finally:
        temporary.unlink(missing_ok=True)
    return key


def keyed_digest(key: bytes, name: str, *parts: bytes | memoryview) -> bytes:
    """The digest of a file's name and content, which nobody can make without the key."""
    signed = hmac.new(key, name.encode(errors="surrogateescape") + b"\n", "sha256")
    for part in parts:
        signed.update(part)
    return signed.digest()


def _key_path(folder: Path) -> Path:
    return folder / "key"
