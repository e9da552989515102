"""`twinpath classify`: which activity does each video show?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import AsJson, Debug, Model, Reading, Resume, Runtime, Videos, Weights

if TYPE_CHECKING:
    from twinpath.cli.batch import WarningPrinter
    from twinpath.jobs.batch import Outcome
    from twinpath.results.classification import Classification


@option_groups
def classify(
    *,
    videos: Videos,
    model: Model = None,
    weights: Weights = None,
    start: Annotated[
        float, typer.Option(min=0, metavar="S", help="Where to begin in each video, in seconds.")
    ] = 0.0,
    views: Annotated[
        str, typer.Option(metavar="SxT", help="Crops in space x clips in time; 3x10 is thorough.")
    ] = "1x1",
    top_k: Annotated[int, typer.Option("--top-k", min=1, metavar="K", help="How many labels to show.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the results in a file, one JSON object a line."),
    ] = None,
    resume: Resume = True,
    reading: Reading,
    runtime: Runtime,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Recognise which activity each video shows.

    With --out the same command again does only the rest.
    """
    from twinpath.cli.batch import WarningPrinter, find_checked, how_to_resume, show_batch
    from twinpath.cli.console import outlive_reader, print_note
    from twinpath.cli.loading import Loader, model_or_best
    from twinpath.cli.progress import BatchBar
    from twinpath.jobs.classify import ClassifyJob, classify_videos
    from twinpath.paths import display_path
    from twinpath.recognize.classifier import Classifier, checked_views

    runtime.config()
    checked_views(views, start_s=start, top_k=top_k)
    if out is not None:
        outlive_reader()
    found = find_checked(videos, reading)
    job = ClassifyJob(
        model=model_or_best(model, weights),
        weights=weights,
        start_s=start,
        views=views,
        top_k=top_k,
        out=out,
        resume=resume,
    )
    bar = BatchBar("classifying", total=len(found))
    loader = Loader(Classifier, job.model, weights, runtime, reading, is_quiet=json)
    outcomes = classify_videos(
        found,
        job,
        loader,
        progress=bar,
        on_resumed=lambda done, total: print_note(
            f"{display_path(out or Path())} has {done} of {total} answers already"
        ),
    )
    warnings = WarningPrinter()
    show_batch(
        outcomes,
        bar,
        lambda outcome, answer: _print(outcome, answer, loader.took_s, warnings, as_json=json),
        as_json=json,
        rest=None if out is None else how_to_resume(resume=resume),
    )


def _print(
    outcome: Outcome[Classification],
    answer: Classification,
    load_s: float,
    warnings: WarningPrinter,
    *,
    as_json: bool,
) -> None:
    """The table on stdout; on stderr what is worth a remark. Results of earlier runs are in the file."""
    from twinpath.cli.console import print_json, print_note, print_predictions
    from twinpath.paths import display_path

    if outcome.was_done:
        return
    if as_json:
        values = answer.to_dict()
        values["timing_s"] = {"load": round(load_s, 4), **answer.timing_s}
        print_json(values)
        return
    video = display_path(outcome.video.path)
    print(f"{video}  ({answer.views} views)", flush=True)
    print_predictions(answer.predictions)
    warnings.print(video, answer.warnings)
    timing_s = answer.timing_s
    print_note(f"decoded in {timing_s['decode']:.2f} s, classified in {timing_s['infer']:.2f} s")
