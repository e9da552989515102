"""`twinpath detect`: who does what, where and when in these videos?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
    import numpy as np
    from numpy.typing import NDArray

    from twinpath.engine.base import EngineWish
    from twinpath.recognize.detect import Detector
    from twinpath.recognize.detections import Detections

ENDINGS = {"json": "json", "csv": "ava.csv", "xml": "cvat.xml", "mp4": "mp4", "png": "png"}
MOST_ROWS = 50  # of a table on a terminal


@dataclass(frozen=True)
class _Job:
    """What is wanted of every video."""

    people: str
    tracker: str
    every_s: float
    min_score: NDArray[np.float64]
    min_person_score: float | None
    smooth_s: float
    kinds: tuple[str, ...]
    labels: int
    hud: bool


@dataclass
class _Done:
    """One video: who does what, and the files that tell it; or why there is none."""

    path: Path
    found: Detections | None = None
    files: dict[str, Path] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    took_s: float = 0.0
    error: Exception | None = None


def detect(
    videos: Annotated[
        list[str],
        typer.Argument(metavar="VIDEO", help="Files, folders or patterns such as 'clips/*.mp4'."),
    ],
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A name of `twinpath models list --dataset ava`.")
    ] = "slowfast_r50_8x8_det.ptv_ava",
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A weight file to use with the model.")
    ] = None,
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
    device: Device = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    compile: CompileOption = False,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell who does what, where and when in videos.

    Writes annotated videos, and files for programs and for correction by hand.
    """
    from twinpath.cli.outputs import check_folder, checked_kinds, output_names
    from twinpath.engine.base import EngineWish
    from twinpath.errors import PartialFailure
    from twinpath.recognize.timeline import check_every
    from twinpath.video.find import find_videos

    wish = EngineWish.parse(engine, device, precision, threads, compile=compile)
    check_every(every)
    kinds = checked_kinds(formats, tuple(ENDINGS))
    check_folder(out)
    thresholds = _thresholds(model, min_score)
    paths = find_videos(videos)
    bases = {path: out / name for path, name in zip(paths, output_names(paths), strict=True)}
    _keep_sources(bases, kinds)
    job = _Job(people, tracker, every, thresholds, min_person_score, smooth, kinds, labels, hud)
    _check_finders(job, paths)
    detector = _load(model, weights, wish)
    failed = _run(job, detector, bases, json=json)
    if failed:
        raise PartialFailure(f"{failed} of {len(paths)} videos could not be used; each is named above")


def _thresholds(model: str, text: str) -> NDArray[np.float64]:
    """Checked before anything is loaded."""
    from twinpath.errors import UsageError
    from twinpath.labels import labels
    from twinpath.recognize.detect import DEFAULT_MODEL, MIN_SCORE
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
    from twinpath.video.source import show

    sources = {path.resolve() for path in bases}
    for base in bases.values():
        for kind in kinds:
            place = file_of(base, ENDINGS[kind])
            if place.resolve() in sources:
                raise UsageError(
                    f"--out would write over {show(place)}, which is a source; give another folder"
                )


def _check_finders(job: _Job, paths: list[Path]) -> None:
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


def _load(model: str, weights: Path | None, wish: EngineWish) -> Detector:
    from twinpath.cli.console import say
    from twinpath.cli.loading import load_detector

    began_s = time.perf_counter()
    detector = load_detector(model, weights, wish)
    took_s = time.perf_counter() - began_s
    say(f"{detector.model} on {detector.engine.describe()}, loaded in {took_s:.1f} s")
    return detector


def _run(job: _Job, detector: Detector, bases: dict[Path, Path], *, json: bool) -> int:
    """Work on each video and print it as soon as it is done; returns how many failed."""
    from twinpath.cli.console import Part, count_progress, print_json, say, with_progress

    failed = 0
    part = Part()
    if len(bases) == 1:  # a bar over its keyframes; a batch has one over its files
        with count_progress("detecting") as progress:
            answers: Iterator[_Done] = iter(
                [_one(job, detector, path, base, progress) for path, base in bases.items()]
            )
    else:
        answers = (_one(job, detector, path, base, part) for path, base in bases.items())
    for done in with_progress(answers, total=len(bases), title="detecting", part=part):
        if done.error is not None:
            if len(bases) == 1:
                raise done.error
            failed += 1
            say(f"twinpath: {done.error}")
            if json:
                error = {"type": type(done.error).__name__, "message": str(done.error)}
                print_json({"video": str(done.path), "error": error})
        elif done.found is not None and json:
            files = {kind: str(path) for kind, path in done.files.items()}
            print_json({**done.found.to_dict(), "warnings": list(done.warnings), "files": files})
        else:
            _print(done)
    return failed


def _one(
    job: _Job, detector: Detector, path: Path, base: Path, progress: Callable[[int, int], None]
) -> _Done:
    """One video, in files; or why there is none: one bad file does not end a batch."""
    from twinpath.errors import InputError, LimitExceeded

    began_s = time.perf_counter()
    done = _Done(path)
    try:
        done.found = detector(
            path,
            people=job.people,
            tracker=job.tracker,
            every_s=job.every_s,
            min_score=job.min_score,
            min_person_score=job.min_person_score,
            smooth_s=job.smooth_s,
            progress=progress,
        )
        done.warnings = tuple(dict.fromkeys([*done.found.warnings, *_write(job, done, base)]))
    except (InputError, LimitExceeded, OSError) as error:
        done.error = error
    done.took_s = time.perf_counter() - began_s
    return done


def _write(job: _Job, done: _Done, base: Path) -> list[str]:
    """Write the files; returns what there is to say of them."""
    from twinpath.cli.console import count_progress
    from twinpath.cli.outputs import file_of
    from twinpath.recognize.detection_files import DETECTION_KINDS, write_detection_file
    from twinpath.render.annotate import annotate_video, contact_sheet
    from twinpath.video.probe import frame_times

    assert done.found is not None
    warnings: list[str] = []
    base.parent.mkdir(parents=True, exist_ok=True)
    times_s = frame_times(done.path) if "xml" in job.kinds else None
    for kind in job.kinds:
        place = file_of(base, ENDINGS[kind])
        if kind in DETECTION_KINDS:
            write_detection_file(done.found, place, kind, frame_times_s=times_s)
        elif kind == "png":
            contact_sheet(done.path, done.found, place)
        else:
            with count_progress("drawing") as progress:
                warnings += annotate_video(
                    done.path, done.found, place, labels=job.labels, hud=job.hud, progress=progress
                )
        done.files[kind] = place
    return warnings


def _print(done: _Done) -> None:
    """The people on stdout; on stderr what is worth a remark."""
    from twinpath.cli.console import say
    from twinpath.recognize.segments import clock
    from twinpath.video.source import show

    found = done.found
    assert found is not None
    video = show(done.path)
    print(f"{video}  {clock(found.duration_s)}, {len(found.keyframes_s)} keyframes", flush=True)
    _print_tracks(found)
    for warning in done.warnings:
        say(f"warning: {video}: {warning}")
    timing = ", ".join(f"{part} {took_s:.1f} s" for part, took_s in found.timing_s.items())
    say(f"{found.people}; {done.took_s:.1f} s in all, of these {timing}")
    say(f"files: {' '.join(show(place) for place in done.files.values())}")


def _print_tracks(found: Detections) -> None:
    from twinpath.cli.console import Column, print_table
    from twinpath.recognize.detections import actions_of
    from twinpath.recognize.segments import clock

    if not found.tracks:
        print("nobody was found", flush=True)
        return
    shown = found.tracks[:MOST_ROWS]
    print_table(
        [
            Column("person", [str(track.number) for track in shown], right=True),
            Column("start", [clock(track.seen[0].time_s) for track in shown], right=True),
            Column("end", [clock(track.seen[-1].time_s) for track in shown], right=True),
            Column("actions", [_in_words(actions_of(track)) for track in shown]),
        ]
    )
    if len(found.tracks) > MOST_ROWS:
        print(f"… and {len(found.tracks) - MOST_ROWS} more people, in the files", flush=True)


def _in_words(actions: list[tuple[str, float]]) -> str:
    return ", ".join(f"{label} {score:.2f}" for label, score in actions[:3]) or "–"
