"""Digests that are remembered: never one of a file that could have changed, or that somebody else wrote."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from twinpath import known_files
from twinpath.known_files import known_digest, last_used_s
from twinpath.private import private_dir
from twinpath.weights.hashes import file_sha256, known_sha256


class Counting:
    """Digests files, and counts how often it has to read one."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self, path: Path, kind: str = "test") -> str:
        def compute() -> str:
            self.reads += 1
            return path.read_bytes().hex()

        with path.open("rb") as file:
            return known_digest(file, path, kind, compute)


@pytest.fixture
def digest(empty_home: Path) -> Counting:
    return Counting()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every file had been written long ago."""
    monkeypatch.setattr(known_files, "SETTLED_S", -10.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"first")
    return path


def overwritten(path: Path) -> None:
    """In place, of equal size, and the modification time set back, as `rsync --inplace --times` does it."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def replaced(path: Path) -> None:
    """By another file of equal size and modification time."""
    before, new = path.stat(), path.with_name("new")
    new.write_bytes(b"other")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(path)


def test_a_file_is_read_once(digest: Counting, file: Path, settled: None) -> None:
    assert [digest(file) for _ in range(3)] == [b"first".hex()] * 3
    assert digest.reads == 1
    assert digest(file, "another kind") == b"first".hex()
    assert digest.reads == 2
    assert last_used_s("test") == pytest.approx({str(file): time.time()}, abs=60)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no time of the change of an inode")
@pytest.mark.parametrize("change", [overwritten, replaced])
def test_a_change_of_equal_size_and_time_is_noticed(
    digest: Counting, file: Path, settled: None, change: Callable[[Path], None]
) -> None:
    digest(file)
    change(file)
    assert digest(file) == b"other".hex()
    file.write_bytes(b"longer than before")
    assert digest(file) == b"longer than before".hex()
    assert digest(file) == b"longer than before".hex()
    assert digest.reads == 3


def test_what_has_just_changed_is_not_remembered(digest: Counting, file: Path) -> None:
    """It may change again within one tick of a file system's clock. A time to come says nothing, either."""
    for age_s in (0, -3600):
        os.utime(file, (time.time() - age_s,) * 2)
        digest(file)
    assert [digest(file), digest.reads] == [b"first".hex(), 3]
    assert not (private_dir() / "known").exists()


def test_what_changes_while_it_is_read_is_not_remembered(empty_home: Path, file: Path, settled: None) -> None:
    def compute() -> str:
        file.write_bytes(b"changed")
        return "of the old content"

    for _ in range(2):
        with file.open("rb") as opened:
            assert known_digest(opened, file, "test", compute) == "of the old content"
    assert not (private_dir() / "known").exists()


def test_no_damaged_or_forged_memory_is_taken(digest: Counting, file: Path, settled: None) -> None:
    digest(file)
    memory = private_dir() / "known"
    whole = memory.read_bytes()
    for place in range(0, len(whole), 7):
        memory.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert last_used_s("test") == {}, place
        memory.write_bytes(whole[:place])
        assert last_used_s("test") == {}, place
    memory.write_bytes(whole.replace(b"first".hex().encode(), b"other".hex().encode()))
    assert digest(file) == b"first".hex()
    assert digest.reads == 2
    assert digest(file) == b"first".hex()
    assert digest.reads == 2  # it was written anew


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no such modes")
def test_a_memory_whose_key_others_can_read_is_not_taken(digest: Counting, file: Path, settled: None) -> None:
    digest(file)
    (private_dir() / "key").chmod(0o644)
    digest(file)
    digest(file)
    assert digest.reads == 2  # with a new key
    assert (private_dir() / "key").stat().st_mode & 0o777 == 0o600
    assert private_dir().stat().st_mode & 0o777 == 0o700


def test_where_nothing_can_be_written_files_are_read_each_time(
    digest: Counting, file: Path, settled: None
) -> None:
    private_dir().parent.joinpath("engines").write_bytes(b"")
    assert [digest(file) for _ in range(2)] == [b"first".hex()] * 2
    assert digest.reads == 2


def test_the_files_used_last_are_remembered(
    digest: Counting, file: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_files, "MOST_FILES", 2)
    others = [file.with_name(name) for name in ("b", "c")]
    for path in others:
        path.write_bytes(b"x")
        digest(path)
    digest(file)
    assert set(last_used_s("test")) == {str(file), str(others[1])}


def test_processes_at_once_lose_nothing_but_time(empty_home: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from twinpath import known_files\n"
        "from twinpath.weights.hashes import known_sha256\n"
        "known_files.SETTLED_S = -10\n"
        "sys.stdin.readline()\n"
        "print(*(known_sha256(Path(path)) for path in sys.argv[1:]))"
    )
    paths = [tmp_path / f"{n}.bin" for n in range(8)]
    for n, path in enumerate(paths):
        path.write_bytes(bytes([n]) * 1000)
    command = [sys.executable, "-c", code, *map(str, paths)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    answers = {process.communicate("\n")[0] for process in processes}
    assert answers == {" ".join(map(file_sha256, paths)) + "\n"}
    assert set(last_used_s("sha256")) <= set(map(str, paths))
    assert {path.name for path in private_dir().iterdir()} == {"key", "known"}
    assert [known_sha256(path) for path in paths] == [file_sha256(path) for path in paths]
