"""The command line: one file a command, which parses and prints. It imports what it needs when it runs."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO, cast

if TYPE_CHECKING:
    from twinpath.errors import TwinpathError

_received: list[int] = []  # the signals of this run


def main() -> None:
    """Run `twinpath`; the exit code says how it went, as `twinpath.errors` has it."""
    _received.clear()
    _handle_signals()
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    from twinpath.cli.console import Output, log_as_notes

    log_as_notes()
    stdout = sys.stdout
    output = Output(stdout)
    sys.stdout = cast("TextIO", output)
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # `twinpath … | head`: nothing is left to print for
        pass
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):  # seen by typer or rich first
            raise
    finally:
        sys.stdout = stdout
    if output.failure is not None:
        _fail(_os_error_in_words(output.failure), 3)


def _handle_signals() -> None:
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        signal.signal(signal.SIGINT, _stop)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # not under nohup
        signal.signal(signal.SIGHUP, _stop)


def _open_closed_streams() -> None:
    """A stream that is closed becomes /dev/null; else the next file that is opened would take its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            os.dup2(opened, number)  # children inherit it
            if opened != number:
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for the whole run


def _run() -> None:
    from twinpath.cli.completion import first_word, is_completing
    from twinpath.cli.roads import show_roads

    if len(sys.argv) == 1 and not is_completing():
        show_roads()
        return
    from twinpath.cli.app import make_app
    from twinpath.cli.garbage import looked_for_late
    from twinpath.cli.lost_signals import sent_again
    from twinpath.cli.option_names import in_options
    from twinpath.errors import Stopped, TwinpathError

    debug = "--debug" in sys.argv
    try:
        try:
            with looked_for_late(), sent_again(_received):
                make_app(first_word(sys.argv[1:]))(prog_name="twinpath")
        finally:
            sys.stdout.flush()
    except TwinpathError as error:
        if debug:
            traceback.print_exc()
        _fail(in_options(str(error)), _exit_code(error))
    except SystemExit as stop:
        if isinstance(stop.__context__, Stopped):  # one more signal, while the message was on its way
            _fail(in_options(str(stop.__context__)), _exit_code(stop.__context__))
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        if debug:
            traceback.print_exc()
        _fail(_os_error_in_words(error), 3)
    except Exception as error:  # noqa: BLE001 - the last resort, and it is reported
        if debug:
            traceback.print_exc()
        if _received:  # within an import, which made an ImportError of it
            sys.exit(128 + _received[-1])
        _fail(f"this is a bug in Twinpath: {type(error).__name__}: {error} (--debug shows where)", 1)


def _exit_code(error: TwinpathError) -> int:
    from twinpath.errors import Stopped

    return 128 + _received[-1] if isinstance(error, Stopped) and _received else error.exit_code


def _fail(message: str, exit_code: int) -> NoReturn:
    from twinpath.cli.console import print_note

    with _signals_ignored():  # it ends in a moment, and the reason must be read
        print_note(f"twinpath: {message}")
    sys.exit(exit_code)


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    """Within the block what asks a process to end does nothing."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), signal.SIG_IGN) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _os_error_in_words(error: OSError) -> str:
    """The file and the reason; for errors without a file, Python's text."""
    if error.filename is None or error.strerror is None:
        return str(error)
    from twinpath.paths import display_path

    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    return f"{display_path(name)}: {error.strerror}"


def _stop(signum: int, frame: FrameType | None) -> None:
    """SIGTERM and SIGHUP end a command as Ctrl-C does: files stay whole."""
    _received.append(signum)
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + signum)
