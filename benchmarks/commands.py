"""Measurements of commands in new processes: time from start to exit, and peak memory."""

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
    """A command to measure.

    Attributes:
        arguments: The program and its arguments.
        environment: Its environment variables.
        subject: Whose command it is.
        other_stage: Name of the time that its JSON output does not account for; empty: it prints no JSON.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    subject: Subject = "twinpath"
    other_stage: str = ""

    def __call__(self) -> tuple[Stages, Finished]:
        done = run(self.arguments, self.environment)
        if not self.other_stage:
            return {"total": done.wall_s}, done
        stages: Stages = json.loads(done.out)["timing_s"]
        other_s = done.wall_s - sum(stages.values())
        return {"total": done.wall_s, self.other_stage: other_s, **stages}, done


def cold(bench: Bench) -> list[Figure]:
    """From the start of a command to its exit; compiled networks and files are in their caches."""
    bench.print_status("cold: commands in new processes")
    commands = _cold_commands(bench)
    figures = [
        _measured({f"{what}, the first time": commands[what]}, runs=1, warm_ups=0)
        for what in (MAIN, EMBEDDED)
    ]
    return [*(figure for first in figures for figure in first), *_measured(commands, runs=bench.runs)]


def _cold_commands(bench: Bench) -> dict[str, _Command]:
    classify = [*TWINPATH, "classify", bench.clip, "--device", "cpu", "--json"]
    twinpath = partial(_Command, environment=bench.environment)
    with_stages = partial(twinpath, other_stage="start, imports, exit")
    main = [*classify, *bench.model_options(RECORD)]
    commands = {
        "help": twinpath([*TWINPATH, "--help"]),
        "import torch": twinpath([sys.executable, "-c", "import torch"]),
        EMBEDDED: with_stages([*classify, *bench.model_options(EMBEDDED)]),
        MAIN: with_stages(main),
        f"{MAIN}, torch": with_stages([*main, "--engine", "torch"], subject="torch"),
    }
    if bench.pytorchvideo_python is not None:
        tutorial = [str(bench.pytorchvideo_python), "-m", "benchmarks.pytorchvideo_tutorial", bench.clip]
        pytorchvideo = partial(
            _Command,
            environment=bench.pytorchvideo_environment,
            subject="pytorchvideo",
            other_stage="start, exit",
        )
        commands[TUTORIAL] = pytorchvideo(tutorial)
        commands[TUTORIAL_READING] = pytorchvideo([*tutorial, bench.weights[RECORD]])
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
            command=_display_command(commands[what].arguments),
            peak_bytes=peaks_bytes[what],
        )
        for what, stages in found.items()
    ]


def memory(bench: Bench) -> list[Figure]:
    """Peak memory of `twinpath timeline` for videos of different lengths."""
    figures = []
    bench.model(EMBEDDED)  # compiling takes more memory than any video
    for minutes in MEMORY_MINUTES:
        bench.print_status(f"memory: a video of {minutes} minutes")
        video = bench.folder / f"{minutes}-minutes.mp4"
        with bench.twinpath() as worker:
            worker("repeated", clip=bench.clip, to=str(video), times=minutes * 6)
        command = [*TWINPATH, "timeline", str(video), *bench.model_options(EMBEDDED), "--device", "cpu"]
        done = run([*command, "--out", str(bench.folder / "timeline")], bench.environment)
        video.unlink()
        facts = {"command": _display_command(command), "wall_s": round(done.wall_s, 2)}
        peak = float(done.peak_bytes)
        figures.append(Figure("memory", f"{minutes} minutes", "twinpath", (peak,), "bytes", facts=facts))
    return figures


def _display_command(arguments: Sequence[str]) -> str:
    """A command as a user types it, without folders."""
    text = " ".join(Path(argument).name if "/" in argument else argument for argument in arguments)
    return text.replace(f"{Path(sys.executable).name} -m twinpath", "twinpath")
