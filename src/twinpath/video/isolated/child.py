"""The worker process: reads the files that its parent names and opens for it, within limits.

`worker.py` starts it. It loads PyAV and NumPy, no torch, then gives up what it does not need, see
`confinement.py`. It ends when the parent does.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import pkgutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from twinpath.errors import InputError, LimitExceeded, TwinpathError
from twinpath.paths import display_path
from twinpath.video.clip_plan import Keyframes
from twinpath.video.clips import ClipReader
from twinpath.video.color import Rgb
from twinpath.video.decode import read_frames
from twinpath.video.file_access import set_lister, set_opener
from twinpath.video.isolated.confinement import AddressSpace, confine, end_with_parent
from twinpath.video.isolated.messages import (
    Channel,
    Message,
    clip_to_json,
    decoded_to_json,
    error_to_json,
    limits_from_json,
    make_memory,
    map_memory,
    plan_from_json,
    resize_from_json,
    selection_from_json,
    warned_until_s,
)
from twinpath.video.isolated.readers import WholeFile, open_reader
from twinpath.video.probe import frame_times, probe
from twinpath.video.resize import Resize, ResizedFrames
from twinpath.video.selection import EvenSpan

resource: Any
try:
    import resource
except ImportError:  # not on every platform; the parent watches the clock on all of them
    resource = None

_OPEN_FILES = 64
_NO_FILE = "one pixel.gif"
_GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
_NOT_LOADED = ("av.__main__", "av.datasets")  # PyAV's command, and its downloads
_NEAR = 4  # within 1/4 of the allowed memory, an allocation may have failed


def main(descriptor: int, lifeline: int, parent_pid: int, by_main_thread: bool) -> None:
    """Serve until the parent closes its end of the connection.

    Args:
        descriptor: An inherited socket.
        lifeline, parent_pid, by_main_thread: See `confinement.end_with_parent`.
    """
    end_with_parent(lifeline, parent_pid=parent_pid, by_main_thread=by_main_thread)
    channel = Channel(socket.socket(fileno=descriptor))
    settings = channel.receive()
    if settings is None:
        return
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)  # discard what a library prints
    memory_bytes = settings["memory_bytes"]
    _load_all()
    space = AddressSpace()
    at_start_bytes = space.now_bytes()
    _limit_process(at_start_bytes + memory_bytes)
    set_opener(lambda path: channel.ask({"open": str(path)}))
    channel.send({"ready": True, "unconfined": confine()})
    server = _Server(channel, settings["cpu_s"], memory_bytes=memory_bytes, space=space)
    set_lister(server.names)
    while (request := channel.receive()) is not None:
        if not server.serve(request):
            return


def _load_all() -> None:
    """Load what libraries load only when they need it; later they cannot."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.startswith(_NOT_LOADED):
            importlib.import_module(module.name)
    importlib.import_module("twinpath.video.frame_source")
    "\n".encode("unicode_escape")  # of names in messages
    with contextlib.suppress(MemoryError):
        np.empty(1 << 62, dtype=np.uint8)  # NumPy's own kind of MemoryError
    picture = make_memory(len(_GIF))
    os.pwrite(picture, _GIF, 0)
    set_opener(lambda _: os.dup(picture) if os.lseek(picture, 0, os.SEEK_SET) == 0 else -1)
    read_frames(_NO_FILE, [EvenSpan(0.0, 1.0, num_frames=2)])
    probe(_NO_FILE)
    plan = Keyframes(num_frames=2, sampling_rate=1.0, every_s=1.0)
    with ClipReader(_NO_FILE, plan, resize=Resize(short_side_px=2, crop_px=None)) as clips:
        list(clips)
    os.close(picture)


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

    def __init__(self, channel: Channel, cpu_s: float, *, memory_bytes: int, space: AddressSpace) -> None:
        """
        Args:
            channel: To the parent.
            cpu_s: Processor time for one reply, in seconds.
            memory_bytes: Memory that reading a file may use.
            space: Counts it.
        """
        self._channel = channel
        self._cpu_s = cpu_s
        self._memory_bytes = memory_bytes
        self._space = space
        # Above this, an allocation may have failed.
        self._near_bytes = space.now_bytes() + memory_bytes - memory_bytes // _NEAR
        self._path = ""
        self._frames: Message | None = None  # the names in the one folder that may be read
        self._has_failed = False
        self._allocated: dict[int, int] = {}  # by address: the number of shared memory
        self._num_allocated = 0

    def serve(self, request: Message) -> bool:
        """Answer a request. False: this process must end, since its memory is used up."""
        self._path, self._frames = request["path"], request["frames"]
        self._allocated, self._num_allocated = {}, 0
        if request["do"] == "clips":
            return self._serve_clips(request)
        return self._reply(lambda: self._read(request))

    def names(self, folder: Path) -> list[str] | None:
        """As `file_access.folder_names`."""
        if self._frames is None or str(folder) != self._frames["folder"]:
            return None
        return list(self._frames["names"])

    def _reply(self, answer: Callable[[], Message]) -> bool:
        """Send an answer, or the error that it raises. Returns as `serve`."""
        _allow_cpu(self._cpu_s)
        reply = _checked(answer, self._path)
        if self._space.peak_bytes() > self._near_bytes:
            reply = _doubted(reply, self._path, self._memory_bytes)
        self._channel.send(reply)
        self._has_failed = "error" in reply
        return not reply.get("is_last")

    def _read(self, request: Message) -> Message:
        limits = limits_from_json(request["limits"])
        if request["do"] == "probe":
            return {"info": probe(self._path, limits=limits, fps=request["fps"]).to_dict()}
        if request["do"] == "times":
            return {"times_s": frame_times(self._path, limits=limits, fps=request["fps"]).tolist()}
        decoded = read_frames(
            self._path,
            [selection_from_json(values) for values in request["selections"]],
            strict=request["strict"],
            limits=limits,
            fps=request["fps"],
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
        memory = self._channel.ask({"allocate": size_bytes})
        try:
            array = map_memory(memory, size_bytes).reshape(shape)
        except OSError as error:
            raise MemoryError from error
        self._allocated[array.ctypes.data] = self._num_allocated
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
        self._reader: ClipReader | WholeFile | None = None
        self.is_over = False

    def open(self) -> Message:
        self._plan = plan_from_json(self._request["plan"])
        self._reader = open_reader(
            self._request["path"],
            self._plan,
            limits=limits_from_json(self._request["limits"]),
            fps=self._request["fps"],
            resize=resize_from_json(self._request["resize"]),
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
                "about": self._about(),
            }
        }

    def next(self) -> Message:
        """The next clip with the warnings so far; after the last one all warnings."""
        assert self._reader is not None
        clip = next(self._clips, None)
        if clip is None:
            self.is_over = True
            return {"end": {"warnings": self._reader.warnings, "about": self._about()}}
        until_s = warned_until_s(self._plan, clip)
        frames = clip.frames.pixels if isinstance(clip.frames, ResizedFrames) else clip.frames
        values = clip_to_json(clip, memory=self._number(frames), middle=self._shared(clip.middle))
        return {"clip": values | {"warnings": self._reader.warnings_until(until_s)}}

    def _shared(self, picture: Rgb | None) -> int | None:
        """The number of shared memory with a copy of a picture."""
        if picture is None:
            return None
        copy = self._allocate(picture.shape)
        copy[:] = picture
        return self._number(copy)

    def _number(self, array: NDArray[Any]) -> int:
        """The number of an array's shared memory."""
        return self._allocated.pop(array.ctypes.data)

    def _about(self) -> dict[str, float]:
        return self._reader.about if isinstance(self._reader, WholeFile) else {}

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


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
