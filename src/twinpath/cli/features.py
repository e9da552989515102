"""`twinpath features`: what a network sees in videos, in a file for other programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from twinpath.cli.options import AsJson, Debug, Device, Videos, WeightsOption

if TYPE_CHECKING:
    from twinpath.formats.features import Dtype, FeatureTable
    from twinpath.recognize.features import FeatureExtractor


@dataclass
class _Done:
    """One video that was read to its end, or why it was not."""

    path: Path
    clips: int = 0
    warnings: list[str] = field(default_factory=list)
    error: Exception | None = None


def features(
    videos: Videos,
    model: Annotated[str, typer.Option(metavar="NAME", help="A name of `twinpath models list`.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to: FILE.npz for NumPy or FILE.parquet for tables.")
    ],
    weights: WeightsOption = None,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="From the start of a clip to that of the next, in seconds.  [default: a clip]"
        ),
    ] = None,
    dtype: Annotated[
        str, typer.Option(metavar="TYPE", help="float32 or float16, of half the size.")
    ] = "float32",
    device: Device = "auto",
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write an embedding of every clip of each video, with its times.

    The clips have the model's own length and follow each other through the whole video. Ctrl-C keeps what is
    done.
    """
    from twinpath.atomic import atomic_path
    from twinpath.errors import PartialFailure, UsageError
    from twinpath.formats.features import FeatureTable, check_target
    from twinpath.video.find import find_videos

    if dtype not in ("float32", "float16"):
        raise UsageError(f"--dtype {dtype!r}: give float32 or float16")
    check_target(out)
    paths = find_videos(videos)
    if len(paths) == 1:  # a bad file should not wait for a network to load
        from twinpath.video.source import open_video

        open_video(paths[0]).close()
    stopped: BaseException | None = None
    failed = 0
    with atomic_path(out) as temporary:  # finds out now whether the file can be written there
        extract = _load(model, weights, device, every)
        table = FeatureTable(extract.model, cast("Dtype", dtype))
        try:
            failed = _run(extract, paths, table, json=json)
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - raised again below
            stopped = error
        if not len(table):
            raise stopped or PartialFailure(
                f"none of {len(paths)} videos could be used; {out} was not written"
            )
        table.write(temporary)
    _tell(table, out, stopped)
    if failed:
        raise PartialFailure(f"{failed} of {len(paths)} videos could not be used; each is named above")


def _load(model: str, weights: Path | None, device: str, every_s: float | None) -> FeatureExtractor:
    from twinpath.cli.console import print_note, progress_bar
    from twinpath.recognize.features import FeatureExtractor

    if sys.stderr.isatty():
        print_note(f"loading {model} …")
    with progress_bar(f"downloading {model}") as progress:
        return FeatureExtractor(model, weights, device, every_s=every_s, progress=progress)


def _run(extract: FeatureExtractor, paths: list[Path], table: FeatureTable, *, json: bool) -> int:
    """Put the features of all videos into the table; returns how many videos failed."""
    from twinpath.cli.console import Part, count_progress, print_json, print_note, with_progress
    from twinpath.paths import display_path

    failed = 0
    answers: Iterable[_Done]
    part = Part()
    if len(paths) == 1:  # a bar over its clips; a batch has one over its files
        with count_progress("extracting") as progress:
            answers = [_extract(extract, paths[0], table, progress)]
    else:
        answers = (_extract(extract, path, table, part) for path in paths)
    for done in with_progress(answers, total=len(paths), title="extracting", part=part):
        video = display_path(done.path)
        if done.error is not None:
            if len(paths) == 1:
                raise done.error
            failed += 1
            print_note(f"twinpath: {done.error}")
            if json:
                error = {"type": type(done.error).__name__, "message": str(done.error)}
                print_json({"video": str(done.path), "error": error})
            continue
        for warning in done.warnings:
            print_note(f"warning: {video}: {warning}")
        if json:
            print_json({"video": str(done.path), "clips": done.clips, "warnings": done.warnings})
        else:
            print(f"{video}  {done.clips} clips", flush=True)
    return failed


def _extract(
    extract: FeatureExtractor, path: Path, table: FeatureTable, progress: Callable[[int, int], None]
) -> _Done:
    """One video into the table: all of it or, where it fails, nothing."""
    from twinpath.errors import InputError, LimitExceeded

    done = _Done(path)
    try:
        for feature in extract(path, progress=progress, warn=done.warnings.append):
            table.add(str(path), feature)
            done.clips += 1
    except (InputError, LimitExceeded, OSError) as error:
        table.forget(str(path))
        done.error = error
    return done


def _tell(table: FeatureTable, out: Path, stopped: BaseException | None) -> None:
    """What was written; where something stopped the work, that too."""
    from twinpath.cli.console import print_note
    from twinpath.errors import Interrupted, Terminated

    written = f"{len(table)} embeddings of {table.dim} numbers of {len(table.videos)} videos"
    if isinstance(stopped, KeyboardInterrupt):
        raise Interrupted(f"stopped; {out} has what was done: {written}; the last video may be cut short")
    if isinstance(stopped, SystemExit):  # SIGTERM
        raise Terminated(f"terminated; {out} has what was done: {written}; the last video may be cut short")
    print_note(f"wrote {out}: {written}")
    if stopped is not None:
        raise stopped
