"""Options that several commands share. Each means one thing everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.completion import model_names

if TYPE_CHECKING:
    from twinpath.engine.config import EngineConfig
    from twinpath.video.source import Limits

Videos = Annotated[
    list[str], typer.Argument(metavar="VIDEO", help="Files, folders or patterns such as 'clips/*.mp4'.")
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        autocompletion=model_names,
        metavar="NAME|DIR",
        help="A name of `twinpath models list`, or a model folder, also hf://USER/NAME.  [default: the best "
        "Kinetics weights on this machine]",
    ),
]
Weights = Annotated[
    Path | None, typer.Option("--weights", metavar="FILE", help="A weight file to use with the model.")
]
OutFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files.")]
Formats = Annotated[str, typer.Option("--formats", metavar="A,B", help="Which files to write.")]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        help="Leave what is done, resume what was stopped; or start over, and then replace the old results.",
    ),
]
Labels = Annotated[
    str | None, typer.Option("--labels", metavar="A,B", help="Only these labels (`twinpath labels`).")
]
People = Annotated[
    str,
    typer.Option(
        "--people",
        metavar="WHO",
        help="Person detector: auto, fasterrcnn, retinanet, dfine, hog, motion, whole; or a file of boxes.",
    ),
]
Tracker = Annotated[
    str, typer.Option("--tracker", metavar="NAME", help="Tracker of people: iou, bytetrack or ocsort.")
]
MinPersonScore = Annotated[
    float | None,
    typer.Option(
        "--min-person-score",
        min=0,
        max=1,
        metavar="X",
        help="The lowest score of a person.  [default: the person detector's own]",
    ),
]
Encoder = Annotated[
    str,
    typer.Option("--encoder", metavar="NAME", help="Of the video: libx264, libopenh264 or libvpx-vp9."),
]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 …")]
Fps = Annotated[
    float | None,
    typer.Option(
        "--fps",
        metavar="N",
        help="Frames per second of pictures and raw streams, which have no times.  [default: 25]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: one object on a line for each result.")]
# Read by `twinpath.cli.main`, which catches the errors.
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@dataclass(frozen=True)
class Runtime:
    """How a network is run: the same options for every command that runs one."""

    device: Device = "auto"
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="auto, openvino (fast on CPUs), torch (GPUs, every network) or onnxruntime.",
        ),
    ] = "auto"
    precision: Annotated[
        str, typer.Option("--precision", metavar="TYPE", help="auto, fp32, bf16, or fp16 on a GPU.")
    ] = "auto"
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, metavar="N", help="Threads of the CPU.  [default: all]")
    ] = None
    compile: Annotated[
        bool, typer.Option("--compile", help="With torch: compile the network first, for long runs on a GPU.")
    ] = False

    def config(self) -> EngineConfig:
        """Raises: UsageError: a value is not known, or options exclude each other."""
        from twinpath.engine.config import EngineConfig

        return EngineConfig.parse(
            self.engine, self.device, self.precision, self.threads, compile=self.compile
        )


@dataclass(frozen=True)
class Reading:
    """How files are read: the same options for every command that reads videos."""

    isolate: Annotated[
        bool,
        typer.Option("--isolate", help="Read files in a process with limits: for files that nobody trusts."),
    ] = False
    max_seconds: Annotated[
        float | None,
        typer.Option("--max-seconds", min=0, metavar="S", help="Give up a file that takes longer to read."),
    ] = None

    fps: Fps = None

    def limits(self) -> Limits:
        """What reading one file may cost."""
        from dataclasses import replace

        from twinpath.video.source import DEFAULT_LIMITS

        return replace(DEFAULT_LIMITS, max_seconds=self.max_seconds)


@dataclass(frozen=True)
class Boxes:
    """Of detection networks: boxes with actions; see `read_keyframes`."""

    videos: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="For boxes: the video, or the folder of videos.  [default: beside DATA]"
        ),
    ] = None
    label_map: Annotated[
        Path | None,
        typer.Option("--label-map", metavar="FILE", help="For AVA CSV: names of the actions."),
    ] = None
    every: Annotated[
        float, typer.Option(metavar="S", help="For boxes: seconds between keyframes to learn from.")
    ] = 1.0
