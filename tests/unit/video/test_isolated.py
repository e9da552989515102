"""Files read in another process: the same frames, and an error of ours whatever becomes of the process."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support import bad_videos
from tests.support.processes import is_running, open_files
from twinpath.errors import (
    CorruptVideo,
    LimitExceeded,
    NotAFile,
    NotAVideo,
    TwinpathError,
    WorkerDied,
)
from twinpath.video.decode import AtTimes, EvenSpan, read_frames
from twinpath.video.isolated import messages as sandbox_messages
from twinpath.video.isolated import worker as worker_module
from twinpath.video.isolated.sandbox import ProcessLimits, Sandbox, probe_isolated, read_frames_isolated
from twinpath.video.probe import probe
from twinpath.video.source import Limits

SELECTIONS = [EvenSpan(0.0, 2.0, num_frames=16), AtTimes((1.2, 0.4, 1.2))]
ONE = [EvenSpan(0.0, 0.2, num_frames=1)]


@pytest.fixture
def misbehave(monkeypatch):
    """A process that does something bad when it is to read a file whose name has "evil" in it."""

    def start_with(deed):
        code = f"""
import os, signal, socket, time
from twinpath.video.isolated import child
honest = child.read_frames
def read_frames(path, *arguments, **options):
    if "evil" not in path:
        return honest(path, *arguments, **options)
    {deed}
child.read_frames = read_frames
main("""
        monkeypatch.setattr(worker_module, "START", worker_module.START.replace("main(*json", code + "*json"))

    return start_with


def same(mine, other):
    assert np.array_equal(mine.frames, other.frames)
    assert np.array_equal(mine.times_s, other.times_s)
    assert [picks.tolist() for picks in mine.picks] == [picks.tolist() for picks in other.picks]
    assert (mine.frames_decoded, mine.warnings) == (other.frames_decoded, other.warnings)
    return True


@pytest.mark.parametrize(
    "recipe", ["make_good", "make_rotated", "make_vp9", "make_gif", "make_truncated", "make_joined_ts"]
)
def test_the_same_frames_and_description(sandbox, tmp_path, recipe):
    path = getattr(bad_videos, recipe)(tmp_path)
    decoded = sandbox.read_frames(path, SELECTIONS)
    assert same(decoded, read_frames(path, SELECTIONS))
    assert decoded.clip().shape[0] == 16
    assert sandbox.probe(path) == probe(path)


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("make_text", {}),
        ("make_fifo", {}),
        ("make_folder", {}),
        ("make_audio_only", {}),
        ("make_unknown_codec", {}),
        ("make_headless_fragments", {}),
        ("make_gif_bomb", {}),
        ("make_truncated", {"strict": True}),
        ("make_good", {"limits": Limits(max_frames=3)}),
        ("make_good", {"limits": Limits(max_bytes=1000)}),
        ("make_good", {"limits": Limits(max_seconds=0.0)}),
    ],
)
def test_the_same_errors(sandbox, tmp_path, recipe, options):
    path = getattr(bad_videos, recipe)(tmp_path)
    with pytest.raises(TwinpathError) as here:
        read_frames(path, SELECTIONS, **options)
    with pytest.raises(TwinpathError) as there:
        sandbox.read_frames(path, SELECTIONS, **options)
    assert type(there.value) is type(here.value)
    assert str(there.value) == str(here.value)
    if isinstance(here.value, CorruptVideo):
        assert there.value.frames_decoded == here.value.frames_decoded > 0


def test_names_are_as_the_caller_wrote_them(sandbox, good_video, tmp_path, monkeypatch):
    names = [*bad_videos.STRANGE_NAMES, os.fsdecode(b"latin-\xe9.mp4")]
    monkeypatch.chdir(tmp_path)
    for name in names:
        os.link(good_video, name)
        assert len(sandbox.read_frames(name, ONE).frames) == 1
    assert sandbox.probe(names[0]).path == names[0]
    with pytest.raises(NotAFile, match=r"^none\.mp4 does not exist"):
        sandbox.read_frames("none.mp4", ONE)
    with pytest.raises(NotAFile, match="cannot be read"):
        sandbox.read_frames("nul\0.mp4", ONE)


def test_one_process_serves_many_files_and_is_gone_afterwards(good_video, tmp_path):
    text = bad_videos.make_text(tmp_path)
    with Sandbox() as sandbox:
        assert sandbox.pid is None
        sandbox.probe(good_video)
        pid = sandbox.pid
        for _ in range(3):
            sandbox.read_frames(good_video, SELECTIONS)
            with pytest.raises(NotAVideo):
                sandbox.read_frames(text, SELECTIONS)
        assert sandbox.pid == pid != os.getpid()
        kept = sandbox.read_frames(good_video, SELECTIONS)
    assert not is_running(pid)
    assert same(kept, read_frames(good_video, SELECTIONS))  # the frames outlive it
    kept.frames[0] = 0  # and are the caller's own


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_process_is_small_and_knows_little(good_video, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "swordfish")
    with Sandbox() as sandbox:
        sandbox.read_frames(good_video, ONE)
        process = Path(f"/proc/{sandbox.pid}")
        assert "torch" not in process.joinpath("maps").read_text()
        assert b"swordfish" not in process.joinpath("environ").read_bytes()
        limits = process.joinpath("limits").read_text()
        for name in ("Max file size", "Max core file size"):
            assert [line.split()[-3:-1] for line in limits.splitlines() if name in line] == [["0", "0"]]
        before = open_files()
        for _ in range(20):
            sandbox.read_frames(good_video, SELECTIONS)
        assert open_files() <= before
        assert len(list(process.joinpath("fd").iterdir())) < 10


def test_calls_from_threads(good_video, video_folder):
    paths = [good_video, bad_videos.make_vp9(video_folder), bad_videos.make_rotated(video_folder)] * 4
    expected = {path: read_frames(path, SELECTIONS) for path in paths}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: read_frames_isolated(path, SELECTIONS), paths))
    assert all(same(decoded, expected[path]) for path, decoded in zip(paths, found, strict=True))
    assert probe_isolated(good_video) == probe(good_video)


# What becomes of the process


def test_a_killed_process_is_replaced_and_the_file_read_again(good_video):
    with Sandbox() as sandbox:
        sandbox.probe(good_video)
        pid = sandbox.pid
        os.kill(pid, signal.SIGSTOP)  # it has the request and does not answer
        threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
        assert same(sandbox.read_frames(good_video, SELECTIONS), read_frames(good_video, SELECTIONS))
        assert sandbox.pid != pid


def test_a_process_that_died_between_two_files_is_nobodys_fault(good_video):
    with Sandbox() as sandbox:
        for _ in range(3):
            sandbox.read_frames(good_video, ONE)
            os.kill(sandbox.pid, signal.SIGKILL)
            time.sleep(0.1)


def test_a_file_that_kills_twice_is_refused(good_video, evil, misbehave):
    misbehave("os.kill(os.getpid(), signal.SIGKILL)")
    with Sandbox() as sandbox:
        with pytest.raises(
            WorkerDied, match=r"evil\.mp4: the process that read it was killed.*two attempts"
        ) as first:
            sandbox.read_frames(evil, ONE)
        assert "\n" not in str(first.value)
        assert sandbox.pid is None
        with pytest.raises(WorkerDied, match="refused from now on"):
            sandbox.read_frames(evil, ONE)
        assert sandbox.pid is None  # no process was started for it
        assert len(sandbox.read_frames(good_video, ONE).frames) == 1
        evil.write_bytes(b"another upload")
        with pytest.raises(WorkerDied, match="killed"):
            sandbox.read_frames(evil, ONE)


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("os.abort()", "crashed .Aborted"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed .Segmentation fault"),
        ("os._exit(3)", "ended .exit code 3"),
        ("child.decoded_to_json = lambda _: None; return honest(path, *arguments, **options)", "fit"),
        ("child.decoded_to_json = lambda _: 'x' * (1 << 27); return honest(path, *arguments)", "end"),
        ("options['allocate']((1 << 40, 1, 1, 3))", None),
        ("options['allocate']((-1, 1, 1, 3))", "no size"),
    ],
)
def test_a_crash_or_nonsense_is_a_clear_error(good_video, evil, misbehave, deed, words):
    misbehave(deed)
    with Sandbox() as sandbox:
        with pytest.raises(WorkerDied if words is not None else LimitExceeded, match=words):
            sandbox.read_frames(evil, ONE)
        assert len(sandbox.read_frames(good_video, ONE).frames) == 1


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("time.sleep(60)", "longer than 0.5 s"),
        ("import select; select.poll().poll()", "longer than 0.5 s"),  # it waits for ever
        ("os.kill(os.getpid(), signal.SIGSTOP)", "longer than 0.5 s"),
    ],
)
def test_the_clock_is_watched_from_outside(evil, misbehave, deed, words):
    misbehave(deed)
    began_s = time.monotonic()
    with Sandbox(ProcessLimits(wall_s=0.5)) as sandbox:
        sandbox.probe(evil)
        pid = sandbox.pid
        for _ in range(3):  # the third time it is refused at once
            with pytest.raises(LimitExceeded, match=words) as caught:
                sandbox.read_frames(evil, ONE)
        assert "refused from now on" in str(caught.value)
        assert not is_running(pid)
    assert time.monotonic() - began_s < 30


def test_seconds_that_the_caller_allows_are_kept_from_outside_too(evil, misbehave):
    misbehave("time.sleep(60)")
    with Sandbox() as sandbox, pytest.raises(LimitExceeded, match=r"longer than 1\.1 s"):
        sandbox.read_frames(evil, ONE, limits=Limits(max_seconds=0.1))


def test_processor_time_is_limited(evil, misbehave):
    misbehave("while True: pass")
    with (
        Sandbox(ProcessLimits(cpu_s=1.0, wall_s=60.0)) as sandbox,
        pytest.raises(LimitExceeded, match="more than 1 s of processor time"),
    ):
        sandbox.read_frames(evil, ONE)


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not limit address space")
def test_memory_is_limited(video_folder, good_video, evil, misbehave):
    misbehave("bytearray(1 << 30)")
    large = bad_videos.encode(video_folder / "large.mp4", size=(2048, 2048), numbers=range(3))
    with Sandbox(ProcessLimits(memory_bytes=1 << 28)) as sandbox:
        with pytest.raises(LimitExceeded, match=r"evil\.mp4: .*memory"):
            sandbox.read_frames(evil, ONE)
        assert len(sandbox.read_frames(large, ONE).frames) == 1
    for memory_bytes in (3 << 20, 24 << 20, 48 << 20):  # enough to begin, not to end
        with (
            Sandbox(ProcessLimits(memory_bytes=memory_bytes)) as sandbox,
            pytest.raises(LimitExceeded, match="memory"),
        ):
            sandbox.read_frames(large, [EvenSpan(0, 1, num_frames=3)])


def test_no_file_is_written(evil, misbehave, tmp_path):
    misbehave(f"open({str(tmp_path / 'loot')!r}, 'w').write('x' * 100_000)")
    with Sandbox() as sandbox, pytest.raises(TwinpathError, match="cannot be read"):
        sandbox.read_frames(evil, ONE)
    loot = tmp_path / "loot"
    assert not loot.exists() or loot.stat().st_size == 0


def test_an_exception_that_is_none_of_ours_is_told_as_a_bug(evil, misbehave):
    misbehave("raise KeyError('what')")
    with Sandbox() as sandbox, pytest.raises(TwinpathError, match="KeyError") as caught:
        sandbox.read_frames(evil, ONE)
    assert type(caught.value) is TwinpathError  # exit code 1


def test_limits_are_numbers_above_zero():
    for nonsense in ({"wall_s": 0.0}, {"cpu_s": float("inf")}, {"memory_bytes": -1}):
        with pytest.raises(ValueError, match="numbers above 0"):
            ProcessLimits(**nonsense)


def test_a_process_that_does_not_start(good_video, monkeypatch):
    monkeypatch.setattr(worker_module, "START", "raise SystemExit('no libraries here')")
    with Sandbox() as sandbox, pytest.raises(WorkerDied, match="does not start: no libraries here"):
        sandbox.probe(good_video)
    monkeypatch.setattr(sys, "executable", "/none/python")
    with Sandbox() as sandbox, pytest.raises(WorkerDied, match="does not start: No such file"):
        sandbox.probe(good_video)


def test_ctrl_c_ends_the_process(evil, misbehave):
    misbehave("time.sleep(60)")
    with Sandbox() as sandbox:
        sandbox.probe(evil)
        pid = sandbox.pid
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            sandbox.read_frames(evil, ONE)
        assert sandbox.pid is None
        assert not is_running(pid)


PARENT = """
import os, signal, sys
from twinpath.video.decode import EvenSpan
from twinpath.video.isolated import sandbox
spans = [EvenSpan(0, 1, num_frames=2)]
shape = sandbox.read_frames_isolated(sys.argv[1], spans).frames.shape
if sys.argv[2] == "fork":
    child = os.fork()
    assert sandbox.read_frames_isolated(sys.argv[1], spans).frames.shape == shape
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert sandbox.read_frames_isolated(sys.argv[1], spans).frames.shape == shape
print(sandbox._sandbox().pid, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("end", "code"), [("exit", 0), ("killed", -signal.SIGKILL), ("fork", 0)])
def test_the_process_ends_with_its_parent(good_video, end, code):
    done = subprocess.run(
        [sys.executable, "-c", PARENT, good_video, end],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    pid = int(done.stdout)
    for _ in range(100):
        if not is_running(pid):
            return
        time.sleep(0.05)
    pytest.fail("the process lives on")


# What it sends is not believed

SOUND = {
    "shape": [1, 2, 2, 3],
    "times_s": [0.0],
    "picks": [[0]],
    "frames_decoded": 1,
    "warnings": [],
}


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [9, 9, 9, 3]},
        {"shape": [1, 2, 6, 1]},
        {"shape": [0, 2, 2, 3]},
        {"shape": [-1, 2, -2, 3]},
        {"shape": "long"},
        {"times_s": []},
        {"times_s": [None]},
        {"picks": [[1]]},
        {"picks": [[-1]]},
        {"picks": [[0, 0]]},
        {"picks": []},
        {"picks": [[1 << 70]]},
        {"frames_decoded": "many"},
        {"warnings": [7]},
        {"warnings": None},
    ],
)
def test_frames_that_do_not_fit_are_refused(change):
    memory = np.zeros(12, dtype=np.uint8)
    decoded = sandbox_messages.decoded_from_json(SOUND, memory=memory, selections=ONE)
    assert decoded.clip().shape == (1, 2, 2, 3)
    with pytest.raises(sandbox_messages.ProtocolError):
        sandbox_messages.decoded_from_json(SOUND | change, memory=memory, selections=ONE)


def test_only_errors_of_ours_and_only_plain_words_come_through(good_video):
    def received(**values):
        return sandbox_messages.error_from_json({"message": "no", "frames_decoded": None} | values)

    assert type(received(type="NotAVideo")) is NotAVideo
    assert type(received(type="WeightsMismatch")) is TwinpathError
    assert type(received(type="annotations")) is TwinpathError
    assert "\x1b" not in str(received(type="NotAVideo", message="\x1b[2J\nred"))
    assert received(type="CorruptVideo", frames_decoded="x").frames_decoded == 0
    for nonsense in (None, [], {}, {"type": "NotAVideo"}):
        with pytest.raises(sandbox_messages.ProtocolError):
            sandbox_messages.error_from_json(nonsense)
    values = probe(good_video).to_dict()
    assert sandbox_messages.info_from_json(values, path=str(good_video)) == probe(good_video)
    for change in ({"width": "wide"}, {"warnings": None}, {"codec": 3}):
        with pytest.raises(sandbox_messages.ProtocolError):
            sandbox_messages.info_from_json(values | change, path=str(good_video))
