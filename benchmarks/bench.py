"""What the groups of measurements share: settings, prepared files and the processes that measure."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.networks import DETECTION, DETECTION_GOLDEN, MAIN, NETWORKS, Network
from benchmarks.processes import ROOT
from benchmarks.worker import Worker


@dataclass
class Bench:
    """One run of the benchmarks.

    Attributes:
        folder: Temporary, for weights, videos and compiled networks.
        runs: Repetitions of each measurement.
        networks: The networks to measure.
        pytorchvideo_python: The Python of PyTorchVideo's environment; None: PyTorchVideo is not measured.
        folder_clips: Clips of the folder that is classified.
        before: Root of an earlier checkout of this repository, which is measured, too; None: it is not.
        clip: Path of a video of ten seconds.
        clips: Paths of all real clips; or of the synthetic one.
        clip_is_real: Whether `clip` is a real video, not a synthetic one.
        weights: Path of the weight file by name of the record.
    """

    folder: Path
    runs: int
    networks: Sequence[Network]
    pytorchvideo_python: Path | None = None
    before: Path | None = None
    folder_clips: int = 300
    clip: str = ""
    clips: Sequence[str] = ()
    clip_is_real: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)
    _began_s: float = field(default_factory=time.monotonic)
    _compiled: set[tuple[str, Path]] = field(default_factory=set)

    @property
    def environment(self) -> dict[str, str]:
        """Of Twinpath's processes, with a cache of their own."""
        return self.environment_of(ROOT)

    def environment_of(self, checkout: Path) -> dict[str, str]:
        """Of the processes of a checkout: its code, whatever is installed, and a cache of its own."""
        home = self.folder / ("home" if checkout == ROOT else "home-before")
        own = {"PYTHONPATH": str(checkout / "src"), "TWINPATH_HOME": str(home)}
        return {**self.pytorchvideo_environment, **own}

    @property
    def pytorchvideo_environment(self) -> dict[str, str]:
        """Of PyTorchVideo's processes, without its many warnings."""
        return {**os.environ, "PYTHONWARNINGS": "ignore"}

    def prepare(self, *, real_clip: bool) -> None:
        """Make weights and find or make clips."""
        self.print_status("preparing weights and clips")
        networks = dict.fromkeys([NETWORKS[MAIN], *self.networks])
        with self.twinpath() as worker:
            made = worker(
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

    def twinpath(self, checkout: Path = ROOT) -> Worker:
        """A new process of Twinpath, of this checkout or another."""
        command = [sys.executable, "-m", "benchmarks.twinpath_worker"]
        return Worker(command, self.environment_of(checkout), checkout)

    def pytorchvideo(self) -> Worker | None:
        """A new process of PyTorchVideo; None: it is not measured."""
        if self.pytorchvideo_python is None:
            return None
        command = [str(self.pytorchvideo_python), "-m", "benchmarks.pytorchvideo_worker"]
        return Worker(command, self.pytorchvideo_environment)

    def model(self, record: str, checkout: Path = ROOT) -> dict[str, Any]:
        """The arguments of `TwinpathWorker.open` for a record, which is compiled now unless it was before.

        It is compiled in another process than those that are measured: compiling imports torch.
        """
        arguments = {"record": record, "weights": self.weights.get(record)}
        if (record, checkout) not in self._compiled:
            with self.twinpath(checkout) as worker:
                worker("open", **arguments)
            self._compiled.add((record, checkout))
        return arguments

    def model_options(self, record: str) -> list[str]:
        """The options of a command that name the model and its weights."""
        if record not in self.weights:
            return ["--model", record]
        return ["--model", record, "--weights", self.weights[record]]

    def print_status(self, message: str) -> None:
        """Print a message on stderr, with the time since the start."""
        minutes, seconds = divmod(round(time.monotonic() - self._began_s), 60)
        print(f"{minutes}:{seconds:02d}  {message} ...", file=sys.stderr, flush=True)
