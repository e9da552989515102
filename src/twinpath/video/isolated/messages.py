"""What the two sides of the sandbox say to each other: a line of JSON each, and a piece of shared memory.

Nothing is pickled. The parent believes nothing that comes from the child before it is checked: the child has
read a file that nobody trusts.
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
from typing import Any

import numpy as np

from twinpath import errors
from twinpath.errors import CorruptVideo, TwinpathError
from twinpath.video.color import Rgb
from twinpath.video.decode import AtTimes, DecodedFrames, EvenSpan, Selection
from twinpath.video.probe import VideoInfo
from twinpath.video.source import Limits

Message = dict[str, Any]

_MOST_BYTES = 1 << 26  # of a message: the times and indices of a million frames


class ProtocolError(Exception):
    """The other side sent what makes no sense; the message goes on from "it"."""


class Channel:
    """One end of a connection. A message is answered before the next one is sent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()

    def close(self) -> None:
        self._connection.close()

    def send(self, message: Message, *, deadline_s: float | None = None) -> None:
        """Raises: TimeoutError; OSError: the other side is gone."""
        self._wait_until(deadline_s)
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, *, deadline_s: float | None = None) -> Message | None:
        """The next message; None: the other side is gone.

        Args:
            deadline_s: Of `time.monotonic()`.
        Raises:
            TimeoutError: The deadline has passed.
            ProtocolError: It is no message.
        """
        is_whole = b"\n" in self._received
        while not is_whole:
            self._wait_until(deadline_s)
            try:
                data = self._connection.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._received += data
            is_whole = b"\n" in data
            if len(self._received) > _MOST_BYTES:
                raise ProtocolError("sent a message without end")
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProtocolError("sent no JSON") from error
        if not isinstance(message, dict):
            raise ProtocolError("sent no message")
        return message

    def send_memory(self, memory: int) -> None:
        """Hand over shared memory, by its file descriptor."""
        socket.send_fds(self._connection, [b"m"], [memory])

    def receive_memory(self) -> int:
        """The file descriptor of shared memory that the other side hands over; the caller closes it."""
        data, descriptors, *_ = socket.recv_fds(self._connection, 1, 1)
        if data != b"m" or len(descriptors) != 1:
            raise ProtocolError("sent no memory")
        return descriptors[0]

    def _wait_until(self, deadline_s: float | None) -> None:
        if deadline_s is None:
            self._connection.settimeout(None)
            return
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)


def make_memory(size_bytes: int) -> int:
    """A file descriptor of new memory that can be shared, and that no one can shrink to crash its reader.

    It has no name that could be left behind, and unlike /dev/shm no size of its own, which in containers is
    small. Systems without memfd get a temporary file that is already unlinked.
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile(prefix="twinpath-") as file:
            os.ftruncate(file.fileno(), size_bytes)
            return os.dup(file.fileno())
    import fcntl  # not on Windows, which has no sandbox but may import this module

    memory = os.memfd_create("twinpath-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, size_bytes)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return memory


def map_memory(memory: int, size_bytes: int) -> Rgb:
    """(size_bytes,) uint8 over shared memory, which lives as long as an array on it. Closes `memory`."""
    try:
        return np.frombuffer(mmap.mmap(memory, size_bytes), dtype=np.uint8)
    finally:
        os.close(memory)


def selection_to_json(selection: Selection) -> Message:
    """Plain numbers also where the caller's were NumPy's."""
    if isinstance(selection, AtTimes):
        return {"times_s": [float(time_s) for time_s in selection.times_s]}
    return {
        "start_s": float(selection.start_s),
        "span_s": float(selection.span_s),
        "num_frames": int(selection.num_frames),
    }


def selection_from_json(values: Message) -> Selection:
    return AtTimes(tuple(values["times_s"])) if "times_s" in values else EvenSpan(**values)


def limits_from_json(values: Message) -> Limits:
    return Limits(**values)


def decoded_to_json(decoded: DecodedFrames) -> Message:
    """All but the pixels."""
    return {
        "shape": list(decoded.frames.shape),
        "times_s": decoded.times_s.tolist(),
        "picks": [picks.tolist() for picks in decoded.picks],
        "frames_decoded": decoded.frames_decoded,
        "warnings": decoded.warnings,
    }


def decoded_from_json(values: Any, *, memory: Rgb, selections: Sequence[Selection]) -> DecodedFrames:
    """Raises: ProtocolError: it does not fit the memory or the question."""
    try:
        count, height, width, channels = (int(side) for side in values["shape"])
        frames = memory[: math.prod((count, height, width, channels))].reshape(count, height, width, channels)
        times_s = np.array(values["times_s"], dtype=np.float64)
        picks = [np.array(row, dtype=np.int64) for row in values["picks"]]
        sizes = [len(s.times_s) if isinstance(s, AtTimes) else s.num_frames for s in selections]
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


_INFO_TYPES: dict[str, tuple[type, ...]] = {
    "container": (str,),
    "codec": (str,),
    "pixel_format": (str, type(None)),
    "width": (int,),
    "height": (int,),
    "rotation_deg": (int,),
    "sample_aspect_ratio": (float,),
    "average_fps": (float, type(None)),
    "duration_s": (float, type(None)),
    "frame_count_claimed": (int, type(None)),
    "has_audio": (bool,),
    "size_bytes": (int,),
}


def info_from_json(values: Any, *, path: str) -> VideoInfo:
    """Raises: ProtocolError: it describes no video."""
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
    """An error of our tree, by its name. One that is not in it is a bug of ours, and the root of the tree.

    Raises:
        ProtocolError: it is no error.
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
    """One line of text that does nothing to a terminal."""
    return text if text.isprintable() else ascii(text)[1:-1]
