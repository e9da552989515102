"""Measurements of commands, each in a new process: from the command to the answer, and memory. Light."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Stages, Subject, figure_of, in_turn
from benchmarks.networks import EMBEDDED, MAIN, NETWORKS
from benchmarks.processes import Finished, run

TWINPATH = [sys.executable, "-m", "twinpath"]
RECORD = NETWORKS[MAIN].record
MEMORY_MINUTES = (3, 30)
TUTORIAL, TUTORIAL_READING = "tutorial", "tutorial, weights read"


@dataclass(frozen=True)
class _Command:
    """What is run, whose it is, and how its output tells the times of its stages."""

    words: Sequence[str]
    environment: Mapping[str, str]
    subject: Subject = "twinpath"
    rest: str = ""  # name of the time that it does not tell of; empty: it tells nothing

    def __call__(self) -> tuple[Stages, Finished]:
        done = run(self.words, self.environment)
        if not self.rest:
            return {"total": done.wall_s}, done
        told: Stages = json.loads(done.out)["timing_s"]
        return {"total": done.wall_s, self.rest: done.wall_s - sum(told.values()), **told}, done


def cold(bench: Bench) -> list[Figure]:
    """From command to answer in a new process; compiled networks and files are in their caches."""
    bench.say("cold: commands in new processes")
    commands = _cold_commands(bench)
    figures = [
        _measured({f"{what}, the first time": commands[what]}, runs=1, warm_ups=0)
        for what in (MAIN, EMBEDDED)
    ]
    return [*(figure for first in figures for figure in first), *_measured(commands, runs=bench.runs)]


def _cold_commands(bench: Bench) -> dict[str, _Command]:
    classify = [*TWINPATH, "classify", bench.clip, "--device", "cpu", "--json"]
    ours = partial(_Command, environment=bench.environment)
    answer = partial(ours, rest="start, imports, exit")
    main = [*classify, *bench.words(RECORD)]
    commands = {
        "help": ours([*TWINPATH, "--help"]),
        "import torch": ours([sys.executable, "-c", "import torch"]),
        EMBEDDED: answer([*classify, *bench.words(EMBEDDED)]),
        MAIN: answer(main),
        f"{MAIN}, torch": answer([*main, "--engine", "torch"], subject="torch"),
    }
    if bench.peer_python is not None:
        tutorial = [str(bench.peer_python), "-m", "benchmarks.tutorial", bench.clip]
        peer = partial(
            _Command, environment=bench.peer_environment, subject="pytorchvideo", rest="start, exit"
        )
        commands[TUTORIAL] = peer(tutorial)
        commands[TUTORIAL_READING] = peer([*tutorial, bench.weights[RECORD]])
    return commands


def _measured(commands: Mapping[str, _Command], *, runs: int, warm_ups: int = 1) -> list[Figure]:
    peaks_bytes = dict.fromkeys(commands, 0)

    def call(what: str) -> Stages:
        stages, done = commands[what]()
        peaks_bytes[what] = max(peaks_bytes[what], done.peak_bytes)
        return stages

    calls: dict[str, Callable[[], Stages]] = {what: partial(call, what) for what in commands}
    found = in_turn(calls, runs=runs, warm_ups=warm_ups)
    return [
        figure_of(
            "cold",
            what,
            commands[what].subject,
            stages,
            command=_shown(commands[what].words),
            peak_bytes=peaks_bytes[what],
        )
        for what, stages in found.items()
    ]


def memory(bench: Bench) -> list[Figure]:
    """Peak memory of `twinpath timeline` by the length of the video."""
    figures = []
    bench.model(EMBEDDED)  # compiling takes more memory than any video
    for minutes in MEMORY_MINUTES:
        bench.say(f"memory: a video of {minutes} minutes")
        video = bench.folder / f"{minutes}-minutes.mp4"
        with bench.ours() as ours:
            ours("repeated", clip=bench.clip, to=str(video), times=minutes * 6)
        command = [*TWINPATH, "timeline", str(video), *bench.words(EMBEDDED), "--device", "cpu"]
        done = run([*command, "--out", str(bench.folder / "timeline")], bench.environment)
        video.unlink()
        facts = {"command": _shown(command), "wall_s": round(done.wall_s, 2)}
        peak = float(done.peak_bytes)
        figures.append(Figure("memory", f"{minutes} minutes", "twinpath", (peak,), "bytes", facts=facts))
    return figures


def _shown(words: Sequence[str]) -> str:
    """A command for people: without the folders."""
    text = " ".join(Path(word).name if "/" in word else word for word in words)
    return text.replace(f"{Path(sys.executable).name} -m twinpath", "twinpath")
