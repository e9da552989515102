"""Clips from a process with limits, one after the other."""

import os
import signal
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
    TwinpathError,
    WorkerDied,
)
from twinpath.prefetch import Prefetcher
from twinpath.video.clip_plan import ClipSampling, Keyframes, Selections, Windows
from twinpath.video.clips import open_clips
from twinpath.video.decode import AtTimes, EvenSpan
from twinpath.video.isolated import worker as worker_module
from twinpath.video.isolated.sandbox import ProcessLimits, Sandbox
from twinpath.video.probe import probe
from twinpath.video.source import Limits

ONE = [EvenSpan(0.0, 0.2, num_frames=1)]
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


def test_a_file_that_kills_its_stream_twice_is_refused(good_video):
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
        with pytest.raises(WorkerDied, match="refused from now on"):
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
        monkeypatch.setattr(worker_module, "START", worker_module.START.replace("main(*json", code + "*json"))

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
        with Prefetcher(clips, size_bytes=lambda clip: 1, max_bytes=99) as prefetched:
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
