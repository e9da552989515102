"""Cases from the field: folders as disks, phones and containers leave them. Numbers as in README.md."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bad_videos import encode
from twinpath.errors import NotAFile, NotAVideo
from twinpath.video.find import find_inputs
from twinpath.video.probe import probe


def names(*folders: Path) -> list[str]:
    return [str(video.name) for video in find_inputs(folders)]


def put(path: Path, content: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_what_was_thrown_away_is_left_out(tmp_path: Path) -> None:  # 17, 23
    folders = (
        "@eaDir/a.mp4",
        "#recycle",
        "$RECYCLE.BIN",
        "System Volume Information",
        "__MACOSX",
        ".Trash-1000",
    )
    for folder in folders:
        put(tmp_path / "disk" / folder / "old.mp4")
        put(tmp_path / "disk" / "sub" / folder / "old.mp4")
    put(tmp_path / "disk" / "._a.mp4")
    put(tmp_path / "disk" / "recycled" / "kept.mp4")
    put(tmp_path / "disk" / "a.mp4")
    assert names(tmp_path / "disk") == ["a.mp4", "recycled/kept.mp4"]
    assert names(tmp_path / "disk" / "#recycle") == ["old.mp4"]  # who asks for it gets it


def test_source_code_is_no_video(tmp_path: Path) -> None:  # 24
    put(tmp_path / "web" / "main.ts", b"import { Clip } from './clip';\nexport const clip: Clip = {};\n")
    put(tmp_path / "web" / "lib.mts", "// größe\nexport {};\n".encode())
    put(tmp_path / "web" / "empty.ts")  # fails by its name
    shutil.copy(encode(tmp_path / "clip.ts", numbers=range(5)), tmp_path / "web" / "clip.ts")
    assert names(tmp_path / "web") == ["clip.ts", "empty.ts"]
    with pytest.raises(NotAVideo, match=r"main\.ts is a text"):
        probe(find_inputs([tmp_path / "web" / "main.ts"])[0].path)


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:  # 22
    put(tmp_path / "other" / "b.mp4")
    put(tmp_path / "data" / "train" / "a.mp4")
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "other", target_is_directory=True)
    (tmp_path / "data" / "again").symlink_to(tmp_path / "other", target_is_directory=True)
    (tmp_path / "data" / "train" / "cycle").symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "data" / "alias").symlink_to(tmp_path / "data" / "train", target_is_directory=True)
    (tmp_path / "data" / "broken.mp4").symlink_to("nowhere.mp4")
    assert names(tmp_path / "data") == ["again/b.mp4", "broken.mp4", "train/a.mp4"]


def test_a_config_map_of_kubernetes(tmp_path: Path) -> None:  # 38
    put(tmp_path / "..2026_11_27" / "a.mp4")
    (tmp_path / "..data").symlink_to("..2026_11_27", target_is_directory=True)
    (tmp_path / "a.mp4").symlink_to("..data/a.mp4")
    assert names(tmp_path) == ["a.mp4"]


def test_a_placeholder_of_icloud_fails_by_its_name(tmp_path: Path) -> None:  # 33
    placeholder = put(tmp_path / ".match.mov.icloud", b"bplist00\xd4\x01\x02")
    put(tmp_path / ".notes.txt.icloud", b"bplist00")
    put(tmp_path / "a.mp4")
    assert names(tmp_path) == [".match.mov.icloud", "a.mp4"]
    with pytest.raises(NotAVideo, match=r"a placeholder of iCloud, not a video; download match\.mov first"):
        probe(placeholder)


def test_a_folder_that_cannot_be_listed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # 34
    put(tmp_path / "private" / "b.mp4")
    put(tmp_path / "a.mp4")
    scandir, listdir = os.scandir, os.listdir

    def closed(path: Any) -> bool:
        return Path(path).name in ("private", "all")

    def scan(path: Any) -> Iterator[os.DirEntry[str]]:
        if closed(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    monkeypatch.setattr(os, "listdir", lambda path: list(scan(path)) if closed(path) else listdir(path))
    found = find_inputs([tmp_path])
    assert [str(video.name) for video in found] == ["a.mp4", "private"]
    with pytest.raises(NotAFile, match="private cannot be read: Permission denied"):
        probe(found[1].path)
    (tmp_path / "all").mkdir()
    with pytest.raises(NotAFile, match="all cannot be listed: Permission denied"):
        find_inputs([tmp_path / "all"])


def test_a_folder_in_place_of_a_video(tmp_path: Path) -> None:  # 37
    """`docker run -v $PWD/clip.mp4:/clip.mp4` makes a folder where there is no such file."""
    (tmp_path / "clip.mp4").mkdir()
    with pytest.raises(NotAFile, match=r"clip\.mp4 is an empty folder, not a video; does the file exist"):
        find_inputs([tmp_path / "clip.mp4"])
