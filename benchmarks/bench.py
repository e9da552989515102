"""What the groups of measurements share: settings, prepared files and the processes to ask. Light."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.networks import DETECTION, DETECTION_GOLDEN, EMBEDDED, MAIN, NETWORKS, Network
from benchmarks.worker import Worker


@dataclass
class Bench:
    """One run.

    Attributes:
        folder: Temporary: weights, videos, compiled networks.
        runs: Repetitions of each measurement.
        networks: That are measured.
        peer_python: Of PyTorchVideo's environment; None: it is not measured.
        clip: Ten seconds of video.
        clips: All that are there.
        clip_is_real: Or synthetic.
        weights: Files by record.
    """

    folder: Path
    runs: int
    networks: Sequence[Network]
    peer_python: Path | None = None
    clip: str = ""
    clips: Sequence[str] = ()
    clip_is_real: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)
    _began_s: float = field(default_factory=time.monotonic)
    _compiled: set[str] = field(default_factory=set)

    @property
    def environment(self) -> dict[str, str]:
        """Of Twinpath's processes: a cache of their own."""
        return {**self.peer_environment, "TWINPATH_HOME": str(self.folder / "home")}

    @property
    def peer_environment(self) -> dict[str, str]:
        """Of PyTorchVideo's processes, whose many warnings are not for this report."""
        return {**os.environ, "PYTHONWARNINGS": "ignore"}

    def prepare(self, *, real_clip: bool) -> None:
        """Make weights and find or make clips."""
        self.say("preparing: weights and clips")
        networks = dict.fromkeys([NETWORKS[MAIN], *self.networks])
        with self.ours() as ours:
            made = ours(
                "prepare",
                folder=str(self.folder),
                networks=[
                    *([network.record, network.golden] for network in networks),
                    [DETECTION, DETECTION_GOLDEN],
                ],
                real_clip=real_clip,
            )
        self.clips, self.clip_is_real, self.weights = made["clips"], made["is_real"], made["weights"]
        self.clip = self.clips[0]

    def ours(self) -> Worker:
        """A process of Twinpath."""
        return Worker([sys.executable, "-m", "benchmarks.ours"], self.environment)

    def peer(self) -> Worker | None:
        """A process of PyTorchVideo, if that is measured."""
        if self.peer_python is None:
            return None
        return Worker([str(self.peer_python), "-m", "benchmarks.peer"], self.peer_environment)

    def model(self, record: str) -> dict[str, Any]:
        """What `Ours.open` needs for a record, which is compiled now if it was not yet.

        Done in another process than those that are measured: compiling imports torch.
        """
        order = {"record": record, "weights": self.weights.get(record)}
        if record not in self._compiled:
            with self.ours() as ours:
                ours("open", **order)
            self._compiled.add(record)
        return order

    def words(self, record: str) -> list[str]:
        """The options of a command that name the model."""
        if record == EMBEDDED:
            return ["--model", record]
        return ["--model", record, "--weights", self.weights[record]]

    def say(self, what: str) -> None:
        """On stderr, with the time since the start."""
        minutes, seconds = divmod(round(time.monotonic() - self._began_s), 60)
        print(f"{minutes}:{seconds:02d}  {what} ...", file=sys.stderr, flush=True)
