"""The process that reads an untrusted file can reach nothing else, and does not outlive its parent."""

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support import bad_videos
from tests.support.processes import is_running
from twinpath.errors import InputError, TwinpathError, WorkerDied
from twinpath.video.decode import DecodedFrames, EvenSpan, read_frames
from twinpath.video.isolated import confinement
from twinpath.video.isolated import worker as worker_module
from twinpath.video.isolated.sandbox import Sandbox
from twinpath.video.probe import probe

SPANS = [EvenSpan(0.0, 2.0, num_frames=5)]
confined_here = pytest.mark.skipif(
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from twinpath.video.isolated.confinement import confine; raise SystemExit(confine())",
        ],
        capture_output=True,
        check=False,
    ).returncode
    != 0,
    reason="this system offers no confinement",
)


@pytest.fixture
def start_with(monkeypatch):
    """Lets worker processes run some code before they serve."""

    def change(code):
        start = worker_module.START.replace("main(*json", f"{code}\nmain(*json")
        monkeypatch.setattr(worker_module, "START", start)

    return change


@pytest.fixture
def do_at_evil(start_with):
    """Lets a worker process run a statement when it is to read a file whose name has "evil" in it."""

    def change(deed):
        start_with(f"""
import ctypes, os, pathlib, socket, subprocess, threading, time
from twinpath.video import file_access
from twinpath.video.isolated import child
honest = child.read_frames
def raise_limit(name):
    limit = getattr(child.resource, name)
    new = (ctypes.c_ulong * 2)(2**40, 2**40)
    if ctypes.CDLL(None, use_errno=True).prlimit(0, limit, new, None):
        raise OSError(ctypes.get_errno(), "Operation not permitted")
def read_frames(path, *arguments, **options):
    if "evil" in path:
        {deed}
    return honest(path, *arguments, **options)
child.read_frames = read_frames
""")

    return change


@confined_here
@pytest.mark.parametrize(
    "deed",
    [
        "open('/etc/passwd')",
        "open(HOME)",
        "open('/proc/self/environ')",
        "os.listdir('/')",
        "os.stat('/etc/passwd')",
        "open(path)",  # not even its own: the parent opens it
        "open(LOOT, 'w')",
        "os.mkdir(LOOT)",
        "os.symlink('/etc/passwd', LOOT)",
        "os.unlink(path)",
        "os.rename(path, LOOT)",
        "os.truncate(path, 0)",
        "os.chmod(path, 0)",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "subprocess.run(['true'])",
        "os.execv('/bin/true', ['true'])",
        "os.fork()",
        "os.kill(os.getppid(), 0)",
        "os.setuid(0)",
        "os.memfd_create('code')",
        "raise_limit('RLIMIT_AS')",
        "raise_limit('RLIMIT_NOFILE')",
    ],
)
def test_it_reaches_nothing_else(do_at_evil, evil, tmp_path, deed):
    home, loot = tmp_path / "secret", tmp_path / "loot"
    home.write_text("of the user")
    before = evil.read_bytes()
    do_at_evil(deed.replace("HOME", repr(str(home))).replace("LOOT", repr(str(loot))))
    with Sandbox() as sandbox, pytest.raises(InputError, match=r"evil\.mp4 .*Operation not permitted"):
        sandbox.read_frames(evil, SPANS)
    assert not loot.exists()
    assert evil.read_bytes() == before


@confined_here
def test_nor_does_a_thread_of_it_or_code_that_calls_the_kernel_itself(do_at_evil, evil):
    do_at_evil("""
        errors = []
        def read():
            try: open('/etc/passwd')
            except OSError as error: errors.append(error)
        thread = threading.Thread(target=read); thread.start(); thread.join()
        assert ctypes.CDLL(None).syscall(437, -100, b"/etc/passwd", 0, 0) == -1  # openat2
        assert ctypes.CDLL(None).syscall(425, 1, 0) == -1  # io_uring_setup
        raise errors[0]""")
    with Sandbox() as sandbox, pytest.raises(InputError, match="Operation not permitted"):
        sandbox.read_frames(evil, SPANS)


@pytest.mark.parametrize("name", ["/etc/passwd", "other.mp4", "../evil.mp4", ""])
def test_the_parent_opens_only_the_file_of_the_request(do_at_evil, good_video, evil, name):
    (evil.parent / "other.mp4").write_bytes(good_video.read_bytes())
    do_at_evil(f"os.read(file_access._opener({name!r}), 1)")
    with Sandbox() as sandbox, pytest.raises(WorkerDied, match="asked for a file that it must not read"):
        sandbox.read_frames(evil, SPANS)


@pytest.mark.parametrize("name", sorted(name for name in vars(bad_videos) if name.startswith("make_")))
def test_every_kind_of_file_reads_as_without_it(sandbox, tmp_path, name):
    """What a library loads late, it has loaded before."""
    path = getattr(bad_videos, name)(*[tmp_path, "-a:b|c.mp4"][: 2 if name == "make_strange_name" else 1])
    for read_here, read_there in (
        (probe, sandbox.probe),
        (lambda file: read_frames(file, SPANS), lambda file: sandbox.read_frames(file, SPANS)),
    ):
        here, there = outcome(read_here, path), outcome(read_there, path)
        assert getattr(there, "frames_decoded", 0) == getattr(here, "frames_decoded", 0)
        if isinstance(here, DecodedFrames):
            assert np.array_equal(there.frames, here.frames)
            assert there.warnings == here.warnings
        else:
            assert str(there) == str(here)
            assert type(there) is type(here)


def outcome(read, path):
    """What reading returns, or the error that it raises."""
    try:
        return read(path)
    except TwinpathError as error:
        return error


def test_a_file_that_goes_away_or_is_replaced(sandbox, good_video, tmp_path, monkeypatch):
    """A relative name means the file of that moment, whatever happens to the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").write_bytes(good_video.read_bytes())
    assert sandbox.probe("a.mp4").path == "a.mp4"
    Path("a.mp4").unlink()
    with pytest.raises(InputError, match=r"^a\.mp4 does not exist; check the name$"):
        sandbox.probe("a.mp4")
    os.mkfifo("a.mp4")
    with pytest.raises(InputError, match=r"^a\.mp4 is a pipe"):
        sandbox.probe("a.mp4")


def test_where_the_system_does_not_offer_it(start_with, good_video, caplog):
    """One note, and the file is read."""
    reason = "the container refuses seccomp"
    start_with(
        "from twinpath.video.isolated import child\nchild.confine = lambda: 'the container refuses seccomp'"
    )
    worker_module._note_unconfined.cache_clear()
    for _ in range(2):
        with Sandbox() as sandbox:
            assert len(sandbox.read_frames(good_video, SPANS).frames) == 5
            assert sandbox.unconfined_because() == reason
    (note,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert reason in note
    assert "limited in memory and time only" in note


REFUSED = """
from twinpath.video.isolated.confinement import confine
assert confine() is None
reason = confine()       # the filter refuses another one, as that of a container may
assert "refuses" in reason and "Operation not permitted" in reason, reason
"""


@confined_here
def test_where_it_does():
    with Sandbox() as sandbox:
        assert sandbox.unconfined_because() is None
        assert sandbox.pid is not None


@confined_here
def test_a_kernel_that_refuses_is_told_and_not_an_error():
    subprocess.run([sys.executable, "-c", REFUSED], check=True, timeout=60)


def test_other_machines_are_told(monkeypatch):
    monkeypatch.setattr(confinement.platform, "machine", lambda: "riscv64")
    assert "riscv64" in confinement.confine()
    monkeypatch.setattr(confinement.sys, "platform", "darwin")
    assert "no seccomp" in confinement.confine()


def verdict(program, architecture, number, arguments=()):
    """What the kernel's interpreter would return for a system call."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    value, at = 0, 0
    while True:
        operation, if_true, if_false, operand = program[at]
        at += 1
        if operation == confinement._LOAD:
            (value,) = struct.unpack_from("=I", data, operand)
        elif operation == confinement._RETURN:
            return operand
        else:
            is_equal = operation == confinement._JUMP_IF_EQUAL
            at += if_true if (value == operand if is_equal else value & operand) else if_false


ALLOWED, REFUSED_CALL = confinement._ALLOW, confinement._REFUSE | 1
THREAD, PROCESS = 0x3D0F00, 0x1200011  # the flags of glibc's pthread_create and fork


@pytest.mark.parametrize(
    ("machine", "calls"),
    [
        (  # openat, socket, connect, execve, unlinkat, ptrace, io_uring_setup, process_vm_readv
            "x86_64",
            {"read": 0, "clone": 56, "kill": 62, "bad": (257, 41, 42, 59, 263, 101, 425, 310, 2, 57, 58)},
        ),
        ("aarch64", {"read": 63, "clone": 220, "kill": 129, "bad": (56, 198, 203, 221, 35, 117, 425, 270)}),
    ],
)
def test_the_filter_of_each_machine(machine, calls):
    column, architecture = confinement._MACHINES[machine]
    program = confinement._program(column, architecture, own_pid=4711)
    assert verdict(program, architecture, calls["read"]) == ALLOWED
    assert verdict(program, architecture, calls["clone"], (THREAD,)) == ALLOWED
    assert verdict(program, architecture, calls["clone"], (PROCESS,)) == REFUSED_CALL
    assert verdict(program, architecture, calls["kill"], (4711, 9)) == ALLOWED
    assert verdict(program, architecture, calls["kill"], (1, 9)) == REFUSED_CALL
    assert verdict(program, architecture, 435, (0, 88)) == confinement._REFUSE | 38
    assert {verdict(program, architecture, number) for number in calls["bad"]} == {REFUSED_CALL}
    assert verdict(program, 0x40000003, calls["read"]) == confinement._KILL_PROCESS
    assert len(program) < 4096  # the kernel's limit


# It dies with its parent

PARENT = """
import os, sys, threading, time
from twinpath.video.decode import EvenSpan
from twinpath.video.isolated import sandbox, worker
BUSY = '''
import ctypes
from twinpath.video.isolated import child
honest = child.probe
def probe(path, **options):
    print_ = options
    if "good" in path:
        ctypes.PyDLL(None).sleep(600)   # a library that computes, and no thread of Python runs meanwhile
    return honest(path, **options)
child.probe = probe
'''
spans = [EvenSpan(0, 1, num_frames=2)]
def read():
    sandbox.read_frames_isolated(sys.argv[1], spans)
if "busy" in sys.argv[2]:
    worker.START = worker.START.replace("main(*json", BUSY + "main(*json")
if "thread" in sys.argv[2]:
    thread = threading.Thread(target=read); thread.start(); thread.join()
    pid = sandbox._sandbox().pid
    time.sleep(0.2)
    read()
    assert sandbox._sandbox().pid == pid   # it outlived the thread that started it
else:
    read()
pid = sandbox._sandbox().pid
if "fork" in sys.argv[2] and not os.fork():
    os.close(1), os.close(2)
    time.sleep(600)
print(pid, flush=True)
if "busy" in sys.argv[2]:
    sandbox.probe_isolated(sys.argv[1])
time.sleep(600)
"""


@pytest.mark.parametrize("how", ["idle", "busy", "thread", "thread busy", "fork", "fork busy", "thread fork"])
def test_it_dies_with_a_parent_that_is_killed(good_video, how):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(good_video), how], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        with parent.stdout:
            pid = int(parent.stdout.readline())
        time.sleep(0.2 if "busy" in how else 0)  # so that it has the request
        assert is_running(pid)
        parent.kill()
        parent.wait()
        until_s = time.monotonic() + 30
        while is_running(pid):
            assert time.monotonic() < until_s, "the process lives on"
            time.sleep(0.02)
    finally:
        with contextlib.suppress(ProcessLookupError):  # a fork of the parent
            os.killpg(parent.pid, signal.SIGKILL)
