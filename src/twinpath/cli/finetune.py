"""`twinpath finetune`: labelled clips to a model of own actions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.completion import model_names
from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import AsJson, Boxes, Debug, Reading, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from twinpath.jobs.explained_mistakes import Explaining
    from twinpath.zoo.model_facts import ModelFacts


@dataclass(frozen=True)
class Learning:
    """How a network learns; see `FinetuneSettings`."""

    method: Annotated[
        str, typer.Option(metavar="HOW", help="head: a new last layer, in a minute; full: the whole network.")
    ] = "auto"
    views: Annotated[
        str | None,
        typer.Option(metavar="SxT", help="Crops in space x clips in time.  [default: by the clips' length]"),
    ] = None
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip", help="Learn mirrored clips, too.  [default: unless a label names a side]"
        ),
    ] = None
    folds: Annotated[
        int | None,
        typer.Option(
            min=2, metavar="N", help="Parts, each evaluated by what the others teach.  [default: 5]"
        ),
    ] = None
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of every random choice.")] = 0
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show in the report where and when the worst mistakes come from."),
    ] = False


@option_groups
def finetune(
    *,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA",
            help="A folder of classes with videos, a CSV (path,label …), or corrected timelines. For a "
            "detection model boxes with actions: CVAT XML, JSON of detect, AVA CSV.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            autocompletion=model_names,
            metavar="NAME|DIR",
            help="What to start from.  [default: the best Kinetics weights on this machine, else the "
            "embedded model]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The new model folder.  [default: DATA's name with -model]"),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Go on with a training that was stopped (--method full); or start over.",
        ),
    ] = True,
    learning: Learning,
    boxes: Boxes,
    reading: Reading,
    runtime: Runtime,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Teach a network your own actions.

    The result is a model folder, which --model takes everywhere. Its report.html shows how right it is on
    clips that it had not seen, and its worst mistakes. The same command goes on after it was stopped.
    """
    from twinpath.cli.garbage import look_as_usual
    from twinpath.cli.library_caches import keep_in_cache
    from twinpath.extras import check_torch
    from twinpath.zoo.model_facts import facts_of_model

    check_torch("finetune")
    runtime.config()
    facts = None if model is None else facts_of_model(model)
    folder = out or Path(f"{Path(data[0]).resolve().name or 'actions'}-model")
    look_as_usual()
    keep_in_cache()
    if facts is not None and facts.task == "detection":
        _detection(data, facts, folder, learning, boxes, reading, runtime, as_json=json)
    else:
        _clips(data, model, folder, learning, reading, runtime, resume=resume, as_json=json)


def _clips(
    data: list[str],
    model: str | None,
    out: Path,
    learning: Learning,
    reading: Reading,
    runtime: Runtime,
    *,
    resume: bool,
    as_json: bool,
) -> None:
    from twinpath.cli.console import print_note
    from twinpath.cli.progress import step_bar
    from twinpath.cli.show_finetune import show_finetune
    from twinpath.data.labelled.read import read_labelled
    from twinpath.jobs.outputs import is_drawn_result
    from twinpath.recognize.read import VideoReader
    from twinpath.train.finetune.run import finetune as run
    from twinpath.train.finetune.settings import FinetuneSettings

    labelled = read_labelled(data, is_result=is_drawn_result)
    print_note(f"{len(labelled.clips)} clips of {len(labelled.classes)} classes ({labelled.kind})")
    settings = FinetuneSettings(
        model=model or _default_model(),
        method=learning.method,  # type: ignore[arg-type]  # checked there
        views=learning.views,
        flip=learning.flip,
        folds=learning.folds,
        seed=learning.seed,
    )
    with step_bar() as progress:
        result = run(
            labelled,
            settings,
            out,
            config=runtime.config(),
            reader=VideoReader(reading.limits(), reading.isolate, reading.fps),
            resume=resume,
            progress=partial(progress, "reading"),
            on_status=print_note,
            explaining=_explaining(reading, runtime, progress) if learning.explain else None,
        )
    show_finetune(result, as_json=as_json)


def _detection(
    data: list[str],
    facts: ModelFacts,
    out: Path,
    learning: Learning,
    boxes: Boxes,
    reading: Reading,
    runtime: Runtime,
    *,
    as_json: bool,
) -> None:
    from twinpath.cli.console import print_note
    from twinpath.cli.progress import download_bar, step_bar
    from twinpath.cli.show_finetune import show_finetune_detection
    from twinpath.data.labelled.keyframes import read_keyframes
    from twinpath.errors import UsageError
    from twinpath.recognize.read import VideoReader
    from twinpath.train.finetune.detection import finetune_detection
    from twinpath.train.finetune.parts import NUM_FOLDS

    if learning.method == "full" or learning.views is not None:
        raise UsageError("a detection network learns a new last layer only: leave out --method and --views")
    keyframes = read_keyframes(
        [Path(source) for source in data],
        videos=boxes.videos,
        label_map=boxes.label_map,
        every_s=boxes.every,
        fps=reading.fps,
        isolate=reading.isolate,
    )
    with download_bar(f"downloading {facts.name}") as on_download, step_bar() as progress:
        result = finetune_detection(
            keyframes,
            model=facts.model,
            out=out,
            flip=learning.flip,
            num_folds=learning.folds or NUM_FOLDS,
            seed=learning.seed,
            config=runtime.config(),
            reader=VideoReader(reading.limits(), reading.isolate, reading.fps),
            progress=partial(progress, "reading"),
            on_download=on_download,
            on_status=print_note,
            explaining=_explaining(reading, runtime, progress) if learning.explain else None,
        )
    show_finetune_detection(result, as_json=as_json)


def _explaining(reading: Reading, runtime: Runtime, progress: Callable[[str, int, int], None]) -> Explaining:
    """By torch, whatever computes the features."""
    from twinpath.explain.explainer import Explainer
    from twinpath.jobs.explained_mistakes import Explaining

    load = partial(
        Explainer,
        config=Runtime(runtime.device, "torch", threads=runtime.threads).config(),
        limits=reading.limits(),
        isolate=reading.isolate,
        fps=reading.fps,
    )
    return Explaining(load, progress=partial(progress, "explaining"))


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
