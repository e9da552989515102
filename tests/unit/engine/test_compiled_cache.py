"""Compiled networks on disk: only what this user stored, whole, is taken; all else is made anew."""

from __future__ import annotations

import errno
import hmac
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from twinpath import known_files
from twinpath.engine import compiled_cache
from twinpath.engine.compiled_cache import engines_dir, entry_path, read_entry, write_entry

FACTS = {"num_classes": 12, "precision": "fp32"}
CONTENT = bytes(range(256)) * 8


@pytest.fixture
def stored(empty_home: Path) -> Path:
    path = entry_path("model", {"a": 1})
    write_entry(path, CONTENT, FACTS)
    entry = read_entry(path)
    assert entry is not None
    assert (entry.facts, bytes(entry.content)) == (FACTS, CONTENT)
    return path


def test_no_flipped_or_cut_entry_is_taken(stored: Path) -> None:
    """Every byte of the header, and some of the content; every length of the start, and some of the rest."""
    whole, rng = stored.read_bytes(), random.Random(7)
    places = [*range(150), *rng.sample(range(150, len(whole)), 50)]
    for place in places:
        stored.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
        assert read_entry(stored) is None, place
        stored.write_bytes(whole[:place])
        assert read_entry(stored) is None, place
        assert not stored.exists()
    stored.write_bytes(whole + b"\0")
    assert read_entry(stored) is None
    stored.write_bytes(whole)
    assert read_entry(stored) is not None


@pytest.mark.parametrize("num_classes", [5, None])
def test_a_forged_entry_is_not_taken(stored: Path, num_classes: int | None) -> None:
    """As somebody without the key would make it: right in all but the digest, or with one of another key."""
    header = json.dumps({"num_classes": num_classes, "precision": "fp32"}).encode()
    rest = len(header).to_bytes(8, "little") + header + CONTENT
    for digest in (bytes(32), hmac.digest(b"", stored.name.encode() + b"\n" + rest, "sha256")):
        stored.write_bytes(b"TWINPATH-COMPILED-2\n" + digest + rest)
        assert read_entry(stored) is None


def test_an_entry_of_another_name_is_not_taken(stored: Path) -> None:
    other = entry_path("model", {"a": 2})
    other.write_bytes(stored.read_bytes())
    assert read_entry(other) is None
    assert read_entry(stored) is not None


def test_an_entry_is_digested_once_until_its_file_changes(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digested, keyed_digest = [], compiled_cache.keyed_digest

    def counted(*arguments: bytes | str | memoryview) -> bytes:
        digested.append(arguments)
        return keyed_digest(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(compiled_cache, "keyed_digest", counted)
    monkeypatch.setattr(known_files, "SETTLED_S", -10.0)  # as if it had been written long ago
    for _ in range(3):
        entry = read_entry(stored)
        assert entry is not None
        assert (entry.facts, bytes(entry.content)) == (FACTS, CONTENT)
    assert len(digested) == 1
    before = stored.stat()
    with stored.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    os.utime(stored, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_entry(stored) is None
    assert len(digested) == 2
    assert not stored.exists()


def test_what_is_done_to_the_content_does_not_change_the_file(stored: Path) -> None:
    """The network lies where vector instructions want it, and OpenVINO may write there."""
    entry, before = read_entry(stored), stored.read_bytes()
    assert entry is not None
    assert (len(before) - len(entry.content)) % 64 == 0
    entry.content[0] ^= 1
    assert stored.read_bytes() == before


def test_only_the_user_may_read_and_write_the_cache(stored: Path) -> None:
    folder = stored.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    folder.chmod(0o755)  # as an earlier version made it
    write_entry(stored, CONTENT, FACTS)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key.unlink(),
        lambda key: key.write_bytes(b"short"),
        lambda key: key.write_bytes(key.read_bytes() + b"long"),
        lambda key: key.chmod(0o644),
    ],
    ids=["missing", "short", "long", "readable by others"],
)
def test_a_key_that_others_may_know_is_not_used(stored: Path, spoil: Callable[[Path], None]) -> None:
    key = stored.parent / "key"
    spoil(key)
    assert read_entry(stored) is None
    write_entry(stored, CONTENT, FACTS)
    assert read_entry(stored) is not None
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == 32


def test_users_of_one_cache_have_folders_of_their_own(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_home / "engines").mkdir()
    assert engines_dir() == empty_home / "engines"
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert engines_dir() == empty_home / "engines-54321"


def test_a_folder_of_somebody_else_is_not_used(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even if it was made under this user's name."""
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    (empty_home / "engines").mkdir()
    (empty_home / "engines-54321").mkdir()
    path = entry_path("model", {"a": 1})
    write_entry(path, CONTENT, FACTS)
    assert "cannot be stored in the cache: " in caplog.text
    assert "engines-54321 belongs to another user" in caplog.text
    assert read_entry(path) is None


def test_a_cache_that_cannot_be_written(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = entry_path("model", {"a": 1})
    with monkeypatch.context() as patch:
        patch.setattr(compiled_cache, "atomic_path", full)
        write_entry(path, CONTENT, FACTS)
    assert "cannot be stored in the cache: [Errno 28] No space left on device" in caplog.text
    assert read_entry(path) is None
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)  # a file system without links
        (path.parent / "key").unlink()
        write_entry(path, CONTENT, FACTS)
    assert read_entry(path) is not None


def test_processes_that_start_together_share_one_key(empty_home: Path) -> None:
    code = (
        "import sys\n"
        "from twinpath.engine.compiled_cache import entry_path, write_entry\n"
        "sys.stdin.readline()\n"
        "write_entry(entry_path('model', {'n': sys.argv[1]}), b'content' * 1000, {})"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], stdin=subprocess.PIPE) for n in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert all(read_entry(entry_path("model", {"n": str(n)})) for n in range(4))
    assert {path.suffix or path.name for path in engines_dir().iterdir()} == {".ov", "key"}


def test_an_entry_that_is_used_stays(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although it is the oldest; to read an entry leaves its file as it is."""
    monkeypatch.setattr(compiled_cache, "KEEP_BYTES", 2 * len(CONTENT) + 500)
    paths = [entry_path("model", {"n": n}) for n in range(3)]
    for age_s, path in enumerate(paths[:2]):
        write_entry(path, CONTENT, {})
        os.utime(path, (age_s, age_s))
    monkeypatch.setattr(known_files, "SETTLED_S", -10.0)
    assert read_entry(paths[0]) is not None
    assert paths[0].stat().st_mtime == 0
    write_entry(paths[2], CONTENT, {})
    assert [path.exists() for path in paths] == [True, False, True]


def test_entries_may_go_while_they_are_counted(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = stored.with_name("gone.ov")
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: iter([gone, stored]))
    monkeypatch.setattr(compiled_cache, "KEEP_BYTES", 0)
    compiled_cache._prune(stored.parent, keep=stored)
    assert stored.exists()
