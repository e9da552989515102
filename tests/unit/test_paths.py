"""The cache folder, where the environment is as it is; names cut to what a disk takes."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from twinpath import paths
from twinpath.paths import cache_dir, cut_name, display_path


def test_the_platforms_folder_or_the_named_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path / "named"))
    assert cache_dir() == tmp_path / "named"
    for empty in ("", None):
        monkeypatch.delenv("TWINPATH_HOME", raising=False)
        if empty is not None:
            monkeypatch.setenv("TWINPATH_HOME", empty)
        monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "platform"))
        assert cache_dir() == tmp_path / "platform"


@pytest.mark.parametrize(("there", "word"), [(True, "read"), (False, "made")])
def test_a_folder_of_somebody_else(
    there: bool,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As root every folder can be read, so the answer of the system is made up."""
    theirs = tmp_path / "theirs"
    (theirs if there else tmp_path).mkdir(exist_ok=True)
    monkeypatch.setenv("TWINPATH_HOME", str(theirs))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(paths.tempfile, "gettempdir", lambda: str(tmp_path))
    paths._note_once.cache_clear()
    taken = {cache_dir() for _ in range(3)}
    assert taken == {tmp_path / f"twinpath-cache-{os.getuid()}"}
    assert [record.getMessage() for record in caplog.records] == [
        f"{theirs} cannot be {word} by this user; the cache is {taken.pop()} "
        "(TWINPATH_HOME names another folder)"
    ]


def test_a_read_only_cache_is_a_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    assert cache_dir() == tmp_path


def test_where_nothing_can_be_written_there_still_is_a_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def none() -> str:
        raise FileNotFoundError

    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").touch()
    monkeypatch.setattr(paths.tempfile, "gettempdir", none)
    assert cache_dir().name.startswith("twinpath-cache-")


@pytest.mark.parametrize(
    ("name", "room", "cut"),
    [
        ("abc", 3, "abc"),
        ("abc", 2, "ab"),
        ("拍拍", 5, "拍"),
        ("😀😀", 3, ""),
        (os.fsdecode(b"\xe9\xe9"), 1, "\udce9"),
    ],
)
def test_names_are_cut_between_characters(name: str, room: int, cut: str) -> None:
    assert cut_name(name, room) == cut


def test_names_in_messages() -> None:
    assert display_path(Path("a\x1b[1m\nb")) == "a\\x1b[1m\\nb"
    assert display_path("家族 👨‍👩‍👧.mp4") == "家族 👨‍👩‍👧.mp4"
    assert display_path(os.fsdecode(b"caf\xe9")) == "caf\\udce9"
    assert display_path(Path("rtsp://joe:s3cret@cam")) == "rtsp:/***@cam"
