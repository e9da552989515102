"""The clips of a plan, from another process, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from twinpath.video.clip_plan import ClipPlan, Selections
from twinpath.video.clips import Clip
from twinpath.video.color import Rgb
from twinpath.video.isolated.messages import (
    Message,
    ProtocolError,
    clip_from_json,
    error_from_json,
    lines_from_json,
    plan_to_json,
    warned_until_s,
)
from twinpath.video.isolated.pool import WorkerPool, current_folder
from twinpath.video.isolated.worker import ProcessDied, Worker
from twinpath.video.sampling import TIME_TOLERANCE_S
from twinpath.video.source import Limits

GRACE_S = 1.0  # for the process to keep `max_seconds` by itself
_STOP_S = 5.0  # for the process to leave a stream that is not wanted any more


class IsolatedClips:
    """`ClipSource` from a process of a pool, which it holds until it is over or closed.

    Where the process ends at a clip, another one goes on behind the clips that were yielded.
    """

    def __init__(self, pool: WorkerPool, path: Path, plan: ClipPlan, limits: Limits) -> None:
        """Open the file there; errors as for `clips.open_clips`."""
        self._pool = pool
        self._path = path
        self._plan = plan
        self._limits = limits
        self._began_s = time.monotonic()
        self._attempts = pool.attempts("clips", path)
        self._worker: Worker | None = None
        self._memories: dict[int, Rgb] = {}  # by number; given to the process for clips to come
        self._num_memories = 0
        self._first = 0  # number of the clip to come
        self._before: list[str] = []  # warnings about the part that an earlier process read
        self._until: list[tuple[float, list[str]]] = []  # (seconds, warnings up to then), where they change
        self.warnings: list[str] = []
        self._expected, self.end_s = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self._expected

    def close(self) -> None:
        """Give the process back."""
        if self._worker is not None and self._worker.is_usable:
            with suppress(ProcessDied):
                self._worker.ask({"stop": True}, path=self._path, wall_s=_STOP_S)
        self._release()

    def __iter__(self) -> Iterator[Clip]:
        while (clip := self._next()) is not None:
            yield clip
            del clip  # or it would be held while the next one is decoded

    def warnings_until(self, time_s: float) -> list[str]:
        known = [lines for until_s, lines in self._until if until_s <= time_s + TIME_TOLERANCE_S]
        return known[-1] if known else self._before

    def _next(self) -> Clip | None:
        """The next clip; None: there is none."""
        while self._worker is not None:
            try:
                reply = self._ask({"next": True})
                if "end" in reply:
                    self.warnings = self._before + lines_from_json(_dict(reply["end"]).get("warnings"))
                    self._attempts.succeeded()
                    self._release()
                    return None
                return self._clip(_dict(reply.get("clip")))
            except (ProcessDied, ProtocolError) as error:
                self._died(error)
                self._go_on()
        return None

    def _clip(self, values: Message) -> Clip:
        """Raises: ProtocolError: The reply does not fit the plan."""
        number, place = values.get("number"), values.get("memory")
        memory = self._memories.pop(place, None) if isinstance(place, int) else None
        if type(number) is not int or number < self._first or memory is None:
            raise ProtocolError("sent a clip out of order")
        clip = clip_from_json(values, memory=memory, num_frames=self._num_frames(number))
        self._first = number + 1
        lines = self._before + lines_from_json(values.get("warnings"))
        if lines != (self._until[-1][1] if self._until else self._before):
            self._until.append((warned_until_s(self._plan, clip), lines))
        return clip

    def _num_frames(self, number: int) -> int:
        if not isinstance(self._plan, Selections):
            return self._plan.num_frames
        if number >= len(self._plan.selections):
            raise ProtocolError("sent a clip that is not in the plan")
        return self._plan.selections[number].num_frames

    def _open(self) -> tuple[int, float]:
        """How many clips are to come, and the end of the video in seconds."""
        while True:
            limits = self._limits if not self._first else replace(self._limits, max_seconds=self._left_s())
            request: Message = {
                "do": "clips",
                "path": str(self._path),
                "folder": current_folder(),
                "plan": plan_to_json(self._plan),
                "limits": asdict(limits),
                "first": self._first,
            }
            self._memories, self._num_memories = {}, 0
            self._worker = self._pool.take()
            try:
                opened = _dict(self._ask(request).get("opened"))
                expected, end_s = opened.get("expected"), opened.get("end_s")
                if type(expected) is not int or expected < 0 or not isinstance(end_s, float):
                    raise ProtocolError("sent no description of the clips")
                return expected, end_s
            except (ProcessDied, ProtocolError) as error:
                self._died(error)

    def _go_on(self) -> None:
        """Behind the clips that were yielded, in another process."""
        if self._until:
            until_s, lines = self._until[-1]
            place = f"in the first {until_s:.1f} s: "
            self._before = [line if line.startswith("in the first ") else place + line for line in lines]
        self._open()

    def _ask(self, request: Message) -> Message:
        """Raises: the error that the process reports, and what `Worker.ask` raises."""
        assert self._worker is not None
        left_s = self._left_s()
        wall_s = float("inf") if left_s is None else left_s + GRACE_S
        reply, memories = self._worker.ask(request, path=self._path, wall_s=wall_s)
        for memory in memories:
            self._memories[self._num_memories] = memory
            self._num_memories += 1
        if "error" in reply:
            self._release()
            raise error_from_json(reply["error"])
        return reply

    def _left_s(self) -> float | None:
        """What is left of `max_seconds`."""
        if self._limits.max_seconds is None:
            return None
        return max(self._limits.max_seconds - (time.monotonic() - self._began_s), 0.0)

    def _died(self, error: ProcessDied | ProtocolError) -> None:
        """Raises: LimitExceeded, WorkerDied: There is no other attempt."""
        if self._worker is not None:
            self._worker.end()
        self._release()
        self._attempts.died(error if isinstance(error, ProcessDied) else ProcessDied(str(error)))

    def _release(self) -> None:
        worker, self._worker = self._worker, None
        self._memories = {}
        if worker is not None:
            self._pool.give_back(worker)


def _dict(values: object) -> Message:
    """Raises: ProtocolError: Not an object."""
    if not isinstance(values, dict):
        raise ProtocolError("sent a reply without its values")
    return values
