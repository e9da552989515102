"""`twinpath features`: embeddings of videos, in a file for other programs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.console import print_line
from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import AsJson, Debug, Reading, Resume, Runtime, Videos, Weights

if TYPE_CHECKING:
    from twinpath.formats.features import FeatureTable
    from twinpath.jobs.batch import Outcome
    from twinpath.jobs.features import VideoFeatures


@option_groups
def features(
    *,
    videos: Videos,
    model: Annotated[str, typer.Option(metavar="NAME", help="A name of `twinpath models list`.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to: FILE.npz for NumPy or FILE.parquet for tables.")
    ],
    weights: Weights = None,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="From the start of a clip to that of the next, in seconds.  [default: a clip]"
        ),
    ] = None,
    dtype: Annotated[
        str, typer.Option(metavar="TYPE", help="float32 or float16, of half the size.")
    ] = "float32",
    resume: Resume = True,
    reading: Reading,
    runtime: Runtime,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write an embedding of every clip of each video, with its times.

    The clips have the model's own length and follow each other through the whole video. The same command
    again adds only what is missing.
    """
    from twinpath.cli.batch import find_checked, how_to_resume, print_resumed, show_batch
    from twinpath.cli.console import outlive_reader
    from twinpath.cli.loading import Loader
    from twinpath.cli.progress import BatchBar
    from twinpath.jobs.features import FeaturesJob, write_features
    from twinpath.paths import display_path
    from twinpath.recognize.features import FeatureExtractor

    outlive_reader()
    runtime.config()
    job = FeaturesJob(
        model=model, out=out, weights=weights, every_s=every, dtype=dtype, resume=resume, fps=reading.fps
    )
    found = find_checked(videos, reading)
    bar = BatchBar("extracting", total=len(found.videos))
    outcomes = write_features(
        found.videos,
        job,
        Loader(FeatureExtractor, model, weights, runtime, reading, is_quiet=True, every_s=every),
        progress=bar,
        on_resumed=partial(print_resumed, out, "videos"),
        on_written=lambda table: _print_written(table, out),
    )
    show_batch(
        outcomes,
        bar,
        lambda outcome, features_: _print(outcome, features_, as_json=json),
        as_json=json,
        skipped=found.skipped,
        rest=f"{display_path(out)} has what was done: " * resume + how_to_resume(resume=resume),
        if_none=f"{display_path(out)} was not written",
    )


def _print(outcome: Outcome[VideoFeatures], done: VideoFeatures, *, as_json: bool) -> None:
    from twinpath.cli.console import print_json, print_note
    from twinpath.paths import display_path

    if outcome.was_done:
        return
    video = display_path(outcome.video.path)
    for warning in done.warnings:
        print_note(f"warning: {video}: {warning}")
    if as_json:
        print_json({"video": str(outcome.video.path), "clips": done.clips, "warnings": list(done.warnings)})
    else:
        print_line(f"{video}  {done.clips} clips")


def _print_written(table: FeatureTable, out: Path) -> None:
    from twinpath.cli.console import print_note
    from twinpath.paths import display_path

    print_note(
        f"wrote {display_path(out)}: {len(table)} embeddings of {table.dim} numbers "
        f"of {len(table.videos)} videos"
    )
