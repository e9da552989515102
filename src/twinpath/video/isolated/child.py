"""The child process of the sandbox: reads the files that the parent names, one by one, within limits.

Started by `sandbox.py`, never by hand. It loads PyAV and NumPy, no torch, and ends when the parent does.
"""

from __future__ import annotations

import math
import os
import socket
from pathlib import Path
from typing import Any

from twinpath.errors import InputError, LimitExceeded, TwinpathError
from twinpath.paths import display_path
from twinpath.video.color import Rgb
from twinpath.video.decode import read_frames
from twinpath.video.isolated.messages import (
    Channel,
    Message,
    decoded_to_json,
    error_to_json,
    limits_from_json,
    map_memory,
    selection_from_json,
)
from twinpath.video.probe import probe

resource: Any
try:
    import resource
except ImportError:  # not on every platform; the parent's clock is everywhere
    resource = None

_OPEN_FILES = 64
_NEAR = 4  # within this part of the memory it may use, a request for more may well have been refused


def main(descriptor: int) -> None:
    """Serve until the parent closes its end of the connection, an inherited socket."""
    channel = Channel(socket.socket(fileno=descriptor))
    settings = channel.receive()
    if settings is None:
        return
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)  # what a library prints goes nowhere; nobody reads it
    memory_bytes = settings["memory_bytes"]
    at_start_bytes = _address_space_bytes("VmSize")
    _limit(at_start_bytes + memory_bytes)
    channel.send({"ready": True})
    while (request := channel.receive()) is not None:
        _allow_cpu(settings["cpu_s"])
        reply = _answer(request, channel)
        if _address_space_bytes("VmPeak") > at_start_bytes + memory_bytes - memory_bytes // _NEAR:
            reply = _doubted(reply, request["path"], memory_bytes)
        channel.send(reply)
        if reply.get("is_last"):
            return


def _limit(address_space_bytes: int) -> None:
    """For good: so much memory, no files written, no core dumps, few files open."""
    if resource is None:
        return
    for name, most in (
        ("RLIMIT_AS", address_space_bytes),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NOFILE", _OPEN_FILES),
    ):
        limit = getattr(resource, name, None)
        if limit is None:
            continue
        hard = resource.getrlimit(limit)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(limit, (most, most))
        except (OSError, ValueError):  # macOS knows RLIMIT_AS and does not take it
            continue


def _address_space_bytes(which: str) -> int:
    """Of this process, now or at its peak; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split(f"{which}:")[1].split()[0])
    except (OSError, LookupError, ValueError):
        return 0


def _allow_cpu(cpu_s: float) -> None:
    """So many seconds from now on, of all threads together; then the kernel ends this process."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = math.ceil(used.ru_utime + used.ru_stime + cpu_s)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def _answer(request: Message, channel: Channel) -> Message:
    path = request["path"]
    try:
        if request["folder"] is not None:
            os.chdir(request["folder"])  # the parent may have moved
        limits = limits_from_json(request["limits"])
        if request["do"] == "probe":
            return {"info": probe(path, limits=limits).to_dict()}

        def allocate(shape: tuple[int, ...]) -> Rgb:
            size_bytes = math.prod(shape)
            channel.send({"allocate": size_bytes})
            try:
                return map_memory(channel.receive_memory(), size_bytes).reshape(shape)
            except OSError as error:
                raise MemoryError from error

        decoded = read_frames(
            path,
            [selection_from_json(values) for values in request["selections"]],
            strict=request["strict"],
            limits=limits,
            decoder="pyav",
            allocate=allocate,
        )
        return {"frames": decoded_to_json(decoded)}
    except MemoryError:
        reason = (
            f"{display_path(Path(path))}: reading it takes more memory than it may; cut "
            "the video or allow more"
        )
        return _failed(LimitExceeded(reason), is_last=True)
    except TwinpathError as error:
        return _failed(error, is_last=isinstance(error.__cause__, MemoryError))
    except OSError as error:
        return _failed(InputError(f"{display_path(Path(path))} cannot be read: {error.strerror or error}"))
    except Exception as error:  # noqa: BLE001 - a bug of ours; the parent tells it
        return _failed(error)


def _doubted(reply: Message, path: str, memory_bytes: int) -> Message:
    """A reply from near the limit: FFmpeg takes memory that it does not get for damage, or says nothing."""
    if "error" in reply and reply["error"]["type"] != "LimitExceeded":
        error = LimitExceeded(
            f"{display_path(Path(path))}: reading it takes the {memory_bytes} bytes "
            "of memory that it may use, "
            "and fails; scale the video down or allow more"
        )
        return _failed(error, is_last=True)
    if "frames" in reply and reply["frames"]["warnings"]:
        near = f"reading it took almost all of the {memory_bytes} bytes of memory that it may"
        reply["frames"]["warnings"].append(near)
    return reply | {"is_last": True}  # the peak does not sink again


def _failed(error: Exception, *, is_last: bool = False) -> Message:
    """Last: what memory is left may be too little for the next file."""
    return {"error": error_to_json(error), "is_last": is_last}
