"""`twinpath classify`: what happens in these videos?"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import AsJson, Debug, Device

if TYPE_CHECKING:
    from twinpath.recognize.classify import Classifier
    from twinpath.recognize.results import Classification
    from twinpath.zoo.records import Record

OFFERED = "slowfast_r50_8x8.ptv_k400"  # the download to offer: the demo world's own model


def classify(
    videos: Annotated[list[str], typer.Argument(help="Files, folders or patterns such as 'clips/*.mp4'.")],
    model: Annotated[str | None, typer.Option(help="A name of `twinpath models list`.")] = None,
    weights: Annotated[Path | None, typer.Option(help="A weight file to use with the model.")] = None,
    start: Annotated[float, typer.Option(help="Where to begin in each video, in seconds.")] = 0.0,
    views: Annotated[str, typer.Option(help="Crops in space x clips in time; 3x10 is thorough.")] = "1x1",
    top: Annotated[int, typer.Option(help="How many labels to show.")] = 5,
    device: Device = "auto",
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell which activity each video shows."""
    from twinpath.cli.console import say
    from twinpath.errors import PartialFailure, UsageError
    from twinpath.recognize.views import Views
    from twinpath.video.find import find_videos

    Views.parse(views)
    if model is None and weights is not None:
        raise UsageError("--weights needs --model: the name of the network that the file is for")
    paths = find_videos(videos)
    if len(paths) == 1:  # a bad file should not wait for a network to load
        from twinpath.video.source import open_video

        open_video(paths[0]).close()
    began_s = time.perf_counter()
    classifier = _load(model or _best_cached_or_offered().name, weights, device)
    load_s = time.perf_counter() - began_s
    failed = _run(classifier, paths, start_s=start, views=views, top=top, json=json, load_s=load_s)
    if failed:
        say(f"{len(paths) - failed} of {len(paths)} videos classified, {failed} failed")
        raise PartialFailure(f"{failed} of {len(paths)} videos could not be used; each is named above")


def _load(model: str, weights: Path | None, device: str) -> Classifier:
    from twinpath.recognize.classify import Classifier
    from twinpath.weights.fetch import progress_bar

    with progress_bar(f"downloading {model}") as progress:
        return Classifier(model, weights, device, progress=progress)


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
    from twinpath.cli.console import print_json, say, with_progress
    from twinpath.errors import InputError, LimitExceeded, UsageError

    failed = 0
    for path in with_progress(paths, total=len(paths), title="classifying"):
        try:
            answer = classifier(path, start_s=start_s, views=views, top_k=top)
        except (InputError, LimitExceeded, UsageError, OSError) as error:
            if len(paths) == 1:
                raise
            failed += 1
            say(f"twinpath: {error}")
            if json:
                print_json(
                    {"video": str(path), "error": {"type": type(error).__name__, "message": str(error)}}
                )
            continue
        if json:
            print_json(_as_json(answer, load_s))
        else:
            _print(answer, load_s)
    return failed


def _as_json(answer: Classification, load_s: float) -> dict[str, object]:
    values = answer.to_dict()
    values["timing_s"] = {"load": round(load_s, 4), **answer.timing_s}
    return values


def _print(answer: Classification, load_s: float) -> None:
    from twinpath.cli.console import one_line, print_predictions, say

    print(f"{one_line(answer.video or '')}  ({answer.model}, {answer.views} views)", flush=True)
    print_predictions(answer.predictions)
    for warning in answer.warnings:
        say(f"warning: {answer.video}: {warning}")
    took = answer.timing_s
    say(f"load {load_s:.1f} s, decode {took['decode']:.2f} s, infer {took['infer']:.2f} s, {answer.engine}")


def _best_cached_or_offered() -> Record:
    """The best Kinetics weights on this machine; else ask to download some, or say how to get them."""
    from twinpath.cli.console import say
    from twinpath.errors import UsageError
    from twinpath.weights.fetch import cached_path
    from twinpath.zoo.records import record, records

    kinetics = [r for r in records() if r.dataset.startswith("kinetics")]
    cached = [r for r in kinetics if cached_path(r).is_file()]
    if cached:
        best = max(cached, key=lambda r: r.top1 or 0.0)
        say(f"using {best.name}, the best Kinetics weights in the cache (--model chooses)")
        return best
    offered = record(OFFERED)
    if sys.stdin.isatty() and sys.stderr.isatty():
        question = f"No weights for real video are on this machine. Download {offered.name} (about 140 MB)?"
        if typer.confirm(question, default=True, err=True):
            return offered
    raise UsageError(
        f"no weights for real video are on this machine; --model {offered.name} downloads some; "
        f"offline, fetch {offered.url} elsewhere and put it at {cached_path(offered)}; "
        "`twinpath demo` shows a classified video without any download"
    )
