"""The command line: one file a command, which parses and prints. It imports what it needs when it runs."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from types import FrameType

_received: list[int] = []  # the signals of this run


def main() -> None:
    """Run `twinpath`; the exit code says how it went, as `twinpath.errors` has it."""
    _received.clear()
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        signal.signal(signal.SIGINT, _stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # `twinpath … | head`: nothing is left to print for
        _discard_stdout()
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):  # seen by typer or rich first
            raise
        _discard_stdout()


def _run() -> None:
    from twinpath.cli.app import app
    from twinpath.cli.lost_signals import sent_again
    from twinpath.cli.option_names import in_options
    from twinpath.errors import TwinpathError

    debug = "--debug" in sys.argv
    try:
        try:
            with sent_again(_received):
                app(prog_name="twinpath")
        finally:
            sys.stdout.flush()
    except TwinpathError as error:
        if debug:
            traceback.print_exc()
        _fail(in_options(str(error)), error.exit_code)
    except BrokenPipeError:
        raise
    except OSError as error:
        if debug:
            traceback.print_exc()
        _fail(str(error), 3)
    except Exception as error:  # noqa: BLE001 - the last resort, and it is reported
        if debug:
            traceback.print_exc()
        if _received:  # within an import, which made an ImportError of it
            sys.exit(128 + _received[-1])
        _fail(f"this is a bug in Twinpath: {type(error).__name__}: {error} (--debug shows where)", 1)


def _fail(message: str, exit_code: int) -> None:
    from twinpath.cli.console import print_note

    print_note(f"twinpath: {message}")
    sys.exit(exit_code)


def _discard_stdout() -> None:
    """Nobody reads it any more: what is still in its buffer must not fail at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _stop(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends a command as Ctrl-C does: files stay whole."""
    _received.append(signum)
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + signum)
