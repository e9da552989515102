"""One loop over many inputs: each gives its result or its error, and one bad input ends none of the others.

outcomes = classify_videos(find_inputs(["clips"]), job, load_classifier)      # any of the jobs
run_batch(outcomes, total=len(videos), on_outcome=show)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from twinpath.addresses import mask_secrets
from twinpath.errors import (
    INPUT_FAILURES,
    Interrupted,
    LimitExceeded,
    PartialFailure,
    Stopped,
    Terminated,
    TwinpathError,
    is_out_of_memory,
)
from twinpath.escapes import printable
from twinpath.paths import display_path
from twinpath.video.find import InputVideo
from twinpath.video.source import Limits, open_video

SAME_COMMAND = "the same command does the rest"

Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # called with how many parts of the current input are done, and of all


@dataclass(frozen=True, eq=False)
class Outcome(Generic[Result]):
    """What became of one input.

    Attributes:
        video: The input.
        result: What the job makes of it; None where it failed, or was stopped before there was any.
        error: One of `errors.INPUT_FAILURES`, with a message that names the input; None: it did not fail.
        was_done: An earlier run had finished it.
        stopped: The `KeyboardInterrupt` or `SystemExit` that ended the batch in the middle of this input;
            `result` is then of its first part, or `error` says why that could not be saved. No outcome
            follows.
        stopped_at: Where in the input that was, for people.
    """

    video: InputVideo
    result: Result | None = None
    error: Exception | None = None
    was_done: bool = False
    stopped: BaseException | None = None
    stopped_at: str = ""


def each_input(
    videos: Iterable[InputVideo], work: Callable[[InputVideo], Outcome[Result]]
) -> Iterator[Outcome[Result]]:
    """Work on one input after the other; what is in `errors.INPUT_FAILURES` becomes an outcome."""
    for video in videos:
        try:
            outcome = work(video)
        except INPUT_FAILURES as error:
            outcome = Outcome(video, error=input_failure(error, video.path), stopped=_stop_before(error))
        yield outcome
        if outcome.stopped is not None:
            return


def _stop_before(error: BaseException | None) -> BaseException | None:
    """What stopped the work, if the error is one of saving what there was."""
    while error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
        error = error.__cause__ or error.__context__
    return error


def run_batch(
    outcomes: Iterable[Outcome[Result]],
    *,
    total: int,
    on_outcome: Callable[[Outcome[Result]], None],
    rest: str | None = None,
    if_none: str = "each is named above",
) -> None:
    """Work through a batch; returns if every input has its result.

    Args:
        outcomes: Of the inputs, in order, made while they are taken.
        total: How many inputs there are.
        on_outcome: Called with each outcome as soon as it is there; not with the failure of a single input,
            which is raised.
        rest: How a stopped batch is resumed, for example "the same command does the rest"; None: it cannot
            be, and `KeyboardInterrupt` or `SystemExit` pass as they are.
        if_none: What to add where no input had a result.
    Raises:
        PartialFailure: Some inputs of a batch failed.
        Interrupted, Terminated: Stopped by Ctrl-C or SIGTERM.
        TwinpathError, OSError: The only input failed, or all of them do for the same reason.
    """
    finished = failed = 0
    stopped_at = ""
    try:
        for outcome in outcomes:
            if outcome.error is not None and outcome.stopped is None and total == 1:
                raise outcome.error
            if outcome.error is not None:
                failed += 1
            elif outcome.stopped is None:
                finished += 1
            on_outcome(outcome)
            if outcome.stopped is not None:
                stopped_at = outcome.stopped_at
                raise outcome.stopped
    except (KeyboardInterrupt, SystemExit) as stop:
        if rest is None:
            raise
        raise stopped_error(stop, finished=finished, total=total, place=stopped_at, rest=rest) from stop
    if failed == total > 0:
        raise PartialFailure(f"none of {total} videos could be used; {if_none}")
    if failed:
        raise PartialFailure(f"{failed} of {total} videos could not be used; each is named above")


def stopped_error(
    stop: BaseException, *, finished: int, total: int, place: str = "", rest: str = SAME_COMMAND
) -> Stopped:
    """What a run raises that a `KeyboardInterrupt` or a `SystemExit` has stopped.

    Args:
        stop: Either of them.
        finished, total: Videos.
        place: Where it was, for people.
        rest: How it is resumed.
    """
    what = f"{place and f' {place},'} with {finished} of {total} videos finished; {rest}"
    if isinstance(stop, KeyboardInterrupt):
        return Interrupted(f"stopped{what}")
    return Terminated(f"terminated{what}")


def input_failure(error: Exception, path: Path) -> Exception:
    """The error of an input with a message that names the input's path; typed where memory was lacking.

    Args:
        error: One of `errors.INPUT_FAILURES`.
        path: Of the input.
    """
    name = display_path(path)
    if is_out_of_memory(error):
        failure = LimitExceeded(f"{name}: the memory does not suffice; scale the video down, or free memory")
        failure.__cause__ = error
        return failure
    if isinstance(error, TwinpathError) and name not in str(error):
        error.args = (f"{name}: {error}", *error.args[1:])
    if isinstance(error, OSError) and error.filename is None:
        error.filename = str(path)
    return error


def error_to_dict(error: Exception) -> dict[str, Any]:
    """What is reported of a failed input, as plain values for JSON."""
    return {"error": {"type": type(error).__name__, "message": printable(mask_secrets(str(error)))}}


def check_single_input(
    videos: Sequence[InputVideo], limits: Limits, *, fps: float | None = None, isolate: bool
) -> None:
    """Open the input if it is the only one, so that a bad file does not wait for a network to load.

    Raises:
        InputError, LimitExceeded, WorkerDied: The file cannot be opened.
    """
    if len(videos) != 1:
        return
    if isolate:
        from twinpath.video.isolated.sandbox import probe_isolated

        probe_isolated(videos[0].path, limits=limits, fps=fps)
    else:
        open_video(videos[0].path, limits=limits, fps=fps).close()
