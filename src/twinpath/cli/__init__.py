"""The command line. One file a command; each imports what it needs when it runs."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from types import FrameType


def main() -> None:
    """Run `twinpath`; the exit code says how it went, as `twinpath.errors` has it."""
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # `twinpath … | head`
        _let_go_of_stdout()
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):  # seen by typer or rich first
            raise
        _let_go_of_stdout()


def _run() -> None:
    from twinpath.cli.app import app
    from twinpath.errors import TwinpathError

    debug = "--debug" in sys.argv
    try:
        try:
            app(prog_name="twinpath")
        finally:
            sys.stdout.flush()
    except TwinpathError as error:
        if debug:
            traceback.print_exc()
        _fail(str(error), error.exit_code)
    except BrokenPipeError:
        raise
    except OSError as error:
        if debug:
            traceback.print_exc()
        _fail(str(error), 3)
    except Exception as error:  # noqa: BLE001 - the last resort, and it is told
        if debug:
            traceback.print_exc()
        _fail(f"this is a bug in Twinpath: {type(error).__name__}: {error} (--debug shows where)", 1)


def _fail(message: str, exit_code: int) -> None:
    from twinpath.cli.console import one_line

    print(f"twinpath: {one_line(message)}", file=sys.stderr)
    sys.exit(exit_code)


def _let_go_of_stdout() -> None:
    """Nobody reads any more. What is still in the buffer goes nowhere, without a word at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _terminate(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends a command as Ctrl-C does, so that files stay whole."""
    sys.exit(128 + signum)
