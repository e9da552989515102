"""The commands where the environment is poor: no home, closed streams, full disks, hang-ups, odd names."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import SCRIPT, TINY, environment, in_process, start, twinpath
from twinpath import paths

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full and /proc are Linux's")
LABELS = ("labels", "ava")


def run_in_shell(line: str, *arguments: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """A command with redirections as a shell makes them: "$@" in the line is the command."""
    return subprocess.run(
        ["/bin/sh", "-c", line, "sh", SCRIPT, *map(str, arguments)],
        env=environment(**changes),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """No HOME, no entry in passwd, no cache named; where temporary files go."""
    for name in ("HOME", "XDG_CACHE_HOME", "TWINPATH_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(paths.tempfile, "gettempdir", lambda: str(tmp_path))
    paths._note_once.cache_clear()
    paths._own_folder.cache_clear()
    yield tmp_path
    paths._note_once.cache_clear()


def test_without_a_home_the_cache_is_temporary_and_one_note_says_so(homeless: Path, clips: Path) -> None:
    cache = homeless / f"twinpath-cache-{os.getuid()}"
    done = in_process("doctor", "--json")
    assert done.object["cache"] == str(cache)
    assert done.error == (
        f"warning: there is no home folder; the cache is {cache} (TWINPATH_HOME names another folder)"
    )
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert in_process("classify", clips / "a.mp4", *TINY, "--json").object["predictions"]


def test_without_a_home_a_named_cache_is_taken(
    homeless: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINPATH_HOME", str(homeless / "named"))
    assert in_process("doctor", "--json").object["cache"] == str(homeless / "named")
    monkeypatch.setenv("TWINPATH_HOME", "~/cache")
    assert in_process("doctor", "--json").object["cache"] == str(homeless / f"twinpath-cache-{os.getuid()}")


def test_a_temporary_folder_that_somebody_else_has_made_is_not_used(homeless: Path) -> None:
    (homeless / f"twinpath-cache-{os.getuid()}").mkdir(mode=0o700)
    (homeless / f"twinpath-cache-{os.getuid()}").chmod(0o777)  # anybody may have put anything there
    cache = Path(in_process("doctor", "--json").object["cache"])
    assert cache.parent == homeless
    assert cache.name.startswith("twinpath-cache-")
    assert cache.name != f"twinpath-cache-{os.getuid()}"


def test_a_cache_that_is_a_file(empty_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(paths.tempfile, "gettempdir", lambda: str(tmp_path))
    paths._note_once.cache_clear()
    assert f"{tmp_path / 'file'} is no folder; the cache is " in in_process("doctor").err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_like_dev_null(closed: str, tmp_path: Path) -> None:
    for arguments, code in ((LABELS, 0), (("classify", tmp_path / "nothing.mp4"), 3)):
        done = run_in_shell(f'"$@" {closed}', *arguments)
        assert done.returncode == code
        assert "bug" not in done.stdout + done.stderr
        if ">&-" not in closed:
            assert (len(done.stdout.splitlines()), len(done.stderr.splitlines())) == ((80, 0), (0, 1))[
                code == 3
            ]


def test_a_file_never_takes_the_number_of_a_closed_stream(clips: Path, tmp_path: Path) -> None:
    """What is printed would be written into it."""
    out = tmp_path / "answers.jsonl"
    done = run_in_shell('"$@" <&- >&- 2>&-', "classify", clips / "a.mp4", *TINY, "--json", "--out", out)
    assert done.returncode == 0
    (line,) = out.read_text().splitlines()
    assert json.loads(line)["predictions"]


@LINUX
@pytest.mark.parametrize(
    "arguments", [LABELS, ("--help",), ("--version",), ("models", "list"), ("doctor", "--json")]
)
def test_stdout_on_a_full_disk_is_an_error_that_says_so(arguments: tuple[str, ...]) -> None:
    done = run_in_shell('"$@" > /dev/full', *arguments)
    assert (done.returncode, done.stderr) == (3, "twinpath: stdout: No space left on device\n")
    assert run_in_shell('"$@" 2> /dev/full', "classify", "nothing.mp4").returncode == 3


@LINUX
def test_files_are_finished_where_stdout_is_full(clips: Path, tmp_path: Path) -> None:
    done = run_in_shell('"$@" > /dev/full', "timeline", clips / "a.mp4", *TINY, "--json", "--out", tmp_path)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "twinpath: stdout: No space left on device"
    assert (tmp_path / "a.mp4.timeline.json").exists()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_recording_is_finished_when_the_terminal_closes(
    signum: signal.Signals, code: int, clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "recording.mp4"
    running = start("stream", clips / "a.mp4", *TINY, "--realtime", "--annotate", out, "--json")
    assert running.stdout is not None
    assert running.stdout.readline()
    running.send_signal(signum)
    _, err = running.communicate(timeout=60)
    assert running.returncode == code
    assert "terminated; " in err
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.stat().st_size > 1000


def test_nohup_stays_in_force(clips: Path, tmp_path: Path) -> None:
    line = 'trap "" HUP; "$@"'
    command = ["stream", str(clips / "a.mp4"), *TINY, "--realtime", "--json"]
    running = subprocess.Popen(
        ["/bin/sh", "-c", f"{line} & echo $!; wait $!", "sh", SCRIPT, *command],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    assert running.stdout is not None
    with running.stdout:
        number = int(running.stdout.readline())
        assert running.stdout.readline()
        os.kill(number, signal.SIGHUP)
        time.sleep(0.05)
        assert json.loads(running.stdout.read().splitlines()[-1])["reason"] == "end of the source"
    assert running.wait(timeout=60) == 0


EVIL = "a\x1b[31m\u202eb\n.mp4"


def test_no_name_reaches_a_terminal_raw(clips: Path, tmp_path: Path) -> None:
    shutil.copy(clips / "a.mp4", tmp_path / EVIL)
    shown = "a\\x1b[31m\\u202eb\\n.mp4"
    for done in (
        in_process("timeline", tmp_path / EVIL, *TINY, "--out", tmp_path / "out"),
        in_process("classify", tmp_path / f"not {EVIL}", code=3),
        in_process("labels", EVIL, code=2),
        in_process("models", "info", EVIL, code=2),
        in_process("train", EVIL, code=2),
        in_process("models", "convert", tmp_path / EVIL, tmp_path / "x.safetensors", code=5),
    ):
        assert "\x1b" not in done.out + done.err
        assert "\u202e" not in done.out + done.err
        assert shown in done.out + done.err or shown.replace("\\n", " ") in done.err
    assert len(list((tmp_path / "out").iterdir())) == 8
    unknown = in_process("classify", f"--{EVIL}", code=2)
    assert "\x1b" not in unknown.err
    assert "No such option: --a\\x1b[31m\\u202eb" in unknown.err


def test_names_that_are_no_utf8(clips: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    try:
        shutil.copy(clips / "a.mp4", tmp_path / name)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    done = twinpath("timeline", tmp_path / name, *TINY, "--out", tmp_path / "out", "--json")
    assert done.out.isascii()
    assert done.object["video"] == str(tmp_path / name)
    written = tmp_path / "out" / f"{name}.timeline.json"
    assert json.loads(written.read_text("utf-8"))["video"]
    for ending in ("csv", "eaf", "html", "srt", "vtt"):
        (tmp_path / "out" / f"{name}.timeline.{ending}").read_text("utf-8")
    assert "caf\\udce9.mp4" in twinpath("classify", tmp_path / name, *TINY).out


@pytest.mark.parametrize("name", ["拍" * 83 + ".mp4", "😀" * 62 + ".mp4", "👨‍👩‍👧" * 13 + ".mp4"])
def test_names_of_255_bytes(name: str, clips: Path, tmp_path: Path) -> None:
    shutil.copy(clips / "a.mp4", tmp_path / name)
    out = tmp_path / "out"
    in_process("timeline", tmp_path / name, *TINY, "--out", out)
    in_process("classify", tmp_path / name, *TINY, "--out", tmp_path / f"{name.removesuffix('.mp4')}.json")
    for path in (*out.iterdir(), *tmp_path.iterdir()):
        path.name.encode("utf-8")
        assert len(path.name.encode()) <= 255
    assert len(list(out.iterdir())) == 8


@pytest.mark.parametrize(
    "changes", [{"COLUMNS": "0"}, {"TERM": "dumb", "COLUMNS": "-1"}, {"NO_COLOR": "1", "TERM": ""}]
)
def test_terminals_that_say_nothing_of_use(changes: dict[str, str]) -> None:
    assert len(twinpath("models", "list", "x3d_s*", **changes).out.splitlines()) > 1


@pytest.mark.parametrize(
    "changes",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        {"TMPDIR": "/nowhere"},
    ],
)
def test_poor_locales(changes: dict[str, str], clips: Path, tmp_path: Path) -> None:
    shutil.copy(clips / "a.mp4", tmp_path / "家族.mp4")
    done = subprocess.run(
        [SCRIPT, "classify", str(tmp_path / "家族.mp4"), *TINY],
        env=environment(**changes),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"views)" in done.stdout
