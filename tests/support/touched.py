"""What a command opens, changes, starts and connects to, told by the interpreter itself.

`touched` runs commands one after another in one process with an audit hook, away from every folder of the
user. Run as a program, this file is that process. Code of libraries in C is not seen by the hook: for that,
compare the folders before and after, and let the kernel end the process at the first socket of the internet.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = (
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.chown",
    "os.utime",
)
_NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_PROGRAMS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.startfile")


@dataclass(frozen=True)
class Touched:
    """What one command did.

    Attributes:
        code: Its exit code.
        read, written: Absolute paths; folders, too.
        network: What was asked of the network: "connect 127.0.0.1:80".
        programs: The command lines of programs that it started.
    """

    code: int
    read: frozenset[str]
    written: frozenset[str]
    network: tuple[str, ...]
    programs: tuple[tuple[str, ...], ...]


def touched(
    commands: Sequence[Sequence[str]], log: Path, *, offline: bool, cwd: Path, environment: Mapping[str, str]
) -> list[Touched]:
    """Run commands of `twinpath` in one process.

    Args:
        commands: The arguments of each; ("python", CODE) runs code instead.
        log: A file for what happened.
        offline: Let the kernel end the process if it makes a socket of the internet (Linux).
        cwd: Its working folder.
        environment: All its variables.
    """
    done = subprocess.run(
        [sys.executable, __file__, json.dumps([[list(map(str, c)) for c in commands], str(log), offline])],
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return [
        Touched(
            record["code"],
            frozenset(record["read"]),
            frozenset(record["written"]),
            tuple(record["network"]),
            tuple(map(tuple, record["programs"])),
        )
        for record in map(json.loads, log.read_text("utf-8").splitlines())
    ]


class _Recorder:
    """The audit hook: it cannot be removed, so it records into what is set at the time."""

    def __init__(self) -> None:
        self.begin()
        sys.addaudithook(self._hook)

    def begin(self) -> None:
        self.read: set[str] = set()
        self.written: set[str] = set()
        self.network: list[str] = []
        self.programs: list[list[str]] = []

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            is_written = bool(flags & _WRITING) or any(letter in (mode or "") for letter in "wax+")
            self._add(path, self.written if is_written else self.read)
        elif event in ("os.listdir", "os.scandir"):
            self._add(arguments[0], self.read)
        elif event in _CHANGING:
            for path in arguments[:2] if event in ("os.rename", "os.link", "os.symlink") else arguments[:1]:
                self._add(path, self.written)
        elif event in _NETWORK:
            address = arguments[0] if event.startswith("socket.get") else arguments[1]
            if isinstance(address, tuple):
                address = f"{address[0]}:{address[1]}"
            self.network.append(f"{event.removeprefix('socket.')} {address}")
        elif event in _PROGRAMS:
            command = arguments[1] if len(arguments) > 1 else [event]
            self.programs.append([os.fsdecode(word) for word in command])

    @staticmethod
    def _add(path: object, paths: set[str]) -> None:
        if isinstance(path, str | bytes | os.PathLike):  # else a descriptor
            paths.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100


def _forbid_internet() -> None:
    """Let the kernel end this process at the first socket of the internet, whoever makes it."""
    import ctypes
    import platform
    import struct

    from twinpath.video.isolated import confinement as seccomp

    if platform.machine() not in seccomp._MACHINES:
        return
    column, architecture = seccomp._MACHINES[platform.machine()]
    kill = (seccomp._RETURN, 0, 0, seccomp._KILL_PROCESS)
    lines = [
        (seccomp._LOAD, 0, 0, seccomp._ARCHITECTURE_AT),
        (seccomp._JUMP_IF_EQUAL, 1, 0, architecture),
        kill,
        (seccomp._LOAD, 0, 0, seccomp._NUMBER_AT),
        (seccomp._JUMP_IF_EQUAL, 0, 4, (41, 198)[column]),  # socket
        (seccomp._LOAD, 0, 0, seccomp._ARGUMENTS_AT),
        (seccomp._JUMP_IF_EQUAL, 1, 0, 2),  # AF_INET
        (seccomp._JUMP_IF_EQUAL, 0, 1, 10),  # AF_INET6
        kill,
        (seccomp._RETURN, 0, 0, seccomp._ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(lines), ctypes.addressof(code)))
    libc, long = ctypes.CDLL(None), ctypes.c_long
    libc.prctl(38, long(1), long(0), long(0), long(0))
    libc.syscall(long(seccomp._SECCOMP[column]), long(1), long(1), ctypes.byref(filter_))


def _main() -> None:
    commands, log, offline = json.loads(sys.argv[1])
    if offline and sys.platform == "linux":
        _forbid_internet()
    recorder = _Recorder()
    with Path(log).open("w", encoding="utf-8") as records:
        for command in commands:
            recorder.begin()
            code = _run(command)
            record = {
                "code": code,
                "read": sorted(recorder.read),
                "written": sorted(recorder.written),
                "network": recorder.network,
                "programs": recorder.programs,
            }
            records.write(json.dumps(record) + "\n")


def _run(command: list[str]) -> int:
    if command[0] == "python":
        exec(command[1], {})
        return 0
    sys.argv = ["twinpath", *command]
    try:
        runpy.run_module("twinpath", run_name="__main__")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    _main()
