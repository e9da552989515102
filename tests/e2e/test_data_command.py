"""`twinpath data check`: what a user sees of a data set with everything that may be wrong with it."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.support.commands import in_process, on_terminal, start
from tests.support.moving_squares import film


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 clips of three classes, with names as people have them."""
    folder = tmp_path_factory.mktemp("data") / "my actions"
    for number in range(60):
        name = ("öffnen", "close it", "坐下")[number % 3]
        film(folder / name / f"clip {number:02}.mp4", scene=number, way=number, frames=6)
    return folder


@pytest.fixture
def data(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / good.name))


def test_a_good_folder(good: Path) -> None:
    done = in_process("data", "check", good)
    first, head, *rows, last = done.out.splitlines()
    assert first == "folder of classes · 3 classes · 60 clips · 60 videos · 0:36 that can be used"
    assert head.split() == ["class", "clips", "lost", "groups", "median", "longest"]
    assert [row.split()[-7:] for row in rows] == [["20", "0", "20", "0.6", "s", "0.6", "s"]] * 3
    assert last == "nothing is odd"
    assert done.err == ""


def test_three_broken_of_sixty_are_named_and_the_rest_is_checked(data: Path, tmp_path: Path) -> None:
    broken = sorted(data.rglob("*.mp4"))[::25]
    assert len(broken) == 3
    broken[0].write_bytes(b"")
    broken[1].write_bytes(broken[1].read_bytes()[:300])
    broken[2].write_text("no video")
    done = in_process("data", "check", data, "--out", tmp_path / "out", code=4)
    for path in broken:
        assert sum(str(path) in line for line in done.err.splitlines()) == 1
    assert done.err.splitlines()[-1] == "twinpath: 3 of 60 videos could not be used; each is named above"
    assert "! clips that cannot be used: 3 of 60" in done.out.splitlines()
    values = json.loads((tmp_path / "out" / "data.json").read_text("utf-8"))
    assert values["usable"] == 57
    assert {Path(lost["path"]) for lost in values["unusable"]} == set(broken)
    page = (tmp_path / "out" / "data.html").read_text("utf-8")
    assert "坐下" in page


def test_json_has_failures_and_then_the_check(data: Path) -> None:
    next(data.rglob("*.mp4")).write_bytes(b"")
    failed, check = in_process("data", "check", data, "--json", code=4).objects
    assert failed["error"]["type"] == "NotAVideo"
    assert check["usable"] == 59
    assert check["files"] == []


def test_a_leaky_folder_is_reported(data: Path) -> None:
    source = data / "öffnen" / "clip 00.mp4"
    shutil.copy(source, data / "close it" / "another name.mp4")
    film(data / "öffnen" / "x.mp4", scene=99, way=99, frames=40)
    film(data / "öffnen" / "y.mp4", scene=99, way=99, start=10, frames=40, size=(128, 96))
    lines = in_process("data", "check", data).out.splitlines()
    (equal,) = [line for line in lines if line.startswith("Equal files, with different labels")]
    assert "another name.mp4" in equal
    assert "clip 00.mp4" in equal
    (alike,) = [line for line in lines if line.startswith("They show the same")]
    assert "the second begins in the first at 0:0" in alike
    assert "x.mp4" in alike
    assert "y.mp4" in alike


def test_all_broken(tmp_path: Path) -> None:
    for name in ("a/1.mp4", "b/2.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("nothing")
    done = in_process("data", "check", tmp_path, code=4)
    assert done.err.splitlines()[-1] == "twinpath: none of 2 videos could be used; each is named above"
    assert "! classes without a clip that can be used: a, b" in done.out.splitlines()


def test_mistakes_in_a_table_name_the_column_as_it_stands_there(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,label,start_s\na.mp4,x,soon\n")
    done = in_process("data", "check", tmp_path / "list.csv", code=3)
    assert done.error.endswith("list.csv:2: 'start_s' is 'soon', not seconds from 0")


def test_a_bar_with_the_time_left_on_a_terminal(good: Path, tmp_path: Path) -> None:
    assert "reading" in on_terminal("data", "check", good, stdout=tmp_path / "table.txt")


def test_ctrl_c_ends_it(good: Path, tmp_path: Path) -> None:
    data = tmp_path / "many"
    for copy in range(20):
        shutil.copytree(good / "öffnen", data / f"class {copy}")
    running = start("data", "check", data, "--out", tmp_path / "out")
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode in (0, 130)
    if running.returncode:
        assert out == ""
        assert "Traceback" not in err
        assert not (tmp_path / "out" / "data.html").exists()
