"""`twinpath classify`: what happens in these videos?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import (
    AsJson,
    CompileOption,
    Debug,
    Device,
    EngineOption,
    ModelOption,
    PrecisionOption,
    ThreadsOption,
    Videos,
    WeightsOption,
)

if TYPE_CHECKING:
    from twinpath.engine.config import EngineConfig
    from twinpath.recognize.classifier import Classifier
    from twinpath.results.classification import Classification


def classify(
    videos: Videos,
    model: ModelOption = None,
    weights: WeightsOption = None,
    start: Annotated[
        float, typer.Option(min=0, metavar="S", help="Where to begin in each video, in seconds.")
    ] = 0.0,
    views: Annotated[
        str, typer.Option(metavar="SxT", help="Crops in space x clips in time; 3x10 is thorough.")
    ] = "1x1",
    top: Annotated[int, typer.Option(min=1, metavar="K", help="How many labels to show.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep the answers, one JSON object a line; the same command again does only the rest.",
        ),
    ] = None,
    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate", help="Read the files in a process with limits: for files that nobody trusts."
        ),
    ] = False,
    device: Device = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    compile: CompileOption = False,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell which activity each video shows."""
    from twinpath.cli.loading import check_weights_option
    from twinpath.engine.config import EngineConfig
    from twinpath.errors import PartialFailure
    from twinpath.recognize.plan import Views
    from twinpath.video.find import find_videos

    Views.parse(views)
    config = EngineConfig.parse(engine, device, precision, threads, compile=compile)
    check_weights_option(model, weights)
    paths = find_videos(videos)
    if len(paths) == 1:  # a bad file should not wait for a network to load
        _check(paths[0], isolate=isolate)
    job = _Job(model, weights, start, views, top, config, isolate, json, is_batch=len(paths) > 1)
    failed = _run(job, paths) if out is None else _run_into(out, job, paths)
    if failed:
        raise PartialFailure(f"{failed} of {len(paths)} videos could not be used; each is named above")


@dataclass(frozen=True)
class _Job:
    """What is wanted of every video. A single one that fails is an error of its own kind."""

    model: str | None
    weights: Path | None
    start_s: float
    views: str
    top: int
    config: EngineConfig
    isolate: bool
    json: bool
    is_batch: bool


def _check(path: Path, *, isolate: bool) -> None:
    """Raises: InputError, LimitExceeded: the file cannot be opened."""
    if isolate:
        from twinpath.video.isolated.sandbox import probe_isolated

        probe_isolated(path)
    else:
        from twinpath.video.source import open_video

        open_video(path).close()


def _run_into(out: Path, job: _Job, paths: list[Path]) -> int:
    """Classify those that have no answer in the file yet; returns how many failed."""
    from twinpath.cli.console import print_note
    from twinpath.cli.loading import full_name, sha256_of
    from twinpath.errors import Interrupted, Terminated
    from twinpath.formats.journal import ResultsJournal
    from twinpath.paths import display_path
    from twinpath.results.provenance import Provenance

    model = full_name(job.model)
    job = replace(job, model=model)
    settings = {"views": job.views, "start_s": job.start_s, "top": job.top}
    weights_sha256 = sha256_of(job.weights)
    run = Provenance.of(None, model=model, weights_sha256=weights_sha256, settings=settings)
    with ResultsJournal(out, run, paths) as answers:
        left = len(answers.missing)
        if left < len(paths):
            print_note(f"{display_path(out)} has {len(paths) - left} of {len(paths)} answers already")
        if not left:
            return 0

        def keep(path: Path, answer: dict[str, object]) -> None:
            nonlocal left
            answers.add(path, answer)
            left -= 1

        try:
            return _run(job, answers.missing, keep)
        except (KeyboardInterrupt, SystemExit) as stop:
            kind, verb = (
                (Interrupted, "stopped") if isinstance(stop, KeyboardInterrupt) else (Terminated, "ended")
            )
            raise kind(
                f"{verb} with {left} of {len(paths)} videos left; the same command does the rest"
            ) from stop


def _run(job: _Job, paths: list[Path], keep: Callable[[Path, dict[str, object]], None] | None = None) -> int:
    """Classify, keep and print each video as soon as it is done; returns how many failed."""
    from twinpath.cli.console import count_progress, print_json, print_note, with_progress
    from twinpath.cli.loading import best_cached_or_offered, load_classifier

    began_s = time.perf_counter()
    model = job.model or best_cached_or_offered().name
    classifier = load_classifier(model, job.weights, job.config, isolate=job.isolate)
    load_s = time.perf_counter() - began_s
    failed = 0
    answers: Iterable[Classification | Exception]
    if len(paths) == 1:  # a bar over its clips; a batch has one over its files
        with count_progress("classifying") as progress:
            answers = [_one(job, classifier, paths[0], progress)]
    else:
        answers = classifier.each(paths, start_s=job.start_s, views=job.views, top_k=job.top)
    for number, answer in enumerate(with_progress(answers, total=len(paths), title="classifying")):
        values = _as_json(answer, load_s)
        if keep is not None:
            keep(paths[number], values)
        if isinstance(answer, Exception):
            if not job.is_batch:
                raise answer
            failed += 1
            print_note(f"twinpath: {answer}")
        if job.json:
            print_json({"video": str(paths[number]), **values})
        elif not isinstance(answer, Exception):
            _print(answer, load_s, is_first=number == failed)
    return failed


def _one(
    job: _Job, classifier: Classifier, path: Path, progress: Callable[[int, int], None]
) -> Classification | Exception:
    from twinpath.recognize.classifier import FAILURES

    try:
        return classifier(path, start_s=job.start_s, views=job.views, top_k=job.top, progress=progress)
    except FAILURES as error:
        return error


def _as_json(answer: Classification | Exception, load_s: float) -> dict[str, object]:
    if isinstance(answer, Exception):
        return {"error": {"type": type(answer).__name__, "message": str(answer)}}
    values = answer.to_dict()
    values["timing_s"] = {"load": round(load_s, 4), **answer.timing_s}
    return values


def _print(answer: Classification, load_s: float, *, is_first: bool) -> None:
    """The table on stdout; on stderr what is worth a remark, once where it holds for every video."""
    from twinpath.cli.console import print_note, print_predictions
    from twinpath.paths import display_path
    from twinpath.results.classification import SYNTHETIC_WARNING

    video = display_path(Path(answer.video or ""))
    if is_first:
        print_note(f"{answer.model} on {answer.engine}, loaded in {load_s:.1f} s")
    print(f"{video}  ({answer.views} views)", flush=True)
    print_predictions(answer.predictions)
    for warning in answer.warnings:
        if warning != SYNTHETIC_WARNING:
            print_note(f"warning: {video}: {warning}")
        elif is_first:
            print_note(f"warning: {warning}")
    print_note(
        f"decoded in {answer.timing_s['decode']:.2f} s, classified in {answer.timing_s['infer']:.2f} s"
    )
