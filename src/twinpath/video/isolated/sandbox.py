"""Read untrusted files in worker processes, which may crash, hang or exceed their limits.

    decoded = read_frames_isolated("upload.mp4", views)     # as decode.read_frames
    info = probe_isolated("upload.mp4")                     # as probe.probe
    with open_clips_isolated("upload.mp4", plan) as clips:  # as clips.open_clips
        ...

    with Sandbox(ProcessLimits(memory_bytes=2**30, wall_s=20)) as sandbox:
        decoded = sandbox.read_frames("upload.mp4", views)

Each call, and each open stream of clips, takes a worker process from a small pool and returns it, so several
threads and streams can read at once. A worker is spawned, not forked, and reads many files in sequence. Its
memory and processor time are limited, and it can write neither files nor core dumps; the parent enforces the
wall-clock limit. Frames are passed in shared memory, everything else as JSON. An error in the worker is
raised in the parent; the end of a worker is a `WorkerDied` or a `LimitExceeded`. A worker dies with its
parent.

This contains crashes, endless loops and decompression bombs. On Linux it also confines code that a malicious
file executes, see `confinement.py`: it can read the files of its requests, and reach nothing else. Where the
system does not offer that, a warning is logged once, and only the limits hold.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from twinpath.errors import UsageError
from twinpath.video.clip_plan import ClipPlan
from twinpath.video.clips import ClipSource
from twinpath.video.closing import ClosesAtExit
from twinpath.video.color import Rgb
from twinpath.video.decode import DecodedFrames
from twinpath.video.isolated.clips import GRACE_S, IsolatedClips
from twinpath.video.isolated.messages import (
    Message,
    ProtocolError,
    decoded_from_json,
    error_from_json,
    info_from_json,
    selection_to_json,
    times_from_json,
)
from twinpath.video.isolated.pool import WorkerPool
from twinpath.video.isolated.whole import IsolatedAudio, IsolatedFrames
from twinpath.video.isolated.worker import OfferedFile, ProcessDied, ProcessLimits
from twinpath.video.probe import VideoInfo
from twinpath.video.resize import Resize
from twinpath.video.sampling import Times
from twinpath.video.selection import Selection
from twinpath.video.source import DEFAULT_LIMITS, Limits

__all__ = [
    "ProcessLimits",
    "Sandbox",
    "frame_times_isolated",
    "open_audio_isolated",
    "open_clips_isolated",
    "open_frames_isolated",
    "probe_isolated",
    "read_frames_isolated",
]

Answer = TypeVar("Answer")


class Sandbox(ClosesAtExit):
    """Reads files in a pool of worker processes with limits. Thread-safe.

    A file at which a worker crashes is read once more in a new one. A file that ends two workers in a row, by
    a crash or by a limit, is rejected from then on without another attempt.
    """

    def __init__(self, process_limits: ProcessLimits | None = None) -> None:
        """Nothing is started yet.

        Raises:
            UsageError: This platform (Windows) cannot pass memory between processes.
        """
        if not hasattr(socket, "send_fds"):
            raise UsageError("isolated reading needs Linux or macOS; set isolate=False")
        self._pool = WorkerPool(process_limits or ProcessLimits())

    def close(self) -> None:
        """End the idle processes. Another call would start a new one."""
        self._pool.close()

    @property
    def pid(self) -> int | None:
        """The id of the process that will serve the next call; None: it is not started yet."""
        return self._pool.next_pid

    def unconfined_because(self) -> str | None:
        """Why the processes can reach other files, the network and programs; None: they cannot.

        Raises:
            WorkerDied: No process can be started.
        """
        worker = self._pool.take()
        self._pool.give_back(worker)
        return worker.unconfined_because

    def read_frames(
        self,
        path: str | os.PathLike[str],
        selections: Sequence[Selection],
        *,
        strict: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        fps: float | None = None,
    ) -> DecodedFrames:
        """As `decode.read_frames`, in another process.

        Raises:
            InputError, LimitExceeded: As `decode.read_frames`.
            LimitExceeded: Also for the limits of the process.
            WorkerDied: The process ended twice, or cannot be started.
        """
        if not selections:
            raise ValueError("read_frames needs at least one selection")

        def frames(reply: Message, memories: list[Rgb]) -> DecodedFrames:
            if not memories:
                raise ProtocolError("sent frames without pixels")
            return decoded_from_json(reply.get("frames"), memory=memories[-1], selections=selections)

        request: Message = {
            "do": "read",
            "selections": [selection_to_json(selection) for selection in selections],
            "strict": strict,
        }
        return self._answer(Path(path), request | {"fps": fps}, limits, frames)

    def probe(
        self, path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS, fps: float | None = None
    ) -> VideoInfo:
        """As `probe.probe`, in another process.

        Raises:
            InputError, LimitExceeded: As `probe.probe`.
            LimitExceeded, WorkerDied: As `read_frames`.
        """

        def info(reply: Message, memories: list[Rgb]) -> VideoInfo:
            return info_from_json(reply.get("info"), path=str(Path(path)))

        return self._answer(Path(path), {"do": "probe", "fps": fps}, limits, info)

    def open_clips(
        self,
        path: str | os.PathLike[str],
        plan: ClipPlan,
        *,
        limits: Limits = DEFAULT_LIMITS,
        fps: float | None = None,
        resize: Resize | None = None,
    ) -> ClipSource:
        """As `clips.open_clips`, in another process, which the clips hold until they are closed or exhausted.

        If that process ends, another one resumes behind the clips that were yielded.

        Raises:
            InputError, LimitExceeded: As `clips.open_clips`.
            LimitExceeded, WorkerDied: As `read_frames`, also between clips.
        """
        return IsolatedClips(self._pool, Path(path), plan, limits, fps=fps, resize=resize)

    def frame_times(
        self, path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS, fps: float | None = None
    ) -> Times:
        """As `probe.frame_times`, in another process.

        Raises:
            InputError, LimitExceeded: As `probe.frame_times`.
            LimitExceeded, WorkerDied: As `read_frames`.
        """

        def times(reply: Message, memories: list[Rgb]) -> Times:
            return times_from_json(reply.get("times_s"))

        return self._answer(Path(path), {"do": "times", "fps": fps}, limits, times)

    def open_frames(
        self, path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS, fps: float | None = None
    ) -> IsolatedFrames:
        """As `decode.FrameStream`, in another process, which the frames hold as clips do.

        Raises:
            InputError, LimitExceeded: As `FrameStream`.
            LimitExceeded, WorkerDied: As `read_frames`, also between frames.
        """
        return IsolatedFrames(self._pool, Path(path), limits, fps=fps)

    def open_audio(self, path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> IsolatedAudio:
        """As `audio.AudioTrack`, but encoded anew from samples that another process decodes.

        Raises:
            InputError, LimitExceeded: As `AudioTrack`.
            LimitExceeded, WorkerDied: As `read_frames`, also while it is written.
        """
        return IsolatedAudio(self._pool, Path(path), limits)

    def _answer(
        self,
        path: Path,
        request: Message,
        limits: Limits,
        read: Callable[[Message, list[Rgb]], Answer],
    ) -> Answer:
        file = OfferedFile.of(path)
        request |= {**file.to_json(), "limits": asdict(limits)}
        wall_s = float("inf") if limits.max_seconds is None else limits.max_seconds + GRACE_S
        attempts = self._pool.attempts(request["do"], path)
        while True:
            worker = self._pool.take()
            try:
                reply, memories = worker.request(request, file=file, wall_s=wall_s)
                if "error" in reply:
                    raise error_from_json(reply["error"])
                answer = read(reply, memories)
            except ProtocolError as error:
                worker.end()
                attempts.died(ProcessDied(str(error)))
            except ProcessDied as death:
                attempts.died(death)
            else:
                attempts.succeeded()
                return answer
            finally:
                self._pool.give_back(worker)


_shared: dict[int, Sandbox] = {}  # by process id: a fork starts its own


def _sandbox() -> Sandbox:
    return _shared.setdefault(os.getpid(), Sandbox())


def read_frames_isolated(
    path: str | os.PathLike[str],
    selections: Sequence[Selection],
    *,
    strict: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    fps: float | None = None,
) -> DecodedFrames:
    """As `decode.read_frames`, in processes that all calls share; see `Sandbox.read_frames`."""
    return _sandbox().read_frames(path, selections, strict=strict, limits=limits, fps=fps)


def probe_isolated(
    path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS, fps: float | None = None
) -> VideoInfo:
    """As `probe.probe`, in processes that all calls share; see `Sandbox.probe`."""
    return _sandbox().probe(path, limits=limits, fps=fps)


def open_clips_isolated(
    path: str | os.PathLike[str],
    plan: ClipPlan,
    *,
    limits: Limits = DEFAULT_LIMITS,
    fps: float | None = None,
    resize: Resize | None = None,
) -> ClipSource:
    """As `clips.open_clips`, in processes that all calls share; see `Sandbox.open_clips`."""
    return _sandbox().open_clips(path, plan, limits=limits, fps=fps, resize=resize)


def frame_times_isolated(
    path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS, fps: float | None = None
) -> Times:
    """As `probe.frame_times`, in processes that all calls share; see `Sandbox.frame_times`."""
    return _sandbox().frame_times(path, limits=limits, fps=fps)


def open_frames_isolated(
    path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS, fps: float | None = None
) -> IsolatedFrames:
    """As `decode.FrameStream`, in processes that all calls share; see `Sandbox.open_frames`."""
    return _sandbox().open_frames(path, limits=limits, fps=fps)


def open_audio_isolated(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> IsolatedAudio:
    """As `audio.AudioTrack`, in processes that all calls share; see `Sandbox.open_audio`."""
    return _sandbox().open_audio(path, limits=limits)
