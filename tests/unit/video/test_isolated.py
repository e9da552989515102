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
from twinpath.errors import (
    CorruptVideo,
    LimitExceeded,
    NotAFile,
    NotAVideo,
    TwinpathError,
    WorkerDied,
)
from twinpath.prefetch import Prefetcher
from twinpath.video.clip_plan import ClipSampling, Keyframes, Selections, Windows
from twinpath.video.clips import open_clips
from twinpath.video.decode import AtTimes, EvenSpan, read_frames
from twinpath.video.isolated import messages as sandbox_messages
from twinpath.video.isolated import worker as worker_module
from twinpath.video.isolated.sandbox import ProcessLimits, Sandbox, probe_isolated, read_frames_isolated
from twinpath.video.probe import probe
from twinpath.video.source import Limits

SELECTIONS = [EvenSpan(0.0, 2.0, num_frames=16), AtTimes((1.2, 0.4, 1.2))]
ONE = [EvenSpan(0.0, 0.2, num_frames=1)]


@pytest.fixture(scope="module")
def video_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as shared:
        yield shared


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
        monkeypatch.setattr(worker_module, "START", worker_module.START.replace("main(int", code + "int"))

    return start_with


@pytest.fixture
def evil(good_video, tmp_path):
    path = tmp_path / "evil.mp4"
    path.write_bytes(good_video.read_bytes())
    return path


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


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


def test_a_file_that_kills_twice_is_set_aside(good_video, evil, misbehave):
    misbehave("os.kill(os.getpid(), signal.SIGKILL)")
    with Sandbox() as sandbox:
        with pytest.raises(
            WorkerDied, match=r"evil\.mp4: the process that read it was killed.*two attempts"
        ) as first:
            sandbox.read_frames(evil, ONE)
        assert "\n" not in str(first.value)
        assert sandbox.pid is None
        with pytest.raises(WorkerDied, match="set aside"):
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
        (
            "p = path + '.fifo'; os.path.exists(p) or os.mkfifo(p); open(p)",
            "longer than 0.5 s",
        ),  # it waits for ever
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
        assert "set aside" in str(caught.value)
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
    assert (tmp_path / "loot").stat().st_size == 0


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


# Clips, one after the other

WINDOWS = Windows(ClipSampling(8, 3), 0.2)
PLANS = [
    WINDOWS,
    Windows(ClipSampling(6, np.float64(4.0), "strided"), np.float64(0.5), start_s=0.7),
    Keyframes(8, 8, 0.5),
    Selections((EvenSpan(1.0, 0.9, 8), AtTimes((0.3, 0.1, 1.9)), EvenSpan(0.0, 3.0, 6))),
]


def same_clips(mine, others):
    assert len(mine) == len(others)
    for ours, theirs in zip(mine, others, strict=True):
        assert np.array_equal(ours.frames, theirs.frames)
        assert np.array_equal(ours.times_s, theirs.times_s)
        assert (ours.start_s, ours.end_s, ours.number) == (theirs.start_s, theirs.end_s, theirs.number)
    return True


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("recipe", ["make_good", "make_rotated", "make_truncated", "make_lost_head"])
def test_the_same_clips(sandbox, tmp_path, recipe, plan):
    path = getattr(bad_videos, recipe)(tmp_path)
    with open_clips(path, plan) as here, sandbox.open_clips(path, plan) as there:
        assert len(there) == len(here)
        assert there.end_s == here.end_s
        assert same_clips(list(there), list(here))
        assert there.warnings == here.warnings


@pytest.mark.parametrize(
    ("recipe", "limits"),
    [
        ("make_text", Limits()),
        ("make_folder", Limits()),
        ("make_headless_fragments", Limits()),
        ("make_gif_bomb", Limits()),
        ("make_good", Limits(max_frames=3)),
        ("make_good", Limits(max_bytes=1000)),
        ("make_good", Limits(max_seconds=0.0)),
    ],
)
def test_the_same_errors_for_clips(sandbox, tmp_path, recipe, limits):
    path = getattr(bad_videos, recipe)(tmp_path)
    with pytest.raises(TwinpathError) as here, open_clips(path, WINDOWS, limits=limits) as clips:
        list(clips)
    with pytest.raises(TwinpathError) as there, sandbox.open_clips(path, WINDOWS, limits=limits) as clips:
        list(clips)
    assert type(there.value) is type(here.value)
    assert str(there.value) == str(here.value)


def test_a_video_of_which_nothing_decodes(sandbox, tmp_path):
    path = bad_videos.make_good_faststart(tmp_path)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    for plan in PLANS[::3]:
        with pytest.raises(CorruptVideo, match="none of its frames"), sandbox.open_clips(path, plan) as clips:
            list(clips)


def test_open_clips_reads_so_if_asked(good_video):
    with open_clips(good_video, WINDOWS, isolate=True) as there, open_clips(good_video, WINDOWS) as here:
        assert same_clips(list(there), list(here))


def test_a_stream_holds_a_process_until_it_is_over_or_closed(good_video):
    with Sandbox() as sandbox:
        sandbox.probe(good_video)
        pid = sandbox.pid
        with sandbox.open_clips(good_video, WINDOWS) as clips:
            assert sandbox.pid is None
            first = next(iter(clips))
            assert sandbox.probe(good_video) == probe(good_video)  # by another process
            assert sandbox.pid != pid
        assert sandbox.pid == pid  # given back, and usable
        assert len(sandbox.read_frames(good_video, ONE).frames) == 1
        assert first.frames.shape == (8, 48, 64, 3)
        with sandbox.open_clips(good_video, WINDOWS) as clips:
            list(clips)
            assert sandbox.pid == pid
        with pytest.raises(NotAFile), sandbox.open_clips(good_video.with_name("none.mp4"), WINDOWS) as clips:
            list(clips)
        assert sandbox.pid == pid
    assert not is_running(pid)


def test_streams_of_several_threads_and_of_one(good_video, video_folder):
    paths = [good_video, bad_videos.make_vp9(video_folder), bad_videos.make_rotated(video_folder)] * 2
    expected = {}
    for path in paths:
        with open_clips(path, WINDOWS) as clips:
            expected[path] = list(clips)

    def read(path):
        with sandbox.open_clips(path, WINDOWS) as clips:
            return list(clips)

    with Sandbox() as sandbox:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(read, paths))
        assert all(same_clips(clips, expected[path]) for path, clips in zip(paths, found, strict=True))
        with sandbox.open_clips(paths[0], WINDOWS) as one, sandbox.open_clips(paths[1], WINDOWS) as other:
            pairs = list(zip(one, other, strict=True))
        assert same_clips([clip for clip, _ in pairs], expected[paths[0]])
        assert same_clips([clip for _, clip in pairs], expected[paths[1]])


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_clips_leave_nothing_behind(sandbox, good_video):
    def read_all():
        with sandbox.open_clips(good_video, WINDOWS) as clips:
            return len(list(clips))

    read_all()
    before = open_files()
    for _ in range(5):
        assert read_all() > 5
    assert open_files() <= before
    assert len(list(Path(f"/proc/{sandbox.pid}/fd").iterdir())) < 10


@pytest.mark.parametrize("plan", [WINDOWS, Keyframes(8, 8, 0.2), PLANS[3]])
def test_clips_go_on_behind_those_that_were_given(good_video, plan):
    with open_clips(good_video, plan) as clips:
        expected = list(clips)
    with Sandbox() as sandbox, sandbox.open_clips(good_video, plan) as clips:
        stream = iter(clips)
        found = [next(stream), next(stream)]
        os.kill(clips._worker.pid, signal.SIGKILL)
        found += list(stream)
        assert clips.warnings == []
    assert same_clips(found, expected)


@pytest.mark.parametrize("plan", PLANS[:3])
@pytest.mark.parametrize("recipe", ["make_good", "make_truncated", "make_lost_head"])
def test_the_same_warnings_midway(sandbox, tmp_path, recipe, plan):
    """Up to the end of each clip, of keyframes up to each of them."""
    path = getattr(bad_videos, recipe)(tmp_path)
    with open_clips(path, plan) as here, sandbox.open_clips(path, plan) as there:
        for clip, _ in zip(here, there, strict=True):
            until_s = clip.start_s if isinstance(plan, Keyframes) else clip.end_s
            assert there.warnings_until(until_s) == here.warnings_until(until_s)


def test_warnings_survive_a_death(tmp_path):
    path = bad_videos.make_lost_head(tmp_path)
    with Sandbox() as sandbox, sandbox.open_clips(path, Windows(ClipSampling(4, 1), 0.1)) as clips:
        stream = iter(clips)
        clip = next(stream)
        known = clips.warnings_until(clip.end_s)
        assert any("do not decode" in warning for warning in known)
        os.kill(clips._worker.pid, signal.SIGKILL)
        list(stream)
        assert [f"in the first {clip.end_s:.1f} s: {warning}" for warning in known] == clips.warnings


def test_a_file_that_kills_its_stream_twice_is_set_aside(good_video):
    with Sandbox() as sandbox:
        with sandbox.open_clips(good_video, WINDOWS) as clips:
            stream = iter(clips)
            for _ in range(2):
                next(stream)
                os.kill(clips._worker.pid, signal.SIGKILL)
            with pytest.raises(
                WorkerDied, match=r"good\.mp4: the process that read it was killed.*two attempts"
            ):
                list(stream)
        with pytest.raises(WorkerDied, match="set aside"):
            sandbox.open_clips(good_video, WINDOWS)
        assert len(sandbox.read_frames(good_video, ONE).frames) == 1


@pytest.fixture
def misbehave_at_clips(monkeypatch):
    """A process that does something bad at the third clip of a file whose name has "evil" in it."""

    def start_with(deed):
        code = f"""
import os, signal, time
from twinpath.video.isolated import child
honest = child._RequestedClips.next
count = 0
def next_clip(self):
    global count
    count += 1
    if "evil" not in self._request["path"] or count != 3:
        return honest(self)
    {deed}
child._RequestedClips.next = next_clip
main("""
        monkeypatch.setattr(worker_module, "START", worker_module.START.replace("main(int", code + "int"))

    return start_with


@pytest.mark.parametrize(
    ("deed", "error", "words"),
    [
        ("os.abort()", WorkerDied, "crashed .Aborted"),
        ("return {}", WorkerDied, "without its values"),
        ("return {'clip': 7}", WorkerDied, "without its values"),
        ("return {'end': None}", WorkerDied, "without its values"),
        ("return {'end': {'warnings': [3]}}", WorkerDied, "not texts"),
        ("return {'clip': honest(self)['clip'] | {'number': 0}}", WorkerDied, "out of order"),
        ("return {'clip': honest(self)['clip'] | {'memory': 0}}", WorkerDied, "out of order"),
        ("return {'clip': honest(self)['clip'] | {'shape': [8, 48, 64, 4]}}", WorkerDied, "fit"),
        ("return {'clip': honest(self)['clip'] | {'times_s': [0.0]}}", WorkerDied, "fit"),
        ("return {'clip': honest(self)['clip'] | {'end_s': None}}", WorkerDied, "fit"),
        ("self._allocate((-1, 1, 1, 3))", WorkerDied, "no size"),
        ("self._allocate((1 << 40, 1, 1, 3))", LimitExceeded, "memory_bytes"),
        ("bytearray(1 << 40)", LimitExceeded, "memory"),
        ("time.sleep(60)", LimitExceeded, "longer than 2 s"),
        ("raise KeyError('what')", TwinpathError, "KeyError"),
    ],
)
def test_what_a_process_does_between_clips(good_video, evil, misbehave_at_clips, deed, error, words):
    misbehave_at_clips(deed)
    with Sandbox(ProcessLimits(wall_s=2.0)) as sandbox:
        found = []
        with pytest.raises(error, match=words) as caught, sandbox.open_clips(evil, WINDOWS) as clips:
            found.extend(clips)
        assert "\n" not in str(caught.value)
        assert len(found) == (4 if error is WorkerDied else 2)
        assert [clip.number for clip in found] == list(range(len(found)))
        assert len(sandbox.read_frames(good_video, ONE).frames) == 1


def test_ctrl_c_between_clips_ends_the_process(evil, misbehave_at_clips):
    misbehave_at_clips("time.sleep(60)")
    with Sandbox() as sandbox, sandbox.open_clips(evil, WINDOWS) as clips:
        pid = clips._worker.pid
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            list(clips)
    assert not is_running(pid)


def test_a_thread_that_waits_for_a_clip_ends_with_the_process(evil, misbehave_at_clips):
    misbehave_at_clips("time.sleep(60)")
    with Sandbox() as sandbox, sandbox.open_clips(evil, WINDOWS) as clips:
        pid = clips._worker.pid
        began_s = time.monotonic()
        with Prefetcher(clips, size_bytes=lambda clip: 1, most_bytes=99) as prefetched:
            next(iter(prefetched))
        assert time.monotonic() - began_s < 10  # Ctrl-C leaves the block, too
        assert not is_running(pid)


def test_seconds_of_the_whole_stream(good_video):
    limits = Limits(max_seconds=0.5)
    with Sandbox() as sandbox, sandbox.open_clips(good_video, WINDOWS, limits=limits) as clips:
        stream = iter(clips)
        next(stream)
        time.sleep(0.6)
        with pytest.raises(LimitExceeded, match=r"longer than 0\.5 s"):
            next(stream)


def test_pictures_larger_than_the_memory_of_the_process(tmp_path):
    path = bad_videos.encode(tmp_path / "large.mp4", size=(2048, 2048), numbers=range(3))
    with Sandbox(ProcessLimits(memory_bytes=1 << 28)) as sandbox:
        with pytest.raises(LimitExceeded, match=r"large\.mp4: .*memory"):
            list(sandbox.open_clips(path, Windows(ClipSampling(64, 1), 1.0)))
        assert list(sandbox.open_clips(path, Windows(ClipSampling(4, 1), 1.0)))
