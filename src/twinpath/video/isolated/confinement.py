"""What a worker process may do at all, from the moment before it reads an untrusted file.

Linux lets a process give up system calls for good (seccomp), without privileges and in most containers. After
`confine` this process and all its threads can compute, allocate memory, and read and write what is open: the
connection to the parent, and the files whose descriptors the parent sends. They cannot open or change any
other file, make a connection, start a program or a process, or signal another process. Calls that are not in
the list fail with "Operation not permitted".

The list is short because nothing here needs more: libraries are loaded before. It holds for x86-64 and ARM64,
for glibc and musl. `end_with_parent` lets the process die with its parent, even inside a call of FFmpeg.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows, where no worker process is started
    fcntl = None

# Numbers of the kernel's system calls: (x86-64, ARM64). None: ARM64 has no such call.
_ALWAYS: Mapping[str, tuple[int, int | None]] = {
    # What is open already
    "read": (0, 63),
    "readv": (19, 65),
    "pread64": (17, 67),
    "write": (1, 64),
    "writev": (20, 66),
    "lseek": (8, 62),
    "close": (3, 57),
    "dup": (32, 23),
    "fstat": (5, 80),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "sendto": (44, 206),  # the connection to the parent has no other address
    "sendmsg": (46, 211),
    "poll": (7, None),
    "ppoll": (271, 73),
    # Memory
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    # Threads
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # Signals to this process
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    # Clocks, random numbers, facts of the machine
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "getrandom": (318, 278),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "getrusage": (98, 165),
}
_AT_EMPTY_PATH, _CLONE_THREAD, _PR_SET_NAME = 0x1000, 0x10000, 15
_FIOCLEX, _FIONCLEX, _FIONBIO = 0x5451, 0x5450, 0x5421
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC
_FCNTL = (0, 1, 2, 3, 1030)
# Allowed if an argument has one of some values: (x86-64, ARM64), index of the argument, values.
_WITH_VALUE: Mapping[str, tuple[tuple[int, int], int, tuple[int, ...]]] = {
    "fcntl": ((72, 25), 1, _FCNTL),
    "ioctl": ((16, 29), 1, (_FIOCLEX, _FIONCLEX, _FIONBIO)),
    "prctl": ((157, 167), 0, (_PR_SET_NAME,)),  # FFmpeg's threads have names
    "newfstatat": ((262, 79), 3, (_AT_EMPTY_PATH,)),  # how glibc asks about an open file
}
_PRLIMIT, _RLIMIT_CPU = (302, 261), 0
_TO_SELF = {"kill": (62, 129), "tgkill": (234, 131)}  # abort() and our own end
_CLONE = (56, 220)  # threads only
_CLONE3 = 435  # on both; its flags are in memory, which a filter cannot see: libraries then use clone

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the tables, AUDIT_ARCH_*
_SECCOMP = (317, 277)
_SET_MODE_FILTER, _FOR_ALL_THREADS = 1, 1
_PR_SET_NO_NEW_PRIVS, _PR_SET_PDEATHSIG = 38, 1

# Classic BPF over `struct seccomp_data`: number, architecture, instruction pointer, six arguments.
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _REFUSE, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000

_Instruction = tuple[int, int, int, int]  # operation, jump if true, jump if false, operand


def confine() -> str | None:
    """Give up all system calls but those in the list, for this process and its threads, for good.

    Returns:
        None; or, where this is not possible, why. The process is then as before.
    """
    if sys.platform != "linux":
        return f"{platform.system()} has no seccomp"
    machine = platform.machine()
    if machine not in _MACHINES or sys.maxsize < 2**32:
        return f"there is no list of system calls for {machine} with {sys.maxsize.bit_length() + 1} bits"
    column, architecture = _MACHINES[machine]
    libc = ctypes.CDLL(None, use_errno=True)
    program = _program(column, architecture, own_pid=os.getpid())
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    long = ctypes.c_long
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, long(1), long(0), long(0), long(0)):
        return f"the kernel refuses no_new_privs ({os.strerror(ctypes.get_errno())})"
    number, mode, flags = long(_SECCOMP[column]), long(_SET_MODE_FILTER), long(_FOR_ALL_THREADS)
    if libc.syscall(number, mode, flags, ctypes.byref(filter_)):
        return f"the kernel or the container refuses seccomp ({os.strerror(ctypes.get_errno())})"
    return None


def _program(column: int, architecture: int, *, own_pid: int) -> list[_Instruction]:
    """The filter: for each allowed call a comparison and what follows from it; at the end a refusal."""
    lines: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL_PROCESS),  # a call in the numbers of another architecture
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    for numbers in _ALWAYS.values():
        number = numbers[column]
        if number is not None:
            lines += _if_number(number, [(_RETURN, 0, 0, _ALLOW)])
    for pair, argument, values in _WITH_VALUE.values():
        lines += _if_number(pair[column], _allow_if(argument, values))
    for pair in _TO_SELF.values():
        lines += _if_number(pair[column], _allow_if(0, (own_pid,)))
    lines += _if_number(_PRLIMIT[column], _ask_limits())
    lines += _if_number(_CLONE[column], _allow_if(0, (_CLONE_THREAD,), operation=_JUMP_IF_ANY_BIT))
    lines += _if_number(_CLONE3, [(_RETURN, 0, 0, _REFUSE | errno.ENOSYS)])
    return [*lines, (_RETURN, 0, 0, _REFUSE | errno.EPERM)]


def _if_number(number: int, then: list[_Instruction]) -> list[_Instruction]:
    return [(_JUMP_IF_EQUAL, 0, len(then), number), *then]


def _allow_if(argument: int, values: Iterable[int], *, operation: int = _JUMP_IF_EQUAL) -> list[_Instruction]:
    """Allow the call if the lower half of an argument, which is all of an int, has one of the values."""
    lines: list[_Instruction] = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument)]
    for value in values:
        lines += [(operation, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*lines, (_RETURN, 0, 0, _REFUSE | errno.EPERM)]


def _ask_limits() -> list[_Instruction]:
    """Allow this process to ask for its limits, and to set that of processor time, which each request has.

    Without this a process of root, or one with a lower soft limit, could raise its memory again.
    """
    process, which, new = (_ARGUMENTS_AT + 8 * i for i in range(3))
    return [
        (_LOAD, 0, 0, process),
        (_JUMP_IF_EQUAL, 0, 7, 0),
        (_LOAD, 0, 0, which),
        (_JUMP_IF_EQUAL, 4, 0, _RLIMIT_CPU),
        (_LOAD, 0, 0, new),
        (_JUMP_IF_EQUAL, 0, 3, 0),
        (_LOAD, 0, 0, new + 4),  # the upper half of the pointer
        (_JUMP_IF_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE | errno.EPERM),
    ]


def end_with_parent(lifeline: int, *, parent_pid: int, by_main_thread: bool) -> None:
    """Let this process be killed when its parent ends, in whatever way.

    On Linux the kernel kills it, also while a library computes: when the other end of the pipe is closed, and
    when the thread that started this process ends, if that is the parent's main thread: code in C may have
    copied the parent with its end of the pipe. Elsewhere a thread waits for the end of the pipe.

    Args:
        lifeline: The end for reading of a pipe of which the parent holds the other end.
        parent_pid: The process id of the parent.
        by_main_thread: Whether the parent's main thread started this process.
    """
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        if by_main_thread:
            long = ctypes.c_long
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, long(signal.SIGKILL), long(0), long(0), long(0))
    else:
        threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()
    if os.getppid() != parent_pid:  # it ended before
        os.kill(os.getpid(), signal.SIGKILL)


def _wait_for_end(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGKILL)


class AddressSpace:
    """The address space of this process. It stays known when no file can be opened any more."""

    def __init__(self) -> None:
        try:
            self._status: int | None = os.open("/proc/self/status", os.O_RDONLY)
        except OSError:  # not Linux, or no /proc
            self._status = None

    def now_bytes(self) -> int:
        """0 if unknown."""
        return self._bytes("VmSize")

    def peak_bytes(self) -> int:
        """0 if unknown."""
        return self._bytes("VmPeak")

    def _bytes(self, which: str) -> int:
        if self._status is None:
            return 0
        try:
            status = os.pread(self._status, 1 << 14, 0).decode(errors="replace")
            return 1024 * int(status.split(f"{which}:")[1].split()[0])
        except (OSError, LookupError, ValueError):
            return 0
