"""Iterate over the clips of a plan that another process reads."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from twinpath.video.clip_plan import Selections
from twinpath.video.clips import Clip
from twinpath.video.closing import ClosesAtExit
from twinpath.video.color import Rgb
from twinpath.video.isolated.messages import (
    AudioBlocks,
    EveryFrame,
    Message,
    ProtocolError,
    StreamPlan,
    clip_from_json,
    error_from_json,
    lines_from_json,
    plan_to_json,
    warned_until_s,
)
from twinpath.video.isolated.pool import WorkerPool
from twinpath.video.isolated.worker import OfferedFile, ProcessDied, Worker
from twinpath.video.resize import Resize
from twinpath.video.sampling import TIME_TOLERANCE_S
from twinpath.video.source import Limits

GRACE_S = 1.0  # added to `max_seconds`, so that the process can report the limit itself
_STOP_S = 5.0  # time-out for the reply to "stop"


class IsolatedClips(ClosesAtExit):
    """A `ClipSource`, also of other plans. It holds a worker process until it is exhausted or closed.

    If the worker process ends, another one resumes behind the clips that were yielded.

    Attributes:
        about: Numbers about the file, for `EveryFrame` and `AudioBlocks`, see `readers.WholeFile`; complete
            after the last clip.
    """

    def __init__(
        self,
        pool: WorkerPool,
        path: Path,
        plan: StreamPlan,
        limits: Limits,
        *,
        fps: float | None = None,
        resize: Resize | None = None,
    ) -> None:
        """Open the file in the worker process. Raises as `clips.open_clips`."""
        self._pool = pool
        self._file = OfferedFile.of(path)
        self._plan = plan
        self._limits, self._fps, self._resize = limits, fps, resize
        self._began_s = time.monotonic()
        self._attempts = pool.attempts("clips", path)
        self._worker: Worker | None = None
        self._memories: dict[int, Rgb] = {}  # by number: shared memory that the worker fills with clips
        self._num_memories = 0
        self._next_number = 0  # of the next clip
        self._earlier_warnings: list[str] = []  # about the part that an earlier process read
        self._warnings_by_time: list[tuple[float, list[str]]] = []  # (seconds, warnings until then)
        self.warnings: list[str] = []
        self._expected, self.end_s, self.first_frame_s = self._open()

    def __len__(self) -> int:
        return self._expected

    def close(self) -> None:
        """Return the worker process to the pool."""
        if self._worker is not None and self._worker.is_usable:
            with suppress(ProcessDied):
                self._worker.request({"stop": True}, file=self._file, wall_s=_STOP_S)
        self._release()

    def __iter__(self) -> Iterator[Clip]:
        while (clip := self._next()) is not None:
            yield clip
            del clip  # free it before the next one is decoded

    def warnings_until(self, time_s: float) -> list[str]:
        past = [lines for until_s, lines in self._warnings_by_time if until_s <= time_s + TIME_TOLERANCE_S]
        return past[-1] if past else self._earlier_warnings

    def _next(self) -> Clip | None:
        """The next clip; None at the end."""
        while self._worker is not None:
            try:
                reply = self._request({"next": True})
                if "end" in reply:
                    end = _dict(reply["end"])
                    lines = lines_from_json(end.get("warnings"))
                    self.about = _numbers(end.get("about"))
                    self.warnings = self._earlier_warnings + lines
                    self._attempts.succeeded()
                    self._release()
                    return None
                return self._clip(_dict(reply.get("clip")))
            except (ProcessDied, ProtocolError) as error:
                self._died(error)
                self._resume()
        return None

    def _clip(self, values: Message) -> Clip:
        """A clip from a reply. Raises: ProtocolError: It does not match the plan."""
        number = values.get("number")
        memory, middle = self._memory(values.get("memory")), self._memory(values.get("middle"))
        if type(number) is not int or number < self._next_number or memory is None:
            raise ProtocolError("sent a clip out of order")
        depth = self._plan.depth if isinstance(self._plan, EveryFrame | AudioBlocks) else 3
        clip = clip_from_json(
            values,
            memory=memory,
            num_frames=self._num_frames(number),
            depth=depth,
            resize=self._resize,
            middle=middle,
        )
        self._next_number = number + 1
        lines = self._earlier_warnings + lines_from_json(values.get("warnings"))
        if lines != (self._warnings_by_time[-1][1] if self._warnings_by_time else self._earlier_warnings):
            self._warnings_by_time.append((warned_until_s(self._plan, clip), lines))
        return clip

    def _memory(self, number: object) -> Rgb | None:
        """The shared memory with a number; None: there is none."""
        return self._memories.pop(number, None) if isinstance(number, int) else None

    def _num_frames(self, number: int) -> int:
        if not isinstance(self._plan, Selections):
            return self._plan.num_frames
        if number >= len(self._plan.selections):
            raise ProtocolError("sent a clip that is not in the plan")
        return self._plan.selections[number].num_frames

    def _open(self) -> tuple[int, float, float]:
        """The number of remaining clips; the end of the video and `first_frame_s`, both in seconds."""
        while True:
            limits = self._limits
            if self._next_number:
                limits = replace(limits, max_seconds=self._remaining_s())
            request: Message = {
                "do": "clips",
                **self._file.to_json(),
                "plan": plan_to_json(self._plan),
                "limits": asdict(limits),
                "fps": self._fps,
                "resize": None if self._resize is None else asdict(self._resize),
                "first": self._next_number,
            }
            self._memories, self._num_memories = {}, 0
            self._worker = self._pool.take()
            try:
                opened = _dict(self._request(request).get("opened"))
                expected, end_s = opened.get("expected"), opened.get("end_s")
                first_frame_s = opened.get("first_frame_s")
                if type(expected) is not int or expected < 0:
                    raise ProtocolError("sent no description of the clips")
                if not isinstance(end_s, float) or not isinstance(first_frame_s, float):
                    raise ProtocolError("sent no times of the video")
                self.about = _numbers(opened.get("about"))
                return expected, end_s, first_frame_s
            except (ProcessDied, ProtocolError) as error:
                self._died(error)

    def _resume(self) -> None:
        """Continue behind the clips that were yielded, in another worker process."""
        if self._warnings_by_time:
            until_s, lines = self._warnings_by_time[-1]
            prefix = f"in the first {until_s:.1f} s: "
            self._earlier_warnings = [
                line if line.startswith("in the first ") else prefix + line for line in lines
            ]
        self._open()

    def _request(self, request: Message) -> Message:
        """Send a request to the worker. Raises: the error that it reports, and as `Worker.request`."""
        assert self._worker is not None
        remaining_s = self._remaining_s()
        wall_s = float("inf") if remaining_s is None else remaining_s + GRACE_S
        reply, memories = self._worker.request(request, file=self._file, wall_s=wall_s)
        for memory in memories:
            self._memories[self._num_memories] = memory
            self._num_memories += 1
        if "error" in reply:
            self._release()
            raise error_from_json(reply["error"])
        return reply

    def _remaining_s(self) -> float | None:
        """Seconds that remain of `max_seconds`; None: no limit."""
        if self._limits.max_seconds is None:
            return None
        return max(self._limits.max_seconds - (time.monotonic() - self._began_s), 0.0)

    def _died(self, error: ProcessDied | ProtocolError) -> None:
        """Count the end of the worker. Raises: LimitExceeded, WorkerDied: No attempt is left."""
        if self._worker is not None:
            self._worker.end()
        self._release()
        self._attempts.died(error if isinstance(error, ProcessDied) else ProcessDied(str(error)))

    def _release(self) -> None:
        worker, self._worker = self._worker, None
        self._memories = {}
        if worker is not None:
            self._pool.give_back(worker)


def _numbers(values: object) -> dict[str, float]:
    """An object of finite numbers. Raises: ProtocolError."""
    numbers = _dict(values)
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers.values()):
        raise ProtocolError("sent no numbers about the file")
    return numbers


def _dict(values: object) -> Message:
    """A value that must be a JSON object. Raises: ProtocolError."""
    if not isinstance(values, dict):
        raise ProtocolError("sent a reply without its values")
    return values
