"""Works through a batch for a command: a bar, each result or error as soon as it is there, and the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from twinpath.cli.options import Reading

if TYPE_CHECKING:
    from twinpath.cli.progress import BatchBar
    from twinpath.jobs.batch import Outcome
    from twinpath.video.find import InputVideo

Result = TypeVar("Result")


def find_checked(videos: Sequence[str], reading: Reading) -> list[InputVideo]:
    """The videos that a user named. A single one that cannot be opened is an error now.

    Raises:
        UsageError: One of them is an address or stdin.
        InputError, LimitExceeded, WorkerDied: There are none, or the only one cannot be opened.
    """
    from twinpath.jobs.batch import check_single_input
    from twinpath.jobs.outputs import is_drawn_result
    from twinpath.video.find import find_inputs

    for video in videos:
        _check_is_file(video)
    found = find_inputs(videos, is_result=is_drawn_result)
    check_single_input(found, reading.limits(), isolate=reading.isolate)
    return found


def _check_is_file(video: str) -> None:
    """Raises: UsageError: It is an address, or the sign for stdin; only `stream` reads addresses."""
    from twinpath.addresses import is_address, mask_address
    from twinpath.errors import UsageError

    if os.path.lexists(video):
        return
    if video == "-":
        raise UsageError("-: videos are read from files, not from stdin; save the video as a file first")
    shown = mask_address(video)
    if is_address(video) or shown.startswith("***@"):
        raise UsageError(
            f"{shown} is an address, and this command reads files: "
            "`twinpath stream` reads rtsp:// and http:// addresses, or save the video as a file first"
        )


def how_to_resume(*, resume: bool) -> str:
    """What a stopped command says of how it is resumed."""
    from twinpath.jobs.batch import SAME_COMMAND

    return SAME_COMMAND if resume else f"without --no-resume {SAME_COMMAND}"


def print_resumed(out: Path, what: str, done: int, total: int) -> None:
    """Say how much an earlier run left."""
    from twinpath.cli.console import print_note
    from twinpath.paths import display_path

    print_note(f"{display_path(out)} has {done} of {total} {what} already")


def show_batch(
    outcomes: Iterable[Outcome[Result]],
    bar: BatchBar,
    show: Callable[[Outcome[Result], Result], None],
    *,
    as_json: bool,
    rest: str | None = None,
    if_none: str = "each is named above",
) -> None:
    """Print each outcome; arguments beside these and errors as `jobs.batch.run_batch`.

    Args:
        outcomes: Of all videos.
        bar: Its `total` is that of the videos.
        show: Prints an outcome that has a result.
        as_json: Whether a failure is also a line of JSON.
    """
    from twinpath.cli.console import print_json, print_note
    from twinpath.cli.option_names import in_options
    from twinpath.jobs.batch import error_to_dict, run_batch

    def print_outcome(outcome: Outcome[Result]) -> None:
        if outcome.error is not None:
            print_note(f"twinpath: {in_options(str(outcome.error))}")
            if as_json:
                print_json({"video": str(outcome.video.path), **error_to_dict(outcome.error)})
        elif outcome.result is not None:
            show(outcome, outcome.result)

    run_batch(bar.over(outcomes), total=bar.total, on_outcome=print_outcome, rest=rest, if_none=if_none)


def files_in_words(paths: Iterable[Path]) -> str:
    """The first path, and of the others what differs: out/match.mp4.timeline.json .csv .srt."""
    from twinpath.paths import display_path

    first, *others = map(display_path, paths)
    common = os.path.commonprefix([first, *others]).rpartition(".")[0]  # noqa: RUF071
    return " ".join([first, *(other.removeprefix(common) for other in others)])


class WarningPrinter:
    """Prints warnings with the video's name; those that hold for every video once."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def print(self, video: str, warnings: Iterable[str]) -> None:
        from twinpath.cli.console import print_note
        from twinpath.results.classification import SYNTHETIC_WARNING

        for warning in warnings:
            if warning != SYNTHETIC_WARNING:
                print_note(f"warning: {video}: {warning}")
            elif warning not in self._printed:
                self._printed.add(warning)
                print_note(f"warning: {warning}")
