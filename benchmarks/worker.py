"""Calls to the methods of an object in another process: one line of JSON for each call and each result.

Whatever is measured runs in such processes, so that Twinpath and PyTorchVideo can both be warm and be
measured in turn, and so that the process that starts them stays small and idle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.processes import ROOT


class WorkerFailed(Exception):
    """A call raised an error, or the process died."""


class Worker:
    """Starts a process and calls methods in it. Use it in a `with` block, which ends the process.

    Args:
        command: The program and its arguments; it calls `serve`.
        environment: Its environment variables.
        folder: Where it runs: the root of a checkout, which has the module that calls `serve`.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
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
        """Call a method in the process and wait for its result.

        Args:
            call: Name of the method.
            arguments: Keyword arguments, plain values.
        Raises:
            WorkerFailed: The method raised an error, or the process died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"call": call, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died: the next read returns nothing
        line = self._process.stdout.readline()
        if not line:
            raise WorkerFailed(f"{call}: the process ended with code {self._process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerFailed(f"{call}: {reply['error']}")
        return reply["result"]


def serve(subject: object) -> None:
    """In the other process: run the calls that come from stdin, until it ends.

    Args:
        subject: The object whose methods are called.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not mix with the replies
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"result": getattr(subject, request["call"])(**request["arguments"])}
        except Exception as error:  # noqa: BLE001 - any error is passed to the caller
            first = (str(error).strip().splitlines() or [""])[0]
            reply = {"error": f"{type(error).__name__}: {first[:200]}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
