"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Videos = Annotated[
    list[str], typer.Argument(metavar="VIDEO", help="Files, folders or patterns such as 'clips/*.mp4'.")
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A name of `twinpath models list`.  [default: the best Kinetics weights on this machine]",
    ),
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", metavar="FILE", help="A weight file to use with the model.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON: one object on a line for each result.")]
# Read by `twinpath.cli.main`, which catches the errors.
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1 …")]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine", metavar="NAME", help="auto, openvino (fast on CPUs) or torch (GPUs, every network)."
    ),
]
PrecisionOption = Annotated[
    str, typer.Option("--precision", metavar="TYPE", help="auto, fp32, bf16, or fp16 on a GPU.")
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, metavar="N", help="Threads of the CPU.  [default: all]")
]
CompileOption = Annotated[
    bool, typer.Option("--compile", help="With torch: compile the network first, for long runs on a GPU.")
]
