"""The command line. One file a command; each imports what it needs when it runs."""

from __future__ import annotations

import signal
import sys
import traceback
from types import FrameType


def main() -> None:
    """Run `twinpath`; the exit code says how it went, as `twinpath.errors` has it."""
    from twinpath.cli.app import app
    from twinpath.errors import TwinpathError

    signal.signal(signal.SIGTERM, _terminate)
    debug = "--debug" in sys.argv
    try:
        app(prog_name="twinpath")
    except TwinpathError as error:
        if debug:
            traceback.print_exc()
        _fail(str(error), error.exit_code)
    except BrokenPipeError:  # `twinpath … | head`
        sys.stdout = None
        sys.exit(0)
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


def _terminate(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends a command as Ctrl-C does, so that files stay whole."""
    sys.exit(128 + signum)
