"""`twinpath data check`: what a data set is like, before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import AsJson, Boxes, Debug, Reading

if TYPE_CHECKING:
    from twinpath.cli.batch import WarningPrinter
    from twinpath.data.labelled.check import CheckedVideo
    from twinpath.data.labelled.clip import LabelledData
    from twinpath.jobs.batch import Outcome
    from twinpath.jobs.check_data import DataCheckRun

data = typer.Typer(
    help="Check labelled videos, before a network learns from them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@data.command()
@option_groups
def check(
    *,
    labelled: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA",
            help="A folder of classes with videos, a CSV (path,label …), or corrected timelines. With "
            "--detection boxes with actions: CVAT XML, JSON of detect, AVA CSV.",
        ),
    ],
    detection: Annotated[
        bool, typer.Option("--detection", help="DATA has boxes of people, for a detection network.")
    ] = False,
    boxes: Boxes,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder for a page with pictures of every class, and JSON."
        ),
    ] = None,
    reading: Reading,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Read every video of a data set, and say what is odd.

    Files that cannot be read, copies, names that mean the same, classes with too few clips: nothing is
    trained and nothing is changed. With --out it writes a page with a contact sheet of every class.
    """
    from functools import partial

    from twinpath.cli.batch import WarningPrinter, show_batch
    from twinpath.cli.console import outlive_reader, print_note
    from twinpath.cli.progress import BatchBar
    from twinpath.cli.show_data import print_check
    from twinpath.jobs.check_data import DataCheckRun, write_check
    from twinpath.jobs.outputs import check_folder
    from twinpath.recognize.read import VideoReader

    if out is not None:
        outlive_reader()
        check_folder(out)
    found, lost_files = _keyframes(labelled, boxes, reading) if detection else (_clips(labelled), 0)
    for note in found.notes:
        print_note(f"note: {note}")
    reader = VideoReader(reading.limits(), reading.isolate, reading.fps)
    run = DataCheckRun(found, reader, with_pictures=out is not None)
    bar = BatchBar("reading", total=len(run.videos))
    show = partial(_print_warnings, WarningPrinter())
    try:
        show_batch(run.outcomes(), bar, show, as_json=json, skipped=found.skipped)
    finally:
        if run.check is not None:
            title = labelled[0].resolve().name
            written = [] if out is None else write_check(run.check, out, title=title)
            print_check(run.check, written, as_json=json)
    _fail_if_lost(run, lost_files)


def _fail_if_lost(run: DataCheckRun, lost_files: int) -> None:
    """Raises: PartialFailure: Some of the data cannot be used."""
    from twinpath.errors import PartialFailure

    if run.check is not None and run.check.unusable:
        lost = len({video.path for video in run.check.unusable})
        raise PartialFailure(f"{lost} of {len(run.videos)} videos have clips that cannot be used")
    if lost_files:
        files = "1 file" if lost_files == 1 else f"{lost_files} files"
        raise PartialFailure(f"{files} with boxes cannot be used; each is named above")


def _clips(sources: list[Path]) -> LabelledData:
    from twinpath.data.labelled.read import read_labelled
    from twinpath.jobs.outputs import is_drawn_result

    return read_labelled(sources, min_classes=1, is_result=is_drawn_result)


def _keyframes(sources: list[Path], boxes: Boxes, reading: Reading) -> tuple[LabelledData, int]:
    """The clips around annotated keyframes, and how many files cannot be used."""
    from twinpath.cli.console import print_note
    from twinpath.data.labelled.keyframes import read_keyframes

    keyframes = read_keyframes(
        sources,
        videos=boxes.videos,
        label_map=boxes.label_map,
        every_s=boxes.every,
        fps=reading.fps,
        isolate=reading.isolate,
    )
    for failure in keyframes.failed:
        print_note(f"twinpath: {failure.reason}")
    print_note(f"{keyframes.num_people} boxes of people on {len(keyframes.keyframes)} keyframes")
    return keyframes.as_clips(), len(keyframes.failed)


def _print_warnings(printer: WarningPrinter, outcome: Outcome[CheckedVideo], video: CheckedVideo) -> None:
    """What is odd about a file, and which of its clips cannot be used."""
    from twinpath.cli.console import print_note
    from twinpath.paths import display_path

    printer.print(display_path(outcome.video.path), video.warnings)
    for clip in video.clips:
        if clip.problem is not None:
            print_note(f"twinpath: {clip.problem}")
