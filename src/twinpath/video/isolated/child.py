"""The worker process: reads the files that its parent names, within limits.

`worker.py` starts it. It loads PyAV and NumPy, no torch, and ends when the parent does.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twinpath.errors import InputError, LimitExceeded, TwinpathError
from twinpath.paths import display_path
from twinpath.video.clips import ClipReader
from twinpath.video.color import Rgb
from twinpath.video.decode import read_frames
from twinpath.video.isolated.messages import (
    Channel,
    Message,
    clip_to_json,
    decoded_to_json,
    error_to_json,
    limits_from_json,
    map_memory,
    plan_from_json,
    selection_from_json,
    warned_until_s,
)
from twinpath.video.probe import probe

resource: Any
try:
    import resource
except ImportError:  # not on every platform; the parent watches the clock on all of them
    resource = None

_OPEN_FILES = 64
_NEAR = 4  # within 1/4 of the allowed memory, an allocation may have failed


def main(descriptor: int) -> None:
    """Serve until the parent closes its end of the connection, an inherited socket."""
    channel = Channel(socket.socket(fileno=descriptor))
    settings = channel.receive()
    if settings is None:
        return
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)  # discard what a library prints
    memory_bytes = settings["memory_bytes"]
    at_start_bytes = _address_space_bytes("VmSize")
    _limit_process(at_start_bytes + memory_bytes)
    channel.send({"ready": True})
    near_bytes = at_start_bytes + memory_bytes - memory_bytes // _NEAR
    server = _Server(channel, settings["cpu_s"], memory_bytes=memory_bytes, near_bytes=near_bytes)
    while (request := channel.receive()) is not None:
        if not server.serve(request):
            return


def _limit_process(address_space_bytes: int) -> None:
    """Limit this process for its lifetime: its memory, no files written, no core dumps, few open files."""
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
        except (OSError, ValueError):  # macOS knows RLIMIT_AS and refuses to set it
            continue


def _address_space_bytes(which: str) -> int:
    """The address space of this process, now ("VmSize") or at its peak ("VmPeak"); 0 if unknown."""
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split(f"{which}:")[1].split()[0])
    except (OSError, LookupError, ValueError):
        return 0


def _allow_cpu(cpu_s: float) -> None:
    """Allow this much more processor time, of all threads together; then the kernel ends this process."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = math.ceil(used.ru_utime + used.ru_stime + cpu_s)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


class _Server:
    """Answers requests; see `messages`."""

    def __init__(self, channel: Channel, cpu_s: float, *, memory_bytes: int, near_bytes: int) -> None:
        """
        Args:
            channel: To the parent.
            cpu_s: Processor time for one reply, in seconds.
            memory_bytes: Memory that reading a file may use.
            near_bytes: The address space above which an allocation may have failed.
        """
        self._channel = channel
        self._cpu_s = cpu_s
        self._memory_bytes = memory_bytes
        self._near_bytes = near_bytes
        self._path = ""
        self._has_failed = False
        self._allocated: dict[int, int] = {}  # the number of the shared memory of each array, by `id(array)`
        self._num_allocated = 0

    def serve(self, request: Message) -> bool:
        """Answer a request. False: this process must end, since its memory is used up."""
        self._path = request["path"]
        self._allocated, self._num_allocated = {}, 0
        if request["do"] == "clips":
            return self._serve_clips(request)
        return self._reply(lambda: self._read(request))

    def _reply(self, answer: Callable[[], Message]) -> bool:
        """Send an answer, or the error that it raises. Returns as `serve`."""
        _allow_cpu(self._cpu_s)
        reply = _checked(answer, self._path)
        if _address_space_bytes("VmPeak") > self._near_bytes:
            reply = _doubted(reply, self._path, self._memory_bytes)
        self._channel.send(reply)
        self._has_failed = "error" in reply
        return not reply.get("is_last")

    def _read(self, request: Message) -> Message:
        _enter(request["folder"])
        limits = limits_from_json(request["limits"])
        if request["do"] == "probe":
            return {"info": probe(self._path, limits=limits).to_dict()}
        decoded = read_frames(
            self._path,
            [selection_from_json(values) for values in request["selections"]],
            strict=request["strict"],
            limits=limits,
            allocate=self._allocate,
        )
        return {"frames": decoded_to_json(decoded)}

    def _serve_clips(self, request: Message) -> bool:
        """Send the clips of a plan, one for each "next" of the parent, which may stop before the last one."""
        stream = _RequestedClips(request, self._allocate, self._allocated)
        is_usable = self._reply(stream.open)
        try:
            while is_usable and not self._has_failed and not stream.is_over:
                message = self._channel.receive()
                if message is None:
                    return False
                if message.get("stop"):
                    self._channel.send({"stopped": True})
                    return True
                is_usable = self._reply(stream.next)
        finally:
            stream.close()
        return is_usable

    def _allocate(self, shape: tuple[int, ...]) -> Rgb:
        """An array in shared memory from the parent."""
        size_bytes = math.prod(shape)
        self._channel.send({"allocate": size_bytes})
        try:
            array = map_memory(self._channel.receive_memory(), size_bytes).reshape(shape)
        except OSError as error:
            raise MemoryError from error
        self._allocated[id(array)] = self._num_allocated
        self._num_allocated += 1
        return array


class _RequestedClips:
    """The clips of one request."""

    def __init__(
        self, request: Message, allocate: Callable[[tuple[int, ...]], Rgb], allocated: dict[int, int]
    ) -> None:
        self._request = request
        self._allocate = allocate
        self._allocated = allocated
        self._reader: ClipReader | None = None
        self.is_over = False

    def open(self) -> Message:
        _enter(self._request["folder"])
        self._plan = plan_from_json(self._request["plan"])
        self._reader = ClipReader(
            self._request["path"],
            self._plan,
            limits=limits_from_json(self._request["limits"]),
            allocate=self._allocate,
            first=self._request["first"],
        )
        self._clips = iter(self._reader)
        reader = self._reader
        return {
            "opened": {
                "expected": len(reader),
                "end_s": reader.end_s,
                "first_frame_s": reader.first_frame_s,
            }
        }

    def next(self) -> Message:
        """The next clip with the warnings so far; after the last one all warnings."""
        assert self._reader is not None
        clip = next(self._clips, None)
        if clip is None:
            self.is_over = True
            return {"end": {"warnings": self._reader.warnings}}
        until_s = warned_until_s(self._plan, clip)
        values = clip_to_json(clip, memory=self._allocated.pop(id(clip.frames)))
        return {"clip": values | {"warnings": self._reader.warnings_until(until_s)}}

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


def _enter(folder: str | None) -> None:
    """Change to the parent's working directory, so that relative paths are the same."""
    if folder is not None:
        os.chdir(folder)


def _checked(answer: Callable[[], Message], path: str) -> Message:
    """The answer, or a message with the error that it raised."""
    try:
        return answer()
    except MemoryError:
        name = display_path(Path(path))
        reason = f"{name}: reading it takes more memory than allowed; cut the video or raise memory_bytes"
        return _failed(LimitExceeded(reason), is_last=True)
    except TwinpathError as error:
        return _failed(error, is_last=isinstance(error.__cause__, MemoryError))
    except OSError as error:
        return _failed(InputError(f"{display_path(Path(path))} cannot be read: {error.strerror or error}"))
    except Exception as error:  # noqa: BLE001 - a bug of ours; the parent reports it
        return _failed(error)


def _doubted(reply: Message, path: str, memory_bytes: int) -> Message:
    """A reply near the memory limit, where FFmpeg may take a failed allocation for damage, or ignore it."""
    if "error" in reply and reply["error"]["type"] != "LimitExceeded":
        error = LimitExceeded(
            f"{display_path(Path(path))}: reading it takes the {memory_bytes} bytes of memory that it may "
            "use, and fails; scale the video down or raise memory_bytes"
        )
        return _failed(error, is_last=True)
    near = f"reading it took almost all of the {memory_bytes} bytes of memory that it may use"
    for name in ("frames", "end"):
        if name in reply and reply[name]["warnings"]:
            reply[name]["warnings"].append(near)
    if "clip" in reply or "opened" in reply:  # the last reply ends the process
        return reply
    return reply | {"is_last": True}  # the peak never decreases


def _failed(error: Exception, *, is_last: bool = False) -> Message:
    """A message with an error. `is_last`: too little memory may be left for the next file."""
    return {"error": error_to_json(error), "is_last": is_last}
