"""`twinpath classify`: which activity does each video show?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import AsJson, Debug, Model, Reading, Resume, Runtime, Videos, Weights

Views = Annotated[
    str | None,
    typer.Option(
        metavar="SxT",
        help="Crops in space x clips in time; 3x10 is thorough.  [default: 1x1, or the model folder's]",
    ),
]
MinScore = Annotated[
    float, typer.Option(min=0, max=1, metavar="X", help="The best label's score below which it is unknown.")
]


@option_groups
def classify(
    *,
    videos: Videos,
    model: Model = None,
    weights: Weights = None,
    start: Annotated[
        float, typer.Option(min=0, metavar="S", help="Where to begin in each video, in seconds.")
    ] = 0.0,
    views: Views = None,
    top_k: Annotated[int, typer.Option("--top-k", min=1, metavar="K", help="How many labels to show.")] = 5,
    min_score: MinScore = 0.0,
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
    from twinpath.cli.batch import find_checked, how_to_resume, print_resumed, show_batch
    from twinpath.cli.console import outlive_reader
    from twinpath.cli.loading import Loader, model_or_best
    from twinpath.cli.progress import BatchBar
    from twinpath.cli.show_classifications import ClassificationPrinter
    from twinpath.jobs.classify import ClassifyJob, classify_videos
    from twinpath.recognize.classifier import Classifier, checked_views

    runtime.config()
    checked_views(views or "1x1", start_s=start, top_k=top_k, min_score=min_score)
    if out is not None:
        outlive_reader()
    found = find_checked(videos, reading)
    job = ClassifyJob(
        model=model_or_best(model, weights),
        weights=weights,
        start_s=start,
        views=views,
        top_k=top_k,
        min_score=min_score,
        out=out,
        resume=resume,
        fps=reading.fps,
    )
    bar = BatchBar("classifying", total=len(found.videos))
    loader = Loader(Classifier, job.model, weights, runtime, reading, is_quiet=True)
    on_resumed = None if out is None else partial(print_resumed, out, "answers")
    outcomes = classify_videos(found.videos, job, loader, progress=bar, on_resumed=on_resumed)
    show = ClassificationPrinter(loader, as_json=json).show
    rest = None if out is None else how_to_resume(resume=resume)
    show_batch(outcomes, bar, show, as_json=json, skipped=found.skipped, rest=rest)
