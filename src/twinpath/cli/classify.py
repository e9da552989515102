"""`twinpath classify`: what happens in these videos?"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import (
    AsJson,
    CompileOption,
    Debug,
    Device,
    EngineOption,
    PrecisionOption,
    ThreadsOption,
)

if TYPE_CHECKING:
    from twinpath.recognize.classify import Classifier
    from twinpath.recognize.results import Classification


def classify(
    videos: Annotated[
        list[str],
        typer.Argument(metavar="VIDEO", help="Files, folders or patterns such as 'clips/*.mp4'."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A name of `twinpath models list`.  [default: the best Kinetics weights on this machine]",
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A weight file to use with the model.")
    ] = None,
    start: Annotated[
        float, typer.Option(min=0, metavar="S", help="Where to begin in each video, in seconds.")
    ] = 0.0,
    views: Annotated[
        str, typer.Option(metavar="SxT", help="Crops in space x clips in time; 3x10 is thorough.")
    ] = "1x1",
    top: Annotated[int, typer.Option(min=1, metavar="K", help="How many labels to show.")] = 5,
    device: Device = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    compile: CompileOption = False,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell which activity each video shows."""
    from twinpath.cli.loading import best_cached_or_offered, load_classifier
    from twinpath.engine.base import EngineWish
    from twinpath.errors import PartialFailure, UsageError
    from twinpath.recognize.views import Views
    from twinpath.video.find import find_videos

    Views.parse(views)
    wish = EngineWish.parse(engine, device, precision, threads, compile=compile)
    if model is None and weights is not None:
        raise UsageError("--weights needs --model: the name of the network that the file is for")
    paths = find_videos(videos)
    if len(paths) == 1:  # a bad file should not wait for a network to load
        from twinpath.video.source import open_video

        open_video(paths[0]).close()
    began_s = time.perf_counter()
    classifier = load_classifier(model or best_cached_or_offered().name, weights, wish)
    load_s = time.perf_counter() - began_s
    failed = _run(classifier, paths, start_s=start, views=views, top=top, json=json, load_s=load_s)
    if failed:
        raise PartialFailure(f"{failed} of {len(paths)} videos could not be used; each is named above")


def _run(
    classifier: Classifier,
    paths: list[Path],
    *,
    start_s: float,
    views: str,
    top: int,
    json: bool,
    load_s: float,
) -> int:
    """Classify and print each video as soon as it is done; returns how many failed."""
    from twinpath.cli.console import count_progress, print_json, say, with_progress

    failed = 0
    answers: Iterable[Classification | Exception]
    if len(paths) == 1:  # a bar over its clips; a batch has one over its files
        with count_progress("classifying") as progress:
            answers = [classifier(paths[0], start_s=start_s, views=views, top_k=top, progress=progress)]
    else:
        answers = classifier.each(paths, start_s=start_s, views=views, top_k=top)
    for number, answer in enumerate(with_progress(answers, total=len(paths), title="classifying")):
        if isinstance(answer, Exception):
            failed += 1
            say(f"twinpath: {answer}")
            if json:
                error = {"type": type(answer).__name__, "message": str(answer)}
                print_json({"video": str(paths[number]), "error": error})
        elif json:
            print_json(_as_json(answer, load_s))
        else:
            _print(answer, load_s, is_first=number == failed)
    return failed


def _as_json(answer: Classification, load_s: float) -> dict[str, object]:
    values = answer.to_dict()
    values["timing_s"] = {"load": round(load_s, 4), **answer.timing_s}
    return values


def _print(answer: Classification, load_s: float, *, is_first: bool) -> None:
    """The table on stdout; on stderr what is worth a remark, once where it holds for every video."""
    from twinpath.cli.console import print_predictions, say
    from twinpath.recognize.classify import SYNTHETIC_WARNING
    from twinpath.video.source import show

    video = show(Path(answer.video or ""))
    if is_first:
        say(f"{answer.model} on {answer.engine}, loaded in {load_s:.1f} s")
    print(f"{video}  ({answer.views} views)", flush=True)
    print_predictions(answer.predictions)
    for warning in answer.warnings:
        if warning != SYNTHETIC_WARNING:
            say(f"warning: {video}: {warning}")
        elif is_first:
            say(f"warning: {warning}")
    say(f"decoded in {answer.timing_s['decode']:.2f} s, classified in {answer.timing_s['infer']:.2f} s")
