"""`twinpath timeline`: when does which activity happen in these videos?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import (
    AsJson,
    Debug,
    Formats,
    Labels,
    Model,
    OutFolder,
    Reading,
    Resume,
    Runtime,
    Videos,
    Weights,
)

if TYPE_CHECKING:
    from twinpath.results.segments import SegmentRules


@dataclass(frozen=True)
class SegmentOptions:
    """How scores become segments, see `SegmentRules`."""

    min_score: Annotated[
        float,
        typer.Option(
            "--min-score", metavar="X", help="Score at which a segment begins, 0 to 1; it ends at half of it."
        ),
    ] = 0.3
    merge: Annotated[
        float,
        typer.Option(
            "--merge", metavar="S", help="Join segments of one label across gaps up to this, in seconds."
        ),
    ] = 2.0
    smooth: Annotated[
        float,
        typer.Option(
            "--smooth", metavar="S", help="Average scores so far to both sides, in seconds; 0: not at all."
        ),
    ] = 2.0

    def rules(self) -> SegmentRules:
        """Raises: UsageError: a value is out of its range."""
        from twinpath.results.segments import SegmentRules

        return SegmentRules(min_score=self.min_score, merge_s=self.merge, smooth_s=self.smooth)


@option_groups
def timeline(
    *,
    videos: Videos,
    model: Model = None,
    weights: Weights = None,
    every: Annotated[
        float, typer.Option(metavar="S", help="From the start of a window to that of the next, in seconds.")
    ] = 1.0,
    segments: SegmentOptions,
    top_k: Annotated[
        int, typer.Option("--top-k", metavar="K", help="Labels of each window in the JSON file.")
    ] = 5,
    labels: Labels = None,
    out: OutFolder = Path("twinpath-timeline"),
    formats: Formats = "json,csv,srt,vtt,eaf,html,png",
    resume: Resume = True,
    reading: Reading,
    runtime: Runtime,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Find when which activity happens in videos of any length.

    Writes a table, subtitles, annotations, a page and a picture. After Ctrl-C the same command goes on; with
    other thresholds, labels or formats it uses the scores that are there.
    """
    from twinpath.cli.batch import find_checked, how_to_resume, show_batch
    from twinpath.cli.console import outlive_reader
    from twinpath.cli.label_options import label_filter
    from twinpath.cli.loading import Loader, model_or_best
    from twinpath.cli.progress import BatchBar
    from twinpath.cli.show_timeline import TimelinePrinter
    from twinpath.jobs.outputs import check_folder
    from twinpath.jobs.timeline import TimelineJob, write_timelines
    from twinpath.recognize.classifier import Classifier

    outlive_reader()
    runtime.config()
    rules = segments.rules()
    check_folder(out)
    found = find_checked(videos, reading)
    name = model_or_best(model, weights)
    job = TimelineJob(
        model=name,
        weights=weights,
        out=out,
        every_s=every,
        rules=replace(rules, labels=label_filter(labels, name, task="classification")),
        top_k=top_k,
        formats=tuple(formats.split(",")),
        resume=resume,
        fps=reading.fps,
    )
    bar = BatchBar("scoring", total=len(found.videos))
    loader = Loader(Classifier, name, weights, runtime, reading)
    outcomes = write_timelines(found.videos, job, loader, progress=bar)
    printer = TimelinePrinter(as_json=json)
    show_batch(
        outcomes, bar, printer.show, as_json=json, skipped=found.skipped, rest=how_to_resume(resume=resume)
    )
