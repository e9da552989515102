"""Several clips at once on one CPU, each on its share of the threads. No torch.

One clip is computed soonest on all threads. Many clips are computed sooner side by side, each on few threads,
where the threads of one clip wait for each other often: in small networks. Which is faster is measured once,
when a network is compiled, and kept with it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.openvino_import import ov

MOST_CLIPS = 8  # each needs the memory of its maps
GAIN = 0.9  # of the time one after the other; what gains less is not worth a second compiled network
ROUNDS = 3  # at least
ENOUGH_S = 0.4  # of rounds: small networks have more of them
LONG_S = 2.0  # a round that takes longer is not repeated

Import = Callable[[int], ov.CompiledModel]
"""The compiled network again, for this many clips at once."""


@dataclass(frozen=True)
class StreamChoice:
    """How clips are computed when there are several.

    Attributes:
        clips_at_once: 1: one after the other, each on all threads.
        threads: With which it was measured; with another number one after the other.
        alone_ms, together_ms: Measured per clip: one after the other, and the fastest way side by side; None:
            there is no other way.
    """

    clips_at_once: int
    threads: int
    alone_ms: float | None = None
    together_ms: float | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any], *, threads: int) -> Self:
        """What was kept with a compiled network."""
        kept = facts.get("streams")
        return cls(1, threads) if kept is None or kept["threads"] != threads else cls(**kept)

    def facts(self) -> dict[str, Any]:
        """Plain values to be kept."""
        return {"streams": asdict(self)}


def measured_choice(compiled: ov.CompiledModel, again: Import) -> StreamChoice:
    """Compute some clips one after the other and side by side.

    Args:
        compiled: For one clip at a time; its inputs have fixed shapes.
        again: Gives the same network for several.
    Raises:
        RuntimeError: OpenVINO fails, for example for lack of memory.
    """
    threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
    noise = np.random.default_rng(0)
    clip = noise.uniform(0, 255, list(compiled.inputs[0].shape)).astype(np.float32)
    best = StreamChoice(1, threads)
    for clips in (2, 4, MOST_CLIPS):
        if clips > threads:
            break
        alone_s, together_s = _per_clip_s(compiled, again(clips), clip, clips)
        alone_ms, together_ms = round(alone_s * 1e3, 2), round(together_s * 1e3, 2)
        if best.together_ms is None or together_ms < best.together_ms:
            is_worth_it = together_s < GAIN * alone_s
            best = StreamChoice(clips if is_worth_it else 1, threads, alone_ms, together_ms)
        else:
            break
    return best


def _per_clip_s(
    compiled: ov.CompiledModel, side_by_side: ov.CompiledModel, clip: NDArray[np.float32], clips: int
) -> tuple[float, float]:
    """Seconds a clip: one after the other, and side by side. The least of some rounds, by turns."""
    one, many = [compiled.create_infer_request()], requests_of(side_by_side, clips)
    infer_all(one, [clip])  # the first inference is slower
    infer_all(many, [clip] * clips)
    took_s: list[list[float]] = [[], []]
    first_s = time.perf_counter()
    while True:
        for requests, took in zip((one, many), took_s, strict=True):
            began_s = time.perf_counter()
            infer_all(requests, [clip] * 2 * clips)
            took.append((time.perf_counter() - began_s) / (2 * clips))
        passed_s, rounds = time.perf_counter() - first_s, len(took_s[0])
        if passed_s > LONG_S or (rounds >= ROUNDS and passed_s > ENOUGH_S):
            return min(took_s[0]), min(took_s[1])


def requests_of(compiled: ov.CompiledModel, number: int) -> list[ov.InferRequest]:
    """Requests that run at the same time."""
    return [compiled.create_infer_request() for _ in range(number)]


def infer_all(
    requests: Sequence[ov.InferRequest], clips: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """Compute each clip, as many at once as there are requests; the results in the order of the clips.

    Raises:
        RuntimeError: OpenVINO fails. Nothing runs any more, and the requests may not be used again.
    """
    results: list[NDArray[np.float32]] = []
    running: deque[ov.InferRequest] = deque()
    try:
        for i, clip in enumerate(clips):
            if len(running) == len(requests):
                results.append(_result(running.popleft()))
            running.append(requests[i % len(requests)])
            running[-1].start_async([clip], share_inputs=True)
        while running:
            results.append(_result(running.popleft()))
    except RuntimeError:
        for request in running:
            with contextlib.suppress(RuntimeError):  # the first one is raised
                request.wait()
        raise
    return results


def _result(request: ov.InferRequest) -> NDArray[np.float32]:
    """A copy: the next inference overwrites it."""
    request.wait()
    return np.array(request.get_output_tensor(0).data, dtype=np.float32)


class Streams:
    """The network for several clips at once. It is imported when it is first needed, and shared by engines.

    Args:
        choice: How many.
        again: See `Import`.
    """

    def __init__(self, choice: StreamChoice, again: Import) -> None:
        self.choice, self._again = choice, again
        self._compiled: ov.CompiledModel | None = None
        self._one_imports = threading.Lock()

    @property
    def clips_at_once(self) -> int:
        return self.choice.clips_at_once

    def requests(self) -> list[ov.InferRequest]:
        """New requests, one for each clip at once.

        Raises:
            RuntimeError: OpenVINO does not import it, for example for lack of memory.
        """
        with self._one_imports:
            if self._compiled is None:
                self._compiled = self._again(self.clips_at_once)
        return requests_of(self._compiled, self.clips_at_once)
