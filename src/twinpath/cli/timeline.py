"""`twinpath timeline`: when does what happen in these videos?"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

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
    from twinpath.results.segments import SegmentRules
    from twinpath.results.timeline import Timeline
    from twinpath.results.window_scores import WindowScores

KINDS = ("json", "csv", "srt", "vtt", "eaf", "html", "png")  # in the order in which they are told
SCORES = "scores.npz"
MOST_ROWS = 50  # of a table on a terminal

# Options that make segments of scores, by `recognize.segments.SegmentRules`.
MinScore = Annotated[
    float,
    typer.Option(metavar="X", help="Score at which a segment is seen, 0 to 1; it lasts down to half of it."),
]
Merge = Annotated[
    float, typer.Option(metavar="S", help="Join segments of one label across gaps up to this, in seconds.")
]
Smooth = Annotated[
    float, typer.Option(metavar="S", help="Average scores so far to both sides, in seconds; 0: not at all.")
]


@dataclass(frozen=True)
class _Job:
    """What is wanted of every video."""

    model: str
    weights_sha256: str | None
    every_s: float
    rules: SegmentRules
    labels: str | None  # as the user wrote them
    top_k: int
    kinds: tuple[str, ...]
    resume: bool


@dataclass
class _Done:
    """One video: its timeline and files, or why there is none."""

    path: Path
    timeline: Timeline | None = None
    files: dict[str, Path] = field(default_factory=dict)
    new_windows: int = 0
    took_s: float = 0.0
    error: Exception | None = None
    stopped: BaseException | None = None  # Ctrl-C or SIGTERM; what was done until then is in the files


def timeline(
    videos: Videos,
    model: ModelOption = None,
    weights: WeightsOption = None,
    every: Annotated[
        float, typer.Option(metavar="S", help="From the start of a window to that of the next, in seconds.")
    ] = 1.0,
    min_score: MinScore = 0.3,
    merge: Merge = 2.0,
    smooth: Smooth = 2.0,
    top_k: Annotated[int, typer.Option(metavar="K", help="Labels of each window in the JSON file.")] = 5,
    labels: Annotated[
        str | None, typer.Option(metavar="A,B", help="Look for these labels only (`twinpath labels`).")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the files.")] = Path(
        "twinpath-timeline"
    ),
    formats: Annotated[
        str, typer.Option(metavar="A,B", help="Which files to write.")
    ] = "json,csv,srt,vtt,eaf,html,png",
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
    """Tell when what happens in videos of any length: a table, subtitles, annotations, a page and a picture.

    Ctrl-C keeps what is done; --resume goes on from there. With other thresholds, labels or formats it works
    on the scores that are already there.
    """
    from twinpath.cli.loading import check_weights_option, full_name, sha256_of
    from twinpath.cli.outputs import check_folder, checked_kinds, output_names
    from twinpath.engine.config import EngineConfig
    from twinpath.errors import PartialFailure, UsageError
    from twinpath.recognize.timeline import check_every
    from twinpath.results.segments import SegmentRules
    from twinpath.video.find import find_videos
    from twinpath.video.source import open_video

    config = EngineConfig.parse(engine, device, precision, threads, compile=compile)
    rules = SegmentRules(min_score=min_score, merge_s=merge, smooth_s=smooth)
    check_every(every)
    if top_k < 1:
        raise UsageError(f"--top-k {top_k}: give a number from 1")
    check_weights_option(model, weights)
    kinds = checked_kinds(formats, KINDS)
    check_folder(out)
    paths = find_videos(videos)
    if len(paths) == 1:  # a bad file should not wait for a network to load
        open_video(paths[0]).close()
    job = _Job(full_name(model), sha256_of(weights), every, rules, labels, top_k, kinds, resume)
    bases = {path: out / place for path, place in zip(paths, output_names(paths), strict=True)}
    classifier = None if _all_scored(job, bases) else _load(job, weights, config)
    failed = _run(job, classifier, bases, json=json)
    if failed:
        raise PartialFailure(f"{failed} of {len(paths)} videos could not be used; each is named above")


def _load(job: _Job, weights: Path | None, config: EngineConfig) -> Classifier:
    """Raises: UsageError: the model does not know a label that is looked for."""
    from twinpath.cli.console import print_note
    from twinpath.cli.loading import load_classifier

    began_s = time.perf_counter()
    classifier = load_classifier(job.model, weights, config)
    took_s = time.perf_counter() - began_s
    print_note(f"{classifier.model} on {classifier.engine(1).describe()}, loaded in {took_s:.1f} s")
    _check_labels(job, classifier.labels)
    return classifier


def _check_labels(job: _Job, known: tuple[str, ...]) -> tuple[str, ...] | None:
    from twinpath.recognize.timeline import read_labels

    return None if job.labels is None else read_labels(job.labels, known, model=job.model)


def _earlier(job: _Job, path: Path, base: Path) -> WindowScores | None:
    """Scores that an earlier run left and this one may go on from.

    Raises:
        InputError: They are damaged.
        UsageError: They are of another video, model or setting.
    """
    from twinpath.cli.outputs import file_of
    from twinpath.errors import UsageError
    from twinpath.formats.window_scores import load_window_scores
    from twinpath.paths import display_path
    from twinpath.results.provenance import Provenance

    place = file_of(base, SCORES)
    if not job.resume or not place.is_file():
        return None
    earlier = load_window_scores(place)
    now = Provenance.of(
        path, model=job.model, weights_sha256=job.weights_sha256, settings={"every_s": job.every_s}
    )
    differences = earlier.provenance.differences(now)
    if differences:
        raise UsageError(
            f"{display_path(path)} cannot go on from its earlier scores: {'; '.join(differences)}; "
            "run it as before, or leave out --resume to start over"
        )
    return earlier


def _all_scored(job: _Job, bases: dict[Path, Path]) -> bool:
    """Whether no video needs the model any more. A single one that cannot go on says so now."""
    from twinpath.errors import TwinpathError

    if not job.resume:
        return False
    for path, base in bases.items():
        try:
            earlier = _earlier(job, path, base)
        except (TwinpathError, OSError):
            if len(bases) == 1:
                raise
            continue  # it is told in its turn, and needs no model
        if earlier is None or not earlier.complete:
            return False
    return True


def _run(job: _Job, classifier: Classifier | None, bases: dict[Path, Path], *, json: bool) -> int:
    """Work on each video and print it as soon as it is done; returns how many failed."""
    from twinpath.cli.console import Part, count_progress, print_json, print_note, with_progress

    failed = 0
    answers: Iterable[_Done]
    part = Part()
    if len(bases) == 1:  # a bar over its windows; a batch has one over its files
        with count_progress("scoring") as progress:
            answers = [_one(job, classifier, path, base, progress) for path, base in bases.items()]
    else:
        answers = (_one(job, classifier, path, base, part) for path, base in bases.items())
    for number, done in enumerate(with_progress(answers, total=len(bases), title="scoring", part=part)):
        if done.error is not None:
            if len(bases) == 1:
                raise done.error
            failed += 1
            print_note(f"twinpath: {done.error}")
            if json:
                error = {"type": type(done.error).__name__, "message": str(done.error)}
                print_json({"video": str(done.path), "error": error})
        elif done.timeline is not None and json:
            files = {kind: str(path) for kind, path in done.files.items()}
            print_json({**done.timeline.to_dict(with_windows=False), "files": files})
        elif done.timeline is not None:
            _print(done, bases[done.path], is_first=number == failed)
        if done.stopped is not None:
            _raise_stopped(done, bases[done.path], finished=number - failed)
    return failed


def _one(
    job: _Job,
    classifier: Classifier | None,
    path: Path,
    base: Path,
    progress: Callable[[int, int], None],
) -> _Done:
    """The timeline of one video, in files; or why there is none: one bad file does not end a batch."""
    from twinpath.errors import InputError, LimitExceeded, UsageError

    try:
        earlier = _earlier(job, path, base)
        if earlier is not None and earlier.complete:
            return _finish(job, _Done(path), earlier, base)
        assert classifier is not None
        if earlier is None:
            _note_what_is_lost(job, base)
        return _score(job, classifier, path, base, earlier, progress)
    except (InputError, LimitExceeded, UsageError, OSError) as error:
        return _Done(path, error=error)


def _score(
    job: _Job,
    classifier: Classifier,
    path: Path,
    base: Path,
    earlier: WindowScores | None,
    progress: Callable[[int, int], None],
) -> _Done:
    from twinpath.cli.outputs import file_of
    from twinpath.formats.window_scores import save_window_scores
    from twinpath.recognize.timeline import score_windows

    latest = earlier

    def keep(windows: WindowScores) -> None:
        nonlocal latest
        latest = windows
        save_window_scores(windows, file_of(base, SCORES))

    began_s = time.perf_counter()
    done = _Done(path)
    try:
        latest = score_windows(
            classifier,
            path,
            every_s=job.every_s,
            weights_sha256=job.weights_sha256,
            resume_from=earlier,
            on_checkpoint=keep,
            progress=progress,
        )
    except (KeyboardInterrupt, SystemExit) as stop:
        done.stopped = stop
    done.took_s = time.perf_counter() - began_s
    if latest is None:
        return done
    done.new_windows = len(latest) - (len(earlier) if earlier else 0)
    return _finish(job, done, latest, base)


def _finish(job: _Job, done: _Done, windows: WindowScores, base: Path) -> _Done:
    """Write the files, then the scores that call them finished; nothing where all is there already."""
    from twinpath.cli.outputs import file_of
    from twinpath.formats.timelines import TIMELINE_KINDS, write_timeline_file
    from twinpath.formats.window_scores import save_window_scores
    from twinpath.recognize.timeline import timeline_of
    from twinpath.render.timeline import write_timeline_view

    rules = replace(job.rules, labels=_check_labels(job, windows.labels))
    found = timeline_of(windows, rules, top_k=job.top_k)
    done.timeline = found
    done.files = {kind: file_of(base, kind) for kind in (*job.kinds, SCORES)}
    if windows.settings == found.settings() and all(place.is_file() for place in done.files.values()):
        return done
    for kind in job.kinds:
        write = write_timeline_file if kind in TIMELINE_KINDS else write_timeline_view
        write(found, done.files[kind], kind)
    if windows.complete:
        save_window_scores(windows.with_settings(found.settings()), done.files[SCORES])
    return done


def _note_what_is_lost(job: _Job, base: Path) -> None:
    """Say that a run starts over where it could go on: there is still time for Ctrl-C."""
    from twinpath.cli.console import print_note
    from twinpath.cli.outputs import file_of
    from twinpath.errors import InputError
    from twinpath.formats.window_scores import load_window_scores
    from twinpath.paths import display_path
    from twinpath.results.clock import clock

    place = file_of(base, SCORES)
    if job.resume or not place.is_file():
        return
    with contextlib.suppress(InputError, OSError):
        old = load_window_scores(place)
        if not old.complete:
            print_note(
                f"{display_path(place)} holds the first {clock(old.done_s)}; starting "
                "over (--resume would go on)"
            )


def _print(done: _Done, base: Path, *, is_first: bool) -> None:
    """The segments on stdout; on stderr what is worth a remark."""
    from twinpath.cli.console import print_note
    from twinpath.paths import display_path
    from twinpath.results.classification import SYNTHETIC_WARNING
    from twinpath.results.clock import clock

    assert done.timeline is not None
    windows = done.timeline.windows
    video = display_path(Path(windows.video))
    part = "" if windows.complete else f" of {clock(windows.duration_s)}, unfinished"
    print(f"{video}  {clock(windows.done_s)}{part}, {len(windows)} windows", flush=True)
    _print_segments(done.timeline)
    for warning in done.timeline.warnings:
        if warning != SYNTHETIC_WARNING:
            print_note(f"warning: {video}: {warning}")
        elif is_first:
            print_note(f"warning: {warning}")
    first, *others = done.files
    if done.new_windows:
        rate = done.new_windows / max(done.took_s, 1e-9)
        print_note(f"scored {done.new_windows} windows in {done.took_s:.1f} s, {rate:.1f} a second")
    print_note(f"files: {' .'.join([f'{display_path(base)}.{first}', *others])}")


def _print_segments(timeline: Timeline) -> None:
    from twinpath.cli.console import Column, print_table
    from twinpath.results.clock import clock

    segments = timeline.segments
    if not segments:
        best = timeline.best()
        highest = f"; the highest is {best[1].label}, {best[1].score:.2f} at {clock(best[0])}" if best else ""
        print(f"no smoothed score reaches {timeline.rules.min_score:g} (--min-score){highest}", flush=True)
        return
    more = len(segments) - MOST_ROWS if sys.stdout.isatty() else 0
    shown = segments[:MOST_ROWS] if more > 0 else segments
    print_table(
        [
            Column("start", [clock(s.start_s) for s in shown], right=True),
            Column("end", [clock(s.end_s) for s in shown], right=True),
            Column("length", [f"{s.length_s:.1f} s" for s in shown], dispensable=3, right=True),
            Column("label", [s.label for s in shown]),
            Column("mean", [f"{s.mean_score:.2f}" for s in shown], dispensable=1, right=True),
            Column("peak", [f"{s.peak_score:.2f}" for s in shown], dispensable=2, right=True),
        ]
    )
    if more > 0:
        print(f"… and {more} more segments, in the files", flush=True)


def _raise_stopped(done: _Done, base: Path, *, finished: int) -> NoReturn:
    """Ctrl-C or SIGTERM as an error that says what is there."""
    from twinpath.errors import Interrupted, Terminated
    from twinpath.paths import display_path
    from twinpath.results.clock import clock

    if done.timeline is None:
        what = f"before the first window of {display_path(done.path)} was done"
    else:
        windows = done.timeline.windows
        what = f"at {clock(windows.done_s)} of {clock(windows.duration_s)} of {display_path(done.path)}"
        what += f"; {display_path(base)}.* has what was done"
    others = f"; {finished} videos before it are finished" if finished else ""
    kind, verb = (
        (Interrupted, "stopped")
        if isinstance(done.stopped, KeyboardInterrupt)
        else (Terminated, "terminated")
    )
    raise kind(f"{verb} {what}{others}; the same command with --resume goes on") from done.stopped
