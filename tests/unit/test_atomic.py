"""Files that are whole or not there, whatever has the name already."""

from __future__ import annotations

import errno
import os
import socket
import time
from pathlib import Path

import pytest

from twinpath import atomic
from twinpath.atomic import atomic_path
from twinpath.errors import UsageError


@pytest.fixture(autouse=True)
def _know_the_machine_anew() -> None:
    atomic._machine.cache_clear()


def write(path: Path, text: str = "new") -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def test_a_container_of_the_same_host_name_keeps_the_others_living_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's process has a number that nobody has here."""
    monkeypatch.setattr(socket, "gethostname", lambda: "worker")
    readlink = os.readlink
    with atomic_path(tmp_path / "a.json") as ours:
        ours.write_text("half")
        space = "pid:[another]"
        monkeypatch.setattr(os, "readlink", lambda path: space if "ns/pid" in str(path) else readlink(path))
        monkeypatch.setattr(os, "getpid", lambda: 1)

        def gone(pid: int, signum: int) -> None:
            raise ProcessLookupError

        monkeypatch.setattr(os, "kill", gone)
        atomic._machine.cache_clear()
        write(tmp_path / "a.json")
        assert ours.exists()
    assert (tmp_path / "a.json").read_text() == "half"


def test_without_proc_nobody_elses_file_is_taken_for_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = tmp_path / f".a.json.{atomic._machine()}-999999999-00000000.tmp.json"
    living.write_text("half")

    def no_link(path: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "readlink", no_link)
    atomic._machine.cache_clear()
    write(tmp_path / "a.json")
    assert living.exists() == (os.uname().sysname == "Linux")


def test_what_nobody_has_written_to_for_weeks_is_removed(tmp_path: Path) -> None:
    old, new = (tmp_path / f".a.json.elsewhere-{n}-00000000.tmp.json" for n in (1, 2))
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, time.time() - 30 * 24 * 3600))
    write(tmp_path / "a.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([new.name, "a.json"])


@pytest.mark.parametrize("name", ["/dev/null", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/full"])
def test_a_device_is_never_replaced(name: str) -> None:
    before = os.lstat(name)
    with pytest.raises(UsageError, match=f"{name} is no regular file but a device or a pipe; give"):
        write(Path(name))
    assert os.lstat(name).st_ino == before.st_ino


def test_a_pipe_a_folder_and_links_to_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "folder", "link", "null"):
        with pytest.raises(UsageError, match=rf"{name} is no regular file but a (folder|device or a pipe);"):
            write(tmp_path / name)
    assert (tmp_path / "link").is_fifo()
    with pytest.raises(UsageError, match=r"a\\x00b cannot be the name of a file"):
        write(tmp_path / "a\0b")


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.json").symlink_to("there/real.json")
    for text in ("one", "two"):  # the first time it leads to nothing
        write(tmp_path / "link.json", text)
        assert (tmp_path / "link.json").is_symlink()
        assert (tmp_path / "there" / "real.json").read_text() == text
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["real.json"]


@pytest.mark.parametrize(
    "name", ["..mp4", "a.", ".hidden", "..", "拍" * 83 + ".mp4", "😀" * 63, "a." + "b" * 253]
)
def test_names_are_names(name: str, tmp_path: Path) -> None:
    """Of 255 bytes too: the temporary file's name is cut, between characters."""
    if name == "..":
        with pytest.raises(UsageError, match="but a folder"):
            write(tmp_path / "sub" / "..")
        return
    with atomic_path(tmp_path / name) as temporary:
        temporary.write_text("new")
        temporary.name.encode("utf-8")
        assert len(os.fsencode(temporary.name)) <= 255
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="free some space") as full, atomic_path(tmp_path / "a.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert full.value.filename == str(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError) as missing, atomic_path(tmp_path / "a.json"):
        pass
    assert missing.value.filename == str(tmp_path / "a.json")
