"""The protocol between a worker process and its parent: lines of JSON, shared memory for frames.

The parent sends a request and gets one reply, or, for the clips of a plan, one reply to each `next`:

    {"do": "probe", …}   {"info": …}
    {"do": "read", …}    {"frames": …}
    {"do": "times", …}   {"times_s": …}
    {"do": "clips", …}   {"opened": …}
      {"next": true}     {"clip": …}, and {"end": …} behind the last one
      {"stop": true}     {"stopped": true}; the remaining clips are not needed

In place of each reply there may be {"error": …}, which ends the request. Before it the child may ask for what
it cannot have by itself, and gets a descriptor or {"errno": …} or {"error": …}:

    {"allocate": size_bytes}   shared memory
    {"open": path}             the file of the request, open for reading

A reply with "is_last" ends the process.

Nothing is pickled. The parent validates every message of the child, which has read an untrusted file.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from twinpath import errors
from twinpath.errors import CorruptVideo, LimitExceeded, TwinpathError
from twinpath.escapes import printable
from twinpath.prefetch import check_prefetch
from twinpath.video.clip_plan import ClipPlan, ClipSampling, Keyframes, Selections, Windows
from twinpath.video.clips import Clip
from twinpath.video.color import Rgb
from twinpath.video.decode import DecodedFrames
from twinpath.video.probe import VideoInfo
from twinpath.video.resize import Resize, ResizedFrames
from twinpath.video.sampling import Times
from twinpath.video.selection import AtTimes, EvenSpan, Selection
from twinpath.video.source import Limits

Message = dict[str, Any]

_MAX_BYTES = 1 << 26  # of a message: the times and indices of a million frames
_CHECK_EVERY_S = 0.2  # while waiting for a message: whether it is still wanted


@dataclass(frozen=True)
class EveryFrame:
    """A plan: every frame of the file, each as a clip of one frame."""

    num_frames: int = 1
    depth: int = 3  # bytes of a pixel


@dataclass(frozen=True)
class AudioBlocks:
    """A plan: the audio, each block of `AudioSamples` as a clip of (1, channels, N, 4) bytes."""

    num_frames: int = 1
    depth: int = 4  # bytes of a sample


StreamPlan = ClipPlan | EveryFrame | AudioBlocks


class ProtocolError(Exception):
    """A message that violates the protocol. The text continues a sentence that starts "the process"."""


class Channel:
    """One end of a connection. Each message is answered before the next one is sent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()

    def close(self) -> None:
        self._connection.close()

    def send(self, message: Message, *, deadline_s: float | None = None) -> None:
        """Send a message.

        Raises:
            TimeoutError: The deadline, of `time.monotonic()`, has passed.
            OSError: The connection is closed.
        """
        self._wait_until(deadline_s)
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, *, deadline_s: float | None = None) -> Message | None:
        """The next message; None: the connection is closed.

        Args:
            deadline_s: Deadline on `time.monotonic()`.
        Raises:
            TimeoutError: The deadline has passed.
            ProtocolError: The bytes are not a message.
            PrefetchStopped: The reply is no longer needed.
        """
        is_whole = b"\n" in self._received
        while not is_whole:
            data = self._receive_some(deadline_s)
            if not data:
                return None
            self._received += data
            is_whole = b"\n" in data
            if len(self._received) > _MAX_BYTES:
                raise ProtocolError("sent a message without end")
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProtocolError("sent something other than JSON") from error
        if not isinstance(message, dict):
            raise ProtocolError("sent JSON that is not an object")
        return message

    def give(self, descriptor: int) -> None:
        """Send a file descriptor in reply to `ask`."""
        socket.send_fds(self._connection, [b'{"given": true}\n'], [descriptor])

    def ask(self, message: Message) -> int:
        """Send a message that the other side answers with a file descriptor, which the caller closes.

        Raises:
            OSError: The other side has none: with the number of its error; or the connection is closed.
            TwinpathError: The other side's error.
        """
        self.send(message)
        data, descriptors, *_ = socket.recv_fds(self._connection, 1 << 16, 1)
        self._received += data
        if descriptors:
            self._received.clear()
            return descriptors[0]
        reply = self.receive()
        if reply is None:
            raise ConnectionResetError
        if "error" in reply:
            raise error_from_json(reply["error"])
        raise OSError(reply["errno"], reply["reason"])

    def _receive_some(self, deadline_s: float | None) -> bytes:
        """What has come, as soon as something has; nothing where the other side is gone."""
        while True:
            check_prefetch()
            self._wait_until(deadline_s, most_s=_CHECK_EVERY_S)
            try:
                return self._connection.recv(1 << 16)
            except TimeoutError:
                continue
            except ConnectionResetError:
                return b""

    def _wait_until(self, deadline_s: float | None, *, most_s: float = math.inf) -> None:
        """Set how long the next call may wait: without end, or until the deadline, but for `most_s`."""
        if deadline_s is None:
            self._connection.settimeout(None)
            return
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(min(left_s, most_s))


def make_memory(size_bytes: int) -> int:
    """A file descriptor of new shared memory; it is sealed, so that shrinking it cannot crash its reader.

    It has no name, so it cannot leak, and the size of /dev/shm, which is small in containers, does not limit
    it. On systems without memfd it is a temporary file that is already unlinked.
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile(prefix="twinpath-") as file:
            os.ftruncate(file.fileno(), size_bytes)
            return os.dup(file.fileno())
    import fcntl  # not on Windows, where there is no isolated reading but this module may be imported

    memory = os.memfd_create("twinpath-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, size_bytes)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return memory


def map_memory(memory: int, size_bytes: int) -> Rgb:
    """(size_bytes,) uint8 over shared memory, which is freed with the last array on it. Closes `memory`."""
    try:
        return np.frombuffer(mmap.mmap(memory, size_bytes), dtype=np.uint8)
    finally:
        os.close(memory)


def selection_to_json(selection: Selection) -> Message:
    """A selection as JSON values; NumPy scalars become Python numbers."""
    if isinstance(selection, AtTimes):
        return {"times_s": [float(time_s) for time_s in selection.times_s]}
    return {
        "start_s": float(selection.start_s),
        "span_s": float(selection.span_s),
        "num_frames": int(selection.num_frames),
    }


def selection_from_json(values: Message) -> Selection:
    return AtTimes(tuple(values["times_s"])) if "times_s" in values else EvenSpan(**values)


def plan_to_json(plan: StreamPlan) -> Message:
    if isinstance(plan, EveryFrame | AudioBlocks):
        return {"every_frame" if isinstance(plan, EveryFrame) else "audio": True}
    if isinstance(plan, Selections):
        return {"selections": [selection_to_json(selection) for selection in plan.selections]}
    name = "windows" if isinstance(plan, Windows) else "keyframes"
    return {name: _plain_numbers(asdict(plan))}


def plan_from_json(values: Message) -> StreamPlan:
    if "every_frame" in values or "audio" in values:
        return EveryFrame() if "every_frame" in values else AudioBlocks()
    if "selections" in values:
        return Selections(tuple(selection_from_json(selection) for selection in values["selections"]))
    if "keyframes" in values:
        return Keyframes(**values["keyframes"])
    windows = values["windows"]
    return Windows(**(windows | {"sampling": ClipSampling(**windows["sampling"])}))


def _plain_numbers(values: Message) -> Message:
    """The values with NumPy scalars as Python numbers."""
    plain_values: Message = {}
    for name, value in values.items():
        if isinstance(value, dict):
            value = _plain_numbers(value)
        elif isinstance(value, np.generic):
            value = value.item()
        plain_values[name] = value
    return plain_values


def limits_from_json(values: Message) -> Limits:
    return Limits(**values)


def clip_to_json(clip: Clip, *, memory: int, middle: int | None = None) -> Message:
    """A clip without its pixels, which are in the shared memories with the numbers `memory` and `middle`."""
    frames = clip.frames
    if isinstance(frames, ResizedFrames):
        size: Message = {"picture_px": [frames.height_px, frames.width_px]}
    else:
        size = {"shape": list(frames.shape)}
    return {
        "memory": memory,
        "middle": middle,
        "number": clip.number,
        "start_s": clip.start_s,
        "end_s": clip.end_s,
        "times_s": clip.times_s.tolist(),
        **size,
    }


def warned_until_s(plan: StreamPlan, clip: Clip) -> float:
    """The time in seconds up to which the warnings sent with a clip are valid."""
    return clip.start_s if isinstance(plan, Keyframes) else clip.end_s


def clip_from_json(
    values: Any,
    *,
    memory: Rgb,
    num_frames: int,
    depth: int = 3,
    resize: Resize | None = None,
    middle: Rgb | None = None,
) -> Clip:
    """A clip from JSON values.

    Args:
        values: See `clip_to_json`.
        memory: Its pixels.
        num_frames: T.
        depth: The last dimension of frames that are not resized.
        resize: What was asked for.
        middle: The middle picture's pixels.
    Raises:
        ProtocolError: Its size does not match the memory or what was asked for.
    """
    try:
        times_s = np.array(values["times_s"], dtype=np.float64)
        start_s, end_s = float(values["start_s"]), float(values["end_s"])
        number = values["number"]
        fits = (
            times_s.shape == (num_frames,)
            and np.isfinite([*times_s, start_s, end_s]).all()
            and type(number) is int
            and (middle is not None) == (resize is not None and resize.keep_middle)
        )
        if not fits:
            raise ValueError
        if resize is None:
            return Clip(start_s, end_s, _whole_frames(values, memory, num_frames, depth), times_s, number)
        height, width = (int(side) for side in values["picture_px"])
        if min(height, width) < 1:
            raise ValueError
        shape = (num_frames, *resize.plan(height, width).shape)
        frames = ResizedFrames(memory.view(np.float32).reshape(shape), height, width)
        picture = None if middle is None else middle.reshape(height, width, 3)
        return Clip(start_s, end_s, frames, times_s, number, picture)
    except (KeyError, TypeError, ValueError, OverflowError, LimitExceeded) as error:
        raise ProtocolError("sent a clip that does not fit") from error


def _whole_frames(values: Any, memory: Rgb, num_frames: int, depth: int) -> Rgb:
    """Frames that are not resized. Raises: ValueError and others: They do not fit."""
    shape = tuple(int(side) for side in values["shape"])
    fits = (
        len(shape) == 4
        and shape[0] == num_frames
        and min(shape) >= 1
        and shape[3] == depth
        and math.prod(shape) == len(memory)
    )
    if not fits:
        raise ValueError
    return memory.reshape(shape)


def resize_from_json(values: Message | None) -> Resize | None:
    """What `dataclasses.asdict` made of a resize."""
    if values is None:
        return None
    sides = values["resize_px"]
    return Resize(**{**values, "resize_px": None if sides is None else tuple(sides)})


def lines_from_json(values: Any) -> list[str]:
    """Warnings from JSON values. Raises: ProtocolError: Not a list of strings."""
    try:
        return [plain(text) for text in values]
    except (TypeError, AttributeError) as error:
        raise ProtocolError("sent warnings that are not texts") from error


def decoded_to_json(decoded: DecodedFrames) -> Message:
    """Decoded frames without their pixels."""
    return {
        "shape": list(decoded.frames.shape),
        "times_s": decoded.times_s.tolist(),
        "picks": [picks.tolist() for picks in decoded.picks],
        "frames_decoded": decoded.frames_decoded,
        "warnings": decoded.warnings,
    }


def decoded_from_json(values: Any, *, memory: Rgb, selections: Sequence[Selection]) -> DecodedFrames:
    """Decoded frames from JSON values. Raises: ProtocolError: They do not match memory or selections."""
    try:
        count, height, width, channels = (int(side) for side in values["shape"])
        frames = memory[: math.prod((count, height, width, channels))].reshape(count, height, width, channels)
        times_s = np.array(values["times_s"], dtype=np.float64)
        picks = [np.array(row, dtype=np.int64) for row in values["picks"]]
        sizes = [selection.num_frames for selection in selections]
        fits = (
            min(count, height, width) >= 1
            and channels == 3
            and times_s.shape == (count,)
            and np.isfinite(times_s).all()
            and [row.shape for row in picks] == [(size,) for size in sizes]
            and all(0 <= row.min() <= row.max() < count for row in picks)
        )
        if not fits:
            raise ValueError
        warnings = [plain(text) for text in values["warnings"]]
        return DecodedFrames(frames, times_s, picks, int(values["frames_decoded"]), warnings)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ProtocolError("sent frames that do not fit") from error


def times_from_json(values: Any) -> Times:
    """Times of frames from JSON values. Raises: ProtocolError: They are none, or do not increase."""
    try:
        times_s = np.array(values, dtype=np.float64)
        if times_s.ndim != 1 or not np.isfinite(times_s).all() or (np.diff(times_s) < 0).any():
            raise ValueError
        return times_s
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError("sent times that are none") from error


_INFO_TYPES: dict[str, tuple[type, ...]] = {
    "container": (str,),
    "codec": (str,),
    "pixel_format": (str, type(None)),
    "width": (int,),
    "height": (int,),
    "rotation_deg": (int,),
    "is_mirrored": (bool,),
    "sample_aspect_ratio": (float,),
    "average_fps": (float, type(None)),
    "duration_s": (float, type(None)),
    "first_frame_s": (float,),
    "frame_count_claimed": (int, type(None)),
    "has_audio": (bool,),
    "size_bytes": (int,),
}


def info_from_json(values: Any, *, path: str) -> VideoInfo:
    """A `VideoInfo` from JSON values. Raises: ProtocolError: They are no description of a video."""
    try:
        if not all(isinstance(values[name], kinds) for name, kinds in _INFO_TYPES.items()):
            raise TypeError
        given = {name: values[name] for name in _INFO_TYPES}
        words = {name: plain(value) for name, value in given.items() if isinstance(value, str)}
        warnings = tuple(plain(text) for text in values["warnings"])
        return VideoInfo(path=path, warnings=warnings, **(given | words))
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError("sent no description of a video") from error


def error_to_json(error: Exception) -> Message:
    return {
        "type": type(error).__name__,
        "message": str(error),
        "frames_decoded": getattr(error, "frames_decoded", None),
    }


def error_from_json(values: Any) -> TwinpathError:
    """The error of `twinpath.errors` with that name; for any other name, which is a bug, a `TwinpathError`.

    Raises:
        ProtocolError: The values are no error.
    """
    try:
        name, message, frames_decoded = values["type"], plain(values["message"]), values["frames_decoded"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError("sent no error") from error
    if name == "CorruptVideo":
        return CorruptVideo(message, frames_decoded=frames_decoded if isinstance(frames_decoded, int) else 0)
    kind = getattr(errors, name, None) if isinstance(name, str) else None
    if isinstance(kind, type) and issubclass(kind, TwinpathError) and kind is not errors.WeightsMismatch:
        return kind(message)
    return TwinpathError(f"reading failed: {plain(str(name))}: {message}")


def plain(text: str) -> str:
    """Text on one line without control characters."""
    return printable(text)
