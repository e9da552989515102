"""Runs `twinpath stream` until the source ends or something stops it, and sums up."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinpath.cli.stream_screens import Screen
    from twinpath.cli.stream_tally import Tally
    from twinpath.cli.stream_views import FrameViews
    from twinpath.recognize.live import LiveRecognition

TICK_S = 0.1  # between two updates of the table


def show_stream(
    live: LiveRecognition, views: FrameViews, screen: Screen, tally: Tally, stop_after_s: float | None
) -> None:
    """Show answers until the source ends or something stops it; then finish the file and sum up."""
    stopped: BaseException | None = None
    with _signals_wait() as wait:
        try:
            with screen, live:
                try:
                    _show_answers(live, views, screen, tally, stop_after_s)
                finally:
                    wait()
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - raised again in _sum_up
            stopped = error
        tally.counters = live.counters
        try:
            views.close()
        except Exception as error:  # noqa: BLE001 - raised again in _sum_up, or said there
            stopped = _first_of(stopped, error)
        _sum_up(screen, tally, stopped)


def _show_answers(
    live: LiveRecognition, views: FrameViews, screen: Screen, tally: Tally, stop_after_s: float | None
) -> None:
    for answer in live.answers(tick_s=TICK_S):
        if answer is not None:
            tally.add(answer)
            views.set_results(answer)
        screen.show(answer)
        if views.is_over(stop_after_s):
            tally.reason = "stopped as asked"
            return


def _first_of(stopped: BaseException | None, error: Exception) -> BaseException:
    """What to raise of a run that was stopped, and whose file cannot be finished."""
    from twinpath.cli.console import print_note

    if stopped is None or isinstance(stopped, KeyboardInterrupt | SystemExit):
        return error
    if stopped is not error:
        print_note(f"twinpath: {error}")
    return stopped


@contextlib.contextmanager
def _signals_wait() -> Iterator[Callable[[], None]]:
    """Within the block, once what it yields was called, a signal ends nothing: files are being finished.

    Whoever closes a terminal or stops a service often sends several, and a source may take a while to close.
    """
    from twinpath.cli.console import print_note

    before: dict[int, Any] = {}
    is_waiting = False

    def wait() -> None:
        nonlocal is_waiting
        is_waiting = True

    def stop_or_wait(signum: int, frame: FrameType | None) -> None:
        if is_waiting:
            print_note("the file is being finished")
        else:
            before[signum](signum, frame)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signum = getattr(signal, name, None)
        if signum is not None and callable(signal.getsignal(signum)):
            before[signum] = signal.getsignal(signum)
            signal.signal(signum, stop_or_wait)
    try:
        yield wait
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _sum_up(screen: Screen, tally: Tally, stopped: BaseException | None) -> None:
    """Print the tally; where something stopped the work, raise that."""
    from twinpath.cli.console import print_note
    from twinpath.errors import Interrupted, Terminated

    if isinstance(stopped, BrokenPipeError):  # nobody reads any more
        raise stopped
    if isinstance(stopped, KeyboardInterrupt):
        tally.reason, stopped = "interrupted", Interrupted(f"stopped; {tally}")
    elif isinstance(stopped, SystemExit):  # SIGTERM
        tally.reason, stopped = "terminated", Terminated(f"terminated; {tally}")
    elif stopped is not None:
        tally.reason = "failed"
        print_note(str(tally))
    else:
        print_note(f"{tally.reason}; {tally}")
    screen.end(tally)
    if stopped is not None:
        raise stopped
