"""A process that does what it is told and says what came out: one JSON object a line, each way. Light.

What is measured runs in such processes, so that Twinpath and PyTorchVideo can be warm at the same time and
be asked in turn, and so that this one stays small and idle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from benchmarks.processes import ROOT


class WorkerFailed(Exception):
    """The process could not do it; says why."""


class Worker:
    """This side of the process. Use it in a `with` block, which ends it.

    Args:
        command: What to start.
        environment: Of the process.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if exc_type is not None:
            self._process.kill()
        self._process.communicate()  # closes its stdin, which ends it

    def __call__(self, call: str, **arguments: Any) -> Any:
        """Have a method called, and wait.

        Raises:
            WorkerFailed: It raised, or the process died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"call": call, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died; there is no answer either
        line = self._process.stdout.readline()
        if not line:
            raise WorkerFailed(f"{call}: the process ended with code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerFailed(f"{call}: {answer['error']}")
        return answer["result"]


def serve(subject: object) -> None:
    """The other side: call the methods of `subject` that are asked for, until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"result": getattr(subject, order["call"])(**order["arguments"])}
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side is told
            first = (str(error).strip().splitlines() or [""])[0]
            answer = {"error": f"{type(error).__name__}: {first[:200]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
