"""`twinpath detect`: who does what, where and when in these videos?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinpath.cli.detect_one import ENDINGS, Done, Job, as_before, detect_into_files, is_done
from twinpath.cli.options import (
    AsJson,
    CompileOption,
    Debug,
    Device,
    EngineOption,
    PrecisionOption,
    ThreadsOption,
    Videos,
    WeightsOption,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from twinpath.engine.config import EngineConfig
    from twinpath.errors import TwinpathError
    from twinpath.recognize.detector import Detector
    from twinpath.results.detections import Detections
    from twinpath.results.provenance import Provenance

MOST_ROWS = 50  # of a table on a terminal


def detect(
    videos: Videos,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A name of `twinpath models list --dataset ava`.")
    ] = "slowfast_r50_8x8_det.ptv_ava",
    weights: WeightsOption = None,
    people: Annotated[
        str,
        typer.Option(
            metavar="WHO",
            help="Who finds people: auto, fasterrcnn, retinanet, dfine, hog, motion, whole, or a file.",
        ),
    ] = "auto",
    tracker: Annotated[
        str, typer.Option(metavar="WHO", help="Who follows them: iou, bytetrack or ocsort.")
    ] = "iou",
    every: Annotated[
        float, typer.Option(metavar="S", help="From one keyframe to the next, in seconds.")
    ] = 1.0,
    min_score: Annotated[
        str,
        typer.Option(
            metavar="X", help="From which an action counts: 0.5; or 0.5,stand=0.9; or a file of label,score."
        ),
    ] = "0.5",
    min_person_score: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, metavar="X", help="From which a person counts.  [default: the detector's own]"
        ),
    ] = None,
    smooth: Annotated[
        float,
        typer.Option(
            metavar="S", help="Average scores along a track so far to both sides, in seconds; 0: not at all."
        ),
    ] = 1.5,
    labels: Annotated[
        int, typer.Option(min=1, metavar="K", help="Labels of a person in the annotated video.")
    ] = 3,
    hud: Annotated[bool, typer.Option("--hud", help="Show time and speed in the annotated video.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the files.")] = Path("twinpath-detect"),
    formats: Annotated[
        str, typer.Option(metavar="A,B", help="Which files to write; png is a sheet of keyframes.")
    ] = "json,csv,xml,mp4",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on where an earlier run stopped; leave finished videos as they are."
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
    """Tell who does what, where and when in videos.

    Writes annotated videos, and files for programs and for correction by hand. After Ctrl-C --resume goes on.
    """
    from twinpath.cli.outputs import check_folder, checked_kinds, output_names
    from twinpath.engine.config import EngineConfig
    from twinpath.errors import PartialFailure, UsageError
    from twinpath.recognize.timeline import check_every
    from twinpath.video.find import find_videos

    config = EngineConfig.parse(engine, device, precision, threads, compile=compile)
    check_every(every, what="a keyframe")
    kinds = checked_kinds(formats, tuple(ENDINGS))
    check_folder(out)
    if resume and "json" not in kinds:
        raise UsageError("--resume goes by the JSON files; name json among the --formats")
    thresholds = _thresholds(model, min_score)
    paths = find_videos(videos)
    bases = {path: out / name for path, name in zip(paths, output_names(paths), strict=True)}
    _keep_sources(bases, kinds)
    settings = {"tracker": tracker, "every_s": every, "smooth_s": smooth, "labels": labels, "hud": hud}
    settings["min_person_score"] = min_person_score
    run = _provenance(model, weights, people, thresholds, settings)
    job = Job(people, tracker, every, thresholds, min_person_score, smooth, kinds, labels, hud, resume, run)
    _check_finders(job, paths)
    kept = frozenset(path for path, base in bases.items() if resume and is_done(job, path, base))
    detector = None if len(kept) == len(bases) else _load(model, weights, config)
    failed = _run(job, detector, bases, kept, json=json)
    if failed:
        raise PartialFailure(f"{failed} of {len(paths)} videos could not be used; each is named above")


def _provenance(
    model: str,
    weights: Path | None,
    people: str,
    min_score: NDArray[np.float64],
    settings: dict[str, Any],
) -> Provenance:
    """What decides the results, with the contents of the files that were named."""
    from twinpath.cli.loading import full_name, sha256_of
    from twinpath.results.provenance import Provenance
    from twinpath.weights.hashes import file_sha256

    one_score = bool((min_score == min_score[0]).all())
    given = {
        "people": people,
        "people_sha256": file_sha256(Path(people)) if Path(people).is_file() else None,
        "min_score": float(min_score[0]) if one_score else min_score.tolist(),
        **settings,
    }
    return Provenance.of(None, model=full_name(model), weights_sha256=sha256_of(weights), settings=given)


def _thresholds(model: str, text: str) -> NDArray[np.float64]:
    """Checked before anything is loaded."""
    from twinpath.errors import UsageError
    from twinpath.labels import labels
    from twinpath.recognize.detector import DEFAULT_MODEL, MIN_SCORE
    from twinpath.recognize.smoothing import parse_thresholds
    from twinpath.zoo.create import resolve

    architecture, record = resolve(model)
    if not architecture.is_detector:
        raise UsageError(f"{model} classifies whole clips; to detect, take one such as {DEFAULT_MODEL}")
    known = labels(record.label_set if record and record.label_set else "ava")
    return parse_thresholds(text, known, default=MIN_SCORE)


def _keep_sources(bases: dict[Path, Path], kinds: tuple[str, ...]) -> None:
    """Raises: UsageError: an annotated video would take the place of the video itself."""
    from twinpath.cli.outputs import file_of
    from twinpath.errors import UsageError
    from twinpath.paths import display_path

    sources = {path.resolve() for path in bases}
    for base in bases.values():
        for kind in kinds:
            place = file_of(base, ENDINGS[kind])
            if place.resolve() in sources:
                raise UsageError(
                    f"--out would write over {display_path(place)}, which is a source; give another folder"
                )


def _check_finders(job: Job, paths: list[Path]) -> None:
    """Before a network is loaded.

    Raises:
        UsageError, MissingExtra: Nobody of that name can be had.
        InputError: The only video, or its file of boxes, cannot be used.
    """
    from twinpath.people.choose import DETECTORS, check_detector, make_detector, make_tracker
    from twinpath.video.probe import probe

    check_detector(job.people)
    make_tracker(job.tracker, every_s=job.every_s)
    if len(paths) == 1:
        info = probe(paths[0])
        if job.people not in DETECTORS and Path(job.people).is_file():
            make_detector(job.people, video=paths[0], width_px=info.width, height_px=info.height)


def _load(model: str, weights: Path | None, config: EngineConfig) -> Detector:
    from twinpath.cli.console import print_note
    from twinpath.cli.loading import load_detector

    began_s = time.perf_counter()
    detector = load_detector(model, weights, config)
    took_s = time.perf_counter() - began_s
    print_note(f"{detector.model} on {detector.engine.describe()}, loaded in {took_s:.1f} s")
    return detector


def _run(
    job: Job, detector: Detector | None, bases: dict[Path, Path], kept: frozenset[Path], *, json: bool
) -> int:
    """Work on each video and print it as soon as it is done; returns how many failed.

    Args:
        job: What is wanted.
        detector: None where all are kept.
        bases: The files of each video, without their endings.
        kept: What an earlier run did.
        json: How to print.
    """
    from twinpath.cli.console import print_json, print_note

    failed = finished = 0
    try:
        for done in _answers(job, detector, bases, kept):
            if done.error is None:
                finished += 1
                _tell(done, is_first=finished == 1, json=json)
                continue
            if len(bases) == 1:
                raise done.error
            failed += 1
            print_note(f"twinpath: {done.error}")
            if json:
                error = {"type": type(done.error).__name__, "message": str(done.error)}
                print_json({"video": str(done.path), "error": error})
    except (KeyboardInterrupt, SystemExit) as stop:
        raise _stopped(job, stop, finished=finished, total=len(bases)) from stop
    return failed


def _answers(
    job: Job, detector: Detector | None, bases: dict[Path, Path], kept: frozenset[Path]
) -> Iterator[Done]:
    """Each video in its turn, with a bar over keyframes; a batch has one over its files."""
    from twinpath.cli.console import Part, count_progress, with_progress

    def answer(path: Path, progress: Callable[[int, int], None]) -> Done:
        if detector is None or path in kept:
            return as_before(job, path, bases[path])
        return detect_into_files(job, detector, path, bases[path], progress)

    if len(bases) == 1:
        with count_progress("detecting") as progress:
            answers = [answer(path, progress) for path in bases]
        return iter(answers)
    part = Part()
    return with_progress(
        (answer(path, part) for path in bases), total=len(bases), title="detecting", part=part
    )


def _tell(done: Done, *, is_first: bool, json: bool) -> None:
    from twinpath.cli.console import print_json

    assert done.found is not None
    if json:
        files = {kind: str(path) for kind, path in done.files.items()}
        print_json({**done.found.to_dict(), "warnings": list(done.warnings), "files": files})
    else:
        _print(done, is_first=is_first)


def _stopped(job: Job, stop: BaseException, *, finished: int, total: int) -> TwinpathError:
    """Ctrl-C or SIGTERM, and what is there."""
    from twinpath.errors import Interrupted, Terminated

    kind, verb = (
        (Interrupted, "stopped") if isinstance(stop, KeyboardInterrupt) else (Terminated, "terminated")
    )
    rest = "; the same command with --resume goes on" if "json" in job.kinds else ""
    return kind(f"{verb} with {finished} of {total} videos finished{rest}")


def _print(done: Done, *, is_first: bool) -> None:
    """The people on stdout; on stderr what is worth a remark, once where it holds for every video."""
    from twinpath.cli.console import print_note
    from twinpath.paths import display_path
    from twinpath.results.classification import SYNTHETIC_WARNING
    from twinpath.results.clock import clock

    found = done.found
    assert found is not None
    video = display_path(done.path)
    print(f"{video}  {clock(found.duration_s)}, {len(found.keyframes_s)} keyframes", flush=True)
    _print_tracks(found)
    for warning in done.warnings:
        if warning != SYNTHETIC_WARNING:
            print_note(f"warning: {video}: {warning}")
        elif is_first:
            print_note(f"warning: {warning}")
    if done.was_there:
        print_note(f"{found.person_detector}; found by an earlier run")
    else:
        timing = ", ".join(f"{part} {took_s:.1f} s" for part, took_s in found.timing_s.items())
        print_note(f"{found.person_detector}; {done.took_s:.1f} s in all, of these {timing}")
    print_note(f"files: {' '.join(display_path(place) for place in done.files.values())}")


def _print_tracks(found: Detections) -> None:
    from twinpath.cli.console import Column, print_table
    from twinpath.results.clock import clock
    from twinpath.results.detections import actions_of

    if not found.tracks:
        print("nobody was found", flush=True)
        return
    shown = found.tracks[:MOST_ROWS]
    print_table(
        [
            Column("person", [str(track.track_id) for track in shown], right=True),
            Column("start", [clock(track.points[0].time_s) for track in shown], right=True),
            Column("end", [clock(track.points[-1].time_s) for track in shown], right=True),
            Column("actions", [_in_words(actions_of(track)) for track in shown]),
        ]
    )
    if len(found.tracks) > MOST_ROWS:
        print(f"… and {len(found.tracks) - MOST_ROWS} more people, in the files", flush=True)


def _in_words(actions: list[tuple[str, float]]) -> str:
    return ", ".join(f"{label} {score:.2f}" for label, score in actions[:3]) or "–"
