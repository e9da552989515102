"""Measurements of commands in new processes: time from start to exit, and peak memory."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Stages, Subject, figure_of, in_turn
from benchmarks.networks import EMBEDDED, EMBEDDED_DETECTION, MAIN, NETWORKS
from benchmarks.processes import Finished, run

TWINPATH = [sys.executable, "-m", "twinpath"]
RECORD = NETWORKS[MAIN].record
MEMORY_MINUTES = (3, 30)
PICTURE_PX, PICTURE_CODECS = 8192, ("mjpeg", "png")
LARGE_VIDEO_PX, LARGE_VIDEO_S = (3840, 2160), 3.0  # width, height
BEFORE = f"{MAIN}, before"
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
    if bench.before is not None:
        bench.model(RECORD, bench.before)
        before = bench.environment_of(bench.before)
        commands[BEFORE] = replace(commands[MAIN], environment=before, subject="before")
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
            command=display_command(commands[what].arguments),
            peak_bytes=peaks_bytes[what],
        )
        for what, stages in found.items()
    ]


def memory(bench: Bench) -> list[Figure]:
    """Peak memory of `twinpath timeline` for videos of different lengths, and of large pictures."""
    bench.model(EMBEDDED)  # compiling takes more memory than any video
    return [*_lengths(bench), *_large_pictures(bench), _large_video(bench)]


def _lengths(bench: Bench) -> list[Figure]:
    figures = []
    for minutes in MEMORY_MINUTES:
        bench.print_status(f"memory: a video of {minutes} minutes")
        video = bench.folder / f"{minutes}-minutes.mp4"
        with bench.twinpath() as worker:
            worker("repeated", clip=bench.clip, to=str(video), times=minutes * 6)
        command = [*TWINPATH, "timeline", str(video), *bench.model_options(EMBEDDED), "--device", "cpu"]
        figures.append(_peak(bench, f"{minutes} minutes", command, out=True))
        video.unlink()
    return figures


def picture_label(codec: str) -> str:
    """For example "a picture of 8192x8192, png"."""
    return f"a picture of {PICTURE_PX}x{PICTURE_PX}, {codec}"


def large_video_label() -> str:
    """For example "detection, 3840x2160"."""
    return "detection, {}x{}".format(*LARGE_VIDEO_PX)


def _large_pictures(bench: Bench) -> list[Figure]:
    figures = []
    for codec in PICTURE_CODECS:
        what, picture = picture_label(codec), bench.folder / f"{codec}.mov"
        bench.print_status(f"memory: {what}")
        with bench.twinpath() as worker:
            worker(
                "picture",
                clip=bench.clip,
                to=str(picture),
                codec=codec,
                width=PICTURE_PX,
                height=PICTURE_PX,
            )
        command = [*TWINPATH, "classify", str(picture), *bench.model_options(EMBEDDED), "--device", "cpu"]
        figures.append(_peak(bench, what, command))
        picture.unlink()
    return figures


def _large_video(bench: Bench) -> Figure:
    what, video = large_video_label(), bench.folder / "large-video.mp4"
    bench.print_status(f"memory: {what}")
    width, height = LARGE_VIDEO_PX
    with bench.twinpath() as worker:
        worker("open_detector", record=EMBEDDED_DETECTION, weights=None)  # compiles it
        size = {"width": width, "height": height, "length_s": LARGE_VIDEO_S, "preset": "ultrafast"}
        worker("larger", clip=bench.clip, to=str(video), **size)
    model = [*bench.model_options(EMBEDDED_DETECTION), "--people", "whole", "--device", "cpu"]
    figure = _peak(bench, what, [*TWINPATH, "detect", str(video), *model], out=True)
    video.unlink()
    return figure


def _peak(bench: Bench, what: str, command: Sequence[str], *, out: bool = False) -> Figure:
    """Peak memory of a command in a new process, which writes to a new folder if `out`."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        done = run([*command, *(["--out", folder] if out else [])], bench.environment)
    facts = {"command": display_command(command), "wall_s": round(done.wall_s, 2)}
    return Figure("memory", what, "twinpath", (float(done.peak_bytes),), "bytes", facts=facts)


def display_command(arguments: Sequence[str]) -> str:
    """A command as a user types it, without folders."""
    text = " ".join(Path(argument).name if "/" in argument else argument for argument in arguments)
    return text.replace(f"{Path(sys.executable).name} -m twinpath", "twinpath")
