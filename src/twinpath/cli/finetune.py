"""`twinpath finetune`: labelled clips to a model of own actions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import AsJson, Debug, Reading, Runtime

if TYPE_CHECKING:
    from twinpath.train.finetune.run import FinetuneResult


@option_groups
def finetune(
    *,
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA",
            help="A folder of classes with videos, a CSV (path,label …), or corrected timelines.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="What to start from.  [default: the best Kinetics weights on this machine, else the "
            "embedded model]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The new model folder.  [default: DATA's name with -model]"),
    ] = None,
    method: Annotated[
        str,
        typer.Option(metavar="HOW", help="head: a new last layer, in a minute; full: the whole network."),
    ] = "auto",
    views: Annotated[
        str | None,
        typer.Option(metavar="SxT", help="Crops in space x clips in time.  [default: by the clips' length]"),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip", help="Learn mirrored clips, too.  [default: unless a label has a side]"
        ),
    ] = None,
    folds: Annotated[
        int, typer.Option(min=2, metavar="N", help="Parts, each evaluated by what the others teach.")
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of every random choice.")] = 0,
    reading: Reading,
    runtime: Runtime,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Teach a network your own actions.

    The result is a model folder, which --model takes everywhere. Its report.html shows how right it is on
    clips that it had not seen, and its worst mistakes.
    """
    from twinpath.cli.console import print_note
    from twinpath.cli.garbage import look_as_usual
    from twinpath.cli.library_caches import keep_in_cache
    from twinpath.cli.progress import count_bar
    from twinpath.data.labelled.read import read_labelled
    from twinpath.extras import check_torch
    from twinpath.recognize.read import VideoReader
    from twinpath.train.finetune.run import finetune as run
    from twinpath.train.finetune.settings import FinetuneSettings

    check_torch("finetune")
    settings = FinetuneSettings(
        model=model or _default_model(),
        method=method,  # type: ignore[arg-type]  # checked there
        views=views,
        flip=flip,
        folds=folds,
        seed=seed,
    )
    config = runtime.config()
    labelled = read_labelled(data)
    for note in labelled.notes:
        print_note(note)
    print_note(f"{len(labelled.clips)} clips of {len(labelled.classes)} classes ({labelled.kind})")
    look_as_usual()
    keep_in_cache()
    with count_bar("reading") as progress:
        result = run(
            labelled,
            settings,
            out or Path(f"{data[0].resolve().name or 'actions'}-model"),
            config=config,
            reader=VideoReader(reading.limits(), reading.isolate, reading.fps),
            progress=progress,
            on_status=print_note,
        )
    _show(result, as_json=json)


def _default_model() -> str:
    """The best Kinetics weights on this machine; nothing is downloaded that was not asked for."""
    from twinpath.cli.console import print_note
    from twinpath.weights.fetch import cached_path
    from twinpath.zoo.records import records

    cached = [r for r in records() if r.dataset.startswith("kinetics") and cached_path(r).is_file()]
    if cached:
        name = max(cached, key=lambda r: r.top1 or 0.0).name
        print_note(f"starting from {name}, the best Kinetics weights in the cache (--model chooses)")
        return name
    print_note(
        "starting from the embedded model, which has seen drawn figures only; "
        "`twinpath models download slowfast_r50_8x8` brings a better start"
    )
    return "slowfast_tiny.synthetic"


def _show(result: FinetuneResult, *, as_json: bool) -> None:
    from twinpath.cli.console import Column, print_json, print_line, print_note, print_table
    from twinpath.metrics.evaluation import report_values
    from twinpath.paths import display_path

    for failed in result.evaluation.failed:
        print_note(f"left out: {failed.reason}")
    for copy in result.copies[:20]:
        print_note(
            f"nearly the same ({copy.cosine:.2f}): {display_path(copy.first.path)} and "
            f"{display_path(copy.second.path)}; kept in one part"
        )
    for note in result.notes:
        print_note(note)
    shown = display_path(result.folder.path)
    if as_json:
        print_json({"model": shown} | report_values(result.evaluation, result.summary))
        return
    summary = result.summary
    columns = {
        "class": [figures.label for figures in summary.by_class],
        "clips": [str(figures.support) for figures in summary.by_class],
        "found": [_percent(figures.recall) for figures in summary.by_class],
        "right when answered": [_percent(figures.precision) for figures in summary.by_class],
    }
    print_table([Column(name, cells) for name, cells in columns.items()])
    if summary.top1 is not None and summary.top1_interval is not None:
        low, high = summary.top1_interval
        print_line(
            f"right on {summary.top1:.1%} of {summary.clips} clips that it had not seen "
            f"(95 % interval {low:.0%} to {high:.0%})"
        )
    elif summary.mean_average_precision is not None:
        print_line(f"mAP {summary.mean_average_precision:.1%} on {summary.clips} clips that it had not seen")
    print_note(f"wrote {shown}; look at {shown}/report.html")
    print_note(f"use it: twinpath classify VIDEO --model {shown}{'' if '/' in shown else '/'}")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
