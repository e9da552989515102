"""`twinpath detect`: who does what, where and when in these videos?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.detect_options import DrawingOptions, PersonOptions
from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import (
    AsJson,
    Debug,
    Labels,
    OutFolder,
    Reading,
    Resume,
    Runtime,
    Videos,
    Weights,
)

if TYPE_CHECKING:
    from twinpath.jobs.detect import DetectJob


@option_groups
def detect(
    *,
    videos: Videos,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A name of `twinpath models list --dataset ava`.")
    ] = "slowfast_r50_8x8_det.ptv_ava",
    weights: Weights = None,
    persons: PersonOptions,
    every: Annotated[
        float, typer.Option(metavar="S", help="From one keyframe to the next, in seconds.")
    ] = 1.0,
    min_score: Annotated[
        str,
        typer.Option(
            metavar="X", help="The lowest score of an action: 0.5; 0.5,stand=0.9; or a file of label,score."
        ),
    ] = "0.5",
    labels: Labels = None,
    smooth: Annotated[
        float,
        typer.Option(metavar="S", help="Average scores along a track so far to both sides, in seconds."),
    ] = 1.5,
    drawing: DrawingOptions,
    out: OutFolder = Path("twinpath-detect"),
    formats: Annotated[
        str,
        typer.Option(
            metavar="A,B", help="Files to write: json, csv, xml, mp4, png.  [default: all but png, the sheet]"
        ),
    ] = "json,csv,xml,mp4",
    resume: Resume = True,
    reading: Reading,
    runtime: Runtime,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Detect who does what, where and when in videos.

    Writes annotated videos, and files for programs and for correction by hand. After Ctrl-C the same command
    goes on.
    """
    from twinpath.cli.label_options import action_thresholds, label_filter
    from twinpath.jobs.detect import DetectJob
    from twinpath.jobs.outputs import check_folder

    check_folder(out)
    job = DetectJob(
        out=out,
        model=model,
        weights=weights,
        every_s=every,
        min_score=action_thresholds(min_score, model),
        labels=label_filter(labels, model, task="detection"),
        smooth_s=smooth,
        formats=tuple(formats.split(",")),
        isolate=reading.isolate,
        resume=resume,
        fps=reading.fps,
        **vars(persons),
        **vars(drawing),
    )
    _detect(videos, job, runtime, reading, as_json=json)


def _detect(videos: list[str], job: DetectJob, runtime: Runtime, reading: Reading, *, as_json: bool) -> None:
    from twinpath.cli.batch import find_checked, how_to_resume, show_batch
    from twinpath.cli.console import outlive_reader
    from twinpath.cli.loading import Loader
    from twinpath.cli.progress import BatchBar
    from twinpath.cli.show_detections import DetectionsPrinter
    from twinpath.jobs.detect import write_detections
    from twinpath.recognize.detector import Detector

    outlive_reader()
    runtime.config()
    found = find_checked(videos, reading)
    bar = BatchBar("detecting", total=len(found.videos))
    loader = Loader(Detector, job.model, job.weights, runtime, reading)
    outcomes = write_detections(found.videos, job, loader, progress=bar)
    printer = DetectionsPrinter(as_json=as_json)
    show_batch(
        outcomes,
        bar,
        printer.show,
        as_json=as_json,
        skipped=found.skipped,
        rest=how_to_resume(resume=job.resume),
    )
